"""For tests: shares to store, and a disk that fails when told to."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs
import nacl.signing

from bitsnode.codec import merkle, share_puzzle
from bitsnode.store.disk import Disk
from bitsnode.store.intake import Prices
from bitsnode.store.shares import Geometry, ShareKey
from bitsnode.store.store import Store
from bitsnode.wire.messages import MAX_DATA, Allocate, Commit, Part, PutData, ReadShare
from bitsnode.wire.record import RECORD_VERSION, Record, RecordKind, SignedRecord

NOW: Final = 1_800_000_000  # Unix time in seconds, a multiple of an hour
DAY: Final = 86_400  # seconds
PRICES: Final = Prices(onion_key=bytes(32), share_bits=1, record_bits=1)
BLOCK: Final = 5000  # bytes; more than the least of a share of several blocks


@attrs.frozen
class SampleShare:
    """A share as an uploader holds it: its request for a place, and its parts."""

    request: Allocate
    parts: tuple[bytes, bytes, bytes] = attrs.field(repr=False)

    @classmethod
    def make(
        cls,
        blocks: int = 3,
        block_size: int = BLOCK,
        *,
        last: int | None = None,
        key: ShareKey | None = None,
        lease_until: int = NOW + DAY,
    ) -> "SampleShare":
        """Return a share of random bytes with its puzzle solved for `PRICES`."""
        block_size = block_size if blocks else 0
        last = block_size if last is None else last
        geometry = Geometry(blocks, block_size, last, 100)
        sizes = [block_size] * (blocks - 1) + [last] if blocks else []
        content = [secrets.token_bytes(size) for size in sizes]
        root = merkle.tree_root([merkle.block_root(block) for block in content])
        key = key or ShareKey(secrets.token_bytes(32), 7)
        parts = (b"".join(content), secrets.token_bytes(32 * blocks), secrets.token_bytes(100))
        request = Allocate(
            storage_index=key.storage_index,
            index=key.index,
            blocks=blocks,
            block_size=block_size,
            last_block_size=last,
            manifest_size=len(parts[Part.MANIFEST]),
            whitened_root=root,
            lease_until=lease_until,
            nonce=_solved(key, root, geometry.share_size),
        )
        return cls(request, parts)

    @property
    def key(self) -> ShareKey:
        """What it is filed under."""
        return ShareKey(self.request.storage_index, self.request.index)

    def pieces(self, upload: bytes, size: int = MAX_DATA) -> Iterator[PutData]:
        """Go through the requests that fill its place, pieces of ``size`` bytes at most."""
        for part, data in enumerate(self.parts):
            for offset in range(0, len(data), size):
                yield PutData(upload, part, offset, data[offset : offset + size])

    def upload(self, store: Store, *records: SignedRecord, now: float = NOW, who: int = 1) -> None:
        """Store it whole."""
        place = store.allocate(self.request, who, now)
        if place.present:
            return
        for piece in self.pieces(place.upload):
            store.put(piece, now)
        store.commit(Commit(place.upload, tuple(record.data for record in records)), now)

    def stretch(self, part: int, offset: int, length: int) -> ReadShare:
        """Return the request for a stretch of a part."""
        return ReadShare(self.request.storage_index, self.request.index, part, offset, length)

    def read(self, store: Store, part: int = Part.SHARE, *, now: float = NOW) -> bytes:
        """Return a whole part as the store has it."""
        found, total = b"", 1
        while len(found) < total:
            data = store.read(self.stretch(part, len(found), MAX_DATA), now)
            found, total = found + data.data, data.total
        return found

    def check(self, store: Store) -> None:
        """Check that the store has all of it.

        Raises:
            AssertionError: a part differs.
            Refused: it is not there.
        """
        for part, data in enumerate(self.parts):
            if self.read(store, part) != data:
                raise AssertionError(f"part {part} differs")


def _solved(key: ShareKey, root: bytes, size: int) -> bytes:
    puzzle = share_puzzle.SharePuzzle(
        PRICES.onion_key, key.storage_index, key.index, root, size, PRICES.share_bits
    )
    nonce = share_puzzle.solve(puzzle)
    if nonce is None:
        raise AssertionError("the puzzle of a sample share is too hard")
    return nonce


def sample_record(
    seed: bytes = bytes(32),
    *,
    slot: bytes = bytes(16),
    sequence: int = 1,
    days: int = 30,
    value: bytes = b"sealed",
) -> SignedRecord:
    """Return a signed record that `PRICES` admit."""
    public_key = bytes(nacl.signing.SigningKey(seed).verify_key)
    expires = NOW + days * DAY
    owner = nacl.signing.SigningKey(slot.ljust(32, b"\0"))
    record = Record(
        RECORD_VERSION,
        RecordKind.PROVIDER,
        public_key,
        bytes(owner.verify_key),
        sequence,
        expires,
        value,
        bytes(16),
        b"",
    )
    return SignedRecord.sign(record.solved(PRICES.record_bits), seed, bytes(owner))


class FailingDisk(Disk):
    """A real disk whose calls can be made to fail.

    Attributes:
        before: called with each call's name before it is made; what it raises is raised.
        calls: the names of the calls made, in order.
        opened: the descriptors that were given out.
        closed: those of them that were closed.
    """

    def __init__(self) -> None:
        self.before: Callable[[str], None] = lambda name: None
        self.calls: list[str] = []
        self.opened: list[int] = []
        self.closed: list[int] = []

    def fail(self, name: str, error: int) -> None:
        """Let every call of that name fail with an errno until `heal`."""

        def check(called: str) -> None:
            if called == name:
                raise OSError(error, os.strerror(error))

        self.before = check

    def heal(self) -> None:
        """Let every call be made again."""
        self.before = lambda name: None

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)

    def create(self, path: Path) -> int:
        """See `Disk.create`."""
        self._call("create")
        descriptor = super().create(path)
        self.opened.append(descriptor)
        return descriptor

    def open(self, path: Path) -> int:
        """See `Disk.open`."""
        self._call("open")
        descriptor = super().open(path)
        self.opened.append(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        """See `Disk.close`."""
        super().close(descriptor)
        self.closed.append(descriptor)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """See `Disk.read`."""
        self._call("read")
        return super().read(descriptor, length, offset)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """See `Disk.write`."""
        self._call("write")
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        """See `Disk.sync`."""
        self._call("sync")
        super().sync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """See `Disk.sync_directory`."""
        self._call("sync_directory")
        super().sync_directory(path)

    def rename(self, old: Path, new: Path) -> None:
        """See `Disk.rename`."""
        self._call("rename")
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        """See `Disk.remove`."""
        self._call("remove")
        super().remove(path)

    def free(self, path: Path) -> int:
        """See `Disk.free`."""
        self._call("free")
        return super().free(path)

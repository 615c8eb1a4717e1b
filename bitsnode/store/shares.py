"""Share files: their form and their places.

A file is a header, then the parts in the order of `Part`: the whitened blocks, the block roots of
the unwhitened share (opaque here), the sealed manifest (opaque here). While it is filled it lies
in ``incoming/`` under the name of its upload; when it is whole it moves, in one step, to
``shares/<first byte>/<storage index>.<index>``, all hexadecimal but the index.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import attrs

from bitsnode.codec import merkle
from bitsnode.ids import DIGEST_SIZE
from bitsnode.store.disk import Disk
from bitsnode.store.errors import BadGeometry, DamagedHeader, StoreTooNew
from bitsnode.wire.messages import MAX_BLOCK, MAX_BLOCKS, MAX_INDEX, MAX_MANIFEST, Part

SHARE_VERSION: Final = 1
_MAGIC: Final = b"bitsshar"
# magic, version, index, blocks, block size, last block size, manifest size, created, storage
# index, whitened root; a CRC-32 of all that follows, so that no wrong size is ever believed
_HEADER: Final = struct.Struct(">8sHHQIIIQ32s32s")
_CHECKSUM: Final = struct.Struct(">I")
HEADER_SIZE: Final = _HEADER.size + _CHECKSUM.size  # bytes
# A block of a share of several is a whole encrypted chunk's, cut in at most 256: smaller ones
# would be a way to store much block layer for little share, which is what the puzzle pays for.
LEAST_BLOCK: Final = -(-MAX_BLOCK // 256)  # bytes
_NAME: Final = re.compile(r"([0-9a-f]{64})\.(0|[1-9][0-9]{0,2})")


@attrs.frozen
class ShareKey:
    """What a share is filed under.

    Attributes:
        storage_index: 32 bytes.
        index: which of the n shares, 0 to 255.
    """

    storage_index: bytes
    index: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.storage_index.hex()}.{self.index}"

    @classmethod
    def from_name(cls, name: str) -> Self | None:
        """Return the key of a file's name, or None if it is not the name of a share."""
        found = _NAME.fullmatch(name)
        if found is None or int(found[2]) > MAX_INDEX:
            return None
        return cls(bytes.fromhex(found[1]), int(found[2]))


@attrs.frozen
class Geometry:
    """The sizes of a share file.

    Attributes:
        blocks: number of blocks; 0 for an empty content.
        block_size: bytes of each block but the last; 0 if there is none.
        last_block_size: bytes of the last block.
        manifest_size: bytes of the sealed manifest.

    Raises:
        BadGeometry: no share has such sizes.
    """

    blocks: int
    block_size: int
    last_block_size: int
    manifest_size: int

    def __attrs_post_init__(self) -> None:
        """Check that the sizes fit together."""
        if self.blocks == 0:
            fits = self.block_size == self.last_block_size == 0
        else:
            least = LEAST_BLOCK if self.blocks > 1 else 1
            fits = (
                self.blocks <= MAX_BLOCKS
                and least <= self.block_size <= MAX_BLOCK
                and 1 <= self.last_block_size <= self.block_size
            )
        if not fits or not 1 <= self.manifest_size <= MAX_MANIFEST:
            raise BadGeometry

    @property
    def share_size(self) -> int:
        """Bytes of all blocks."""
        return max(0, self.blocks - 1) * self.block_size + self.last_block_size

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return self.share_size + self.blocks * DIGEST_SIZE + self.manifest_size

    def part_size(self, part: int) -> int:
        """Return the bytes of a part."""
        return (self.share_size, self.blocks * DIGEST_SIZE, self.manifest_size)[part]

    def part_offset(self, part: int) -> int:
        """Return where a part begins in the file."""
        return HEADER_SIZE + sum(self.part_size(before) for before in range(Part.SHARE, part))


@attrs.frozen
class Header:
    """The first `HEADER_SIZE` bytes of a share file.

    Attributes:
        key: what it is filed under.
        geometry: its sizes.
        whitened_root: Merkle root of the whitened blocks, 32 bytes.
        created: Unix time in seconds.
    """

    key: ShareKey
    geometry: Geometry
    whitened_root: bytes
    created: int

    def encode(self) -> bytes:
        """Return the header's bytes."""
        sizes = attrs.astuple(self.geometry)
        fixed = (self.created, self.key.storage_index, self.whitened_root)
        packed = _HEADER.pack(_MAGIC, SHARE_VERSION, self.key.index, *sizes, *fixed)
        return packed + _CHECKSUM.pack(zlib.crc32(packed))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a header.

        Raises:
            DamagedHeader: it is not the header of a share file.
            StoreTooNew: its version is higher than ours.
        """
        if len(data) < HEADER_SIZE or data[: len(_MAGIC)] != _MAGIC:
            raise DamagedHeader
        packed = data[: _HEADER.size]
        if _CHECKSUM.unpack_from(data, _HEADER.size) != (zlib.crc32(packed),):
            raise DamagedHeader
        _, version, index, *sizes, created, storage_index, root = _HEADER.unpack(packed)
        if version > SHARE_VERSION:
            raise StoreTooNew
        try:
            return cls(ShareKey(storage_index, index), Geometry(*sizes), root, created)
        except BadGeometry as error:
            raise DamagedHeader from error


class ShareFiles:
    """The places of share files below one directory.

    Args:
        directory: holds ``shares`` and ``incoming``.
        disk: the door to the disk.
    """

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._shares = directory / "shares"
        self._incoming = directory / "incoming"
        self.disk = disk

    def prepare(self) -> None:
        """Make the directories, and make sure that they would survive a power cut."""
        for path in (self._shares, self._incoming):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for first in range(256):
            (self._shares / f"{first:02x}").mkdir(mode=0o700, exist_ok=True)
        self.disk.sync_directory(self._shares)
        self.disk.sync_directory(self._shares.parent)

    def path(self, key: ShareKey) -> Path:
        """Return where a whole share lies."""
        return self._shares / key.name[:2] / key.name

    def incoming(self, upload: bytes) -> Path:
        """Return where a share lies while it is filled."""
        return self._incoming / upload.hex()

    def keep(self, upload: bytes, key: ShareKey) -> None:
        """Move a filled and synced file to its place, and wait until its name is safe."""
        path = self.path(key)
        self.disk.rename(self.incoming(upload), path)
        self.disk.sync_directory(path.parent)

    def header(self, descriptor: int) -> Header:
        """Read the header of an open file.

        Raises:
            DamagedHeader, StoreTooNew: see `Header.parse`.
        """
        return Header.parse(self.disk.read(descriptor, HEADER_SIZE, 0))

    def whitened_root(self, descriptor: int, geometry: Geometry) -> bytes:
        """Return the Merkle root of the blocks as they are on the disk."""
        roots, offset = [], geometry.part_offset(Part.SHARE)
        for number in range(1, geometry.blocks + 1):
            last = number == geometry.blocks
            size = geometry.last_block_size if last else geometry.block_size
            roots.append(merkle.block_root(self.disk.read(descriptor, size, offset)))
            offset += size
        return merkle.tree_root(roots)

    def free(self) -> int:
        """Return the bytes that may still be written."""
        return self.disk.free(self._shares)

    def kept(self) -> Iterator[Path]:
        """Go through all files among the whole shares, whatever their names."""
        for directory in sorted(self._shares.iterdir()):
            yield from directory.iterdir()

    def filling(self) -> Iterator[Path]:
        """Go through all files in ``incoming``."""
        yield from self._incoming.iterdir()

"""The way in: a place is allocated, filled in any order, checked, and then kept."""

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from bitsnode.codec import share_puzzle
from bitsnode.codec.errors import UnpaidShare
from bitsnode.store import records
from bitsnode.store.errors import BadGeometry
from bitsnode.store.index import Holding
from bitsnode.store.quota import OVERHEAD, Limits, charge, granted
from bitsnode.store.shares import HEADER_SIZE, Geometry, Header, ShareKey
from bitsnode.store.shelf import Shelf
from bitsnode.store.uploads import UPLOAD_SIZE, Upload, Uploads
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import Allocate, Allocated, Commit, FailureCode, PutData, Terms
from bitsnode.wire.record import SignedRecord

# What a manifest may have: 8 KiB of share roots for each 256 MiB, and little else.
MANIFEST_ROOM: Final = 32 << 10  # bytes


@attrs.frozen
class Prices:
    """What this node asks of those who do not pay.

    Attributes:
        onion_key: of this node, 32 bytes; the puzzle names it.
        share_bits: difficulty of a share's puzzle per MiB.
        record_bits: difficulty of a record's puzzle.
    """

    onion_key: bytes
    share_bits: int
    record_bits: int


class Intake:
    """Takes shares in; any thread may call.

    Args:
        shelf: where they are kept.
        limits: what may be used.
        prices: what is asked.
        denied: returns whether a storage index is refused.
    """

    def __init__(
        self, shelf: Shelf, limits: Limits, prices: Prices, denied: Callable[[bytes], bool]
    ) -> None:
        self._shelf = shelf
        self._limits = limits
        self._prices = prices
        self._denied = denied
        self.uploads = Uploads(limits)

    def terms(self) -> Terms:
        """Return what an unpaid share may have now."""
        free = self._shelf.files.free() - self._limits.spare
        room = min(self._shelf.account.room(paid=False), self._limits.bytes_each, free)
        # its block layer and its manifest must fit too: a block has LEAST_BLOCK bytes or more
        largest = max(0, room - HEADER_SIZE - OVERHEAD - MANIFEST_ROOM) * 127 // 128
        return Terms(self._prices.share_bits, largest, self._limits.longest)

    def allocate(
        self, request: Allocate, connection: int, now: float, *, paid: bool = False
    ) -> Allocated:
        """Give a place to a share, or extend the lease of one that is here.

        Raises:
            Refused: MALFORMED, UNPAID, REFUSED, STALE (the lease asked for has passed), BUSY
                or FULL.
            OSError, sqlite3.Error: the disk refuses.
        """
        header = self._header(request, now)
        if self._denied(header.key.storage_index):
            raise Refused(FailureCode.REFUSED)
        if not paid:
            self._check_puzzle(header, request.nonce)
        until = granted(request.lease_until, now, self._limits, paid=paid)
        if until <= now:
            raise Refused(FailureCode.STALE)
        here = self._shelf.extend(header.key, header.whitened_root, until)
        if here is not None:
            return Allocated(bytes(UPLOAD_SIZE), True, here)
        upload = self._open(header, connection, until, now, paid=paid)
        return Allocated(upload.name, False, until)

    @staticmethod
    def _header(request: Allocate, now: float) -> Header:
        sizes = (request.blocks, request.block_size, request.last_block_size)
        try:
            geometry = Geometry(*sizes, request.manifest_size)
        except BadGeometry as error:
            raise Refused(FailureCode.MALFORMED) from error
        key = ShareKey(request.storage_index, request.index)
        return Header(key, geometry, request.whitened_root, int(now))

    def _check_puzzle(self, header: Header, nonce: bytes) -> None:
        puzzle = share_puzzle.SharePuzzle(
            onion_key=self._prices.onion_key,
            storage_index=header.key.storage_index,
            index=header.key.index,
            whitened_root=header.whitened_root,
            size=header.geometry.share_size,
            bits=self._prices.share_bits,
        )
        try:
            share_puzzle.check(puzzle, nonce)
        except UnpaidShare as error:
            raise Refused(FailureCode.UNPAID) from error

    def _open(
        self, header: Header, connection: int, until: int, now: float, *, paid: bool
    ) -> Upload:
        size = charge(header.geometry)
        for old in self.uploads.same(header):
            # its uploader lost us and begins again; nobody else knows the root beforehand
            self._give_up(old)
        upload = self.uploads.open(header, connection, size, (until, paid), now)
        try:
            self._take(size, now, paid=paid)
        except BaseException:
            self.uploads.remove(upload)
            raise
        disk, path = self._shelf.files.disk, self._shelf.files.incoming(upload.name)
        try:
            upload.descriptor = disk.create(path)
            disk.write(upload.descriptor, header.encode(), 0)
        except BaseException:
            self.drop(upload)
            raise
        return upload

    def _take(self, size: int, now: float, *, paid: bool) -> None:
        """Count ``size`` bytes as used, after making room if need be."""
        account = self._shelf.account
        if self._shelf.files.free() - self._limits.spare < size:
            raise Refused(FailureCode.FULL)
        if account.take(size, paid=paid):
            return
        self._shelf.make_room(size, now, paid=paid)
        if not account.take(size, paid=paid):
            raise Refused(FailureCode.FULL)

    def put(self, request: PutData, now: float) -> None:
        """Fill a stretch of a place; the same stretch may come again.

        Raises:
            Refused: NOT_FOUND, MALFORMED or BUSY.
            OSError: the disk refuses; the upload goes on once it has recovered.
        """
        upload = self.uploads.get(request.upload)
        start, end = upload.place(request.part, request.offset, len(request.data))
        with upload.lock:
            if upload.closed or upload.descriptor is None:
                raise Refused(FailureCode.NOT_FOUND)
            self._shelf.files.disk.write(upload.descriptor, request.data, start)
            upload.note(start, end)
            upload.touched = now

    def commit(self, request: Commit, now: float) -> None:
        """Check a filled place and keep it: on return the share survives a power cut.

        Raises:
            Refused: NOT_FOUND; UNSTORED, if bytes are missing (the upload goes on) or do not
                match the root (it is dropped); MALFORMED, STALE or FULL for the records;
                REFUSED; BUSY.
            OSError, sqlite3.Error: the disk refuses; the upload is dropped.
        """
        upload = self.uploads.get(request.upload)
        signed = records.parse_records(request.records, bits=self._prices.record_bits, now=now)
        with upload.lock:
            if upload.closed:
                raise Refused(FailureCode.NOT_FOUND)
            if not upload.complete:
                raise Refused(FailureCode.UNSTORED)
            upload.closed = True
        kept = False
        try:
            kept = self._keep(upload, signed, now)
        finally:
            self.drop(upload, kept=kept)

    def _keep(self, upload: Upload, signed: Sequence[SignedRecord], now: float) -> bool:
        header, files = upload.header, self._shelf.files
        if self._denied(header.key.storage_index):
            raise Refused(FailureCode.REFUSED)
        if upload.descriptor is None:  # never of a complete upload
            raise Refused(FailureCode.NOT_FOUND)
        if files.whitened_root(upload.descriptor, header.geometry) != header.whitened_root:
            raise Refused(FailureCode.UNSTORED)
        more = records.growth({}, signed)
        if not self._shelf.account.take(more, paid=upload.paid):
            raise Refused(FailureCode.FULL)
        upload.charge += more
        share = Holding(
            key=header.key,
            whitened_root=header.whitened_root,
            size=HEADER_SIZE + header.geometry.size,
            charge=upload.charge,
            lease_until=upload.lease_until,
            paid=upload.paid,
            record_key=records.key_of(None, signed),
        )
        due = records.due_after(now)
        if self._shelf.add(upload.name, upload.descriptor, share, signed, due):
            return True
        self._shelf.attach(header.key, signed, due)
        return False

    def drop(self, upload: Upload, *, kept: bool = False) -> None:
        """End an upload; its file goes and its bytes are free again, unless it is kept."""
        with upload.lock:
            upload.closed = True
            descriptor, upload.descriptor = upload.descriptor, None
        if not self.uploads.remove(upload):
            return
        if not kept:
            self._shelf.account.give_back(upload.charge, paid=upload.paid)
        try:
            if descriptor is not None:
                self._shelf.files.disk.close(descriptor)
        finally:
            if not kept:
                self._shelf.files.disk.remove(self._shelf.files.incoming(upload.name))

    def drop_stalled(self, now: float) -> int:
        """End the uploads for which no data came for too long; return how many."""
        return sum(self._give_up(upload) for upload in self.uploads.stalled(now))

    def _give_up(self, upload: Upload) -> bool:
        """End an upload unless it is being checked right now; say whether it ended."""
        with upload.lock:
            if upload.closed:
                return False
            upload.closed = True
        self.drop(upload)
        return True

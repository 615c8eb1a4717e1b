"""What is kept: files and their rows, changed in the order that loses no promise.

A share comes in file first, row last; it goes row first, file last. Whatever a crash leaves is then
a file without a row, which `Shelf.collect` removes.
"""

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from bitsnode.store.errors import DamagedHeader
from bitsnode.store.index import Holding, Index
from bitsnode.store.quota import Account, Lease, Limits, victims
from bitsnode.store.readers import OpenShares
from bitsnode.store.records import growth, key_of
from bitsnode.store.shares import ShareFiles, ShareKey
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import Data, FailureCode
from bitsnode.wire.record import SignedRecord


class Shelf:
    """Shares that are kept; any thread may call.

    Args:
        files: where they lie.
        index: their rows.
        limits: what may be used.
    """

    def __init__(self, files: ShareFiles, index: Index, limits: Limits) -> None:
        self.files = files
        self.index = index
        usage, _ = index.usage()
        self.account = Account(limits, usage)
        self._limits = limits
        self._readers = OpenShares(files)
        self._lock = threading.Lock()
        self._coming: set[ShareKey] = set()
        self._attaching = threading.Lock()

    def close(self) -> None:
        """Close all files and the index."""
        self._readers.close()
        self.index.close()

    def read(self, key: ShareKey, part: int, offset: int, length: int) -> Data:
        """Return a stretch of a share's part, as it is on the disk.

        Raises:
            Refused: NOT_FOUND.
            DamagedHeader, OSError: the file cannot be read.
        """
        try:
            with self._readers.use(key) as share:
                geometry = share.header.geometry
                total = geometry.part_size(part)
                length = max(0, min(length, total - offset))
                start = geometry.part_offset(part) + offset
                data = self.files.disk.read(share.descriptor, length, start)
        except FileNotFoundError as error:
            raise Refused(FailureCode.NOT_FOUND) from error
        if len(data) != length:
            raise DamagedHeader("A stored share is shorter than its header says.")
        return Data(data, total)

    @contextmanager
    def _claim(self, key: ShareKey) -> Iterator[None]:
        with self._lock:
            if key in self._coming:
                raise Refused(FailureCode.BUSY, 1)
            self._coming.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._coming.remove(key)

    def add(
        self,
        upload: bytes,
        descriptor: int,
        share: Holding,
        records: Sequence[SignedRecord],
        due: int,
    ) -> bool:
        """Keep a filled and checked file. When this returns, the share survives a power cut.

        Args:
            upload: names the file in ``incoming``, 16 bytes.
            descriptor: of that file.
            share: its row; its charge is in the account already, the records' bytes included.
            records: of the share.
            due: when to put them into the DHT again, Unix time in seconds.

        Returns:
            False if the very share is here already: its lease was extended and the upload is
            of no more use.

        Raises:
            Refused: REFUSED if other bytes lie here; BUSY if the same share comes in right now.
            OSError, sqlite3.Error: the disk refuses; nothing is kept.
        """
        with self._claim(share.key):
            if self.extend(share.key, share.whitened_root, share.lease_until) is not None:
                return False
            self.files.disk.sync(descriptor)
            try:
                self.files.keep(upload, share.key)
                self.index.add(share, records, due)
            except BaseException:
                self.files.disk.remove(self.files.path(share.key))
                raise
            # a file that had this name before may still be open
            self._readers.forget(share.key)
            return True

    def extend(self, key: ShareKey, whitened_root: bytes, until: int) -> int | None:
        """Let the lease of this very share end later.

        Returns:
            When it ends now; None if no such share is kept.

        Raises:
            Refused: REFUSED if other bytes are kept under the key: the first to come stay.
        """
        found = self.index.find(key)
        if found is None:
            return None
        if found.whitened_root != whitened_root:
            raise Refused(FailureCode.REFUSED)
        return self.index.extend(key, until)

    def attach(self, key: ShareKey, records: Sequence[SignedRecord], due: int) -> None:
        """Add records to a share; those of a known slot replace the older ones.

        Raises:
            Refused: NOT_FOUND, REFUSED, STALE or FULL.
        """
        with self._attaching:
            share = self.index.find(key)
            if share is None:
                raise Refused(FailureCode.NOT_FOUND)
            record_key = key_of(share.record_key, records)
            more = growth(self.index.records(key), records)
            if not self.account.take(more, paid=share.paid):
                raise Refused(FailureCode.FULL)
            new = attrs.evolve(share, record_key=record_key, charge=share.charge + more)
            attached = False
            try:
                attached = self.index.attach(new, records, due)
            finally:
                if not attached:
                    self.account.give_back(more, paid=share.paid)
            if not attached:
                raise Refused(FailureCode.NOT_FOUND)

    def make_room(self, need: int, now: float, *, paid: bool) -> int:
        """Let go of what has expired and, for those who pay, of unpaid shares if need be.

        Returns:
            The number of shares that went.
        """
        gone = self._let_go(self.index.end(self.index.expired(now)))
        lacking = need - self.account.room(paid=True)
        if paid and lacking > 0:
            gone += self._let_go(self.index.end(victims(self.index.unpaid(), lacking)))
        return gone

    def forget(self, keys: Iterable[ShareKey]) -> int:
        """Let go of shares whatever was promised; return how many were there."""
        return self._let_go(self.index.forget(keys))

    def _let_go(self, leases: Sequence[Lease]) -> int:
        for lease in leases:
            self.account.give_back(lease.charge, paid=lease.paid)
        for lease in leases:
            self._remove_file(lease.key)
        return len(leases)

    def _remove_file(self, key: ShareKey) -> None:
        # A share of the same key may be on its way in; its file is not the one to go.
        try:
            with self._claim(key):
                if self.index.find(key) is None:
                    self.files.disk.remove(self.files.path(key))
        except Refused:
            return
        self._readers.forget(key)

    def collect(self, filling: Callable[[], Container[str]]) -> tuple[int, int]:
        """Remove files without a row, and rows without their file.

        Args:
            filling: returns the names of the files that are being filled; asked only after
                the files were listed, so that none is missed.

        Returns:
            The numbers of files and of rows removed.
        """
        files = 0
        listed = list(self.files.filling())
        names = filling()
        for path in listed:
            if path.name not in names:
                self.files.disk.remove(path)
                files += 1
        for path in list(self.files.kept()):
            files += self._collect_kept(path)
        lost = [share.key for share in self.index.holdings() if self._is_lost(share)]
        return files, self.forget(lost)

    def _collect_kept(self, path: Path) -> int:
        key = ShareKey.from_name(path.name)
        if key is None:
            self.files.disk.remove(path)
            return 1
        if self.index.find(key) is not None:
            return 0
        try:
            with self._claim(key):
                if self.index.find(key) is None:
                    self.files.disk.remove(path)
                    self._readers.forget(key)
                    return 1
        except Refused:  # it is on its way in
            pass
        return 0

    def _is_lost(self, share: Holding) -> bool:
        try:
            return self.files.path(share.key).stat().st_size != share.size
        except FileNotFoundError:
            return True

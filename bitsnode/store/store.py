"""The share store as the node sees it: all it does, in one place, for calls from any thread.

Every method may wait for the disk, so none belongs on the reactor's thread but `Store.counters`
and `Store.fault`.
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from bitsnode.store import records
from bitsnode.store.deny import read_deny_list
from bitsnode.store.disk import Disk
from bitsnode.store.errors import StoreUnusable
from bitsnode.store.faults import Faults
from bitsnode.store.index import DueRecord, Holding, Index
from bitsnode.store.intake import Intake, Prices
from bitsnode.store.quota import Limits
from bitsnode.store.served import Counters, Tally
from bitsnode.store.shares import ShareFiles, ShareKey
from bitsnode.store.shelf import Shelf
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import (
    Allocate,
    Allocated,
    AttachRecords,
    Commit,
    Data,
    FailureCode,
    PutData,
    ReadShare,
    Terms,
)

MOST_DUE: Final = 64  # records handed out for republishing at once


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced, or None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@attrs.frozen
class Swept:
    """What a sweep let go of.

    Attributes:
        shares: whose lease had ended, or that no longer fit lowered limits.
        uploads: for which no data came any more.
        orphans: files without a row.
        lost: rows without their file.
    """

    shares: int = 0
    uploads: int = 0
    orphans: int = 0
    lost: int = 0


class Store:
    """Shares kept for others below ``HOME/store``.

    Args:
        home: directory of the node; its ``deny.txt`` is obeyed.
        prices: what is asked of those who do not pay.
        limits: what may be used.
        report: is given one sentence for each new fault of the disk.
        disk: the door to the disk.

    What peers ask for raises `Refused` when it is not done, whatever the cause.

    Raises:
        StoreError: the store cannot be opened: `StoreUnusable`, `StoreTooNew`, `IndexDamaged` or
            `BadDenyList`.
    """

    def __init__(
        self,
        home: Path,
        prices: Prices,
        limits: Limits,
        report: Callable[[str], None],
        disk: Disk | None = None,
    ) -> None:
        self._deny_file = home / "deny.txt"
        self._deny_stamp = _stamp(self._deny_file)
        self._denied = read_deny_list(self._deny_file)
        self._record_bits = prices.record_bits
        self._faults = Faults(report)
        directory = home / "store"
        try:
            files = ShareFiles(directory, disk or Disk())
            files.prepare()
            index = Index(directory / "index.db")
            self._shelf = Shelf(files, index, limits)
            self._tally = Tally(index.counters())
        except (OSError, sqlite3.Error) as error:
            raise StoreUnusable(
                f"The share store in {directory} cannot be opened ({error}): check the"
                " permissions and the space of its disk."
            ) from error
        self._intake = Intake(self._shelf, limits, prices, self._is_denied)
        self._lock = threading.Lock()
        self._collect()
        self._forget_denied()

    @property
    def fault(self) -> str | None:
        """The disk's last fault, as one sentence; None since something was stored well."""
        return self._faults.last

    def close(self) -> None:
        """Note what was served, and close all files."""
        self.flush()
        with self._faults.noting():
            self._shelf.close()

    def terms(self) -> Terms:
        """Return what an unpaid share may have now."""
        with self._faults.refusing():
            return self._intake.terms()

    def allocate(
        self, request: Allocate, connection: int, now: float, *, paid: bool = False
    ) -> Allocated:
        """See `Intake.allocate`."""
        with self._faults.refusing():
            return self._intake.allocate(request, connection, now, paid=paid)

    def put(self, request: PutData, now: float) -> None:
        """See `Intake.put`."""
        with self._faults.refusing():
            self._intake.put(request, now)
        self._tally.received(len(request.data))

    def commit(self, request: Commit, now: float) -> None:
        """See `Intake.commit`."""
        with self._faults.refusing():
            self._intake.commit(request, now)
        self._faults.clear()
        self._tally.stored()

    def attach(self, request: AttachRecords, now: float) -> None:
        """Add records to a share.

        Raises:
            Refused: MALFORMED, NOT_FOUND, REFUSED, STALE or FULL.
        """
        key = ShareKey(request.storage_index, request.index)
        self._check_denied(key)
        signed = records.parse_records(request.records, bits=self._record_bits, now=now)
        with self._faults.refusing():
            self._shelf.attach(key, signed, records.due_after(now))

    def read(self, request: ReadShare, now: float) -> Data:
        """Return a stretch of a share.

        Raises:
            Refused: NOT_FOUND or REFUSED.
        """
        key = ShareKey(request.storage_index, request.index)
        self._check_denied(key)
        with self._faults.refusing():
            data = self._shelf.read(key, request.part, request.offset, request.length)
        self._tally.served(key, request.part, len(data.data), now)
        return data

    def counters(self) -> Counters:
        """Return the live counters; waits for nothing."""
        usage = self._shelf.account.usage
        return self._tally.counters(usage.total, len(self._intake.uploads))

    def holdings(self) -> list[Holding]:
        """Return every share that is kept, with live counters of what was served.

        Raises:
            sqlite3.Error: the index cannot be read.
        """
        return self._tally.with_pending(self._shelf.index.holdings())

    def records_due(self, now: float) -> list[DueRecord]:
        """Return records to put into the DHT again, at most `MOST_DUE`."""
        with self._faults.noting():
            return self._shelf.index.due(now, MOST_DUE)
        return []

    def mark_republished(self, record: DueRecord, now: float, *, stored: bool = True) -> None:
        """Note that a record was put into the DHT, or that no node took it."""
        due = records.due_after(now) if stored else int(now) + records.RETRY
        with self._faults.noting():
            self._shelf.index.postpone(record, due)

    def sweep(self, now: float) -> Swept:
        """Let go of what has expired, stalled or no longer fits, and of orphans."""
        shares = uploads = 0
        with self._faults.noting():
            uploads = self._intake.drop_stalled(now)
            shares = self._shelf.make_room(0, now, paid=True)
        found = self._collect()
        return attrs.evolve(found, shares=shares, uploads=uploads)

    def flush(self) -> None:
        """Write what was served to the index; when the disk refuses, a later flush does."""
        with self._lock, self._faults.noting():
            self._tally.flush(self._shelf.index.flush)

    def reload_deny_list(self) -> int:
        """Read ``HOME/deny.txt`` again, and let go of the shares it names.

        Returns:
            How many shares went.

        Raises:
            BadDenyList: the list cannot be understood; the one read before stays in force.
        """
        self._deny_stamp = _stamp(self._deny_file)
        self._denied = read_deny_list(self._deny_file)
        return self._forget_denied()

    def refresh_deny_list(self) -> int:
        """Read ``HOME/deny.txt`` again if it changed; otherwise as `reload_deny_list`."""
        return 0 if _stamp(self._deny_file) == self._deny_stamp else self.reload_deny_list()

    def check(self) -> list[str]:
        """Return what is wrong with the index; ``["ok"]`` if nothing."""
        return self._shelf.index.check()

    def _is_denied(self, storage_index: bytes) -> bool:
        return storage_index in self._denied

    def _check_denied(self, key: ShareKey) -> None:
        if self._is_denied(key.storage_index):
            raise Refused(FailureCode.REFUSED)

    def _forget_denied(self) -> int:
        if not self._denied:
            return 0
        with self._faults.noting():
            kept = [share.key for share in self._shelf.index.holdings()]
            return self._shelf.forget([key for key in kept if self._is_denied(key.storage_index)])
        return 0

    def _collect(self) -> Swept:
        with self._faults.noting():
            orphans, lost = self._shelf.collect(self._intake.uploads.names)
            return Swept(orphans=orphans, lost=lost)
        return Swept()

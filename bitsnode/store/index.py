"""The index: which shares are kept, until when, with which records, and what was served.

SQLite in WAL mode behind one lock: any thread may call, one at a time. A row is written after its
file is safe and removed before its file is, so a crash leaves at most a file without a row.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

from bitsnode.store.quota import Lease, Usage
from bitsnode.store.schema import connect
from bitsnode.store.shares import ShareKey
from bitsnode.wire.messages import Part
from bitsnode.wire.record import SignedRecord


@attrs.frozen
class Holding:
    """One share that is kept.

    Attributes:
        key: what it is filed under.
        whitened_root: 32 bytes.
        size: bytes of its file.
        charge: bytes it counts for.
        lease_until: Unix time in seconds.
        paid: whether somebody pays for it.
        record_key: public key of its records, 32 bytes, or None.
        last_read: day, as Unix time of its beginning, 0 for never; as of the last flush.
        reads: requests answered from it; as of the last flush.
        served: bytes handed out of each `Part`; as of the last flush.
    """

    key: ShareKey
    whitened_root: bytes
    size: int
    charge: int
    lease_until: int
    paid: bool
    record_key: bytes | None = None
    last_read: int = 0
    reads: int = 0
    served: tuple[int, int, int] = (0, 0, 0)


@attrs.frozen
class DueRecord:
    """A record that should be put into the DHT again.

    Attributes:
        key: of the share it belongs to.
        kind: of `bitsnode.wire.record.RecordKind`.
        slot: 16 bytes.
        sequence: of the record.
        data: the signed record.
    """

    key: ShareKey
    kind: int
    slot: bytes
    sequence: int
    data: bytes = attrs.field(repr=False)


@attrs.define
class Served:
    """What was handed out of one share since the last flush."""

    last_read: int = 0
    reads: int = 0
    parts: list[int] = attrs.Factory(lambda: [0] * (Part.MANIFEST + 1))


def _holding(row: sqlite3.Row) -> Holding:
    return Holding(
        key=ShareKey(row["storage_index"], row["share_index"]),
        whitened_root=row["whitened_root"],
        size=row["size"],
        charge=row["charge"],
        lease_until=row["lease_until"],
        paid=bool(row["paid"]),
        record_key=row["record_key"],
        last_read=row["last_read"],
        reads=row["reads"],
        served=(row["served_share"], row["served_layer"], row["served_manifest"]),
    )


def _lease(row: sqlite3.Row) -> Lease:
    key = ShareKey(row["storage_index"], row["share_index"])
    return Lease(key, row["charge"], row["lease_until"], bool(row["paid"]))


def _pair(key: ShareKey) -> tuple[bytes, int]:
    return key.storage_index, key.index


class Index:
    """Every method raises `sqlite3.Error` when the disk refuses; nothing is then changed.

    Args:
        path: of the database.
        open_database: replaced in tests.
    """

    def __init__(
        self, path: Path, open_database: Callable[[Path], sqlite3.Connection] = connect
    ) -> None:
        self._lock = threading.RLock()
        self._database = open_database(path)
        self._database.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back already, as it does when the disk is full
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    def find(self, key: ShareKey) -> Holding | None:
        """Return a share, or None."""
        rows = self._rows(
            "SELECT * FROM shares WHERE storage_index = ? AND share_index = ?", *_pair(key)
        )
        return _holding(rows[0]) if rows else None

    def holdings(self) -> list[Holding]:
        """Return every share."""
        return [_holding(row) for row in self._rows("SELECT * FROM shares")]

    def usage(self) -> tuple[Usage, int]:
        """Return the bytes that are charged, and the number of shares."""
        rows = self._rows("SELECT paid, SUM(charge), COUNT(*) FROM shares GROUP BY paid")
        sums = {bool(paid): charge for paid, charge, _ in rows}
        return Usage(sums.get(True, 0), sums.get(False, 0)), sum(row[2] for row in rows)

    def expired(self, now: float) -> list[Lease]:
        """Return the leases that have ended."""
        rows = self._rows("SELECT * FROM shares WHERE lease_until <= ?", int(now))
        return [_lease(row) for row in rows]

    def unpaid(self) -> list[Lease]:
        """Return the leases that nobody pays for, those that end first leading."""
        rows = self._rows("SELECT * FROM shares WHERE paid = 0 ORDER BY lease_until")
        return [_lease(row) for row in rows]

    def add(self, share: Holding, records: Iterable[SignedRecord], due: int) -> None:
        """Note a new share whose file is safe, with its records, all or nothing."""
        terms = (share.charge, share.lease_until, share.paid, share.record_key)
        with self._transaction() as database:
            database.execute(
                "INSERT INTO shares (storage_index, share_index, whitened_root, size, charge,"
                " lease_until, paid, record_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*_pair(share.key), share.whitened_root, share.size, *terms),
            )
            self._put_records(database, share.key, records, due)

    def attach(self, share: Holding, records: Iterable[SignedRecord], due: int) -> bool:
        """Note records of a share, with its record key and charge as given.

        Returns:
            False if the share is no longer kept; nothing was noted then.
        """
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE shares SET record_key = ?, charge = ?"
                " WHERE storage_index = ? AND share_index = ?",
                (share.record_key, share.charge, *_pair(share.key)),
            )
            if changed.rowcount:
                self._put_records(database, share.key, records, due)
            return bool(changed.rowcount)

    @staticmethod
    def _put_records(
        database: sqlite3.Connection, key: ShareKey, records: Iterable[SignedRecord], due: int
    ) -> None:
        for signed in records:
            record = signed.record
            fields = (record.kind, record.slot, record.sequence, record.expires, due, signed.data)
            database.execute(
                "REPLACE INTO records (storage_index, share_index, kind, slot, sequence,"
                " expires, due, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*_pair(key), *fields),
            )

    def records(self, key: ShareKey) -> dict[tuple[int, bytes], tuple[int, int]]:
        """Return (kind, slot) -> (sequence, bytes) of a share's records."""
        rows = self._rows(
            "SELECT kind, slot, sequence, LENGTH(data) FROM records"
            " WHERE storage_index = ? AND share_index = ?",
            *_pair(key),
        )
        return {(kind, slot): (sequence, size) for kind, slot, sequence, size in rows}

    def due(self, now: float, most: int) -> list[DueRecord]:
        """Return records whose time has come, the longest overdue first."""
        rows = self._rows(
            "SELECT storage_index, share_index, kind, slot, sequence, data FROM records"
            " WHERE due <= ? AND expires > ? ORDER BY due LIMIT ?",
            int(now),
            int(now),
            most,
        )
        return [DueRecord(ShareKey(*row[:2]), *row[2:]) for row in rows]

    def postpone(self, record: DueRecord, due: int) -> None:
        """Note when a record is due again, unless another one replaced it meanwhile."""
        with self._transaction() as database:
            database.execute(
                "UPDATE records SET due = ? WHERE storage_index = ? AND share_index = ?"
                " AND kind = ? AND slot = ? AND sequence = ?",
                (due, *_pair(record.key), record.kind, record.slot, record.sequence),
            )

    def extend(self, key: ShareKey, lease_until: int) -> int | None:
        """Let a lease end later; never earlier.

        Returns:
            When it ends now, or None if the share is not kept.
        """
        with self._transaction() as database:
            rows = database.execute(
                "UPDATE shares SET lease_until = MAX(lease_until, ?)"
                " WHERE storage_index = ? AND share_index = ? RETURNING lease_until",
                (lease_until, *_pair(key)),
            ).fetchall()
        return rows[0]["lease_until"] if rows else None

    def end(self, leases: Iterable[Lease]) -> list[Lease]:
        """Forget shares and their records; their files may be removed afterwards.

        Returns:
            Those that were forgotten, as they were: a lease that was extended meanwhile stays.
        """
        gone: list[sqlite3.Row] = []
        with self._transaction() as database:
            for lease in leases:
                gone += database.execute(
                    "DELETE FROM shares WHERE storage_index = ? AND share_index = ?"
                    " AND lease_until = ? RETURNING *",
                    (*_pair(lease.key), lease.until),
                ).fetchall()
        return [_lease(row) for row in gone]

    def forget(self, keys: Iterable[ShareKey]) -> list[Lease]:
        """Forget shares whatever their leases say; otherwise as `end`."""
        gone: list[sqlite3.Row] = []
        with self._transaction() as database:
            for key in keys:
                gone += database.execute(
                    "DELETE FROM shares WHERE storage_index = ? AND share_index = ? RETURNING *",
                    _pair(key),
                ).fetchall()
        return [_lease(row) for row in gone]

    def flush(self, served: Mapping[ShareKey, Served], counts: Mapping[str, int]) -> None:
        """Add what was served to the shares, and set the counters."""
        with self._transaction() as database:
            database.executemany(
                "UPDATE shares SET last_read = MAX(last_read, ?), reads = reads + ?,"
                " served_share = served_share + ?, served_layer = served_layer + ?,"
                " served_manifest = served_manifest + ?"
                " WHERE storage_index = ? AND share_index = ?",
                [
                    (new.last_read, new.reads, *new.parts, *_pair(key))
                    for key, new in served.items()
                ],
            )
            database.executemany("REPLACE INTO counters VALUES (?, ?)", list(counts.items()))

    def counters(self) -> dict[str, int]:
        """Return the counters as of the last flush."""
        rows = self._rows("SELECT name, value FROM counters")
        return {row["name"]: row["value"] for row in rows}

    def check(self) -> list[str]:
        """Return what SQLite finds wrong; ``["ok"]`` if nothing."""
        return [row[0] for row in self._rows("PRAGMA integrity_check")]

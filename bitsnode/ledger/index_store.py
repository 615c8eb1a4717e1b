"""The index on the disk: blocks that later ones must link to, and the logs of our contracts."""

import hashlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.ledger.announcements import ANNOUNCEMENT, Announcement, Cursor, read_announcement
from bitsnode.ledger.answers import Header, Log
from bitsnode.ledger.database import Database
from bitsnode.ledger.deployment import Deployment

MAX_KEPT_DATA: Final = 1 << 16  # bytes of a log that is kept; none of our contracts' has as many
HASH_SIZE: Final = 32

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        # those behind the last confirmed block, and that one
        "CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash BLOB NOT NULL)",
        """
        CREATE TABLE logs (
            block INTEGER NOT NULL,
            log_index INTEGER NOT NULL,
            block_hash BLOB NOT NULL,
            transaction_hash BLOB NOT NULL,
            address BLOB NOT NULL,
            topics BLOB NOT NULL,           -- 32 bytes each
            data BLOB NOT NULL,
            PRIMARY KEY (block, log_index)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX logs_by_event ON logs (address, substr(topics, 1, 32), block, log_index)",
        # one row: up to where we know the chain, and up to where it is confirmed
        "CREATE TABLE reach (tip INTEGER NOT NULL, confirmed INTEGER NOT NULL)",
    ),
)


@attrs.frozen
class Reach:
    """How far the index goes.

    Attributes:
        tip: number of the last block it knows; one less than the first block when it is empty.
        confirmed: number of the last block that is final.
    """

    tip: int
    confirmed: int


class IndexStore:
    """What the index keeps. Each method is one transaction, so a crash leaves it consistent."""

    def __init__(self, path: Path, deployment: Deployment) -> None:
        self._announcer = bytes.fromhex(deployment.address("ERC5564Announcer")[2:])
        owner = hashlib.sha256(deployment.dump()).hexdigest()
        self._lock = threading.Lock()
        self.database = Database(path, MIGRATIONS, owner)
        with self.database.transaction():
            if not self.database.rows("SELECT * FROM reach"):
                before = deployment.start_block - 1
                self.database.rows("INSERT INTO reach VALUES (?, ?)", before, before)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    def reach(self) -> Reach:
        """How far it goes."""
        with self._lock:
            ((tip, confirmed),) = self._rows("SELECT tip, confirmed FROM reach")
            return Reach(tip, confirmed)

    def hashes(self) -> dict[int, bytes]:
        """Hashes of the blocks that the chain must still have, by number."""
        with self._lock:
            return dict(self._rows("SELECT number, hash FROM blocks"))

    def extend(self, tip: int, headers: Iterable[Header], logs: Iterable[Log]) -> None:
        """Add blocks up to a new tip, with the logs that are worth keeping."""
        kept = [_row(log) for log in logs if self.keeps(log)]
        blocks = [(header.number, header.hash) for header in headers]
        with self._lock, self.database.transaction():
            self.database.many("INSERT OR REPLACE INTO blocks VALUES (?, ?)", blocks)
            self.database.many("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?)", kept)
            self._rows("UPDATE reach SET tip = ?", tip)

    def roll_back(self, tip: int) -> None:
        """Forget all blocks above a new tip."""
        with self._lock, self.database.transaction():
            self._rows("DELETE FROM logs WHERE block > ?", tip)
            self._rows("DELETE FROM blocks WHERE number > ?", tip)
            self._rows("UPDATE reach SET tip = ?", tip)

    def confirm(self, number: int) -> None:
        """From now on, all up to this block is final."""
        with self._lock, self.database.transaction():
            self._rows("DELETE FROM blocks WHERE number < ?", number)
            self._rows("UPDATE reach SET confirmed = ?", number)

    def keeps(self, log: Log) -> bool:
        """Whether a log is worth keeping: what cannot be used fills no disk."""
        if len(log.data) > MAX_KEPT_DATA:
            return False
        return log.address != self._announcer or read_announcement(log) is not None

    def logs(self, first: int, last: int) -> list[Log]:
        """The logs kept of a range of blocks."""
        with self._lock:
            rows = self._rows(
                "SELECT * FROM logs WHERE block BETWEEN ? AND ? ORDER BY block, log_index",
                first,
                last,
            )
        return [_log(row) for row in rows]

    def events(
        self, address: bytes, event: bytes, after: Cursor | None, limit: int, last: int
    ) -> list[Log]:
        """The logs of one contract with one first topic, in order, from behind a cursor."""
        start = after or Cursor(-1, -1)
        with self._lock:
            rows = self._rows(
                """
                SELECT * FROM logs WHERE address = ? AND substr(topics, 1, 32) = ?
                AND (block, log_index) > (?, ?) AND block <= ?
                ORDER BY block, log_index LIMIT ?
                """,
                address,
                event,
                start.block,
                start.log_index,
                last,
                limit,
            )
        return [_log(row) for row in rows]

    def names(self, address: bytes) -> bool:
        """Whether an address, 20 bytes, is in the topics or the data of any log."""
        word = address.rjust(HASH_SIZE, b"\0")
        with self._lock:
            return bool(
                self._rows(
                    "SELECT 1 FROM logs WHERE instr(topics, ?) OR instr(data, ?) LIMIT 1",
                    word,
                    word,
                )
            )

    def announcements(self, after: Cursor | None, limit: int, last: int) -> list[Announcement]:
        """Announcements in order, from behind a cursor, up to a block."""
        found = self.events(self._announcer, ANNOUNCEMENT, after, limit, last)
        read = [read_announcement(log) for log in found]
        return [announcement for announcement in read if announcement is not None]

    def mentions(self, address: bytes) -> bool:
        """Whether any log has an address, 20 bytes, as its contract, in a topic or in its data."""
        word = bytes(12) + address  # as the ABI encodes it
        with self._lock:
            found = self._rows(
                "SELECT 1 FROM logs WHERE address = ? OR instr(topics, ?) OR instr(data, ?)"
                " LIMIT 1",
                address,
                word,
                word,
            )
        return bool(found)

    def _rows(self, statement: str, *values: object) -> list[Any]:
        return self.database.rows(statement, *values)


def _row(log: Log) -> tuple[object, ...]:
    topics = b"".join(log.topics)
    place = (log.block, log.index, log.block_hash, log.transaction)
    return (*place, log.address, topics, log.data)


def _log(row: tuple[Any, ...]) -> Log:
    block, index, block_hash, transaction, address, topics, data = row
    split = tuple(topics[at : at + HASH_SIZE] for at in range(0, len(topics), HASH_SIZE))
    return Log(block, block_hash, index, transaction, address, split, data)

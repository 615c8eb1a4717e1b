"""The file that outlives the process: contacts that answered, and records kept for others."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bitsnode.dht.anchors import Anchor
from bitsnode.dht.records import Changes, Place
from bitsnode.dht.routing import Contact
from bitsnode.dht.versioned import open_versioned
from bitsnode.errors import BitsError
from bitsnode.wire.record import SignedRecord

FORMAT: Final = 2  # of the file, in its user_version
_TABLES: Final = """
CREATE TABLE contacts (
    onion_key BLOB PRIMARY KEY, card BLOB NOT NULL,
    since REAL NOT NULL             -- Unix seconds of its first answer
) WITHOUT ROWID;
CREATE TABLE anchors (
    onion_key BLOB PRIMARY KEY, since REAL NOT NULL, seen REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE network (nodes REAL NOT NULL);  -- one row: how many there seemed to be
CREATE TABLE records (
    key BLOB NOT NULL, kind INTEGER NOT NULL, slot BLOB NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (key, kind, slot)
) WITHOUT ROWID;
PRAGMA user_version = 2;
"""


# Contacts of version 1 were not dated, and its records are of a form that no longer exists.
_FROM_1: Final = (
    "BEGIN; DROP TABLE records; ALTER TABLE contacts RENAME TO undated;",
    "INSERT INTO contacts SELECT onion_key, card, 0 FROM undated; DROP TABLE undated; COMMIT;",
)


class SavedByNewer(BitsError):
    """The file dht.sqlite was written by a newer bits: update bits, or move the file away."""


class SavedUnusable(BitsError):
    """The file dht.sqlite cannot be used: move it away, and bits starts a new one."""


class Saved:
    """The open file.

    Args:
        path: of the SQLite file, made with mode 0600 when it is not there.

    Raises:
        SavedByNewer: its format is newer than `FORMAT`.
        SavedUnusable: damaged, or the system refuses it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = open_versioned(path, FORMAT, SavedByNewer, _set_up)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(error) from error

    def contacts(self) -> list[tuple[bytes, bytes, float]]:
        """Return onion keys, signed cards, expired or not, and the times of their first answers."""
        return list(self._file.execute("SELECT onion_key, card, since FROM contacts"))

    def anchors(self) -> list[Anchor]:
        """Return the anchors that were saved."""
        rows = self._file.execute("SELECT onion_key, since, seen FROM anchors")
        return [Anchor(*row) for row in rows]

    def nodes(self) -> float:
        """Return how many nodes there seemed to be; 0 if that was not saved."""
        row = self._file.execute("SELECT nodes FROM network").fetchone()
        return float(row[0]) if row else 0.0

    def records(self) -> list[bytes]:
        """Return the signed records that were saved."""
        return [data for (data,) in self._file.execute("SELECT data FROM records")]

    def save_watch(self, anchors: Iterable[Anchor], nodes: float) -> None:
        """Replace the anchors, and the number of nodes, saved by these.

        Raises:
            SavedUnusable: the file cannot be written.
        """
        rows = [(anchor.onion_key, anchor.since, anchor.seen) for anchor in anchors]
        with self._transaction():
            self._file.execute("DELETE FROM anchors")
            self._file.executemany("INSERT INTO anchors VALUES (?, ?, ?)", rows)
            self._file.execute("DELETE FROM network")
            self._file.execute("INSERT INTO network VALUES (?)", (nodes,))

    def save_contacts(self, contacts: Iterable[Contact]) -> None:
        """Replace the contacts saved by these; none at all leave the file as it was.

        Raises:
            SavedUnusable: the file cannot be written.
        """
        rows = [(c.card.card.onion_key, c.card.data, c.since) for c in contacts]
        if rows:
            with self._transaction():
                self._file.execute("DELETE FROM contacts")
                self._file.executemany("INSERT OR REPLACE INTO contacts VALUES (?, ?, ?)", rows)

    def save_records(self, changes: Changes) -> None:
        """Write down what changed in the record table.

        Raises:
            SavedUnusable: the file cannot be written.
        """
        if not changes.kept and not changes.dropped:
            return
        kept = [(*place, signed.data) for place, signed in changes.kept]
        with self._transaction():
            self._file.executemany(
                "DELETE FROM records WHERE key = ? AND kind = ? AND slot = ?", changes.dropped
            )
            self._file.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", kept)

    def replace_records(self, records: Iterable[tuple[Place, SignedRecord]]) -> None:
        """Replace all records saved by these.

        Raises:
            SavedUnusable: the file cannot be written.
        """
        rows = [(*place, signed.data) for place, signed in records]
        with self._transaction():
            self._file.execute("DELETE FROM records")
            self._file.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._file:
                self._file.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise _unusable(error) from error


def _set_up(file: sqlite3.Connection, found: int) -> None:
    before, after = _FROM_1 if found else ("BEGIN;", "COMMIT;")
    file.executescript(before + _TABLES + after)


def _unusable(error: Exception) -> SavedUnusable:
    return SavedUnusable(f"{SavedUnusable.__doc__} ({error})")

"""Opening a SQLite file of this room: durable, versioned, brought up to date after a copy."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bitsnode.ledger.errors import LedgerFileDamaged, LedgerFileForeign, LedgerFileTooNew

# FULL, because in WAL mode a commit under NORMAL may be lost in a power cut
SYNCHRONOUS = "FULL"
WAIT_SECONDS: Final = 10.0  # for another process that reads


class Database:
    """One SQLite file, for calls from any thread, one at a time.

    Attributes:
        before: called with each statement before it runs; tests stop the process there.

    Raises:
        LedgerFileTooNew: its version is higher than ours.
        LedgerFileDamaged: it is not a sound database.
        LedgerFileForeign: it belongs to something else than `owner`.
    """

    def __init__(self, path: Path, migrations: Sequence[Sequence[str]], owner: str) -> None:
        self.path = path
        self.before: Callable[[str], None] = lambda _statement: None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(
            path, WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._open(migrations, owner)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run one statement; returns what it selects."""
        self.before(statement)
        return self._connection.execute(statement, values).fetchall()

    def many(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run one statement for each row."""
        for row in rows:
            self.before(statement)
            self._connection.execute(statement, row)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done within is kept, or nothing of it."""
        self.rows("BEGIN IMMEDIATE")
        try:
            yield
            self.rows("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _open(self, migrations: Sequence[Sequence[str]], owner: str) -> None:
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
            self._connection.execute("PRAGMA secure_delete = ON")
            ((version,),) = self.rows("PRAGMA user_version")
            sound = self.rows("PRAGMA quick_check") == [("ok",)]
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise LedgerFileDamaged(self.path.name) from error
        if not sound:
            raise LedgerFileDamaged(self.path.name)
        if not isinstance(version, int) or version > len(migrations):
            raise LedgerFileTooNew(self.path.name)
        self._migrate(version, migrations)
        with self.transaction():
            self.rows("CREATE TABLE IF NOT EXISTS owner (name TEXT NOT NULL)")
            found = self.rows("SELECT name FROM owner")
            if not found:
                self.rows("INSERT INTO owner VALUES (?)", owner)
        if found and found != [(owner,)]:
            raise LedgerFileForeign(self.path.name)

    def _migrate(self, version: int, migrations: Sequence[Sequence[str]]) -> None:
        if 0 < version < len(migrations):
            copy = sqlite3.connect(self.path.with_name(f"{self.path.name}.v{version}"))
            try:
                self._connection.backup(copy)
            finally:
                copy.close()
        for number in range(version, len(migrations)):
            with self.transaction():
                for statement in migrations[number]:
                    self.rows(statement)
                self.rows(f"PRAGMA user_version = {number + 1}")

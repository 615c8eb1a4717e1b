"""The file in which the index outlives the process: to read it from others again would be dear."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bitsnode.dht.versioned import open_versioned
from bitsnode.errors import BitsError, RemoteProtocolError
from bitsnode.warm.index import reread
from bitsnode.wire.record import SignedRecord

FORMAT: Final = 1  # of the file, in its user_version
PAGE: Final = 32  # records that are read at a time: a few milliseconds
_TABLES: Final = """
BEGIN;
CREATE TABLE records (short BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;
"""


class IndexByNewer(BitsError):
    """The file index.sqlite was written by a newer bits: update bits, or move the file away."""


class IndexUnusable(BitsError):
    """The file index.sqlite cannot be used: move it away, and bits starts a new one."""


class SavedIndex:
    """The open file.

    Args:
        path: of the SQLite file, made with mode 0600 when it is not there.

    Raises:
        IndexByNewer: its format is newer than `FORMAT`.
        IndexUnusable: damaged, or the system refuses it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = open_versioned(
                path, FORMAT, IndexByNewer, lambda file, _found: file.executescript(_TABLES)
            )
        except (OSError, sqlite3.Error) as error:
            raise _unusable(error) from error

    def pages(self) -> Iterator[list[SignedRecord]]:
        """Yield the records that were saved, some at a time; they were checked before they were.

        What is saved between two pages does no harm.

        Raises:
            IndexUnusable: the file cannot be read.
        """
        after = b""
        while rows := self._page(after):
            after = rows[-1][0]
            page = []
            for _, data in rows:
                with contextlib.suppress(RemoteProtocolError):
                    page.append(reread(data))
            yield page

    def _page(self, after: bytes) -> list[tuple[bytes, bytes]]:
        query = "SELECT short, data FROM records WHERE short > ? ORDER BY short LIMIT ?"
        try:
            return self._file.execute(query, (after, PAGE)).fetchall()
        except sqlite3.Error as error:
            raise _unusable(error) from error

    def save(self, kept: Iterable[tuple[bytes, bytes]], dropped: Sequence[bytes]) -> None:
        """Write down what came, as short ids and signed records, and what went.

        Raises:
            IndexUnusable: the file cannot be written.
        """
        try:
            with self._file:
                self._file.execute("BEGIN IMMEDIATE")
                gone = [(short,) for short in dropped]
                self._file.executemany("DELETE FROM records WHERE short = ?", gone)
                self._file.executemany("INSERT OR REPLACE INTO records VALUES (?, ?)", kept)
        except sqlite3.Error as error:
            raise _unusable(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _unusable(error: Exception) -> IndexUnusable:
    return IndexUnusable(f"{IndexUnusable.__doc__} ({error})")

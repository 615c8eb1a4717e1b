"""Copies of SQLite files in use, all of one moment; and whether a copy is sound."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bitsnode.backup.contents import Kept
from bitsnode.backup.disk import create
from bitsnode.backup.errors import BackupTooNew, FileUnsound

WAIT_SECONDS: Final = 5.0  # for a writer; half of what the ledger's files wait for us


@contextmanager
def held(paths: Iterable[Path]) -> Iterator[None]:
    """Keep everybody from writing to databases, all of them at once.

    So copies made meanwhile are as a power cut at one moment would leave the files, which each
    room is made to survive: a voucher is never reserved in one file and free in the other. Readers
    go on; writers wait.

    Raises:
        sqlite3.OperationalError: somebody writes for longer than `WAIT_SECONDS`.
    """
    with ExitStack() as open_ones:
        for path in paths:
            connection = _connect(path, "rw")
            open_ones.callback(connection.close)
            connection.execute("BEGIN IMMEDIATE")
        yield


def copy(source: Path, target: Path) -> None:
    """Copy a database with what is in its write-ahead log; the copy is private.

    Raises:
        sqlite3.Error, OSError: it cannot be read, or the copy not written.
    """
    create(target).close()
    # a connection of its own: SQLite copies from none that is writing
    with (
        contextlib.closing(_connect(source, "ro")) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def check(path: Path, kept: Kept) -> None:
    """Make sure that a copy is sound, and of a version that can be read.

    Raises:
        FileUnsound: it is damaged.
        BackupTooNew: its version is a later one.
    """
    try:
        # immutable: nothing is written beside it
        with contextlib.closing(_connect(path, "ro&immutable=1")) as database:
            ((version,),) = database.execute("PRAGMA user_version").fetchall()
            found = database.execute("PRAGMA integrity_check").fetchall()
    except sqlite3.Error as error:
        raise FileUnsound(_unsound(path)) from error
    if found != [("ok",)]:
        raise FileUnsound(_unsound(path))
    if kept.version and version > kept.version:
        raise BackupTooNew(f"The file {path.name} is of a newer bits: use that version.")


def _unsound(path: Path) -> str:
    return f"The database {path.name} is damaged, so nothing was made of it."


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, WAIT_SECONDS, isolation_level=None, uri=True)

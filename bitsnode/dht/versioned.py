"""SQLite files that know their version, of what is dear to hear again and no loss to lose."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from bitsnode.errors import BitsError


def open_versioned(
    path: Path,
    version: int,
    newer: type[BitsError],
    set_up: Callable[[sqlite3.Connection, int], object],
) -> sqlite3.Connection:
    """Open a file, made with mode 0600 when it is not there.

    Args:
        path: of the file.
        version: of its format, kept in its user_version.
        newer: raised when the file has a higher one.
        set_up: makes or changes the tables, given the version found, 0 for a new file; it sets
            the new one.

    Raises:
        OSError: the system refuses it.
        sqlite3.Error: it is damaged.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    file = sqlite3.connect(path, isolation_level=None)
    try:
        (found,) = file.execute("PRAGMA user_version").fetchone()
        if found > version:
            raise newer
        file.execute("PRAGMA journal_mode = WAL")
        # a crash of the machine may lose the last seconds: contacts and records come again
        file.execute("PRAGMA synchronous = NORMAL")
        if found < version:
            set_up(file, found)
    except BaseException:
        file.close()
        raise
    return file

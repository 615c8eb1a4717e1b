"""What backup and restore ask of the disk: private folders, durable files, plain refusals."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from bitsnode.backup.errors import BackupError, FilesBusy, FileUnsound

PIECE: Final = 1 << 20  # bytes read at once
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def refusals(error: Callable[[str], BackupError], what: str) -> Iterator[None]:
    """Turn what the system refuses into one sentence.

    Args:
        error: makes the error from the sentence.
        what: the beginning of the sentence, such as "The backup cannot be written".
    """
    try:
        yield
    except OSError as refused:
        raise error(f"{what}: {_reason(refused)}.") from refused
    except sqlite3.Error as refused:
        code = getattr(refused, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind
        if code in _BUSY:
            raise FilesBusy from refused
        if code == sqlite3.SQLITE_FULL:
            raise error(f"{what}: the disk is full.") from refused
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise FileUnsound from refused
        raise error(f"{what}: the system refuses it to a database.") from refused


def _reason(refused: OSError) -> str:
    if refused.errno in _FULL:
        return "the disk is full"
    return refused.strerror or type(refused).__name__


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Make a private folder, in the place of what a crash left there; it is removed at the end."""
    remove(path)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        remove(path)


def remove(path: Path) -> None:
    """Remove a folder and all in it, if it is there."""
    shutil.rmtree(path, ignore_errors=True)


def create(path: Path) -> BinaryIO:
    """Make a file that nobody else can read, and open it; it must not be there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o600), "w+b")


def sync(file: BinaryIO) -> None:
    """Bring a file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring a folder and all in it to the disk."""
    for place, _folders, names in os.walk(folder, topdown=False):
        for name in names:
            with open(Path(place, name), "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(place))

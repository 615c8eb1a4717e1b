"""The file that is published: read once, from beginning to end, and only if nobody changes it."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from bitsnode.content.errors import (
    InputChanged,
    InputMissing,
    InputNotAFile,
    InputUnreadable,
)

_READ: Final = 1 << 20  # bytes read at a time when only the hash is wanted


class SourceFile:
    """A regular file open for reading.

    Attributes:
        size: bytes when it was opened.

    Raises:
        InputMissing, InputNotAFile, InputUnreadable: see there.
    """

    def __init__(self, path: Path) -> None:
        try:
            # not to hang on a FIFO that nobody writes to
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise InputMissing(f"The file {path} does not exist.") from error
        except OSError as error:
            raise InputUnreadable(f"The file {path} cannot be read: {error.strerror}.") from error
        self._path = path
        self._hash = hashlib.sha256()
        self._done = 0
        self._status = os.fstat(self._descriptor)
        if not stat.S_ISREG(self._status.st_mode):
            self.close()
            raise InputNotAFile(
                f"{path} is not a regular file; pack a directory into an archive first."
            )
        self.size = self._status.st_size

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes, all of them.

        Raises:
            InputChanged: the file has become shorter.
            InputUnreadable: the disk fails.
        """
        parts: list[bytes] = []
        while size:
            try:
                part = os.pread(self._descriptor, size, self._done)
            except OSError as error:
                raise InputUnreadable(
                    f"The file {self._path} cannot be read: {error.strerror}."
                ) from error
            if not part:
                raise InputChanged
            parts.append(part)
            self._done += len(part)
            size -= len(part)
        data = b"".join(parts)
        self._hash.update(data)
        return data

    def finish(self) -> bytes:
        """Return the 32-byte SHA-256 of all that was read.

        Raises:
            InputChanged: the file is not what it was when it was opened.
        """
        now = os.fstat(self._descriptor)
        before = (self._status.st_size, self._status.st_mtime_ns)
        if before != (now.st_size, now.st_mtime_ns) or self._done != self.size:
            raise InputChanged
        return self._hash.digest()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def hash_file(path: Path) -> bytes:
    """Return the 32-byte SHA-256 of a file.

    Raises:
        InputError: as `SourceFile`.
    """
    source = SourceFile(path)
    try:
        left = source.size
        while left:
            left -= len(source.read(min(left, _READ)))
        return source.finish()
    finally:
        source.close()

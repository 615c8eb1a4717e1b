"""The calls through which share files reach the disk: one small door, so that it can fail in tests.

The index does not pass through it: SQLite has its own.
"""

import os
from pathlib import Path


class Disk:
    """The real disk. Every method raises `OSError` when the system refuses."""

    def create(self, path: Path) -> int:
        """Return a descriptor of a new file (0600), open for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """Return a descriptor of a file, open for reading."""
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Return ``length`` bytes from an offset; fewer only at the end of the file."""
        found = os.pread(descriptor, length, offset)
        while 0 < len(found) < length:
            more = os.pread(descriptor, length - len(found), offset + len(found))
            if not more:
                break
            found += more
        return found

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of ``data`` at an offset."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written

    def sync(self, descriptor: int) -> None:
        """Wait until a file's bytes would survive a power cut."""
        os.fsync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory would survive a power cut."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, in one step."""
        os.rename(old, new)

    def remove(self, path: Path) -> None:
        """Remove a file; none there is as good."""
        path.unlink(missing_ok=True)

    def free(self, path: Path) -> int:
        """Return the bytes that this process may still write near ``path``."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

"""The directory of a node: private, and used by one process at a time."""

import fcntl
import os
import stat
from pathlib import Path

from bitsnode.errors import BitsError


class HomeInUse(BitsError):
    """A node is already running on this home; stop it first or use another --home."""


class HomeOpen(BitsError):
    """The home can be entered by other users; make it private with chmod 700."""


class HomeUnusable(BitsError):
    """The home cannot be used."""


class HomeLock:
    """The right to use a home; the kernel drops it when this process ends, however it ends.

    Raises:
        HomeInUse: another process has it.
        HomeOpen: others may enter the directory, or it belongs to someone else.
        HomeUnusable: it cannot be made or written; the text says why.
    """

    def __init__(self, home: Path) -> None:
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = home.stat()
            if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
                raise HomeOpen(f"The home {home} is open to other users; run chmod 700 {home}.")
            self._file = os.open(home / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HomeUnusable(f"The home {home} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._file, 16).decode(errors="replace").strip()
            os.close(self._file)
            raise HomeInUse(
                f"A node is already running on {home} (process {pid});"
                " stop it first or use another --home."
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the home free."""
        os.close(self._file)

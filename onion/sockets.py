"""Where unix sockets live: under the home where its path allows, else in a short private place.

Imports no Twisted, so that a command that only speaks to a running node may use it.
"""

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from onion.errors import SocketDirectoryUnsafe, SocketPathTooLong

# sun_path holds 108 bytes with its final NUL on Linux, 104 on macOS and the BSDs.
PATH_LIMIT = 103  # bytes of a socket's path that every system takes
NAME_LIMIT = 40  # bytes kept free below the directory, as for "services/<name>.sock"
STAND_IN = "bits-"  # how the name of a stand-in for a home begins
# Paths are handed to tor unquoted in places, so a home with spaces counts as too long.
_PLAIN = re.compile(rb"[A-Za-z0-9._/+@=-]+\Z")


def socket_directory(home: Path) -> Path:
    """The directory for the sockets of a home, made with mode 0700 if it was not there.

    It is the home itself when the path of a socket in it fits. Otherwise it is
    `$XDG_RUNTIME_DIR/bits-<hash of home>`, or the same under the directory for temporary files:
    always the same one for the same home and user.

    Raises:
        SocketDirectoryUnsafe: the short directory belongs to someone else, or others may use it.
        SocketPathTooLong: the short directory is too long as well.
    """
    home = Path(os.path.abspath(home))
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _fits(home):
        return home
    name = hashlib.sha256(b"bits/socket-directory/v1" + os.fsencode(home)).hexdigest()[:12]
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        short = Path(parent or "/nonexistent") / f"{STAND_IN}{os.geteuid()}-{name}"
        if short.parent.is_dir() and _fits(short):
            return private_directory(short)
    raise SocketPathTooLong(str(home))


def clear_directory(path: Path) -> None:
    """Remove a directory of sockets that are not used any more, and a stand-in left empty."""
    for socket in path.glob("*.sock"):
        socket.unlink(missing_ok=True)
    stands_in = path.parent.name.startswith(STAND_IN)
    for directory in (path, path.parent) if stands_in else (path,):
        with contextlib.suppress(OSError):
            directory.rmdir()


def private_directory(path: Path) -> Path:
    """Make a directory that only this user may enter, or check that it is one.

    Raises:
        SocketDirectoryUnsafe: it belongs to someone else, others may use it, or it is no
            directory.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    safe = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not safe or status.st_uid != os.geteuid():
        raise SocketDirectoryUnsafe(str(path))
    return path


def check_socket_path(path: Path) -> Path:
    """The same path, if a socket can be bound there.

    Raises:
        SocketPathTooLong: it has more than `PATH_LIMIT` bytes.
    """
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise SocketPathTooLong(f"{path}: more than {PATH_LIMIT} bytes")
    return path


def _fits(directory: Path) -> bool:
    text = os.fsencode(directory)
    return len(text) + 1 + NAME_LIMIT <= PATH_LIMIT and _PLAIN.match(text) is not None

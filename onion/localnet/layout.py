"""The directory of a private Tor network: its lock, its sockets, and `network.json` for clients.

DIRECTORY/network.lock   flocked by the process that runs the network, as long as it lives
DIRECTORY/network.json   there while clients may join; see `NetworkFile`
DIRECTORY/sockets/       control sockets, or a link to a place with a shorter path
DIRECTORY/authority/, DIRECTORY/relay0/ …   one tor each: torrc, notice.log, keys
DIRECTORY/browse/        the client tor for browsers, if there is one
"""

import fcntl
import json
import os
import shutil
import socket
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import stem
from attrs import frozen
from stem.connection import AuthenticationFailure
from stem.control import Controller
from stem.socket import ControlSocketFile

from onion.localnet.config import AUTHORITY, BROWSING, TorOptions
from onion.localnet.errors import (
    NetworkAlreadyRunning,
    NetworkFileDamaged,
    NoRunningNetwork,
    SocketPathTooLong,
)

NETWORK_VERSION = 1
MAX_NETWORK_FILE = 1 << 20  # bytes
MAX_SOCKET_PATH = 107  # bytes; sun_path of unix(7) without its final zero (macOS: 103)
ROOM_FOR_NAME = 32  # bytes kept for "/<nickname>.control"


@frozen
class NetworkFile:
    """What a running network says of itself.

    `pids` maps nicknames to process ids; `supervisor` is the process that runs the network.
    """

    tor_version: str
    profile: str
    supervisor: int
    pids: dict[str, int]
    client_options: TorOptions

    def write(self, directory: Path) -> None:
        """Write `network.json` (0600) atomically."""
        document = {
            "version": NETWORK_VERSION,
            "tor_version": self.tor_version,
            "profile": self.profile,
            "supervisor": self.supervisor,
            "pids": self.pids,
            "client_options": self.client_options,
        }
        temporary = directory / "network.json.new"
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2)
        temporary.replace(directory / "network.json")


class DirectoryLock:
    """Says that this process runs the network in a directory; the kernel drops it at its death."""

    def __init__(self, directory: Path) -> None:
        """Take the lock.

        Raises:
            NetworkAlreadyRunning: a live process has it.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(_lock_file(directory), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise NetworkAlreadyRunning(str(directory)) from error

    def release(self) -> None:
        """Give the lock up; the object is of no use afterwards."""
        os.close(self._descriptor)


def is_running(directory: Path) -> bool:
    """Whether a live process runs, starts or stops a network in `directory`."""
    try:
        descriptor = os.open(_lock_file(directory), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def load_network(directory: Path) -> NetworkFile:
    """Return what the network running in `directory` says of itself.

    Raises:
        NoRunningNetwork: there is none, or it is not ready.
        NetworkFileDamaged: its description cannot be read or is of a newer version.
    """
    path = directory / "network.json"
    try:
        running = is_running(directory)
        with path.open("rb") as stream:
            content = stream.read(MAX_NETWORK_FILE)
    except FileNotFoundError as error:
        raise NoRunningNetwork(str(directory)) from error
    except OSError as error:
        raise NetworkFileDamaged(str(error)) from error
    if not running:
        raise NoRunningNetwork(str(directory))
    try:
        document = json.loads(content)
        if document["version"] > NETWORK_VERSION:
            raise NetworkFileDamaged(f"{path} was written by a newer bits")
        return NetworkFile(
            tor_version=_text(document["tor_version"]),
            profile=_text(document["profile"]),
            supervisor=int(document["supervisor"]),
            pids={_text(name): int(pid) for name, pid in document["pids"].items()},
            client_options=_options(document["client_options"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NetworkFileDamaged(f"{path}: {error}") from error


def load_client_options(directory: Path) -> TorOptions:
    """Return the torrc options with which a client tor joins the network in `directory`.

    Raises:
        NoRunningNetwork: there is none, or it is not ready.
        NetworkFileDamaged: its description cannot be read or is of a newer version.
    """
    return load_network(directory).client_options


def make_sockets(directory: Path) -> Path:
    """Make a private directory for control sockets and return its path, short enough for them.

    Raises:
        SocketPathTooLong: not even the system's directory for temporary files is.
    """
    sockets = directory / "sockets"
    if _fits(sockets):
        sockets.mkdir(mode=0o700)
        return sockets
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if parent and os.path.isdir(parent) and _fits(Path(parent) / "bits-12345678"):
            short = Path(tempfile.mkdtemp(prefix="bits-", dir=parent))
            sockets.symlink_to(short)
            return short
    raise SocketPathTooLong(str(directory))


def clear(directory: Path) -> None:
    """Remove what an earlier network left in `directory`, and nothing else; blocks.

    The caller holds the lock, so its supervisor is dead and its tors have lost their owner. One
    that lives nevertheless is told to stop.
    """
    sockets = directory / "sockets"
    for path in sockets.glob("*.control"):
        _halt(path)
    (directory / "network.json").unlink(missing_ok=True)
    remove_sockets(directory)
    for path in directory.glob("relay*"):
        if path.name[len("relay") :].isdecimal():
            shutil.rmtree(path)
    for name in (AUTHORITY, BROWSING):
        shutil.rmtree(directory / name, ignore_errors=True)


def remove_sockets(directory: Path) -> None:
    """Remove the directory made by `make_sockets`, if there is one."""
    sockets = directory / "sockets"
    shutil.rmtree(sockets.resolve(), ignore_errors=True)
    if sockets.is_symlink():
        sockets.unlink()


def _halt(path: Path) -> None:
    try:
        with closing(Controller(_ControlSocket(str(path)))) as controller:
            controller.authenticate()
            controller.signal(stem.Signal.HALT)
    except (stem.ControllerError, AuthenticationFailure, OSError):
        return  # as nearly always: nobody listens any more, or it is just closing


class _ControlSocket(ControlSocketFile):  # type: ignore[misc]  # stem has no types
    """Stem's socket, which it leaves open when it cannot connect."""

    def _make_socket(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(self.path)
        except OSError as error:
            made.close()
            raise stem.SocketError(error) from error
        return made


def _lock_file(directory: Path) -> Path:
    return directory / "network.lock"


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) + ROOM_FOR_NAME <= min(MAX_SOCKET_PATH, 103)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _options(value: Any) -> TorOptions:
    return {
        _text(name): [_text(line) for line in item] if isinstance(item, list) else _text(item)
        for name, item in value.items()
    }

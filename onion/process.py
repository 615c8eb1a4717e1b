"""A tor process of our own: what it is told, and that it never outlives us."""

# mypy: disallow-untyped-calls=False

import os
import shutil
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from onion.errors import TorExited, TorNotFound, TorStartTimedOut
from onion.once import Once
from onion.sockets import check_socket_path, private_directory

START_TIMEOUT = 30.0  # seconds until tor has read its options and listens
STOP_TIMEOUT = 5.0  # seconds between SIGTERM and SIGKILL
LAST_LINES = 20  # lines of tor's log kept in memory; nothing of it goes to disk
_READY = b"Bootstrapped "  # tor says so once its sockets and its cookie are there

TorOptions: TypeAlias = Mapping[str, str | list[str]]
"""torrc options by name; a list gives one line per item."""


@attrs.frozen
class TorPlace:
    """Where a tor of ours keeps its things.

    Attributes:
        directory: its own directory, 0700, with data, cookie and torrc.
        control: unix socket for control.
        socks: unix socket for SOCKS, to onion services alone.
        exit_socks: unix socket for SOCKS to names outside; None is how it should be unless
            somebody asks for exits.
    """

    directory: Path
    control: Path
    socks: Path
    exit_socks: Path | None = None

    @classmethod
    def make(cls, home: Path, sockets: Path, exits: bool = False) -> "TorPlace":
        """Make the directories of a tor, and clear away sockets that a dead one left.

        Args:
            home: the home that it serves.
            sockets: `onion.sockets.socket_directory` of that home.
            exits: with a socket for names outside.
        """
        directory = private_directory(home / "tor")
        runtime = private_directory(sockets / "tor")
        place = cls(
            directory,
            check_socket_path(runtime / "control.sock"),
            check_socket_path(runtime / "socks.sock"),
            check_socket_path(runtime / "exits.sock") if exits else None,
        )
        for left in ("control.sock", "socks.sock", "exits.sock"):
            (runtime / left).unlink(missing_ok=True)
        return place

    def torrc(self, extra: TorOptions) -> str:
        """The text of its torrc; an extra option replaces one of ours."""
        options: dict[str, str | list[str]] = {
            "DataDirectory": _quoted(self.directory / "data"),
            "ClientOnly": "1",
            "ControlPort": "0",
            "ControlSocket": _quoted(self.control),
            "CookieAuthentication": "1",
            "CookieAuthFile": _quoted(self.directory / "cookie"),
            "SocksPort": self._socks_ports(),
            "Log": "notice stdout",
            # A tor that was idle when it last stopped would wait for a request to bootstrap.
            "DormantCanceledByStartup": "1",
            # Countries are of no use to us, and the table costs memory.
            "GeoIPFile": "/dev/null",
            "GeoIPv6File": "/dev/null",
            "__OwningControllerProcess": str(os.getpid()),
        }
        options.update(extra)
        return "".join(
            f"{name} {value}\n"
            for name, values in options.items()
            for value in ([values] if isinstance(values, str) else values)
        )

    def _socks_ports(self) -> list[str]:
        # OnionTrafficOnly: a request for anything but an onion fails inside tor as well.
        ports = [f"{_quoted(self.socks, 'unix:')} OnionTrafficOnly ExtendedErrors"]
        if self.exit_socks is not None:
            # NoOnionTraffic, so that each socket has its one use
            ports.append(f"{_quoted(self.exit_socks, 'unix:')} NoOnionTraffic ExtendedErrors")
        return ports


class TorProcess(ProcessProtocol):
    """A running tor.

    Attributes:
        ready: fires when it listens, or fails with a TorError.
        ended: fires with how it ended.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._partial = b""
        self.ready: Deferred[None] = Deferred()
        self.ended: Once[str] = Once()

    @classmethod
    async def start(
        cls, reactor: Any, place: TorPlace, extra: TorOptions, binary: str | None = None
    ) -> "TorProcess":
        """Start tor with options of ours alone, and wait until it listens.

        Args:
            reactor: spawns it.
            place: where it lives.
            extra: options added to ours.
            binary: the program; found in PATH if it is not given.

        Raises:
            TorError: there is no such program, or it ended, or did not come up in time.
        """
        program = shutil.which(binary or "tor", path=_search_path())
        if program is None:
            raise TorNotFound(binary or "tor")
        torrc = place.directory / "torrc"
        torrc.write_text(place.torrc(extra), encoding="utf-8")
        torrc.chmod(0o600)
        # The defaults file is named, and is not there, so that tor does not read the system's.
        nothing = str(place.directory / "no-defaults")
        args = [program, "-f", str(torrc), "--defaults-torrc", nothing, "--ignore-missing-torrc"]
        process = cls(reactor)
        environment = {"HOME": str(place.directory), "PATH": _search_path()}
        reactor.spawnProcess(process, program, args, environment, str(place.directory))
        process.ready.addTimeout(START_TIMEOUT, reactor)
        try:
            await process.ready
        except DeferredTimeout as error:
            await process.stop()
            raise TorStartTimedOut(process.last_words()) from error
        except BaseException:
            await process.stop()
            raise
        return process

    @property
    def pid(self) -> int | None:
        """Its process id, None when it has ended."""
        transport: Any = self.transport
        pid: int | None = transport.pid
        return pid

    def last_words(self) -> str:
        """The last warnings it logged, or else the last line."""
        complaints = [line for line in self._lines if "[warn] " in line or "[err] " in line]
        lines = complaints[-2:] or list(self._lines)[-1:] or ["it said nothing"]
        return "; ".join(line.split("] ", 1)[-1] for line in lines)

    async def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL after `STOP_TIMEOUT`."""
        if self.ended.fired:
            return
        ended: Deferred[None] = Deferred()
        self.ended.then(lambda _how: ended.callback(None))
        self._signal("TERM")
        kill = self._reactor.callLater(STOP_TIMEOUT, self._signal, "KILL")
        await ended
        if kill.active():
            kill.cancel()

    def connectionMade(self) -> None:
        """Tor reads nothing from us."""
        transport: Any = self.transport
        transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Keep the last lines of the log, and see when tor is ready."""
        *lines, self._partial = (self._partial + data[-65_536:]).split(b"\n")
        self._lines.extend(line.decode("utf-8", "replace").strip() for line in lines)
        if any(_READY in line for line in lines) and not self.ready.called:
            self.ready.callback(None)

    def processEnded(self, reason: Failure) -> None:
        """Say how it ended."""
        value: Any = reason.value
        signal = getattr(value, "signal", None)
        how = f"killed by signal {signal}" if signal else f"exit code {value.exitCode}"
        if not self.ready.called:
            self.ready.errback(TorExited(f"{how}: {self.last_words()}"))
        self.ended.fire(how)

    def _signal(self, name: str) -> None:
        transport: Any = self.transport
        try:
            transport.signalProcess(name)
        except ProcessExitedAlready:
            return


def _quoted(path: Path, prefix: str = "") -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'{prefix}"{escaped}"'


def _search_path() -> str:
    # Debian keeps tor in /usr/sbin for some versions, which is not in the PATH of a user.
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"

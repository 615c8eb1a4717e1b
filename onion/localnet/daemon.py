"""One tor of the private network: the process and the control connection that owns it."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import defer, error, protocol, task
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.python.failure import Failure
from txtorcon import TorProtocolError, build_tor_connection
from txtorcon.torcontrolprotocol import TorDisconnectError

from onion.localnet.config import Relay
from onion.localnet.errors import RelayExited

CONNECT_INTERVAL = 0.02  # seconds between looks for the control socket
STOP_TIMEOUT = 5.0  # seconds between SIGTERM and SIGKILL
LAST_OUTPUT = 4096  # bytes of a tor's output that are kept
LAST_LOG = 4096  # bytes read from the end of a log
_NOT_YET = (error.ConnectError, error.ConnectionClosed, TorDisconnectError, TorProtocolError)


class RelayDaemon:
    """A running tor of the network.

    It ends with this process whatever happens: its control connection owns it (TAKEOWNERSHIP),
    and until that is made tor looks every 15 s for the process that its torrc names.
    """

    def __init__(
        self, reactor: Any, relay: Relay, on_exit: Callable[["RelayDaemon"], None]
    ) -> None:
        self.relay = relay
        self._reactor = reactor
        self._on_exit = on_exit
        self._process = _Process(self._exited)
        self._control: Any = None
        self._stopping = False

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        return self._process.pid

    def spawn(self, command: Sequence[str]) -> None:
        """Start `command` (absolute path first), which is or becomes tor by exec."""
        self._reactor.spawnProcess(self._process, command[0], list(command), env=None)

    async def connect(self) -> None:
        """Wait until tor listens, authenticate by cookie and take ownership."""
        path = str(self.relay.control)
        endpoint = UNIXClientEndpoint(self._reactor, path)  # type: ignore[no-untyped-call]
        while True:
            try:
                self._control = await build_tor_connection(endpoint, build_state=False)
                break
            except _NOT_YET:
                await task.deferLater(self._reactor, CONNECT_INTERVAL)
        await self.command("TAKEOWNERSHIP")

    async def command(self, line: str) -> str:
        """Send one control command and return the reply.

        Raises:
            TorProtocolError: tor refused it.
            RelayExited: tor is gone.
        """
        try:
            reply: str = await self._control.queue_command(line)
        except (TorDisconnectError, error.ConnectionClosed) as reason:
            raise RelayExited(f"{self.relay.nickname}: {self.last_words()}") from reason
        return reply

    async def accepts(self, line: str) -> bool:
        """Whether tor accepts a control command."""
        try:
            await self.command(line)
        except TorProtocolError:
            return False
        return True

    async def version(self) -> str:
        """Return tor's version, such as 0.4.9.11."""
        reply = await self.command("GETINFO version")
        return reply.removeprefix("version=").split()[0]

    def last_words(self) -> str:
        """Return the last line that this tor logged or printed, a warning if there is one."""
        try:
            with self.relay.log.open("rb") as stream:
                stream.seek(max(0, stream.seek(0, 2) - LAST_LOG))
                log = stream.read()
        except OSError:
            log = b""
        lines = [line for line in (log + self._process.output).splitlines() if line.strip()]
        warnings = [line for line in lines if b"[warn]" in line or b"[err]" in line]
        last = [b"it said nothing", *lines, *warnings][-1]
        return last.decode("utf-8", "replace").strip()

    async def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL after `STOP_TIMEOUT`."""
        self._stopping = True
        ended = self._process.when_ended()
        if ended.called:
            return
        self._process.signal("TERM")
        kill = self._reactor.callLater(STOP_TIMEOUT, self._process.signal, "KILL")
        await ended
        if kill.active():
            kill.cancel()

    def _exited(self) -> None:
        if not self._stopping:
            self._on_exit(self)


class _Process(protocol.ProcessProtocol):
    """Keeps the last output of a process and says when it ended."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self.output = b""
        self._on_end = on_end
        self._started = self._ended = False
        self._waiting: list[defer.Deferred[None]] = []

    @property
    def pid(self) -> int:
        transport: Any = self.transport
        return 0 if transport is None or self._ended else transport.pid or 0

    def connectionMade(self) -> None:
        self._started = True
        transport: Any = self.transport
        transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.output = (self.output + data)[-LAST_OUTPUT:]

    def processEnded(self, reason: Failure) -> None:
        self._ended = True
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)
        self._on_end()

    def when_ended(self) -> "defer.Deferred[None]":
        """Fire when the process is gone, at once if it never was."""
        deferred: defer.Deferred[None] = defer.Deferred()
        if self._ended or not self._started:
            deferred.callback(None)
        else:
            self._waiting.append(deferred)
        return deferred

    def signal(self, name: str) -> None:
        transport: Any = self.transport
        try:
            transport.signalProcess(name)
        except error.ProcessExitedAlready:
            pass

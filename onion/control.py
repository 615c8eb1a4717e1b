"""A control connection to tor over a unix socket (control-spec), by txtorcon."""

# mypy: disallow-untyped-calls=False

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stem.version import Version
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from txtorcon import TorProtocolError
from txtorcon.torcontrolprotocol import (
    TorControlProtocol,
    TorDisconnectError,
    TorProtocolFactory,
)

from onion import errors
from onion.address import OnionAddress
from onion.events import OnEvent, TorBootstrapping
from onion.heartbeat import Heartbeat, HeartbeatTimes
from onion.once import Once

OLDEST_VERSION = "0.4.7"  # the oldest with congestion control; proposal 324
CONTROL_TIMEOUT = 15.0  # seconds for tor to authenticate us
CLOSED = "it closed its control connection"
SILENT = "it does not answer"
_BOOTSTRAP = re.compile(r'PROGRESS=(\d+)\b.*?SUMMARY="([^"]*)"(?:.*?WARNING="([^"]*)")?')
_UNIX_LISTENER = re.compile(r'"unix:([^"]*)"')


class TorControl:
    """One authenticated control connection.

    Attributes:
        version: tor's version, such as "0.4.9.11".
        lost: fires with the reason when the connection has ended, or nobody answers.
    """

    def __init__(self, reactor: Any, protocol: TorControlProtocol, times: HeartbeatTimes) -> None:
        self._protocol = protocol
        self._uploads: dict[OnionAddress, list[Deferred[None]]] = defaultdict(list)
        self._listens_to_uploads = False
        self.version: str = protocol.version.split()[0]
        self.lost: Once[str] = Once()
        protocol.when_disconnected().addBoth(lambda _failure: self.lost.fire(CLOSED))
        heartbeat = Heartbeat(reactor, times, lambda: self.get("version"), self.give_up)
        heartbeat.start()
        self.lost.then(lambda _reason: heartbeat.stop())

    @classmethod
    async def connect(cls, reactor: Any, path: Path, times: HeartbeatTimes) -> "TorControl":
        """Connect and authenticate by cookie.

        Args:
            reactor: connects.
            path: of the control socket.
            times: when a tor that does not answer counts as lost.

        Raises:
            TorError: there is no socket, the cookie cannot be read, tor refuses it or is older
                than `OLDEST_VERSION`.
        """
        endpoint = UNIXClientEndpoint(reactor, str(path))
        try:
            protocol = await endpoint.connect(TorProtocolFactory())
        except ConnectError as error:
            if not path.exists():
                raise errors.ControlSocketMissing(str(path)) from error
            raise errors.ControlSocketRefused(f"{path}: {error}") from error
        ready = protocol.post_bootstrap
        ready.addTimeout(CONTROL_TIMEOUT, reactor)
        try:
            await ready
            _check_version(protocol.version)
        except BaseException as error:
            protocol.transport.abortConnection()
            raise _explained(error) from error
        return cls(reactor, protocol, times)

    async def command(self, line: str) -> str:
        """Send one command; returns tor's reply without its codes.

        Raises:
            TorProtocolError: tor refused the command.
            TorUnavailable: the connection is gone.
        """
        if self.lost.fired:
            raise errors.TorUnavailable
        try:
            return str(await self._protocol.queue_command(line))
        except TorDisconnectError as error:
            raise errors.TorUnavailable from error

    async def get(self, key: str) -> str:
        """The value of one GETINFO key (control-spec section 3.9)."""
        reply = await self.command(f"GETINFO {key}")
        return reply.removeprefix(f"{key}=").strip()

    async def listen(self, event: str, callback: Callable[[str], None]) -> None:
        """Have each asynchronous event of a name passed on (control-spec section 4.1)."""
        await self._protocol.add_event_listener(event, callback)

    async def socks_socket(self) -> Path:
        """The unix socket on which tor speaks SOCKS.

        Raises:
            SocksSocketMissing: tor has none, or on TCP only.
        """
        found = _UNIX_LISTENER.search(await self.get("net/listeners/socks"))
        if found is None:
            raise errors.SocksSocketMissing
        return Path(found[1])

    async def wait_bootstrapped(self, on_event: OnEvent) -> None:
        """Wait until tor has joined its network, and tell of each step.

        Raises:
            TorUnavailable: tor went away meanwhile.
        """
        done: Deferred[None] = Deferred()

        def progressed(text: str) -> None:
            step = parse_bootstrap(text)
            if step is None or done.called:
                return
            on_event(step)
            if step.percent == 100:
                done.callback(None)

        def gone(_reason: str) -> None:
            if not done.called:
                done.errback(errors.TorUnavailable())

        self.lost.then(gone)
        await self.listen("STATUS_CLIENT", progressed)
        try:
            progressed(await self.get("status/bootstrap-phase"))
            await done
        finally:
            if not self.lost.fired:
                await self._protocol.remove_event_listener("STATUS_CLIENT", progressed)

    async def expect_upload(self, address: OnionAddress) -> Deferred[None]:
        """A Deferred that fires when a descriptor of this address has been uploaded.

        By address: several services are published at once.
        """
        if not self._listens_to_uploads:
            self._listens_to_uploads = True
            await self.listen("HS_DESC", self._on_descriptor)
        waiting = self._uploads[address]
        done: Deferred[None] = Deferred(lambda cancelled: waiting.remove(cancelled))
        waiting.append(done)
        return done

    def close(self) -> None:
        """End the connection; a tor that it owns ends with it."""
        if not self.lost.fired:
            self._protocol.transport.loseConnection()

    def give_up(self) -> None:
        """End the connection at once: nobody answers; what waits for an answer fails."""
        self.lost.fire(SILENT)
        self._protocol.transport.abortConnection()

    def _on_descriptor(self, text: str) -> None:
        # "UPLOADED" SP HSAddress SP AuthType SP HsDir …; control-spec section 4.1.25
        words = text.split()
        if len(words) < 2 or words[0] != "UPLOADED":
            return
        try:
            address = OnionAddress.parse(words[1])
        except errors.AddressError:
            return
        for done in self._uploads.pop(address, []):
            done.callback(None)


def parse_bootstrap(text: str) -> TorBootstrapping | None:
    """Read a bootstrap status line; None if it is about something else."""
    found = _BOOTSTRAP.search(text)
    if found is None or " BOOTSTRAP " not in text:
        return None
    percent, summary, warning = found.groups()
    return TorBootstrapping(min(int(percent), 100), f"{summary}: {warning}" if warning else summary)


def _check_version(text: str) -> None:
    if Version(text.split()[0]) < Version(OLDEST_VERSION):
        raise errors.TorTooOld(f"this one is {text}")


def _explained(error: BaseException) -> BaseException:
    """The failure of txtorcon's set-up as one of ours; it tells most of them by text alone."""
    if isinstance(error, TorProtocolError):
        return errors.ControlAuthenticationFailed(str(error.text).strip())
    if isinstance(error, TorDisconnectError | DeferredTimeout):
        return errors.ControlSocketRefused("it does not answer")
    text = str(error)
    if type(error) is not RuntimeError:
        return error
    if "Failed to read COOKIEFILE" in text or "cookie to be 32 bytes" in text:
        return errors.CookieUnreadable(" ".join(text.split()))
    if "Server hash" in text:
        return errors.ControlAuthenticationFailed()
    return errors.CookieDisabled()


__all__ = ["TorControl", "TorProtocolError", "parse_bootstrap"]

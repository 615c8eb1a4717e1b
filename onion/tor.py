"""The Tor network as a node uses it: one tor, kept running, with a dialer and services on it."""

# mypy: disallow-untyped-calls=False

import hashlib
from typing import Any

import attrs
from nacl.public import PrivateKey
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from txtorcon import TorProtocolError

from onion.add_onion import ServiceKeys, add_client_key, remove_client_key
from onion.address import OnionAddress
from onion.dialer import PUBLIC_TIMES, DialTimes, SocksDialer, SocksExitDialer
from onion.errors import OnionError, PublishFailed, TorUnavailable
from onion.events import OnEvent, OnionEvent, TorBack, TorLost, TorReady, TorStarting
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.network import (
    DEFAULT_OPTIONS,
    Dialer,
    ExitDialer,
    OnionService,
    Publisher,
    ServiceOptions,
    ServiceState,
)
from onion.running import RunningTor, TorSettings
from onion.service import PUBLIC_SERVICE_TIMES, ServiceTimes, TorService
from onion.sockets import (
    check_socket_path,
    clear_directory,
    private_directory,
    socket_directory,
)
from onion.turn import NextTurn

PUBLISH_AT_ONCE = 10  # one tor publishes ten services at a time reliably; bursts of 40 fail
FIRST_PAUSE = 0.25  # seconds before the first attempt to get tor back, doubled each time
LONGEST_PAUSE = 30.0  # seconds
PARTING = 3.0  # seconds for tor to withdraw our services when we stop; it takes milliseconds
# Connections that wait to be taken up while this process is busy (listen(2)). Tor turns away
# whoever is beyond it at once: with Twisted's 50, some of fifty browsers that come together.
BACKLOG = 1024


@attrs.frozen
class TorStatus:
    """What can be told of tor and our services now.

    Attributes:
        running: it can be dialled through.
        attached: it is not ours.
        version: None before it was reached for the first time.
        percent: 0-100, how far it has joined its network.
        summary: what it does, in its own words.
        services: state by address.
    """

    running: bool
    attached: bool
    version: str | None
    percent: int
    summary: str
    services: dict[OnionAddress, ServiceState]


def _ignore(_event: OnionEvent) -> None:
    """Take an event and do nothing."""


class TorNetwork(Dialer, Publisher):
    """Dials and publishes through one tor, launched or attached to, and gets it back when lost."""

    def __init__(
        self,
        reactor: Any,
        settings: TorSettings,
        on_event: OnEvent = _ignore,
        dial_times: DialTimes = PUBLIC_TIMES,
        service_times: ServiceTimes = PUBLIC_SERVICE_TIMES,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._next_turn = NextTurn(reactor)
        self._listener = on_event
        self._service_times = service_times
        self._sockets = socket_directory(settings.home)
        self._dialer = SocksDialer(reactor, self._find_socks, dial_times)
        self._exits = SocksExitDialer(reactor, self._find_exits, dial_times)
        self._slots = DeferredSemaphore(PUBLISH_AT_ONCE)
        self._services: list[TorService] = []
        self._client_keys: dict[OnionAddress, PrivateKey] = {}
        self._running: RunningTor | None = None
        self._is_ready = False
        self._version: str | None = None
        self._bootstrap = (0, "")
        self._supervision: Deferred[None] | None = None
        self._lost: Deferred[str] | None = None

    @property
    def version(self) -> str | None:
        """Tor's version; None before it was reached for the first time."""
        return self._version

    @property
    def pid(self) -> int | None:
        """Process id of a tor that we launched and that runs."""
        return self._running.pid if self._running else None

    @property
    def exits(self) -> ExitDialer | None:
        """A way to names outside of onion services; None unless the settings ask for one."""
        return self._exits if self._settings.exits else None

    def status(self) -> TorStatus:
        """How things stand."""
        percent, summary = self._bootstrap
        return TorStatus(
            running=self._is_ready,
            attached=self._settings.control is not None,
            version=self._version,
            percent=percent,
            summary=summary,
            services={service.address: service.state for service in self._services},
        )

    async def start(self) -> None:
        """Get a tor and wait until it has joined its network; from then on it is kept running.

        Raises:
            OnionError: there is no tor to be had, with the reason.
        """
        try:
            await self._open()
        except BaseException:
            for service in list(self._services):
                service.give_up(Failure())
            self._clear_sockets()
            raise
        self._come_up(TorReady(self._version or ""))
        self._supervision = Deferred.fromCoroutine(self._supervise())
        self._supervision.addErrback(lambda failure: failure.trap(CancelledError))

    async def stop(self) -> None:
        """Withdraw all services and let tor go; a tor of ours ends."""
        self._is_ready = False
        if self._supervision is not None:
            self._supervision.cancel()
            await self._supervision
        running, self._running = self._running, None
        if running is not None:
            # A tor that hangs would never say that it has withdrawn them.
            parting = self._reactor.callLater(PARTING, running.control.give_up)
            running.lost.then(lambda _reason: parting.active() and parting.cancel())
        for service in list(self._services):
            await service.stop()
        if running is not None:
            for address in self._client_keys:
                await remove_client_key(running.control, address)
            await running.stop()
        self._clear_sockets()

    def dial(
        self,
        address: OnionAddress,
        port: int,
        isolation: Isolation,
        factory: IProtocolFactory,
    ) -> Deferred[IProtocol]:
        """See `Dialer.dial`."""
        return self._dialer.dial(address, port, isolation, factory)

    def publish(
        self,
        key: OnionKey,
        port: int,
        factory: IProtocolFactory,
        options: ServiceOptions = DEFAULT_OPTIONS,
    ) -> Deferred[OnionService]:
        """See `Publisher.publish`; at most `PUBLISH_AT_ONCE` are on their way at a time.

        Called before or during `start`, it publishes as soon as tor has joined its network.
        """
        return Deferred.fromCoroutine(self._publish(key, port, factory, options))

    async def add_client_key(self, address: OnionAddress, key: PrivateKey) -> None:
        """Use this X25519 key wherever the service at this address asks for one.

        Raises:
            TorUnavailable: tor is not running; the key will be used when it is back.
        """
        self._client_keys[address] = key
        if self._running is None:
            raise TorUnavailable
        await add_client_key(self._running.control, address, bytes(key))

    async def _publish(
        self, key: OnionKey, port: int, factory: IProtocolFactory, options: ServiceOptions
    ) -> OnionService:
        if any(service.address == key.address for service in self._services):
            raise PublishFailed("this address is published already")
        name = hashlib.sha256(key.public_key + port.to_bytes(2, "big")).hexdigest()[:16]
        path = check_socket_path(private_directory(self._sockets / "services") / f"{name}.sock")
        path.unlink(missing_ok=True)  # left by a node that was killed
        listening = self._reactor.listenUNIX(str(path), factory, BACKLOG, 0o600)
        service = TorService(
            ServiceKeys(key, port, path, options),
            listening,
            self._dialer,
            self._reactor,
            self._slots,
            self._service_times,
            self._next_turn,
            self._listener,
            self._services.remove,
        )
        self._services.append(service)
        if self._running is not None and self._is_ready:
            service.tor_is_up(self._running.control)
        return await service.uploaded

    def _clear_sockets(self) -> None:
        clear_directory(self._sockets / "services")
        clear_directory(self._sockets / "tor")

    def _find_socks(self) -> IStreamClientEndpoint:
        if self._running is None:
            raise TorUnavailable
        return UNIXClientEndpoint(self._reactor, str(self._running.socks))

    def _find_exits(self) -> IStreamClientEndpoint:
        if self._running is None or self._running.exit_socks is None:
            raise TorUnavailable
        return UNIXClientEndpoint(self._reactor, str(self._running.exit_socks))

    async def _open(self) -> None:
        """Launch or attach, and wait until tor has joined its network."""
        settings = self._settings
        self._bootstrap = (0, "starting")
        self._on_event(TorStarting(attached=settings.control is not None))
        if settings.control is None:
            running = await RunningTor.launch(self._reactor, settings, self._sockets)
        else:
            running = await RunningTor.attach(self._reactor, settings, settings.control)
        self._version = running.control.version
        self._running = running
        running.lost.then(lambda reason: self._on_lost(running, reason))
        try:
            for address, key in self._client_keys.items():
                await add_client_key(running.control, address, bytes(key))
            await running.control.wait_bootstrapped(self._on_event)
        except BaseException:
            self._running = None
            await running.stop()
            raise

    def _come_up(self, event: OnionEvent) -> None:
        self._is_ready = True
        self._on_event(event)
        # Not sooner: a tor without services looks after the first one as soon as it is told of
        # it, and then once a second, so one told before tor can build circuits loses a second.
        for service in list(self._services):
            if self._running is not None:
                service.tor_is_up(self._running.control)

    async def _supervise(self) -> None:
        """Get tor back each time that it is lost."""
        while True:
            self._lost = Deferred()
            if self._running is not None and not self._running.lost.fired:
                await self._lost
            await self._reopen()
            self._come_up(TorBack(self._version or ""))

    async def _reopen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await deferLater(self._reactor, pause)
            try:
                await self._open()
            except (OnionError, TorProtocolError, OSError):
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return

    def _on_lost(self, running: RunningTor, reason: str) -> None:
        if running is not self._running:
            return
        self._running = None
        self._bootstrap = (0, "lost")
        if not self._is_ready:
            return
        self._is_ready = False
        self._on_event(TorLost(reason))
        for service in list(self._services):
            service.tor_is_gone(reason)
        Deferred.fromCoroutine(self._clear_away(running))

    async def _clear_away(self, running: RunningTor) -> None:
        """Let a lost tor be gone for good before another one takes its directory."""
        await running.stop()
        if self._lost is not None and not self._lost.called:
            self._lost.callback("gone")

    def _on_event(self, event: OnionEvent) -> None:
        percent = getattr(event, "percent", None)
        if percent is not None:
            self._bootstrap = (percent, getattr(event, "summary", ""))
        self._next_turn.call(self._listener, event)

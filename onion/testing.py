"""An onion network in memory, on a clock of the test: no sockets, no tor, no sleeping."""

from collections import defaultdict
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock

from onion.address import OnionAddress
from onion.errors import DialTimedOut, ServiceNotFound, ServiceRefused, TorUnavailable
from onion.events import OnEvent, ServiceLost, ServicePublishing, ServiceReachable
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.memory_stream import MemoryAddress, MemoryStream, stream_pair
from onion.network import (
    DEFAULT_OPTIONS,
    Dialer,
    OnionService,
    Publisher,
    ServiceOptions,
    ServiceState,
)

DIAL_TIMEOUT = 60.0  # seconds a dial to an address that hangs takes to fail


@attrs.frozen
class Dial:
    """One entry of the log of dials."""

    isolation: Isolation
    address: OnionAddress
    port: int


def _ignore(_event: object) -> None:
    """Take an event and do nothing."""


class MemoryOnionNetwork:
    """Dialers and publishers that find one another in memory.

    Everything happens in calls scheduled on the clock, so `flush` (or `clock.advance`) drives it
    and a test sees the same order each time.

    Attributes:
        dials: every dial that was tried, in order.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.dials: list[Dial] = []
        self._services: dict[OnionAddress, MemoryService] = {}
        self._latency: dict[OnionAddress, float] = defaultdict(float)
        self._hanging: set[OnionAddress] = set()
        self._stalled: set[OnionAddress] = set()
        self._cut: set[OnionAddress] = set()
        self._live: dict[OnionAddress, list[MemoryStream]] = defaultdict(list)

    def dialer(self) -> "MemoryDialer":
        """A dialer of its own, with its own tor to lose."""
        return MemoryDialer(self)

    def publisher(self, on_event: OnEvent = _ignore) -> "MemoryPublisher":
        """A publisher; its services' events go to `on_event`."""
        return MemoryPublisher(self, on_event)

    def flush(self) -> None:
        """Run all that is due now, and all that this makes due now."""
        while any(c.getTime() <= self.clock.seconds() for c in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def set_latency(self, address: OnionAddress, seconds: float) -> None:
        """Delay each way to and from an address, for dials and bytes sent from now on."""
        self._latency[address] = seconds

    def hang(self, address: OnionAddress) -> None:
        """Leave dials to an address without an answer until they time out."""
        self._hanging.add(address)

    def stall(self, address: OnionAddress) -> None:
        """Let connections to an address open, and carry no byte either way, from now on."""
        self._stalled.add(address)
        for stream in self._live[address]:
            stream.stall()

    def cut(self, address: OnionAddress) -> None:
        """Drop the live connections of an address and refuse new ones, as if it went offline."""
        self._cut.add(address)
        self.drop(address)

    def drop(self, address: OnionAddress) -> None:
        """Drop the live connections of an address, and let it be dialled anew."""
        for stream in self._live.pop(address, []):
            stream.break_off()

    def mend(self, address: OnionAddress) -> None:
        """Undo `hang`, `stall` and `cut` for dials from now on."""
        for faults in (self._hanging, self._stalled, self._cut):
            faults.discard(address)

    def live_connections(self, address: OnionAddress) -> int:
        """How many connections to an address are open."""
        self._live[address] = [s for s in self._live[address] if s.connected]
        return len(self._live[address])

    def _add(self, service: "MemoryService") -> None:
        self._services[service.address] = service

    def _remove(self, service: "MemoryService") -> None:
        if self._services.get(service.address) is service:
            del self._services[service.address]

    def _open(self, dial: Dial, factory: IProtocolFactory) -> tuple[IProtocol, MemoryStream]:
        """Join two protocols; raises the DialError that tor would give."""
        service = self._services.get(dial.address)
        if service is None or dial.address in self._cut:
            raise ServiceNotFound
        far = service.factory.buildProtocol(MemoryAddress()) if dial.port == service.port else None
        if far is None:
            raise ServiceRefused
        near = factory.buildProtocol(MemoryAddress())
        if near is None:
            raise TorUnavailable("the factory made no protocol")
        ours, theirs = stream_pair(self.clock, lambda: self._latency[dial.address])
        if dial.address in self._stalled:
            ours.stall()
        self._live[dial.address].append(ours)
        theirs.attach(far)
        ours.attach(near)
        return near, ours


class MemoryDialer(Dialer):
    """Dials services of a `MemoryOnionNetwork`."""

    def __init__(self, network: MemoryOnionNetwork) -> None:
        self._network = network
        self._has_tor = True
        self._streams: list[MemoryStream] = []
        self._waiting: dict[Deferred[IProtocol], Callable[[Exception], None]] = {}

    def dial(
        self,
        address: OnionAddress,
        port: int,
        isolation: Isolation,
        factory: IProtocolFactory,
    ) -> Deferred[IProtocol]:
        """See `Dialer.dial`."""
        network, clock = self._network, self._network.clock
        dial = Dial(isolation, address, port)
        network.dials.append(dial)
        hangs = address in network._hanging
        delay = DIAL_TIMEOUT if hangs else 2 * network._latency[address]
        call = clock.callLater(delay, lambda: answer())
        done: Deferred[IProtocol] = Deferred(lambda _cancelled: forget())

        def forget() -> None:
            self._waiting.pop(done, None)
            if call.active():
                call.cancel()

        def fail(error: Exception) -> None:
            forget()
            done.errback(error)

        def answer() -> None:
            forget()
            if hangs:
                done.errback(DialTimedOut())
                return
            try:
                protocol, stream = network._open(dial, factory)
            except Exception as error:
                done.errback(error)
                return
            self._streams.append(stream)
            done.callback(protocol)

        if self._has_tor:
            self._waiting[done] = fail
        else:
            fail(TorUnavailable())
        return done

    def lose_tor(self) -> None:
        """As if the tor of this dialer were killed: all it carried is gone, dials fail at once."""
        self._has_tor = False
        for fail in list(self._waiting.values()):
            fail(TorUnavailable())
        for stream in self._streams:
            stream.break_off()
        self._streams.clear()

    def regain_tor(self) -> None:
        """As if tor were running again."""
        self._has_tor = True


class MemoryPublisher(Publisher):
    """Publishes services into a `MemoryOnionNetwork`."""

    def __init__(self, network: MemoryOnionNetwork, on_event: OnEvent) -> None:
        self._network = network
        self._on_event = on_event

    def publish(
        self,
        key: OnionKey,
        port: int,
        factory: IProtocolFactory,
        options: ServiceOptions = DEFAULT_OPTIONS,
    ) -> Deferred[OnionService]:
        """See `Publisher.publish`; the service is reachable as soon as it is published."""
        service = MemoryService(self._network, key.address, port, factory, self._on_event)
        done: Deferred[OnionService] = Deferred(lambda _cancelled: call.cancel())

        def published() -> None:
            service._published()
            done.callback(service)

        self._on_event(ServicePublishing(service.address))
        call = self._network.clock.callLater(0, published)
        return done


class MemoryService(OnionService):
    """A service in memory."""

    def __init__(
        self,
        network: MemoryOnionNetwork,
        address: OnionAddress,
        port: int,
        factory: IProtocolFactory,
        on_event: OnEvent,
    ) -> None:
        self._network = network
        self._address = address
        self._state = ServiceState.PUBLISHING
        self._on_event = on_event
        self._waiting: list[Deferred[None]] = []
        self.port = port
        self.factory = factory

    @property
    def address(self) -> OnionAddress:
        """See `OnionService.address`."""
        return self._address

    @property
    def state(self) -> ServiceState:
        """See `OnionService.state`."""
        return self._state

    def when_reachable(self) -> Deferred[None]:
        """See `OnionService.when_reachable`."""
        done: Deferred[None] = Deferred()
        if self._state is ServiceState.REACHABLE:
            done.callback(None)
        else:
            self._waiting.append(done)
        return done

    def vanish(self, reason: str = "test") -> None:
        """As if tor had lost the service; `return_` brings it back."""
        self._state = ServiceState.LOST
        self._network._remove(self)
        self._on_event(ServiceLost(self._address, reason))

    def return_(self) -> None:
        """As if the service had been published anew."""
        self._published()

    async def stop(self) -> None:
        """See `OnionService.stop`."""
        self._state = ServiceState.STOPPED
        self._network._remove(self)

    def _published(self) -> None:
        self._state = ServiceState.REACHABLE
        self._network._add(self)
        self._on_event(ServiceReachable(self._address))
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)

"""The onion network in memory behaves as the real one where tests lean on it."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from onion.errors import DialTimedOut, ServiceNotFound, ServiceRefused, TorUnavailable
from onion.events import ServiceLost, ServicePublishing, ServiceReachable
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.network import ServiceState
from onion.testing import DIAL_TIMEOUT, MemoryOnionNetwork

PORT = 7
ISOLATION = Isolation("test", "one")


_DONE = Failure(ConnectionDone())


class _Recorder(Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: type[BaseException] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = _DONE) -> None:
        self.lost = reason.type


class _Echo(_Recorder):
    """Sends back what it receives."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        assert self.transport is not None
        self.transport.write(data)


def outcome(deferred: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired, raising its failure; None if it has not fired."""
    results: list[Any] = []

    def keep(result: Any) -> Any:
        results.append(result)
        return None if isinstance(result, Failure) else result

    deferred.addBoth(keep)
    if not results:
        return None
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


class _World:
    """A network with one echo service."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.network = MemoryOnionNetwork(self.clock)
        self.events: list[object] = []
        self.servers: list[_Echo] = []
        self.key = OnionKey(b"s" * 32)
        self.address = self.key.address
        self.dialer = self.network.dialer()
        factory = Factory.forProtocol(self._server)
        published = self.network.publisher(self.events.append).publish(self.key, PORT, factory)
        self.network.flush()
        self.service = outcome(published)

    def _server(self) -> _Echo:
        self.servers.append(_Echo())
        return self.servers[-1]

    def dial(self, port: int = PORT) -> Deferred[IProtocol]:
        return self.dialer.dial(self.address, port, ISOLATION, Factory.forProtocol(_Recorder))


@pytest.fixture
def world() -> _World:
    """A network with one echo service."""
    return _World()


def test_dials_and_talks(world: _World) -> None:
    """A dialled service answers, and the dial is in the log."""
    dialled = world.dial()
    world.network.flush()
    client = outcome(dialled)
    client.transport.write(b"x" * 300_000)
    world.network.flush()
    assert client.received == b"x" * 300_000
    assert [(d.isolation, d.address, d.port) for d in world.network.dials] == [
        (ISOLATION, world.address, PORT)
    ]


def test_closing_delivers_what_was_written(world: _World) -> None:
    """Closing loses nothing that was written before it."""
    dialled = world.dial()
    world.network.flush()
    client = outcome(dialled)
    client.transport.write(b"last words")
    client.transport.loseConnection()
    world.network.flush()
    assert world.servers[0].received == b"last words"
    assert (client.lost, world.servers[0].lost) == (ConnectionDone, ConnectionDone)


def test_an_unknown_address_and_port_give_tors_errors(world: _World) -> None:
    """What is not there fails as tor would have it."""
    with pytest.raises(ServiceRefused):
        outcome(_flushed(world, world.dial(port=8)))
    stranger = OnionKey(b"t" * 32).address
    dialled = world.dialer.dial(stranger, PORT, ISOLATION, Factory.forProtocol(_Recorder))
    with pytest.raises(ServiceNotFound):
        outcome(_flushed(world, dialled))


def _flushed(world: _World, deferred: Deferred[Any]) -> Deferred[Any]:
    world.network.flush()
    return deferred


def test_latency_is_paid_each_way(world: _World) -> None:
    """A dial costs a round trip, and bytes half of one."""
    world.network.set_latency(world.address, 0.5)
    dialled = world.dial()
    world.clock.advance(0.9)
    assert outcome(dialled) is None
    world.clock.advance(0.1)
    world.servers[0].transport.write(b"hello")  # type: ignore[union-attr]
    client = dialled.result
    world.clock.advance(0.4)
    assert client.received == b""
    world.clock.advance(0.1)
    assert client.received == b"hello"


def test_a_hanging_address_times_out(world: _World) -> None:
    """A dial that is never answered ends by the dialler's own limit."""
    world.network.hang(world.address)
    dialled = world.dial()
    world.clock.advance(DIAL_TIMEOUT - 1)
    assert outcome(dialled) is None
    with pytest.raises(DialTimedOut):
        _after_timeout(world)


def _after_timeout(world: _World) -> None:
    dialled = world.dial()
    world.clock.advance(DIAL_TIMEOUT)
    outcome(dialled)


def test_a_cancelled_dial_opens_nothing(world: _World) -> None:
    """Cancelling a dial leaves no connection at the service."""
    dialled = world.dial()
    dialled.cancel()
    world.network.flush()
    with pytest.raises(CancelledError):
        outcome(dialled)
    assert world.servers == []


def test_cut_drops_and_refuses_until_mended(world: _World) -> None:
    """An address that goes offline loses its connections and can come back."""
    dialled = world.dial()
    world.network.flush()
    client = outcome(dialled)
    world.network.cut(world.address)
    world.network.flush()
    assert (client.lost, world.servers[0].lost) == (ConnectionLost, ConnectionLost)
    with pytest.raises(ServiceNotFound):
        outcome(_flushed(world, world.dial()))
    world.network.mend(world.address)
    assert outcome(_flushed(world, world.dial())) is not None


def test_a_stalled_address_connects_and_says_nothing(world: _World) -> None:
    """A stalled service is the slow peer: open, and silent."""
    world.network.stall(world.address)
    dialled = world.dial()
    world.network.flush()
    client = outcome(dialled)
    client.transport.write(b"anybody?")
    world.clock.advance(3600)
    assert world.servers[0].received == client.received == b""
    assert client.lost is None


def test_losing_tor_fails_dials_at_once(world: _World) -> None:
    """Without tor there is no other way: open and new dials fail with TorUnavailable."""
    pending = world.dial()
    world.dialer.lose_tor()
    with pytest.raises(TorUnavailable):
        outcome(pending)
    with pytest.raises(TorUnavailable):
        outcome(world.dial())
    world.dialer.regain_tor()
    assert outcome(_flushed(world, world.dial())) is not None


def test_a_service_tells_its_states(world: _World) -> None:
    """Publishing, lost and reachable again arrive as events, and stopping ends it."""
    world.service.vanish("gone")
    waiting = world.service.when_reachable()
    assert outcome(waiting) is None
    world.service.return_()
    assert waiting.called
    assert world.events == [
        ServicePublishing(world.address),
        ServiceReachable(world.address),
        ServiceLost(world.address, "gone"),
        ServiceReachable(world.address),
    ]
    outcome(Deferred.fromCoroutine(world.service.stop()))
    assert world.service.state is ServiceState.STOPPED
    with pytest.raises(ServiceNotFound):
        outcome(_flushed(world, world.dial()))


class _Counter:
    """A producer that counts how often it is held and let go."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


def test_a_reader_that_pauses_holds_the_writer(world: _World) -> None:
    """Back-pressure goes from the reading protocol to the producer at the other end."""
    dialled = world.dial()
    world.network.flush()
    client = outcome(dialled)
    server = world.servers[0]
    assert server.transport is not None
    server.transport.pauseProducing()  # type: ignore[attr-defined]
    producer = _Counter()
    client.transport.registerProducer(producer, True)
    client.transport.write(b"x" * 200_000)
    world.network.flush()
    assert (producer.calls, server.received) == (["pause"], b"")
    server.transport.resumeProducing()  # type: ignore[attr-defined]
    world.network.flush()
    assert producer.calls == ["pause", "resume"]
    assert len(server.received) == 200_000

"""Dialling: the SOCKS conversation, time limits, the second attempt, and never another way."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from onion import errors
from onion.dialer import LOCAL_TIMES, ConnectTimes, SocksDialer
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.memory_stream import MemoryAddress, stream_pair
from onion.socks import SocksHandshake

ADDRESS = OnionKey(b"s" * 32).address
ISOLATION = Isolation("peer", "alice")
SUCCESS = b"\x05\x00\x00\x01" + bytes(6)
_DONE = Failure(ConnectionDone())


class _Tor(Protocol):
    """A SOCKS server that takes any user name and answers a request only when told to."""

    def __init__(self, hears: bool) -> None:
        self.hears = hears
        self.said: list[bytes] = []
        self.closed = False

    def dataReceived(self, data: bytes) -> None:
        self.said.append(data)
        if self.hears and len(self.said) < 3:
            self.answer([b"\x05\x02", b"\x01\x00"][len(self.said) - 1])

    def answer(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Failure = _DONE) -> None:
        self.closed = True

    @property
    def user(self) -> tuple[bytes, bytes]:
        login = self.said[1]
        user = login[2 : 2 + login[1]]
        return user, login[3 + len(user) :]


class _Client(Protocol):
    def __init__(self) -> None:
        self.received = b""
        self.closed = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = _DONE) -> None:
        self.closed = True


class _World:
    """A dialer before a tor of the test's own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hears = True
        self.tors: list[_Tor] = []
        self.clients: list[_Client] = []
        self.dialer = SocksDialer(self.clock, self.find_socks, LOCAL_TIMES)
        self.results: list[Any] = []

    def find_socks(self) -> IStreamClientEndpoint:
        return _Endpoint(self.connect)

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        tor = _Tor(self.hears)
        self.tors.append(tor)
        ours, theirs = stream_pair(self.clock, lambda: 0.0)
        protocol = factory.buildProtocol(MemoryAddress())
        assert protocol is not None
        theirs.attach(tor)
        ours.attach(protocol)
        done: Deferred[Any] = Deferred()
        done.callback(protocol)
        return done

    def dial(self) -> Deferred[Any]:
        def client() -> _Client:
            self.clients.append(_Client())
            return self.clients[-1]

        dialled = self.dialer.dial(ADDRESS, 7, ISOLATION, Factory.forProtocol(client))
        dialled.addBoth(self.results.append)
        self.advance(0)
        return dialled

    def advance(self, seconds: float) -> None:
        """Pass time in small steps, and let everything due be done."""
        self.clock.advance(0)
        for _ in range(round(seconds * 8)):
            self.clock.advance(0.125)
        for _ in range(8):
            self.clock.advance(0)

    def result_is(self, error: type[Exception]) -> bool:
        return len(self.results) == 1 and self.results[0].check(error) is error


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, connect: Callable[[IProtocolFactory], Deferred[Any]]) -> None:
        self.connect = connect


@pytest.fixture
def world() -> _World:
    """A dialer before a tor of the test's own."""
    return _World()


def test_dials_with_the_credentials_of_the_isolation(world: _World) -> None:
    """Tor is told the isolation, the onion and the port, each only after the step before."""
    world.dial()
    (tor,) = world.tors
    assert tor.said[0] == b"\x05\x01\x02"
    assert tor.user == (b"bits-peer", b"alice")
    assert tor.said[2] == b"\x05\x01\x00\x03\x3e" + ADDRESS.host.encode() + b"\x00\x07"
    tor.answer(SUCCESS + b"first words")
    world.advance(0)
    assert world.results == world.clients
    assert world.clients[0].received == b"first words"
    tor.answer(b", and more")
    world.advance(0)
    assert world.clients[0].received == b"first words, and more"


@pytest.mark.parametrize("reply", [b"\x04" + bytes(18), b"\x03\x04abcd\x00\x00"])
def test_takes_every_form_of_reply(world: _World, reply: bytes) -> None:
    """The address in a reply may be of any kind, and its bytes may come one by one."""
    world.dial()
    for byte in b"\x05\x00\x00" + reply:
        assert world.results == []
        world.tors[0].answer(bytes([byte]))
        world.advance(0)
    assert world.results == world.clients
    assert world.clients[0].received == b""


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0x04, errors.ServiceNotFound),
        (0x05, errors.ServiceRefused),
        (0xF0, errors.ServiceNotFound),
        (0xF1, errors.ServiceDescriptorInvalid),
        (0xF4, errors.ClientKeyMissing),
        (0xF5, errors.ClientKeyWrong),
        (0xF6, errors.AddressRefused),
    ],
)
def test_a_final_answer_is_one_typed_error(
    world: _World, code: int, error: type[Exception]
) -> None:
    """What tor knows for sure ends the dial at once, with one sentence."""
    world.dial()
    world.tors[0].answer(bytes([5, code, 0, 1]) + bytes(6))
    world.advance(0)
    assert world.result_is(error)
    assert world.tors[0].closed
    assert len(world.tors) == 1
    assert str(world.results[0].value).endswith(".")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0x01, errors.DialFailed),
        (0xF2, errors.IntroductionFailed),
        (0xF3, errors.RendezvousFailed),
        (0xF7, errors.IntroductionFailed),
    ],
)
def test_bad_luck_is_tried_again_once(world: _World, code: int, error: type[Exception]) -> None:
    """A circuit that failed may be bad luck, so one more is tried at once, and no third."""
    world.dial()
    for attempt in (0, 1):
        world.tors[attempt].answer(bytes([5, code, 0, 1]) + bytes(6))
        world.advance(0)
    assert world.result_is(error)
    assert len(world.tors) == 2


def test_n3_a_socks_that_hangs_is_bounded_and_hedged(world: _World) -> None:
    """Tor accepts and then hangs: hedge at the percentile, 10 s per attempt, total bounded."""
    world.hears = False
    world.dial()
    world.advance(LOCAL_TIMES.hedge_guess - 0.25)
    assert len(world.tors) == 1
    world.advance(0.5)
    assert len(world.tors) == 2
    world.advance(9.75 - LOCAL_TIMES.hedge_guess)
    assert world.tors[0].closed
    assert world.results == []
    world.advance(LOCAL_TIMES.hedge_guess)
    assert world.result_is(errors.DialTimedOut)
    assert all(tor.closed for tor in world.tors)
    assert len(world.tors) == 2
    assert world.clock.getDelayedCalls() == []


def test_n3_an_onion_that_hangs_is_bounded_too(world: _World) -> None:
    """Tor answers and the network does not: the same limits hold."""
    world.dial()
    world.advance(LOCAL_TIMES.total)
    assert world.result_is(errors.DialTimedOut)
    assert all(tor.closed for tor in world.tors)
    assert world.clock.getDelayedCalls() == []


def test_n3_the_hedge_follows_the_95th_percentile(world: _World) -> None:
    """After some dials of 1 s and a slow one, the second attempt starts near what they took."""
    for seconds in (1.0,) * 19 + (5.0,):
        world.dialer.connect_times.add(seconds)
    world.dial()
    world.advance(0.875)
    assert len(world.tors) == 1
    world.advance(0.25)
    assert len(world.tors) == 2


def test_n3_the_second_attempt_wins_and_the_first_is_closed(world: _World) -> None:
    """The first attempt to succeed gets the protocol; the other one leaves nothing open."""
    world.dial()
    world.advance(LOCAL_TIMES.hedge_guess + 0.125)
    first, second = world.tors
    second.answer(SUCCESS)
    world.advance(0)
    assert world.results == world.clients
    assert len(world.clients) == 1
    assert first.closed
    assert not second.closed
    assert first.user[1] != second.user[1]
    assert world.clock.getDelayedCalls() == []


def test_a_cancelled_dial_closes_its_sockets(world: _World) -> None:
    """Nothing stays open for a dial that nobody waits for."""
    dialled = world.dial()
    world.advance(LOCAL_TIMES.hedge_guess + 0.125)
    dialled.cancel()
    world.advance(0)
    assert world.result_is(CancelledError)
    assert [tor.closed for tor in world.tors] == [True, True]
    assert world.clock.getDelayedCalls() == []


def test_without_tor_there_is_no_other_way(world: _World) -> None:
    """When tor is not there the dial fails at once, having tried nothing else."""

    def no_tor() -> IStreamClientEndpoint:
        raise errors.TorUnavailable

    world.dialer = SocksDialer(world.clock, no_tor, LOCAL_TIMES)
    world.dial()
    assert world.result_is(errors.TorUnavailable)
    assert world.tors == []
    assert world.clock.getDelayedCalls() == []


def test_a_tor_that_dies_ends_the_dial_at_once(world: _World) -> None:
    """A SOCKS socket that closes without an answer means that tor is gone: no second attempt."""
    world.dial()
    transport = world.tors[0].transport
    assert transport is not None
    transport.loseConnection()
    world.advance(0)
    assert world.result_is(errors.TorUnavailable)
    assert len(world.tors) == 1


def test_losing_the_connection_reaches_the_protocol(world: _World) -> None:
    """Once connected, the protocol learns of the end as over any transport."""
    world.dial()
    world.tors[0].answer(SUCCESS)
    world.advance(0)
    transport = world.tors[0].transport
    assert transport is not None
    transport.loseConnection()
    world.advance(0)
    assert world.clients[0].closed


@pytest.mark.parametrize("method", [b"\x05\x00", b"\x05\xff", b"HT"])
def test_a_socks_server_that_takes_no_user_name_is_refused(method: bytes) -> None:
    """Without a user name there is no isolation, so the handshake goes no further."""
    handshake = SocksHandshake(ADDRESS.host, 7, ISOLATION)
    with pytest.raises(errors.SocksAnswerInvalid):
        handshake.receive(method)


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_garbage_from_the_socks_server_is_a_dial_error(chunks: list[bytes]) -> None:
    """Whatever answers on the socket, the handshake connects, waits, or raises DialError."""
    handshake = SocksHandshake(ADDRESS.host, 7, ISOLATION)
    handshake.greeting()
    try:
        for chunk in [b"\x05\x02\x01\x00", *chunks]:
            handshake.receive(chunk)
    except errors.DialError:
        return
    assert handshake.connected or len(b"".join(chunks)) < 262


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=8, max_size=300))
def test_the_hedge_delay_is_at_least_95_of_100_recent_times(seconds: list[float]) -> None:
    """At most one dial in twenty of the window was slower than the delay."""
    times = ConnectTimes(LOCAL_TIMES)
    for second in seconds:
        times.add(second)
    window = seconds[-128:]
    slower = sum(second > times.hedge_after() for second in window)
    assert slower <= len(window) / 20

"""What a node does with those who ask it: budgets, guards and answers to garbage."""

import secrets
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher

from bitsnode.config import LOCAL, PEER_PORT
from bitsnode.errors import RemoteProtocolError
from bitsnode.peer.budgets import Budgets, Times
from bitsnode.peer.errors import ConnectionLost, Unreachable
from bitsnode.wire.envelope import Envelope, Kind, to_frame
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import (
    MAX_DATA,
    Commit,
    Done,
    Failure,
    FailureCode,
    FindNode,
    Ping,
    ReadShare,
)
from bitsnode.wire.session import (
    Event,
    FailureReceived,
    ReplyReceived,
    Role,
    Session,
)
from onion.isolation import Isolation
from onion.keys import OnionKey

ANONYMOUS = Isolation("fetch", "one")
READ = ReadShare(b"i" * 32, 0, 0, 0, MAX_DATA)
Outcome = Callable[["Deferred[Any]"], Any]
World = Any


class Raw(Protocol):
    """A dialler that says what the test wants, and keeps what it hears."""

    def __init__(self) -> None:
        self.session = Session(Role.DIALLER, LOCAL.name)
        self.events: list[Event] = []
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        """Keep what was heard."""
        self.session.receive(data)
        while (event := self.session.next_event()) is not None:
            self.events.append(event)

    def connectionLost(self, reason: object = None) -> None:
        """Keep that it is over."""
        self.lost = True

    def write(self, data: bytes) -> None:
        """Send bytes."""
        assert self.transport is not None
        self.transport.write(data)

    def failures(self) -> list[Failure]:
        """The failures heard."""
        return [event.failure for event in self.events if isinstance(event, FailureReceived)]

    def replies(self) -> list[object]:
        """The replies heard."""
        return [event.reply for event in self.events if isinstance(event, ReplyReceived)]


@pytest.fixture
def dial(world: World, outcome: Outcome) -> Callable[[], Raw]:
    """Connects a raw dialler to the node."""

    def connect() -> Raw:
        dialled = world.network.dialer().dial(
            world.address, PEER_PORT, ANONYMOUS, Factory.forProtocol(Raw)
        )
        world.network.flush()
        found: Raw = outcome(dialled)
        return found

    return connect


@pytest.fixture
def greeted(dial: Callable[[], Raw], world: World) -> Callable[[], Raw]:
    """Connects a raw dialler that has said hello."""

    def connect() -> Raw:
        raw = dial()
        raw.write(raw.session.hello(None))
        world.network.flush()
        return raw

    return connect


# FAULTS P1


def test_p1_a_length_of_4_gib_closes_at_once(world: World, dial: Callable[[], Raw]) -> None:
    """A frame that may not be is refused by its length, before anything of it is kept."""
    server = world.serve()
    raw = dial()
    raw.write(b"\xff\xff\xff\xff")
    world.network.flush()
    assert raw.lost
    assert server.open_connections == 0
    assert world.clock.getDelayedCalls() == []


@pytest.mark.parametrize("hello_first", [False, True])
def test_p1_a_byte_every_ten_seconds_closes_within_thirty(
    world: World, dial: Callable[[], Raw], greeted: Callable[[], Raw], hello_first: bool
) -> None:
    """A frame that was begun must make progress, before the hello and after it."""
    world.serve()
    raw = greeted() if hello_first else dial()
    begun = world.clock.seconds()
    stream = to_frame(Envelope(Kind.REQUEST, {1: b"t" * 32}, 1, FindNode.TYPE))
    for byte in stream:
        raw.write(bytes([byte]))
        world.network.flush()
        world.clock.pump([1] * 10)
        world.network.flush()
        if raw.lost:
            break
    assert raw.lost
    assert world.clock.seconds() - begun <= 30


def test_p1_silence_before_the_hello_closes_within_thirty(
    world: World, dial: Callable[[], Raw]
) -> None:
    """Who connects and says nothing holds a place for no longer than that."""
    world.serve()
    raw = dial()
    world.clock.advance(30)
    world.network.flush()
    assert raw.lost


def test_p1_memory_stays_bounded(world: World, greeted: Callable[[], Raw]) -> None:
    """Fifty connections that trickle parts of the longest frame cost what they sent."""
    server = world.serve()
    for _ in range(50):
        greeted()
    part = (320 * 1024).to_bytes(4, "big") + bytes(500)
    tracemalloc.start()
    for connection in server._connections.values():
        for byte in part:
            connection.dataReceived(bytes([byte]))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 250_000  # a few KiB of accounts each, and no room for 320 KiB frames


def test_p1_a_slow_but_steady_frame_is_taken(world: World, greeted: Callable[[], Raw]) -> None:
    """A long frame over a slow circuit takes minutes and is not a fault."""
    world.serve()
    raw = greeted()
    _, data = raw.session.request(Commit(b"u" * 16, (b"r" * 20_000,)))
    for start in range(0, len(data), 200):  # 200 bytes a second
        raw.write(data[start : start + 200])
        world.network.flush()
        world.clock.advance(1)
    world.network.flush()
    assert not raw.lost
    assert [failure.code for failure in raw.failures()] == [FailureCode.UNKNOWN_REQUEST]


# FAULTS P2


def test_p2_garbage_is_answered_or_closed_and_the_server_goes_on(
    world: World, greeted: Callable[[], Raw], outcome: Outcome
) -> None:
    """Mutated frames end at most their own connection; nothing is logged as unhandled."""
    errors: list[dict[str, Any]] = []

    def watch(event: dict[str, Any]) -> None:
        if event.get("log_failure") is not None or event.get("isError"):
            errors.append(event)

    globalLogPublisher.addObserver(watch)
    world.serve()
    for _ in range(300):
        raw = greeted()
        mutated = bytearray(raw.session.request(FindNode(b"t" * 32))[1])
        for _ in range(1 + secrets.randbelow(4)):
            mutated[secrets.randbelow(len(mutated))] = secrets.randbelow(256)
        try:
            raw.write(bytes(mutated))
            world.network.flush()
            raw.write(secrets.token_bytes(40))
            world.network.flush()
        except RemoteProtocolError:
            pass  # of the raw dialler: a mutated id is answered under that id
        if not raw.lost and raw.transport is not None:
            raw.transport.loseConnection()
        world.network.flush()
    globalLogPublisher.removeObserver(watch)
    assert errors == []
    assert outcome(world.ask(world.client())) == Done()


def test_what_is_unknown_or_malformed_is_refused_and_the_rest_goes_on(
    world: World, greeted: Callable[[], Raw]
) -> None:
    """A newer dialler's request and a wrong body each get a failure of their own."""
    world.serve()
    raw = greeted()
    raw.session._under_way.update({900: Ping, 901: FindNode, 902: Commit})
    raw.write(to_frame(Envelope(Kind.REQUEST, {}, 900, 999)))
    raw.write(to_frame(Envelope(Kind.REQUEST, {1: b"short"}, 901, FindNode.TYPE)))
    raw.write(to_frame(Envelope(Kind.REQUEST, {1: b"u" * 16, 2: []}, 902, Commit.TYPE)))
    raw.write(raw.session.request(Ping())[1])
    world.network.flush()
    assert [failure.code for failure in raw.failures()] == [
        FailureCode.UNKNOWN_REQUEST,
        FailureCode.MALFORMED,
        FailureCode.UNKNOWN_REQUEST,  # known to the protocol, but nobody here answers it
    ]
    assert raw.replies() == [Done()]


def test_what_a_responder_raises_becomes_a_failure(
    world: World, greeted: Callable[[], Raw]
) -> None:
    """Refusals keep their code; bytes it could not read are MALFORMED; bugs are INTERNAL."""
    events: list[dict[str, Any]] = []
    world.serve()
    raw = greeted()
    globalLogPublisher.addObserver(events.append)
    for error in (
        Refused(FailureCode.FULL, 7),
        RemoteProtocolError(),
        ValueError("secret"),
        Refused(999),
    ):
        world.answers.error = error
        raw.write(raw.session.request(Ping())[1])
        world.network.flush()
    globalLogPublisher.removeObserver(events.append)
    assert [(failure.code, failure.retry_after) for failure in raw.failures()] == [
        (FailureCode.FULL, 7),
        (FailureCode.MALFORMED, 0),
        (FailureCode.INTERNAL, 0),
        (FailureCode.INTERNAL, 0),
    ]
    logged = [event for event in events if event["log_namespace"] == "bitsnode.peer"]
    assert [event["error"] for event in logged] == ["ValueError"]
    assert "secret" not in repr(logged)


def test_a_wrong_reply_of_a_responder_is_internal(world: World, greeted: Callable[[], Raw]) -> None:
    """A reply that may not be sent is our bug, and the asker hears so."""
    world.serve()
    raw = greeted()
    world.answers.data = b"d" * (MAX_DATA + 1)
    raw.write(raw.session.request(READ)[1])
    world.network.flush()
    assert [failure.code for failure in raw.failures()] == [FailureCode.INTERNAL]


def test_a_shown_card_must_be_in_order(world: World, dial: Callable[[], Raw]) -> None:
    """A dialler's card that does not verify ends the connection; a good one reaches responders."""
    world.serve()
    good, bad = (world.signed_card(OnionKey(b"c" * 32), sequence=n) for n in (1, 2))
    for data in (good.data, bad.data[:-1] + bytes([bad.data[-1] ^ 1])):
        raw = dial()
        raw.write(raw.session.hello(data))
        world.network.flush()
        raw.write(raw.session.request(Ping())[1])
        world.network.flush()
    assert raw.lost
    assert [caller.card for _, caller in world.answers.asked] == [good]


# Budgets


def test_over_its_requests_a_caller_is_told_when_to_come_back(
    world: World, greeted: Callable[[], Raw]
) -> None:
    """The burst is answered, the next one is BUSY with a time, and after it there is room."""
    world.serve(Budgets(requests=2, request_burst=10))
    raw, other = greeted(), greeted()
    for _ in range(12):
        raw.write(raw.session.request(Ping())[1])
    other.write(other.session.request(Ping())[1])
    world.network.flush()
    assert len(raw.replies()) == 10
    assert raw.failures() == [Failure(FailureCode.BUSY, 1), Failure(FailureCode.BUSY, 1)]
    assert other.replies() == [Done()]
    world.clock.advance(2)
    raw.write(raw.session.request(Ping())[1])
    world.network.flush()
    assert len(raw.replies()) == 11


def test_who_does_not_wait_is_cut_off(world: World, greeted: Callable[[], Raw]) -> None:
    """Answering BUSY costs, too: after a whole burst of it the connection is closed."""
    world.serve(Budgets(requests=2, request_burst=10))
    raw = greeted()
    for _ in range(40):
        raw.write(raw.session.request(Ping())[1])
    world.network.flush()
    assert raw.lost
    assert len(world.answers.asked) == 10


def test_over_its_bytes_a_caller_waits(world: World, greeted: Callable[[], Raw]) -> None:
    """Answered bytes are counted against the caller, and refilled with time."""
    world.serve(Budgets(answered=1000.0, answered_burst=3000.0))
    world.answers.data = b"d" * 1000
    raw = greeted()
    for _ in range(4):
        raw.write(raw.session.request(READ)[1])
        world.network.flush()
    assert len(raw.replies()) == 3
    assert raw.failures() == [Failure(FailureCode.BUSY, 1)]
    world.clock.advance(1)
    raw.write(raw.session.request(READ)[1])
    world.network.flush()
    assert len(raw.replies()) == 4


def test_over_its_cpu_a_caller_waits(
    world: World, dial: Callable[[], Raw], greeted: Callable[[], Raw]
) -> None:
    """The time that the reactor's thread worked for a caller is counted, across awaits too."""
    server = world.serve(Budgets(cpu=0.5, cpu_burst=2.0))
    raw = greeted()
    (connection,) = server._connections.values()
    used = [0.0]
    connection._cpu = lambda: used[0]

    async def work(request: object, caller: object) -> Done:
        used[0] += 0.75
        waiting: Deferred[None] = Deferred()
        world.clock.callLater(1, waiting.callback, None)
        await waiting
        used[0] += 9.0
        return Done()

    world.answers.handle = work
    raw.write(raw.session.request(Ping())[1])
    world.clock.pump([0, 0, 1, 0, 0])
    raw.write(raw.session.request(Ping())[1])
    world.network.flush()
    assert raw.replies() == [Done()]
    # charged down to one burst below empty, and refilled for the second that passed
    assert raw.failures() == [Failure(FailureCode.BUSY, 3)]


def test_no_more_is_read_than_is_worked_on(world: World, greeted: Callable[[], Raw]) -> None:
    """Beyond its concurrent requests a caller's bytes wait in its own buffers, not in ours."""
    world.serve(Budgets(concurrent=3))
    world.answers.hold()
    raw = greeted()
    raw.write(b"".join(raw.session.request(Ping())[1] for _ in range(20_000)))
    world.network.flush()
    assert len(world.answers.asked) == 3
    # pieces on their way to a reader that reads no more
    assert raw.transport._in_flight > 0  # type: ignore[union-attr]
    world.answers.release(1)
    world.network.flush()
    assert len(world.answers.asked) == 4


def test_a_reader_that_takes_nothing_stops_the_work_and_is_closed(
    world: World, greeted: Callable[[], Raw]
) -> None:
    """Who asks much and reads nothing costs a bounded amount of buffer, for a bounded time."""
    world.serve(times=Times(stall=100))
    world.answers.data = b"d" * MAX_DATA
    raw = greeted()
    assert raw.transport is not None
    raw.transport.pauseProducing()  # type: ignore[attr-defined]
    for _ in range(50):
        raw.write(raw.session.request(READ)[1])
    world.network.flush()
    assert len(world.answers.asked) == 1
    world.clock.advance(100)
    world.network.flush()
    assert len(world.answers.asked) == 1
    raw.transport.resumeProducing()  # type: ignore[attr-defined]
    world.network.flush()
    assert raw.lost


def test_many_small_requests_leave_others_their_turn(
    world: World, greeted: Callable[[], Raw]
) -> None:
    """A piece full of requests is not worked off in one go."""
    world.serve()
    raws = [greeted(), greeted()]
    for raw in raws:
        raw.write(b"".join(raw.session.request(Ping())[1] for _ in range(100)))
    world.network.flush()
    order = [caller.connection for _, caller in world.answers.asked]
    assert [len(raw.replies()) for raw in raws] == [100, 100]
    assert order.index(order[-1]) < 50


def test_the_whole_server_works_on_so_many(world: World, greeted: Callable[[], Raw]) -> None:
    """The requests of all connections together have a cap; over it one is told to come back."""
    world.serve(Budgets(running=2))
    world.answers.hold()
    raws = [greeted() for _ in range(3)]
    for raw in raws:
        raw.write(raw.session.request(Ping())[1])
        world.network.flush()
    assert [raw.failures() for raw in raws] == [[], [], [Failure(FailureCode.BUSY, 1)]]
    world.answers.release()
    world.network.flush()
    assert raws[0].replies() == [Done()]


def test_a_full_server_makes_room_of_what_is_idle(
    world: World, greeted: Callable[[], Raw], outcome: Outcome
) -> None:
    """Held places are lost after a while without a request; those in use are kept."""
    server = world.serve(Budgets(connections=2, evict_after=30))
    first, second = greeted(), greeted()
    with pytest.raises(Unreachable):
        outcome(world.ask(world.client()))
    world.answers.hold()
    first.write(first.session.request(Ping())[1])
    world.clock.advance(30)
    world.network.flush()
    third = greeted()
    assert (first.lost, second.lost, third.lost) == (False, True, False)
    assert server.open_connections == 2


def test_an_idle_connection_is_closed(world: World, greeted: Callable[[], Raw]) -> None:
    """A connection without a request is closed in the end, and nothing is left scheduled."""
    server = world.serve(times=Times(idle=500))
    raw = greeted()
    world.clock.advance(400)
    raw.write(raw.session.request(Ping())[1])
    world.network.flush()
    world.clock.advance(400)
    world.network.flush()
    assert not raw.lost
    world.clock.advance(100)
    world.network.flush()
    assert raw.lost
    assert server.open_connections == 0
    assert world.clock.getDelayedCalls() == []


def test_an_answer_to_a_lost_connection_is_dropped(
    world: World, greeted: Callable[[], Raw]
) -> None:
    """Work whose asker is gone ends quietly."""
    server = world.serve()
    world.answers.hold()
    raw = greeted()
    raw.write(raw.session.request(Ping())[1])
    world.network.flush()
    world.network.drop(world.address)
    world.network.flush()
    assert server.open_connections == 0
    world.answers.release()
    world.network.flush()
    assert server._tasks == set()


def test_stopping_closes_all_and_takes_no_more(
    world: World, greeted: Callable[[], Raw], outcome: Outcome
) -> None:
    """After stop nothing is open or worked on, and nobody gets in."""
    server = world.serve()
    world.answers.hold()
    client = world.client()
    waiting = world.ask(client)
    raw = greeted()
    outcome(Deferred.fromCoroutine(server.stop()))
    world.network.flush()
    assert raw.lost
    with pytest.raises(ConnectionLost):
        outcome(waiting)
    with pytest.raises(Unreachable):
        outcome(world.ask(client))
    assert server._tasks == set()
    assert world.clock.getDelayedCalls() == []

"""Two sessions joined in memory: one table judges both, and garbage raises one error."""

import secrets
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsnode.errors import LocalProtocolError, RemoteProtocolError
from bitsnode.wire import cbor
from bitsnode.wire.envelope import MAX_ID, BadEnvelope, Envelope, Kind, from_body, to_frame
from bitsnode.wire.frames import frame
from bitsnode.wire.messages import (
    Allocate,
    Contacts,
    Data,
    Done,
    Failure,
    FailureCode,
    FindNode,
    Hello,
    Ping,
    PutRecord,
    ReadShare,
)
from bitsnode.wire.registry import REQUESTS
from bitsnode.wire.schema import to_map
from bitsnode.wire.session import (
    Event,
    FailureReceived,
    HelloReceived,
    MalformedRequestReceived,
    NoSharedVersion,
    OtherNetwork,
    OutOfTurn,
    ReplyReceived,
    RequestReceived,
    Role,
    Session,
    UnknownRequestReceived,
)

READ = ReadShare(b"i" * 32, 1, 0, 0, 4096)


def heard(session: Session, data: bytes) -> list[Event]:
    """What a session makes of bytes that come at once."""
    session.receive(data)
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def greeting(versions: Any = (1,), network: str = "local", card: bytes | None = None) -> bytes:
    """The frame of a hello, however wrong."""
    return to_frame(Envelope(Kind.HELLO, {1: list(versions), 2: network, 3: card}))


class Pair:
    """A dialler and a listener that have said hello."""

    def __init__(self) -> None:
        self.dialler = Session(Role.DIALLER, "local")
        self.listener = Session(Role.LISTENER, "local")
        assert heard(self.listener, self.dialler.hello(None)) == [HelloReceived(1, None)]
        assert heard(self.dialler, self.listener.hello(b"card")) == [HelloReceived(1, b"card")]

    def ask(self, message: Any) -> int:
        """Ask, check what the listener hears, and return the id."""
        number, data = self.dialler.request(message)
        assert heard(self.listener, data) == [RequestReceived(number, message)]
        return number


@pytest.fixture
def pair() -> Pair:
    """Both sides, open."""
    return Pair()


def test_answers_come_in_any_order(pair: Pair) -> None:
    """Requests are matched by id, not by order."""
    first, second = pair.ask(Ping()), pair.ask(READ)
    assert pair.dialler.under_way == pair.listener.under_way == 2
    assert heard(pair.dialler, pair.listener.reply(second, Data(b"d", 1))) == [
        ReplyReceived(second, Data(b"d", 1))
    ]
    failure = Failure(FailureCode.BUSY, 3)
    assert heard(pair.dialler, pair.listener.fail(first, failure)) == [
        FailureReceived(first, failure)
    ]
    assert pair.dialler.under_way == pair.listener.under_way == 0


def test_an_id_is_free_again_when_answered(pair: Pair) -> None:
    """Ids run through 32 bits and leave out those under way."""
    first = pair.ask(Ping())
    pair.dialler._last_id = MAX_ID - 1
    assert pair.ask(Ping()) == MAX_ID
    assert pair.ask(Ping()) == first + 1
    pair.listener.reply(first, Done())


def test_hello_comes_first_and_once() -> None:
    """Nothing goes before a hello and no second one follows, on either side."""
    for data in (
        to_frame(Envelope(Kind.REQUEST, {}, 0, Ping.TYPE)),
        to_frame(Envelope(Kind.REPLY, {}, 0)),
        greeting() + greeting(),
    ):
        with pytest.raises(OutOfTurn):
            heard(Session(Role.LISTENER, "local"), data)
    with pytest.raises(LocalProtocolError, match="a request from a new dialler"):
        Session(Role.DIALLER, "local").request(Ping())
    twice = Session(Role.DIALLER, "local")
    twice.hello(None)
    with pytest.raises(LocalProtocolError):
        twice.hello(None)


def test_the_highest_shared_version_is_spoken() -> None:
    """A newer peer that still speaks ours is welcome; one that does not is told apart."""
    newer = heard(Session(Role.LISTENER, "local"), greeting((2, 1, 9)))
    assert newer == [HelloReceived(1, None)]
    for versions in ((2,), ()):
        with pytest.raises(NoSharedVersion):
            heard(Session(Role.LISTENER, "local"), greeting(versions))


def test_networks_do_not_mix() -> None:
    """A hello of another network ends the connection."""
    with pytest.raises(OtherNetwork):
        heard(Session(Role.LISTENER, "local"), greeting(network="public"))


def test_who_is_dialled_shows_a_card() -> None:
    """A listener without a card is refused, and ours cannot forget it."""
    with pytest.raises(OutOfTurn, match="no card"):
        heard(Session(Role.DIALLER, "local"), greeting(card=None))
    with pytest.raises(LocalProtocolError):
        Session(Role.LISTENER, "local").hello(None)


def test_only_the_dialler_asks_and_only_the_listener_answers(pair: Pair) -> None:
    """Each role has its own kinds of frames, in both directions."""
    with pytest.raises(LocalProtocolError, match="a request from a open listener"):
        pair.listener.request(Ping())
    with pytest.raises(OutOfTurn):
        heard(pair.dialler, to_frame(Envelope(Kind.REQUEST, {}, 0, Ping.TYPE)))
    with pytest.raises(OutOfTurn):
        heard(pair.listener, to_frame(Envelope(Kind.REPLY, {}, 0)))


def test_unknown_and_malformed_requests_are_events(pair: Pair) -> None:
    """Both must be failed, may not be replied to, and the connection goes on."""
    unknown = to_frame(Envelope(Kind.REQUEST, {77: None}, 5, 999))
    malformed = to_frame(Envelope(Kind.REQUEST, {1: b"short"}, 6, FindNode.TYPE))
    assert heard(pair.listener, unknown + malformed) == [
        UnknownRequestReceived(5, 999),
        MalformedRequestReceived(6, FindNode),
    ]
    for number in (5, 6):
        with pytest.raises(LocalProtocolError, match="cannot be read"):
            pair.listener.reply(number, Done())
        pair.listener.fail(number, Failure(FailureCode.UNKNOWN_REQUEST, 0))
    pair.ask(Ping())


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(Kind.REPLY, {}, 1),
        Envelope(Kind.FAILURE, {1: 4, 2: 0}, 1),
        Envelope(Kind.REPLY, {1: []}, 0),  # Contacts, to a Ping
        Envelope(Kind.REPLY, None, 0),
        Envelope(Kind.FAILURE, {1: 0, 2: 0}, 0),
        Envelope(Kind.FAILURE, {}, 0),
    ],
)
def test_an_answer_that_answers_nothing_is_an_error(pair: Pair, envelope: Envelope) -> None:
    """An unknown id, another class's body and a malformed failure break the protocol."""
    assert pair.ask(Ping()) == 0
    with pytest.raises(RemoteProtocolError):
        heard(pair.dialler, to_frame(envelope))


def test_an_answer_comes_once(pair: Pair) -> None:
    """A second reply to the same request is an error on both sides."""
    number = pair.ask(Ping())
    reply = pair.listener.reply(number, Done())
    heard(pair.dialler, reply)
    with pytest.raises(LocalProtocolError, match="to no request"):
        pair.listener.reply(number, Done())
    with pytest.raises(OutOfTurn):
        heard(pair.dialler, reply)


def test_an_id_under_way_is_not_used_twice(pair: Pair) -> None:
    """A request with the id of another is refused."""
    pair.ask(Ping())
    with pytest.raises(OutOfTurn, match="id of another"):
        heard(pair.listener, to_frame(Envelope(Kind.REQUEST, {}, 0, Ping.TYPE)))


def test_our_own_wrong_messages_do_not_leave(pair: Pair) -> None:
    """A wrong field or a reply of another class is our bug, and nothing is lost by it."""
    number = pair.ask(READ)
    with pytest.raises(LocalProtocolError, match=r"Data\.total"):
        pair.listener.reply(number, Data(b"", -1))
    with pytest.raises(LocalProtocolError, match="Done as reply to ReadShare"):
        pair.listener.reply(number, Done())
    with pytest.raises(LocalProtocolError, match=r"FindNode\.target"):
        pair.dialler.request(FindNode(b"short"))
    assert (pair.dialler.under_way, pair.listener.under_way) == (1, 1)
    heard(pair.dialler, pair.listener.reply(number, Data(b"", 0)))


def test_after_a_breach_nothing_is_read_or_said(pair: Pair) -> None:
    """An error is final, for good frames that follow too."""
    with pytest.raises(BadEnvelope):
        heard(pair.listener, frame(cbor.encode([9])) + to_frame(Envelope(Kind.REQUEST, {}, 1, 1)))
    with pytest.raises(RemoteProtocolError):
        pair.listener.next_event()
    with pytest.raises(LocalProtocolError):
        pair.listener.reply(1, Done())


def test_a_part_of_a_frame_is_told(pair: Pair) -> None:
    """Whoever keeps the time can see that a frame was begun."""
    _, data = pair.dialler.request(Ping())
    assert heard(pair.listener, data[:3]) == []
    assert pair.listener.frame_begun
    heard(pair.listener, data[3:])
    assert not pair.listener.frame_begun


@pytest.mark.parametrize(
    "items",
    [
        [],
        [4, 1, {}],
        [-1, {}],
        [True, 1, 1, {}],
        [b"\x00", {}],
        [0],
        [0, {}, {}],
        [1, 1, {}],
        [1, -1, 1, {}],
        [1, 1 << 32, 1, {}],
        [1, 1, 1 << 16, {}],
        [1, True, 1, {}],
        [2, None, {}],
        [3, 1],
        {0: 0},
        b"",
        0,
        None,
    ],
)
def test_a_body_that_is_no_envelope_is_refused(items: object) -> None:
    """Kinds, lengths, ids and numbers are checked before any message is."""
    with pytest.raises(BadEnvelope):
        from_body(cbor.encode(items))


# FAULTS P2: whatever comes, an event or a RemoteProtocolError

SAMPLES: list[Any] = [
    Ping(),
    FindNode(b"t" * 32),
    PutRecord(b"r" * 50),
    READ,
    Allocate(b"i" * 32, 1, 2, 30, 4, 50, b"w" * 32, 60, b"n" * 16),
]


def survives(role: Role, stream: bytes) -> int:
    """Feed a session whole and then byte by byte; both must end alike. Returns the events."""
    ends = []
    for pieces in ([stream], [bytes([byte]) for byte in stream]):
        session = Session(role, "local")
        if role is Role.DIALLER:
            session.hello(None)
        events: list[Event] = []
        end: str | None = None
        try:
            for piece in pieces:
                session.receive(piece)
                while (event := session.next_event()) is not None:
                    events.append(event)
                    if role is Role.DIALLER and isinstance(event, HelloReceived):
                        for message in SAMPLES:
                            session.request(message)
        except RemoteProtocolError as error:
            end = f"{type(error).__name__}: {error}"
        ends.append((events, end))
    assert ends[0] == ends[1]
    return len(ends[0][0])


def stream_of(role: Role) -> bytes:
    """What the other side would say: a hello, then one frame of each kind it may send."""
    if role is Role.LISTENER:
        frames = [
            Envelope(Kind.REQUEST, to_map(message), number, message.TYPE)
            for number, message in enumerate(SAMPLES)
        ]
    else:
        replies = [Done(), Contacts((b"c",)), None, Data(b"d", 1), None]
        frames = [
            Envelope(Kind.REPLY, to_map(reply), number)
            if reply
            else Envelope(Kind.FAILURE, {1: 4, 2: 9}, number)
            for number, reply in enumerate(replies)
        ]
    hello = Envelope(Kind.HELLO, to_map(Hello((1,), "local", b"card")))
    return b"".join(to_frame(envelope) for envelope in (hello, *frames))


def mutated(stream: bytes) -> bytes:
    """The stream with a few changes: bits, bytes, cuts, repeats, and values that are traps."""
    data = bytearray(stream)
    for _ in range(1 + secrets.randbelow(3)):
        if not data:
            break
        at = secrets.randbelow(len(data))
        match secrets.randbelow(6):
            case 0:
                data[at] ^= 1 << secrets.randbelow(8)
            case 1:
                data[at] = secrets.randbelow(256)
            case 2:
                data[at : at + secrets.randbelow(9)] = b""
            case 3:
                data[at:at] = data[at : at + secrets.randbelow(40)]
            case 4:
                data[at:at] = secrets.choice(TRAPS)
            case _:
                del data[at + 1 :]
    return bytes(data)


TRAPS = [
    b"\x9f",
    b"\xbf",
    b"\x5f",
    b"\xff",
    b"\xc2\x49" + bytes(9),
    b"\xd8\x1c\x81\xd8\x1d\x00",
    b"\xf9\x7e\x00",
    b"\xfb" + bytes(8),
    b"\x1b" + b"\xff" * 8,
    b"\x3b" + b"\xff" * 8,
    b"\xff\xff\xff\xff",
    b"\x81" * 20,
    b"\xa2\x00\x00\x00\x00",
]


@pytest.mark.parametrize("role", list(Role))
def test_p2_the_unchanged_stream_is_understood(role: Role) -> None:
    """What is mutated below is right to begin with: a hello and five frames."""
    assert survives(role, stream_of(role)) == 6


@pytest.mark.parametrize("role", list(Role))
def test_p2_mutated_frames(role: Role) -> None:
    """Some thousands of mutated streams, whole and byte by byte."""
    stream = stream_of(role)
    for _ in range(1500):
        survives(role, mutated(stream))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("role", list(Role))
def test_p2_a_million_mutated_frames(role: Role) -> None:
    """Half a million mutated streams for either role."""
    stream = stream_of(role)
    for _ in range(500_000):
        survives(role, mutated(stream))


@settings(max_examples=300)
@given(role=st.sampled_from(Role), data=st.binary(max_size=300))
def test_p2_random_bytes(role: Role, data: bytes) -> None:
    """Random bytes, before and after a good hello, bare and in a frame of their own."""
    hello = greeting(card=b"c")
    for stream in (data, hello + data, *([frame(data), hello + frame(data)] if data else [])):
        survives(role, stream)


ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=40) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(0, 9) | st.text(max_size=2), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(
    role=st.sampled_from(Role),
    kind=st.integers(-1, 5),
    number=st.integers(0, 6) | ITEMS,
    type_=st.sampled_from([request.TYPE for request in REQUESTS]) | ITEMS,
    body=ITEMS,
)
def test_p2_wrong_values_in_good_envelopes(
    role: Role, kind: int, number: object, type_: object, body: object
) -> None:
    """CBOR that is well-formed and says something else than it should."""
    for items in ([kind, body], [kind, number, body], [kind, number, type_, body]):
        for canonical in (True, False):
            survives(role, greeting(card=b"c") + frame(cbor2.dumps(items, canonical=canonical)))

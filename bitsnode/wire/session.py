"""One connection of the peer protocol without I/O: bytes in, events out.

Both sides of a connection use the same class and the same table, so that what we send and what
we receive cannot be judged by different rules. See PROTOCOL.md §3 and §4.
"""

from collections.abc import Collection
from enum import Enum
from typing import Any, Final

import attrs

from bitsnode.errors import LocalProtocolError, RemoteProtocolError
from bitsnode.wire.envelope import MAX_ID, Envelope, Kind, from_body, to_frame
from bitsnode.wire.frames import FrameReader
from bitsnode.wire.messages import PROTOCOL_VERSION, Failure, Hello, Request
from bitsnode.wire.registry import REQUESTS
from bitsnode.wire.schema import BadField, from_map, to_map

VERSIONS: Final = (PROTOCOL_VERSION,)  # that this code speaks


class Role(Enum):
    """Which side of the connection a party is."""

    DIALLER = "dialler"
    LISTENER = "listener"

    @property
    def other(self) -> "Role":
        """The role of the other party."""
        return Role.LISTENER if self is Role.DIALLER else Role.DIALLER


class State(Enum):
    """How far one party has come."""

    NEW = "new"  # it has not said hello
    OPEN = "open"
    CLOSED = "closed"  # the protocol was broken: nothing more is read or said


# Everything that a party may say. A kind that stands in no row of its role and state is an error.
_MAY_SAY: Final[dict[tuple[Role, State], frozenset[Kind]]] = {
    (Role.DIALLER, State.NEW): frozenset({Kind.HELLO}),
    (Role.DIALLER, State.OPEN): frozenset({Kind.REQUEST}),
    (Role.LISTENER, State.NEW): frozenset({Kind.HELLO}),
    (Role.LISTENER, State.OPEN): frozenset({Kind.REPLY, Kind.FAILURE}),
}


class OutOfTurn(RemoteProtocolError):
    """The other node sent what it may not send at this point, so its connection was closed."""


class NoSharedVersion(RemoteProtocolError):
    """The other node speaks no version of the peer protocol that this one speaks: update bits."""


class OtherNetwork(RemoteProtocolError):
    """The other node belongs to another network."""


@attrs.frozen
class HelloReceived:
    """The other party said hello, and both can go on.

    Attributes:
        version: the highest that both speak.
        card: the signed card it showed, not yet verified; None for an anonymous dialler.
    """

    version: int
    card: bytes | None = attrs.field(repr=False)


@attrs.frozen
class RequestReceived:
    """A request that must be answered by `Session.reply` or `Session.fail`."""

    id: int
    request: Request


@attrs.frozen
class UnknownRequestReceived:
    """A request of a class that this version does not have: fail it with UNKNOWN_REQUEST."""

    id: int
    type: int


@attrs.frozen
class MalformedRequestReceived:
    """A request whose body is not of its class: fail it with MALFORMED."""

    id: int
    request: type[Request]


@attrs.frozen
class ReplyReceived:
    """The reply to one of our requests, an instance of its ``REPLY``."""

    id: int
    reply: object


@attrs.frozen
class FailureReceived:
    """One of our requests was not carried out."""

    id: int
    failure: Failure


Event = (
    HelloReceived
    | RequestReceived
    | UnknownRequestReceived
    | MalformedRequestReceived
    | ReplyReceived
    | FailureReceived
)


class Session:
    """One connection, seen from one side.

    Args:
        role: our own.
        network: name of our network.
        requests: classes of requests that we know.
    """

    def __init__(
        self, role: Role, network: str, requests: Collection[type[Request]] = REQUESTS
    ) -> None:
        self._role = role
        self._network = network
        self._requests = {request.TYPE: request for request in requests}
        self._states = {Role.DIALLER: State.NEW, Role.LISTENER: State.NEW}
        # requests under way; None stands for one whose class or body the listener cannot read
        self._under_way: dict[int, type[Request] | None] = {}
        self._last_id = -1
        self._reader = FrameReader()

    @property
    def under_way(self) -> int:
        """How many requests have no answer yet."""
        return len(self._under_way)

    @property
    def frame_begun(self) -> bool:
        """Whether bytes wait that are not read; if `next_event` gave None, a part of a frame."""
        return self._reader.waiting > 0

    # What we hear

    def receive(self, data: bytes) -> None:
        """Take bytes that came; then call `next_event` until it returns None."""
        self._reader.feed(data)

    def next_event(self) -> Event | None:
        """Return the next event, or None until more bytes are received.

        Raises:
            RemoteProtocolError: the other party broke the protocol: close the connection. Any
                other exception is a bug of this class.
        """
        other = self._role.other
        if self._states[other] is State.CLOSED:
            raise OutOfTurn
        try:
            body = self._reader.next()
            return None if body is None else self._hear(from_body(body))
        except RemoteProtocolError:
            self._states = dict.fromkeys(Role, State.CLOSED)
            raise

    def _hear(self, envelope: Envelope) -> Event:
        other = self._role.other
        problem = self._problem(other, envelope)
        if problem:
            raise OutOfTurn(f"The other node broke the peer protocol: {problem}.")
        match envelope.kind:
            case Kind.HELLO:
                return self._hear_hello(envelope)
            case Kind.REQUEST:
                return self._hear_request(envelope)
            case _:
                request = self._under_way.pop(envelope.id)
                if envelope.kind is Kind.FAILURE:
                    return FailureReceived(envelope.id, from_map(Failure, envelope.body))
                # _problem has made sure that the class is known
                return ReplyReceived(envelope.id, from_map(request.REPLY, envelope.body))  # type: ignore[union-attr]

    def _hear_hello(self, envelope: Envelope) -> HelloReceived:
        hello = from_map(Hello, envelope.body)
        shared = set(VERSIONS).intersection(hello.versions)
        if not shared:
            raise NoSharedVersion
        if hello.network != self._network:
            raise OtherNetwork
        if hello.card is None and self._role is Role.DIALLER:
            raise OutOfTurn("The other node showed no card although it was dialled.")
        self._states[self._role.other] = State.OPEN
        return HelloReceived(max(shared), hello.card)

    def _hear_request(self, envelope: Envelope) -> Event:
        self._under_way[envelope.id] = None
        request = self._requests.get(envelope.type)
        if request is None:
            return UnknownRequestReceived(envelope.id, envelope.type)
        try:
            message: Any = from_map(request, envelope.body)
        except BadField:
            return MalformedRequestReceived(envelope.id, request)
        self._under_way[envelope.id] = request
        return RequestReceived(envelope.id, message)

    # What we say: each returns the bytes to send

    def hello(self, card: bytes | None) -> bytes:
        """Say hello; the listener always shows its signed card."""
        if card is None and self._role is Role.LISTENER:
            raise LocalProtocolError("Bug in bits: a listener without a card.")
        data = self._say(Envelope(Kind.HELLO, to_map(Hello(VERSIONS, self._network, card))))
        self._states[self._role] = State.OPEN
        return data

    def request(self, message: Request) -> tuple[int, bytes]:
        """Ask something; returns the id that the answer will have, too."""
        number = self._free_id()
        data = self._say(Envelope(Kind.REQUEST, to_map(message), number, message.TYPE))
        self._under_way[number] = type(message)
        self._last_id = number
        return number, data

    def reply(self, number: int, reply: object) -> bytes:
        """Answer the request of that id with an instance of its ``REPLY``."""
        request = self._under_way.get(number)
        if request is not None and type(reply) is not request.REPLY:
            raise LocalProtocolError(
                f"Bug in bits: {type(reply).__name__} as reply to {request.__name__}."
            )
        data = self._say(Envelope(Kind.REPLY, to_map(reply), number))
        del self._under_way[number]
        return data

    def fail(self, number: int, failure: Failure) -> bytes:
        """Say that the request of that id is not carried out."""
        data = self._say(Envelope(Kind.FAILURE, to_map(failure), number))
        del self._under_way[number]
        return data

    def _say(self, envelope: Envelope) -> bytes:
        problem = self._problem(self._role, envelope)
        if problem:
            raise LocalProtocolError(f"Bug in bits: {problem}.")
        return to_frame(envelope)

    def _free_id(self) -> int:
        number = self._last_id
        while True:
            number = (number + 1) & MAX_ID
            if number not in self._under_way:
                return number

    def _problem(self, speaker: Role, envelope: Envelope) -> str | None:
        """Return why a party may not say this now, or None: the one judge of both parties."""
        state = self._states[speaker]
        if envelope.kind not in _MAY_SAY.get((speaker, state), ()):
            return f"a {envelope.kind.name.lower()} from a {state.value} {speaker.value}"
        under_way = envelope.id in self._under_way
        if envelope.kind is Kind.REQUEST and under_way:
            return "a request with the id of another one under way"
        if envelope.kind in (Kind.REPLY, Kind.FAILURE) and not under_way:
            return f"a {envelope.kind.name.lower()} to no request"
        if envelope.kind is Kind.REPLY and self._under_way[envelope.id] is None:
            return "a reply to a request that cannot be read"
        return None

"""Envelopes: what the body of a frame holds, before anyone looks at the message in it.

A canonical CBOR list whose first item is its kind::

    hello    [0, body]              reply    [2, id, body]
    request  [1, id, type, body]    failure  [3, id, body]
"""

from enum import IntEnum
from typing import Any, Final

import attrs

from bitsnode.errors import RemoteProtocolError
from bitsnode.wire import cbor
from bitsnode.wire.frames import MAX_FRAME, frame

MAX_ID: Final = (1 << 32) - 1  # ids of requests are 32-bit unsigned integers
MAX_TYPE: Final = (1 << 16) - 1  # numbers of request classes


class BadEnvelope(RemoteProtocolError):
    """The other node sent a frame that is no hello, request, reply or failure."""


class Kind(IntEnum):
    """What an envelope holds."""

    HELLO = 0
    REQUEST = 1
    REPLY = 2
    FAILURE = 3


_LENGTHS: Final = {Kind.HELLO: 2, Kind.REQUEST: 4, Kind.REPLY: 3, Kind.FAILURE: 3}


@attrs.frozen
class Envelope:
    """One frame's content.

    Attributes:
        kind: what it is.
        body: the message as a decoded CBOR value, not yet checked.
        id: which request it is or answers, 0 to `MAX_ID`; 0 in a hello.
        type: number of the request's class, 0 to `MAX_TYPE`; 0 in all but a request.
    """

    kind: Kind
    body: Any = attrs.field(repr=False)
    id: int = 0
    type: int = 0


def to_frame(envelope: Envelope) -> bytes:
    """Return the frame that carries an envelope.

    Raises:
        LocalProtocolError: longer than a frame may be.
    """
    match envelope.kind:
        case Kind.HELLO:
            items = [envelope.kind.value, envelope.body]
        case Kind.REQUEST:
            items = [envelope.kind.value, envelope.id, envelope.type, envelope.body]
        case _:
            items = [envelope.kind.value, envelope.id, envelope.body]
    return frame(cbor.encode(items))


def from_body(body: bytes) -> Envelope:
    """Return the envelope in the body of a frame.

    Raises:
        RemoteProtocolError: not canonical CBOR, or `BadEnvelope`.
    """
    items = cbor.decode(body, MAX_FRAME)
    if type(items) is not list or not items or type(items[0]) is not int:
        raise BadEnvelope
    try:
        kind = Kind(items[0])
    except ValueError as error:
        raise BadEnvelope from error
    if len(items) != _LENGTHS[kind]:
        raise BadEnvelope
    if kind is Kind.HELLO:
        return Envelope(kind, items[1])
    number, type_ = items[1], items[2] if kind is Kind.REQUEST else 0
    if not (_is_uint(number, MAX_ID) and _is_uint(type_, MAX_TYPE)):
        raise BadEnvelope
    return Envelope(kind, items[-1], number, type_)


def _is_uint(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most

"""What goes through the pipes between the node and its prover: pure, and all of fixed sizes.

A frame is its length (4 bytes, big-endian) and that many bytes. To the prover: 32-byte words, big
endian: secret, index of the path, message, scope, then the siblings. From it: one byte that says
what it is, and then the number of a stage, the 256 bytes of the points, or nothing.
"""

import enum
import struct
from typing import Final

from zk.circuit import Witness
from zk.lean_imt import MAX_DEPTH, MerklePath
from zk.proof import POINTS, WORD, words

HEADER: Final = struct.Struct(">I")
FIXED_WORDS: Final = 4
MAX_REQUEST: Final = (FIXED_WORDS + MAX_DEPTH) * WORD  # bytes
MAX_REPLY: Final = 1 + POINTS * WORD  # bytes


class FrameError(ValueError):
    """A frame of the prover makes no sense."""


class Stage(enum.IntEnum):
    """How far a proof is."""

    STARTING = 0
    WITNESS = 1
    PROOF = 2
    CHECK = 3


class Kind(enum.IntEnum):
    """What a reply says."""

    STAGE = 0
    POINTS = 1
    REFUSED = 2  # the circuit does not accept the witness
    INVALID = 3  # the proof does not verify
    OUT_OF_MEMORY = 4
    FAILED = 5
    NO_CIRCUIT = 6  # its files are missing, or not the right ones


def request(witness: Witness) -> bytes:
    """Return a request; it is as secret as the witness."""
    numbers = (witness.secret, witness.path.index, witness.message, witness.scope)
    return b"".join(number.to_bytes(WORD, "big") for number in numbers + witness.path.siblings)


def parse_request(body: bytes) -> Witness:
    """Read a request.

    Raises:
        FrameError: its size is wrong.
        ValueError: a number in it is out of range.
    """
    if len(body) % WORD or not FIXED_WORDS * WORD <= len(body) <= MAX_REQUEST:
        raise FrameError
    secret, index, message, scope, *siblings = words(body)
    return Witness(secret, MerklePath(index, tuple(siblings)), message, scope)


def reply(kind: Kind, content: bytes = b"") -> bytes:
    """Return a reply."""
    return bytes([kind]) + content


def parse_reply(body: bytes) -> tuple[Kind, bytes]:
    """Read a reply.

    Raises:
        FrameError: it is of no known kind, or its size is wrong for it.
    """
    sizes = {Kind.STAGE: 1, Kind.POINTS: POINTS * WORD}
    try:
        kind = Kind(body[0])
    except (IndexError, ValueError):
        raise FrameError from None
    if len(body) - 1 != sizes.get(kind, 0):
        raise FrameError
    return kind, body[1:]


def framed(body: bytes) -> bytes:
    """Return a frame."""
    return HEADER.pack(len(body)) + body

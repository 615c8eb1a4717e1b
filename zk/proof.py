"""A Semaphore proof as it travels, with every number in its range.

Each public number has one name: x and x + order are the same to arithmetic that reduces, and
different to a contract that remembers nullifiers. So whatever is out of range is refused when a
proof is made or parsed, before anything is computed.

The 256 bytes of the points can be changed by anybody into other valid ones (Groth16 is malleable).
Nothing may be keyed by them; a spend is known by its nullifier.
"""

from collections.abc import Sequence
from typing import Final, Self

import attrs

from zk.field import ORDER
from zk.lean_imt import MAX_DEPTH
from zk.semaphore import MAX_UINT256, public_signals

DEPTH: Final = MAX_DEPTH  # of the circuit; also of the contract
BASE_ORDER: Final = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47  # EIP-196
POINTS: Final = 8  # words: A, B (imaginary parts first, EIP-197), C
WORD: Final = 32  # bytes, big-endian
PROOF_SIZE: Final = (4 + POINTS) * WORD  # bytes


class InvalidProof(ValueError):
    """This is not a valid proof of membership."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").splitlines()[0]


class MalformedProof(InvalidProof):
    """This is not a proof of membership: it is cut short, or a number in it is out of range."""


class WrongDepth(InvalidProof):
    """This proof of membership is for a circuit of another depth."""


def _in(low: int, limit: int, value: int) -> bool:
    # bool is a kind of int, and so is whatever a decoder makes up
    return type(value) is int and low <= value < limit


@attrs.frozen
class SemaphoreProof:
    """A proof that some member of a group signs a message, once per scope.

    Attributes:
        root: of the group's tree, in [1, order): length beyond the circuit's depth "proves" root 0
            for anybody, so it is no root.
        nullifier: field element.
        message: uint256 that is signed.
        scope: uint256.
        points: eight coordinates below the order of the base field, as the contract takes them:
            A.x, A.y, B.x imaginary, B.x real, B.y imaginary, B.y real, C.x, C.y.
        depth: of the circuit; only 20 is known here.

    Raises:
        WrongDepth: it is another.
        MalformedProof: a number is out of range.
    """

    root: int
    nullifier: int
    message: int
    scope: int
    points: tuple[int, ...] = attrs.field(repr=False)
    depth: int = DEPTH

    def __attrs_post_init__(self) -> None:
        """Check all ranges."""
        if self.depth != DEPTH:
            raise WrongDepth
        fine = (
            _in(1, ORDER, self.root)
            and _in(0, ORDER, self.nullifier)
            and _in(0, MAX_UINT256 + 1, self.message)
            and _in(0, MAX_UINT256 + 1, self.scope)
            and len(self.points) == POINTS
            and all(_in(0, BASE_ORDER, point) for point in self.points)
        )
        if not fine:
            raise MalformedProof

    def public_signals(self) -> Sequence[int]:
        """Return the four public inputs, in the circuit's order."""
        return public_signals(self.root, self.nullifier, self.message, self.scope)

    def points_bytes(self) -> bytes:
        """Return the points as 256 bytes."""
        return b"".join(point.to_bytes(WORD, "big") for point in self.points)

    def encode(self) -> bytes:
        """Return 384 bytes: root, nullifier, message, scope, points."""
        words = (self.root, self.nullifier, self.message, self.scope)
        return b"".join(word.to_bytes(WORD, "big") for word in words) + self.points_bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            MalformedProof: the size is wrong, or a number is out of range.
        """
        if len(data) != PROOF_SIZE:
            raise MalformedProof
        root, nullifier, message, scope, *points = words(data)
        return cls(root, nullifier, message, scope, tuple(points))


def words(data: bytes) -> tuple[int, ...]:
    """Return 32-byte words as numbers."""
    return tuple(int.from_bytes(data[at : at + WORD], "big") for at in range(0, len(data), WORD))

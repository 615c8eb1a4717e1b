"""Erasure coding: any k of the n blocks of a chunk give it back (zfec, Reed-Solomon over GF(256)).

The first k blocks are the ciphertext itself, cut into k and padded with zeros.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import zfec

from bitsnode.codec.errors import CodecError
from bitsnode.codec.merkle import Buffer

USUAL_HOLDERS: Final = 30  # n in a grown network: 10 of 30 is 99.99% at node availability 0.7


class TooFewBlocks(CodecError):
    """There are not enough blocks to rebuild a chunk."""


@attrs.frozen
class Code:
    """How many shares are made and how many are needed.

    Attributes:
        k: shares that rebuild the content.
        n: shares made.
    """

    k: int
    n: int

    @classmethod
    def for_holders(cls, willing: int) -> "Code":
        """Return the code for ``willing`` distinct holders, at least 1."""
        n = min(USUAL_HOLDERS, willing)
        return cls(max(1, n // 3), n)

    @property
    def happiness(self) -> int:
        """How many shares must be stored for a publish to have succeeded: 0.8 n, rounded up."""
        return -(-8 * self.n // 10)

    @property
    def smaller_than_usual(self) -> bool:
        """Whether the network gave fewer holders than a grown one would."""
        return self.n < USUAL_HOLDERS

    def __str__(self) -> str:
        """Return ``k/n``."""
        return f"{self.k}/{self.n}"


def encode(code: Code, cipher: Buffer, wanted: Sequence[int] | None = None) -> list[bytes]:
    """Return the blocks of one chunk's ciphertext.

    Args:
        code: k and n.
        cipher: at least 1 byte.
        wanted: indices of the blocks to make; all n when not given.

    Returns:
        The blocks, in the order of ``wanted``, of ceil(len(cipher) / k) bytes each.
    """
    size = -(-len(cipher) // code.k)
    padded = bytes(cipher).ljust(size * code.k, b"\x00")
    pieces = tuple(padded[at : at + size] for at in range(0, len(padded), size))
    numbers = tuple(range(code.n)) if wanted is None else tuple(wanted)
    if all(number < code.k for number in numbers):
        return [pieces[number] for number in numbers]
    return list(_encoder(code.k, code.n).encode(pieces, numbers))


def decode(code: Code, blocks: Mapping[int, Buffer], length: int) -> bytes:
    """Return the ciphertext of one chunk.

    Args:
        code: k and n.
        blocks: at least k verified blocks by their index, all of the same size.
        length: bytes of the ciphertext.

    Raises:
        TooFewBlocks: fewer than k.
    """
    if len(blocks) < code.k:
        raise TooFewBlocks
    # the lowest indices first: primary blocks need no arithmetic
    numbers = tuple(sorted(blocks)[: code.k])
    pieces = tuple(blocks[number] for number in numbers)
    if numbers[-1] >= code.k:
        pieces = tuple(_decoder(code.k, code.n).decode(pieces, numbers))
    return b"".join(pieces)[:length]


@functools.lru_cache(maxsize=8)
def _encoder(k: int, n: int) -> zfec.Encoder:
    return zfec.Encoder(k, n)


@functools.lru_cache(maxsize=8)
def _decoder(k: int, n: int) -> zfec.Decoder:
    return zfec.Decoder(k, n)

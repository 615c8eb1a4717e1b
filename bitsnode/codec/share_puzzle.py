"""The puzzle that pays for storing a share: its price grows with the share's size.

proof = SHA-256(context ‖ holder's onion key ‖ storage index ‖ u16 BE index ‖ whitened root ‖
nonce), read as a big-endian integer, must be less than 2^256 / (2^bits · max(1, MiB)), where MiB
is the size of the share rounded up. It names the holder and the bytes, so no work serves twice.
"""

import hashlib
import struct
from typing import Final, Protocol

import attrs

from bitsnode.codec.errors import UnpaidShare
from bitsnode.ids import Context

NONCE_SIZE: Final = 16  # bytes
MIB: Final = 1 << 20  # bytes
SLICE: Final = 1 << 14  # nonces tried in one call by default, about 10 ms


class Puzzle(Protocol):
    """Something to be solved by trying nonces."""

    @property
    def bound(self) -> int:
        """What the proof must be less than."""

    @property
    def prefix(self) -> bytes:
        """What is hashed before the nonce."""


@attrs.frozen
class SharePuzzle:
    """What a holder asks to be solved for one share.

    Attributes:
        onion_key: of the holder, 32 bytes.
        storage_index: 32 bytes.
        index: of the share, 0 to 255.
        whitened_root: 32 bytes.
        size: bytes of the share.
        bits: difficulty per MiB: 2**bits tries on average.
    """

    onion_key: bytes
    storage_index: bytes
    index: int
    whitened_root: bytes
    size: int
    bits: int

    @property
    def bound(self) -> int:
        """What the proof must be less than."""
        return (1 << 256) // ((1 << self.bits) * max(1, -(-self.size // MIB)))

    @property
    def prefix(self) -> bytes:
        """What is hashed before the nonce."""
        index = struct.pack(">H", self.index)
        parts = (self.onion_key, self.storage_index, index, self.whitened_root)
        return b"".join((Context.SHARE_PUZZLE, *parts))


def check(puzzle: Puzzle, nonce: bytes) -> None:
    """Check a solution at the price of one hash.

    Raises:
        UnpaidShare: the nonce has not 16 bytes or does not solve the puzzle.
    """
    proof = hashlib.sha256(puzzle.prefix + nonce).digest()
    if len(nonce) != NONCE_SIZE or int.from_bytes(proof, "big") >= puzzle.bound:
        raise UnpaidShare


def solve(puzzle: Puzzle, start: int = 0, tries: int = SLICE) -> bytes | None:
    """Look for a solution, one slice at a time, so that the caller can give up in between.

    Args:
        puzzle: what to solve.
        start: first counter to try; go on from ``start + tries`` when none was found.
        tries: counters to try.

    Returns:
        A nonce of 16 bytes, or None.
    """
    bound = puzzle.bound.to_bytes(33, "big")
    base = hashlib.sha256(puzzle.prefix)
    for counter in range(start, start + tries):
        nonce = struct.pack(">QQ", 0, counter)
        attempt = base.copy()
        attempt.update(nonce)
        if b"\x00" + attempt.digest() < bound:
            return nonce
    return None

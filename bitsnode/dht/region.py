"""Which parts of the keyspace to walk to, so as to find all nodes of a region. Pure.

Around a key that somebody has surrounded, every node names the nearest, and these are the
attacker's. So the region where k honest nodes are expected is cut into halves, and halves of
halves, each looked up at a point of its own, until each shows fewer than k nodes of its own or
is too small to hold an honest one.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from bitsnode.ids import ID_BITS
from bitsnode.wire.messages import K

MAX_WALKS: Final = 24  # of one region; without a flood of identities some ten do
LEAST_EXPECTED: Final = 0.5  # nodes expected in a part that is still looked at


class Region:
    """The cutting up of one region.

    Args:
        key: its centre, 32 bytes.
        bits: of the prefix that its ids share with the key.
        nodes: how many there are in the whole network.
    """

    def __init__(self, key: bytes, bits: int, nodes: float) -> None:
        self._key = int.from_bytes(key, "big")
        self._bits = bits
        self._nodes = nodes
        self._walks = 0
        self._waiting: deque[tuple[int, int]] = deque()  # prefix, its bits
        self._split(self._key >> (ID_BITS - bits), bits)
        self._part: tuple[int, int] | None = None

    def next(self, noise: bytes) -> bytes | None:
        """Return the next point to walk to, or None when all is covered.

        Args:
            noise: 32 random bytes, which choose the point within its part.
        """
        if not self._waiting or self._walks >= MAX_WALKS:
            return None
        self._walks += 1
        self._part = self._waiting.popleft()
        prefix, bits = self._part
        free = int.from_bytes(noise, "big") & ((1 << (ID_BITS - bits)) - 1)
        return ((prefix << (ID_BITS - bits)) | free).to_bytes(ID_BITS // 8, "big")

    def found(self, nearest: Iterable[bytes]) -> None:
        """Take the ids of the up to k nearest of the last point: a part full of them is cut."""
        if self._part is None:
            return
        prefix, bits = self._part
        inside = sum(int.from_bytes(one, "big") >> (ID_BITS - bits) == prefix for one in nearest)
        if inside >= K:
            self._split(prefix, bits)

    def holds(self, node_id: bytes) -> bool:
        """Return whether an id lies in the region."""
        shift = ID_BITS - self._bits
        return int.from_bytes(node_id, "big") >> shift == self._key >> shift

    def _split(self, prefix: int, bits: int) -> None:
        if self._nodes / 2.0 ** (bits + 1) >= LEAST_EXPECTED:
            self._waiting.append((2 * prefix, bits + 1))
            self._waiting.append((2 * prefix + 1, bits + 1))

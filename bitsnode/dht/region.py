"""Which parts of the keyspace to walk to, so as to find all nodes of a region. Pure.

Around a key that somebody has surrounded, every node names the nearest, and these are the
attacker's. So the region where k honest nodes are expected is cut into halves, and halves of
halves, each looked up at a point of its own, until each shows fewer than k nodes of its own or
is too small to hold an honest one. Parts that do not depend on each other are walked to at the
same time: what the walk to the key itself found already cuts all parts that the key lies in.
"""

from collections.abc import Collection
from typing import Final

import attrs

from bitsnode.ids import ID_BITS
from bitsnode.wire.messages import K

MAX_WALKS: Final = 24  # of one region; without a flood of identities some five do
LEAST_EXPECTED: Final = 0.5  # nodes expected in a part that is still looked at


@attrs.frozen
class Part:
    """All ids that begin with the same bits.

    Attributes:
        prefix: these bits, as an integer.
        bits: how many they are.
    """

    prefix: int
    bits: int

    def holds(self, node_id: bytes) -> bool:
        """Return whether an id (32 bytes) lies in it."""
        return int.from_bytes(node_id, "big") >> (ID_BITS - self.bits) == self.prefix

    def halves(self) -> "tuple[Part, Part]":
        """Return its two halves."""
        bits = self.bits + 1
        return Part(2 * self.prefix, bits), Part(2 * self.prefix + 1, bits)


class Region:
    """The cutting up of one region.

    Args:
        key: its centre, 32 bytes.
        bits: of the prefix that its ids share with the key.
        nodes: how many there are in the whole network.
    """

    def __init__(self, key: bytes, bits: int, nodes: float) -> None:
        self._key = key
        self._whole = Part(int.from_bytes(key, "big") >> (ID_BITS - bits), bits)
        self._nodes = nodes
        self._walks = 0

    def begin(self, nearest: Collection[bytes]) -> list[Part]:
        """Return the parts to walk to first.

        Args:
            nearest: ids of the up to k nearest to the key itself.
        """
        parts = []
        around = self._whole
        while halves := self.found(around, nearest):
            here = halves[0] if halves[0].holds(self._key) else halves[1]
            parts.append(halves[1] if here is halves[0] else halves[0])
            around = here
        return parts

    def point(self, part: Part, noise: bytes) -> bytes | None:
        """Return the point of a part to walk to, or None when there were walks enough.

        Args:
            part: that `begin` or `found` gave.
            noise: 32 random bytes, which choose the point within its part.
        """
        if self._walks >= MAX_WALKS:
            return None
        self._walks += 1
        free = int.from_bytes(noise, "big") & ((1 << (ID_BITS - part.bits)) - 1)
        return ((part.prefix << (ID_BITS - part.bits)) | free).to_bytes(ID_BITS // 8, "big")

    def found(self, part: Part, nearest: Collection[bytes]) -> tuple[Part, ...]:
        """Return the halves of a part that has more nodes than one walk shows, or nothing.

        Args:
            part: where the point lies.
            nearest: ids of the up to k nearest to it that answered.
        """
        full = sum(part.holds(one) for one in nearest) >= K
        worth = self._nodes / 2.0 ** (part.bits + 1) >= LEAST_EXPECTED
        return part.halves() if full and worth else ()

    def holds(self, node_id: bytes) -> bool:
        """Return whether an id lies in the region."""
        return self._whole.holds(node_id)

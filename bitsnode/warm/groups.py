"""Which nodes and keys belong together: those whose first bits are the same. Pure.

The idea is that of Kelips (Gupta et al., "Building an Efficient and Stable P2P DHT through
Increased Memory and Background Overhead", 2003): who knows a few nodes of every group finds
any record in one step, and every member of a group knows all that is filed in it.
"""

import math
from typing import Final

from bitsnode.ids import DIGEST_SIZE, ID_BITS

SLACK: Final = 1.25  # times that an estimate must pass a limit before the groups change
# An index reckons with so many times fewer nodes than a question does. Nodes differ in how many
# they think there are; who is asked must have what the asker takes to be of its group.
KEPT: Final = 2.0


def group_bits(nodes: float, least_nodes: int, most_bits: int) -> int:
    """Return how many bits the ids of a group share.

    Args:
        nodes: how many there seem to be.
        least_nodes: that a group should have.
        most_bits: limit of the result.
    """
    if nodes < 2 * least_nodes:
        return 0
    return min(most_bits, math.floor(math.log2(nodes / least_nodes)))


def settled_bits(before: int, nodes: float, least_nodes: int, most_bits: int) -> int:
    """Return the bits of the groups, which stay as they were while an estimate only wavers.

    Args:
        before: bits until now.
        nodes: the estimate now.
        least_nodes: see `group_bits`.
        most_bits: see `group_bits`.
    """
    low = group_bits(nodes / SLACK, least_nodes, most_bits)
    high = group_bits(nodes * SLACK, least_nodes, most_bits)
    return before if low <= before <= high else group_bits(nodes, least_nodes, most_bits)


def kept_bits(before: int, nodes: float, least_nodes: int, most_bits: int) -> int:
    """Return the bits of what an index holds: the group, and most often its other half as well.

    Args:
        before: bits until now.
        nodes: the estimate now.
        least_nodes: see `group_bits`.
        most_bits: see `group_bits`.
    """
    return settled_bits(before, nodes / KEPT, least_nodes, most_bits)


def group_of(point: bytes, bits: int) -> int:
    """Return the group of a point (32 bytes): its first ``bits`` bits as a number."""
    return int.from_bytes(point, "big") >> (ID_BITS - bits)


def point_in(group: int, bits: int, noise: bytes) -> bytes:
    """Return the point of a group that 32 random bytes choose."""
    free = ID_BITS - bits
    low = int.from_bytes(noise, "big") & ((1 << free) - 1)
    return (group << free | low).to_bytes(DIGEST_SIZE, "big")


def shared_bits(one: bytes, other: bytes) -> int:
    """Return how many of their first bits two points (32 bytes) share."""
    gap = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return ID_BITS - gap.bit_length()


def near_depths(nodes: float, bits: int, k: int) -> range:
    """Return the numbers of bits shared with us that parts of our group are told apart by.

    They end where k nodes are left: those know one another, and keep the same records.

    Args:
        nodes: how many there seem to be.
        bits: of a group.
        k: nodes that keep a record.
    """
    deepest = math.floor(math.log2(nodes / k)) if nodes > k else 0
    return range(bits, max(bits, deepest))

"""Parts of the keyspace in which links are wanted, and how many of them in each. Pure."""

import attrs

from bitsnode.ids import ID_BITS
from bitsnode.warm.groups import near_depths
from bitsnode.warm.plan import Plan
from bitsnode.wire.messages import K


@attrs.frozen
class Place:
    """All points that begin with the same bits.

    Attributes:
        bits: how many.
        prefix: these bits as a number.
    """

    bits: int
    prefix: int

    def holds(self, point: bytes) -> bool:
        """Return whether a point (32 bytes) is in it."""
        return int.from_bytes(point, "big") >> (ID_BITS - self.bits) == self.prefix


def wanted_places(plan: Plan, bits: int, nodes: float, own_id: bytes | None) -> dict[Place, int]:
    """Return where links are wanted and how many: in every group, and in parts nearer to us.

    Over the latter we hand on questions of others, so a node without a place has none.

    Args:
        plan: the numbers.
        bits: of a group.
        nodes: how many there seem to be.
        own_id: our node id, 32 bytes; None for a client.
    """
    others = int(nodes) - 1 if own_id is not None else int(nodes)
    each = min(max(plan.links, -(-plan.least // (1 << bits))), max(1, others >> bits))
    wanted = {Place(bits, group): each for group in range(1 << bits)}
    if own_id is not None:
        own = int.from_bytes(own_id, "big")
        for depth in near_depths(nodes, bits, K):
            part = (
                own >> (ID_BITS - depth - 1)
            ) ^ 1  # shares `depth` bits with us, and not the next
            wanted[Place(depth + 1, part)] = plan.near
    return wanted

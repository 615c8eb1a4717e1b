"""What warm links cost while nobody asks: formulas, in bits a second.

Counted is all that passes between a node and its guard for the sake of warm links, both ways, for
its own links and for those that others have to it.
"""

import math

import attrs

from bitsnode.dht.upkeep import REFRESH_SECONDS
from tests.sim.analytic_ask import NEAREST
from tests.sim.analytic_plan import (
    BULK,
    CARDS_BYTES,
    DIAL_BYTES,
    DIALLED_BYTES,
    ID_BYTES,
    LONE_CELL,
    RECORD_BYTES,
    RECORD_LIFE,
    SESSION_MEAN,
    WALK_DIALS,
    WALK_QUESTIONS,
    Network,
    Plan,
    link_life,
    supply,
    survival,
    vain_share,
)

KILOBIT = 8 / 1000  # of a byte


@attrs.frozen
class Upkeep:
    """Kilobits a second, by what they are for.

    Attributes:
        pings: of links, asked and answered.
        dials: for links whose time has come or whose node is gone.
        candidates: walks for nodes to open the next links to.
        gossip: looks at the indices of neighbours, and records that are new.
        newcomers: indices that nodes take in when they come, and the same given.
    """

    pings: float
    dials: float
    candidates: float
    gossip: float
    newcomers: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.pings + self.dials + self.candidates + self.gossip + self.newcomers


def index_bytes(plan: Plan, network: Network) -> float:
    """Return the bytes of records that a member keeps for its group."""
    ours = network.nodes * network.records * plan.kept_share(network.nodes)
    return min(plan.index, ours * RECORD_BYTES)


def index_share(plan: Plan, network: Network) -> float:
    """Return which share of its group's records a member has room for."""
    ours = network.nodes * network.records * plan.kept_share(network.nodes) * RECORD_BYTES
    return min(1.0, plan.index / ours) if ours else 1.0


def links(plan: Plan, network: Network) -> int:
    """Return how many links a node opens."""
    groups = plan.groups(network.nodes)
    depth = max(0, math.ceil(math.log2(network.nodes / groups / NEAREST)))
    each = max(plan.links, math.ceil(plan.least / groups))
    return each * groups + plan.near * depth


def upkeep(plan: Plan, network: Network) -> Upkeep:
    """Return what a storage node pays."""
    opened = links(plan, network)
    served = opened * (1 + network.clients)
    pings = (opened + served) * 2 * LONE_CELL / plan.ping
    each = 1 / link_life(plan) / (1 - vain_share(plan))  # dials a second for a link
    dialled = each * (opened * DIAL_BYTES + served * DIALLED_BYTES)
    walks = extra_walks(plan, network)
    walk = WALK_DIALS * (DIAL_BYTES + DIALLED_BYTES)
    walk += WALK_QUESTIONS * (1 + network.clients / 2) * 2 * CARDS_BYTES
    return Upkeep(
        pings=pings * KILOBIT,
        dials=dialled * KILOBIT,
        candidates=walks * walk * KILOBIT,
        gossip=_gossip(plan, network),
        newcomers=_newcomers(plan, network),
    )


def extra_walks(plan: Plan, network: Network) -> float:
    """Return how many walks a second are made for candidates alone.

    The DHT walks to a point in each bucket once an hour anyway, and the nodes found are remembered.
    The far half of the groups is one bucket, the next quarter another; our own group needs none.
    """
    bits = plan.bits(network.nodes)
    needed = [2 ** (bits - 1 - bucket) / supply(plan) for bucket in range(bits)]
    return sum(max(0.0, need - 1 / REFRESH_SECONDS) for need in needed)


def _gossip(plan: Plan, network: Network) -> float:
    """Return kbit/s of looks at neighbours' indices, and of new records.

    A look is a cell and its answer is one, new or not. Each record is pulled once and given once;
    its id crosses each edge in both directions.
    """
    index = index_bytes(plan, network)
    new = index / RECORD_BYTES / RECORD_LIFE  # records a second
    edges = 2 * plan.neighbours  # those followed, and as many that follow us
    looks = edges * 2 * LONE_CELL / plan.announce
    ids = new * edges * ID_BYTES * BULK
    pulled = new * 2 * RECORD_BYTES * BULK
    return (looks + ids + pulled) * KILOBIT


def _newcomers(plan: Plan, network: Network) -> float:
    """Return kbit/s of indices taken in at the start of sessions, and as much given."""
    index = index_bytes(plan, network)
    fresh = survival(plan.mature) * index
    ids = index / RECORD_BYTES * ID_BYTES  # to see what is missing
    back = ids + min(1.0, network.absence / RECORD_LIFE) * index
    each = network.newborn * fresh + (1 - network.newborn) * back
    return 2 * each * BULK / SESSION_MEAN * KILOBIT

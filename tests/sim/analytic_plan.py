"""What the warm links are and cost, as numbers: those chosen, those measured, those assumed.

| what | number | source |
|---|---|---|
| a dial | 40 kB at the side that dials, 6.5 kB at the other | tor's own count (`GETINFO traffic/…`) over nine dials with descriptors on a private network of tor 0.4.9.11: directory, introduction and rendezvous circuits, descriptor of 15 kB |
| a lone cell | 590 bytes | 514 of the cell (tor-spec, "Cells"), 22 of TLS 1.3, 52 of TCP and IP |
| much data | 1.09 bytes for each | 498 of the 514 bytes of a cell are data; headers as above, in full packets |
| a record | 640 bytes | of providers and placements as published on a localnet: some 300 to 1,100 |
| life of a record | 30 days | the lease that publishers ask for; holders repeat the same bytes, so gossip meets each record once |
| retransmission | 1.1 s | RFC 6298: 450 ms + 4 times the mean deviation of 160 ms |
| sessions, round trips, cold contacts | | `tests/sim/models.py` |
"""  # noqa: E501

import math
from collections.abc import Callable
from functools import cache
from typing import Final

import attrs

from bitsnode.warm.groups import KEPT
from bitsnode.warm.plan import PLAN
from tests.sim.models import SESSION_SCALE, SESSION_SHAPE

LOSS: Final = 0.02  # of segments, each way
RETRANSMIT: Final = 1.1  # seconds that a lost segment is late
LONE_CELL: Final = 610  # bytes on the wire
BULK: Final = 1.12  # bytes on the wire for a byte of data
DIAL_BYTES: Final = 42_000  # at the side that dials
DIALLED_BYTES: Final = 7_000  # at the other
CARDS_BYTES: Final = 9_000  # of a question for contacts: 20 cards of some 380 bytes
WALK_QUESTIONS: Final = 40
WALK_DIALS: Final = 25  # of a walk, whose other questions go over circuits that are open
RECORD_BYTES: Final = 640
RECORD_LIFE: Final = 30 * 86_400.0  # seconds
ID_BYTES: Final = 8  # of a record in an announcement, or in a comparison of two indices
STEPS: Final = 1_000  # of numeric integrals
AGES: Final = 16  # of links, that means are taken over
SESSION_MEAN: Final = SESSION_SCALE * math.gamma(1 + 1 / SESSION_SHAPE)  # seconds


@attrs.frozen
class Plan:
    """What the warm room does: the numbers of `bitsnode.warm.plan` that the model knows.

    Attributes:
        links: to each group that a question uses.
        least: in all, where there are few groups.
        near: links to each part of the own group, over which questions are handed on.
        known: nodes of a group that a walk yields, of which links are drawn until they are gone.
        most_bits: of the names of groups.
        members: a group has twice as many at most, until there are 2^most_bits groups.
        kept: times that an index reckons with fewer nodes than a question.
        ping: seconds between two pings of a link.
        ping_limit: seconds after which a ping counts as lost.
        redial: seconds from there until another link is open.
        shortest, longest: seconds that a link is kept.
        grace: seconds that others are waited for after a first record.
        feed_grace: the same where records grow old, and all are heard.
        patience: seconds without a record after which the next tier is begun beside.
        far_patience: the same for the recursive tier.
        paths: of a recursive question: nodes of other groups that are asked to ask for us.
        fan: links to the key's group that each of them asks.
        neighbours: of the own group to whom this node opened a link for gossip.
        announce: seconds between two looks at a neighbour's index.
        index: bytes of records of the own group that are kept at most.
        mature: seconds that a node must be up before it takes in an index it does not have.
    """

    links: int = PLAN.links
    least: int = PLAN.least
    near: int = PLAN.near
    known: int = PLAN.kept_cards
    most_bits: int = PLAN.group_bits
    members: int = PLAN.group_nodes
    kept: float = KEPT
    ping: float = PLAN.ping
    ping_limit: float = PLAN.ping_answer
    redial: float = 20.0
    shortest: float = PLAN.life[0]
    longest: float = PLAN.life[1]
    grace: float = PLAN.grace
    feed_grace: float = PLAN.feed_grace
    patience: float = PLAN.group_most
    far_patience: float = PLAN.seek_seconds(PLAN.hops)
    paths: int = PLAN.nearest + PLAN.others
    fan: int = PLAN.last
    neighbours: int = PLAN.neighbours
    announce: float = PLAN.poll
    index: int = PLAN.index_bytes
    mature: float = PLAN.settled

    def bits(self, nodes: float) -> int:
        """Return how many bits name a group."""
        return max(0, min(self.most_bits, math.floor(math.log2(nodes / self.members))))

    def groups(self, nodes: float) -> int:
        """Return how many groups there are."""
        return 1 << self.bits(nodes)

    def kept_share(self, nodes: int) -> float:
        """Return which share of all records an index would hold if it had room."""
        return 1 / self.groups(nodes / self.kept)


@attrs.frozen
class Network:
    """What the warm room meets.

    Attributes:
        nodes: that are there.
        sybils: share of the nodes that are hostile.
        biased: whether candidates for links are named by one node each, so that a Sybil may name
            Sybils only; else each is drawn from all nodes.
        blackholes: share of all links that suddenly carry nothing, before any ping.
        lie: what Sybils answer: "nothing", or "old" records, or "silence".
        records: for each node, that some index holds.
        clients: that open links and answer none, for each node.
        newborn: share of sessions that begin without the index of an earlier one.
        absence: seconds that a node was away whose index is on its disk.
        vain: share of the contacts of a plain walk that are not there.
        coverage: share of the records of a group that an honest member has.
    """

    nodes: int = 1_000_000
    sybils: float = 0.0
    biased: bool = False
    blackholes: float = 0.0
    lie: str = "nothing"
    records: float = 4.0
    clients: float = 0.0
    newborn: float = 0.2
    absence: float = 8 * 3600.0
    vain: float = 0.0
    coverage: float = 0.98

    @property
    def hostile(self) -> float:
        """Share of links that lead to Sybils."""
        return 1 - (1 - self.sybils) ** 2 if self.biased else self.sybils


def survival(age: float) -> float:
    """Return the share of sessions that last at least this many seconds."""
    return math.exp(-((age / SESSION_SCALE) ** SESSION_SHAPE))


def life_left(most: float) -> float:
    """Return the mean of the seconds that a node drawn from the living stays, cut at ``most``.

    It stays longer than x with probability ∫_x^∞ S / E, as renewal theory has it.
    """
    step = most / STEPS
    gone = mean = 0.0
    for number in range(STEPS):
        mean += (1 - gone) * step
        gone += survival((number + 0.5) * step) * step / SESSION_MEAN
    return mean


def gone_by(age: float) -> float:
    """Return the chance that a node drawn from the living is gone after this many seconds."""
    step = age / STEPS
    return sum(survival((n + 0.5) * step) for n in range(STEPS)) * step / SESSION_MEAN


def _mean_over_ages(plan: Plan, of: Callable[[float], float]) -> float:
    """Return the mean of something over the ages at which links are given up."""
    width = (plan.longest - plan.shortest) / AGES
    return sum(of(plan.shortest + (n + 0.5) * width) for n in range(AGES)) / AGES


@cache
def link_life(plan: Plan) -> float:
    """Return the mean seconds of a link: until its node is gone, or its time has come."""
    return _mean_over_ages(plan, life_left)


@cache
def death_share(plan: Plan) -> float:
    """Return the share of links that end because their node is gone."""
    return _mean_over_ages(plan, gone_by)


@cache
def dead_share(plan: Plan) -> float:
    """Return the share of links that carry nothing, because nobody has noticed yet.

    A node that is gone without a word is missed half a ping later on average; the time until
    another link is open counts as well.
    """
    lost = death_share(plan) * (plan.ping / 2 + plan.ping_limit + plan.redial)
    return lost / (link_life(plan) + lost)


@cache
def supply(plan: Plan) -> float:
    """Return the seconds for which the nodes that one walk yields give links to a group."""
    enough = 1 - (plan.links + 1) / plan.known
    low, high = 0.0, 30 * 86_400.0
    for _ in range(40):
        middle = (low + high) / 2
        if gone_by(middle) < enough:
            low = middle
        else:
            high = middle
    return high


@cache
def vain_share(plan: Plan) -> float:
    """Return the share of dials for links that reach nobody: each node known fails once."""
    vain = plan.known - plan.links - 1
    return vain / (vain + plan.links * supply(plan) / link_life(plan))

"""How long one question takes, by the three tiers: drawn many times, and partly by formula."""

import math
import random
from collections.abc import Iterator
from heapq import heapreplace

import attrs

from tests.sim.analytic_plan import LOSS, RETRANSMIT, Network, Plan, dead_share
from tests.sim.models import LEAST_ROUND_TRIP, ROUND_TRIP, Times

WARM, RECURSIVE, WALK, NOBODY = "warm", "recursive", "walk", "nobody"
FRESH, OLD, NOTHING = 2, 1, 0  # what an answer holds
NEVER = math.inf
DOORS = 3  # addresses that a newcomer is given
FIRST_DIALS = 20  # that the dial budget allows at once, by its burst of 60 circuits
CONNECT = 60.0  # seconds after which a cold contact is given up
WALK_AT_ONCE = 12  # questions of a walk: three on each of four paths
NEAREST = 20  # that a walk asks at its end
# Hops of a plain walk, 1 + log2(n / 20) / 4: 1.9 at 50 to 200 nodes in the simulator, whose
# tables know 20 nodes of each half, so that a hop gains the bits of the nearest of 20.
GAIN = 4.0
WALK_FINDS = 0.999  # what the simulator's walks found in all


@attrs.frozen
class Answer:
    """What a question came to.

    Attributes:
        tier: that found it, or NOBODY.
        seconds: until the asker went on with it.
        fresh: whether the newest record was there, not only an old one.
    """

    tier: str
    seconds: float
    fresh: bool


class Asker:
    """Draws answers.

    Args:
        plan: of the warm room.
        network: it lives in.
        draws: a seeded source.
    """

    def __init__(self, plan: Plan, network: Network, draws: random.Random) -> None:
        self._plan = plan
        self._network = network
        self._draws = draws
        self._times = Times(draws)
        self._dead = dead_share(plan)
        self._lied = False  # whether the last node met was a Sybil

    def ask(self) -> Answer:
        """Draw one question: a tier that is silent for too long is joined by the next."""
        warm = self._warm()
        if warm.tier != NOBODY and warm.seconds <= self._plan.patience:
            return warm
        begun = min(warm.seconds, self._plan.patience)
        far = self._recursive(begun)
        found = [one for one in (warm, far) if one.tier != NOBODY]
        if found:
            return min(found, key=lambda answer: answer.seconds)
        if self._draws.random() < WALK_FINDS:
            return Answer(WALK, far.seconds + self.walk(), True)
        return Answer(NOBODY, far.seconds + self.walk(), False)

    def _warm(self) -> Answer:
        answers = [self._link() for _ in range(self._plan.links)]
        return self._settle(answers, WARM, self._plan.patience)

    def _settle(self, answers: list[tuple[float, int]], tier: str, patience: float) -> Answer:
        """Return when the asker goes on, and with what, given (seconds, what) of each asked."""
        answers.sort()
        records = [one for one in answers if one[1] != NOTHING]
        if not records:
            return Answer(NOBODY, min(answers[-1][0], patience), False)
        feed = self._network.lie == "old"  # only a feed's records grow old
        grace = self._plan.feed_grace if feed else self._plan.grace
        end = min(answers[-1][0], records[0][0] + grace)
        if not feed and len(records) > 1:  # a second one agrees
            end = min(end, records[1][0])
        fresh = any(what == FRESH and seconds <= end for seconds, what in records)
        return Answer(tier, end, fresh)

    def _link(self) -> tuple[float, int]:
        """Draw what comes back over one link, and when."""
        what = self._met()
        return (NEVER if what is None else self.round_trip()), what or NOTHING

    def _met(self) -> int | None:
        """Draw what the node at the end of a link answers; None is silence."""
        network, draws = self._network, self._draws
        if draws.random() < self._dead or draws.random() < network.blackholes:
            return None
        self._lied = draws.random() < network.hostile
        if self._lied:
            return {"nothing": NOTHING, "old": OLD, "silence": None}[network.lie]
        return FRESH if draws.random() < network.coverage else NOTHING

    def _recursive(self, begun: float) -> Answer:
        paths = [self._path(begun) for _ in range(self._plan.paths)]
        return self._settle(paths, RECURSIVE, begun + self._plan.far_patience)

    def _path(self, begun: float) -> tuple[float, int]:
        """Draw a path: to a node of another group, which asks its own links to the key's group."""
        first = self._link()
        if first[0] == NEVER or self._lied:
            return begun + first[0], first[1]
        asked = [self._link() for _ in range(self._plan.fan)]
        records = [one for one in asked if one[1] != NOTHING]
        seconds, what = min(records) if records else (max(asked)[0], NOTHING)
        return begun + first[0] + seconds, what

    def round_trip(self) -> float:
        """Draw a question and its answer; the loss of either stalls it."""
        seconds = self._times.round_trip()
        for _ in range(2):
            if self._draws.random() < LOSS:
                seconds += RETRANSMIT
        return seconds

    def walk(self) -> float:
        """Draw a plain walk over cold circuits: hops, then the nearest twenty."""
        nodes = self._network.nodes
        hops = 1 + max(0.0, math.log2(nodes / NEAREST)) / GAIN
        at = 0.0
        for _ in range(int(hops - 1 + self._draws.random())):
            at += min(self._cold() for _ in range(3))
        slots = [at] * WALK_AT_ONCE
        for _ in range(NEAREST):
            heapreplace(slots, slots[0] + self._cold())
        return max(slots)

    def _cold(self) -> float:
        if self._draws.random() < self._network.vain:
            return CONNECT
        return self._reached() + self.round_trip()

    def _reached(self) -> float:
        return min(CONNECT, self._times.cold())

    def first_answer(self, *, newcomer: bool) -> float:
        """Draw the seconds from a ready tor to the first answer.

        Dials in hand go to random groups, a burst at once; whoever is reached first is asked to
        ask for us. A newcomer must first be told of nodes by the fastest of the doors it knows.
        """
        at = min(self._cold() for _ in range(DOORS)) if newcomer else 0.0
        at += min(self._cold() for _ in range(FIRST_DIALS))
        while True:
            seconds, what = self._path(at)
            if what == FRESH:
                return seconds
            at = min(seconds, at + self._plan.patience)


def draw(plan: Plan, network: Network, count: int, seed: int) -> Iterator[Answer]:
    """Draw this many questions."""
    asker = Asker(plan, network, random.Random(seed))
    return (asker.ask() for _ in range(count))


def round_trip_by(seconds: float) -> float:
    """Return the chance that a question over one link is answered by then."""
    mean, deviation = ROUND_TRIP

    def plain(limit: float) -> float:
        if limit < LEAST_ROUND_TRIP:
            return 0.0
        return 0.5 * (1 + math.erf((limit - mean) / (deviation * math.sqrt(2))))

    once, twice = 2 * LOSS * (1 - LOSS), LOSS**2
    return (
        (1 - LOSS) ** 2 * plain(seconds)
        + once * plain(seconds - RETRANSMIT)
        + twice * plain(seconds - 2 * RETRANSMIT)
    )


def record_by(plan: Plan, network: Network, seconds: float) -> float:
    """Return the chance that a true record has come over some link of the group by then."""
    good = (1 - dead_share(plan)) * (1 - network.blackholes) * (1 - network.hostile)
    return 1 - (1 - good * network.coverage * round_trip_by(seconds)) ** plan.links


def record_percentile(plan: Plan, network: Network, share: float) -> float:
    """Return by when a record has come to this share of the questions; inf where it never does."""
    low, high = 0.0, 60.0
    if record_by(plan, network, high) < share:
        return NEVER
    for _ in range(60):
        middle = (low + high) / 2
        if record_by(plan, network, middle) < share:
            low = middle
        else:
            high = middle
    return high

"""Nodes that leave for good, and nodes that come back with their disk; and what follows for files.

| what | model | source |
|---|---|---|
| session | Weibull, shape 0.52, scale 1.94 h, times ``longer`` | as in `models.py` |
| rest of the session of a node that is there at the beginning | what is left of a session looked at at a random moment: scale · G^(1/shape), G of a gamma law of shape 1/shape | renewal theory: the density of what is left is P(session > t) / mean |
| share of sessions that end for good | a quarter | assumed |
| time away, of the others | exponential, 8 h on average | assumed, as in the model of warm links |
"""  # noqa: E501

import math
import random
from itertools import accumulate
from typing import Final

import attrs

from tests.sim.content_world import ContentWorld, StoringNode
from tests.sim.models import SESSION_SCALE, SESSION_SHAPE

HISTORIES: Final = 20_000  # nodes drawn to learn how many are there: ± 0.4 % of them at most
STEP: Final = 300.0  # seconds between two looks at them


@attrs.frozen
class Stay:
    """How long nodes stay and are away.

    Attributes:
        longer: by which sessions are longer than those of file sharers.
        gone: share of sessions that end for good.
        away: seconds on average until another begins.
    """

    longer: float = 1.0
    gone: float = 0.25
    away: float = 8 * 3600.0

    def session(self, draws: random.Random) -> float:
        """Return the seconds that a node stays which just came."""
        return self.longer * draws.weibullvariate(SESSION_SCALE, SESSION_SHAPE)

    def rest(self, draws: random.Random) -> float:
        """Return the seconds that a node stays which is found there at a random moment."""
        left: float = draws.gammavariate(1 / SESSION_SHAPE, 1.0) ** (1 / SESSION_SHAPE)
        return self.longer * SESSION_SCALE * left

    def absence(self, draws: random.Random) -> float | None:
        """Return the seconds until a node that leaves comes back; None if it does not."""
        if draws.random() < self.gone:
            return None
        return draws.expovariate(1 / self.away)

    @property
    def mean(self) -> float:
        """Seconds of a session on average."""
        return self.longer * SESSION_SCALE * math.gamma(1 + 1 / SESSION_SHAPE)


class Presence:
    """How likely a node is there some time after it was found there, by the model alone.

    Args:
        stay: the model.
        most: seconds looked ahead.
        seed: of what is drawn.
    """

    def __init__(self, stay: Stay, most: float, seed: int = 1) -> None:
        draws = random.Random(seed)
        changes = [0] * (int(most / STEP) + 3)
        for _ in range(HISTORIES):
            begun: float | None = 0.0
            end = stay.rest(draws)
            while begun is not None and begun <= most:
                changes[math.ceil(begun / STEP)] += 1
                changes[int(min(end, most + STEP) / STEP) + 1] -= 1
                absence = stay.absence(draws)
                begun = None if absence is None else end + absence
                end = 0.0 if begun is None else begun + stay.session(draws)
        self._counts = list(accumulate(changes))

    def after(self, seconds: float) -> float:
        """Return the share of nodes that are there after a time, not beyond ``most``."""
        whole, part = divmod(seconds / STEP, 1.0)
        near, far = self._counts[int(whole)], self._counts[int(whole) + 1]
        return (near + part * (far - near)) / HISTORIES


def enough(k: int, holders: int, there: float) -> float:
    """Return the chance that k of so many holders are there, each with the same chance."""
    return math.fsum(
        math.comb(holders, count) * there**count * (1 - there) ** (holders - count)
        for count in range(k, holders + 1)
    )


class Churn:
    """Nodes leave and come back from now on.

    Args:
        world: settled.
        stay: the model.
        draws: its own source, so that what else is drawn does not change who leaves when.
        least: nodes that are there: when one leaves and fewer would be, a newcomer comes.
    """

    def __init__(self, world: ContentWorld, stay: Stay, draws: random.Random, least: int) -> None:
        self._world = world
        self._stay = stay
        self._draws = draws
        self._least = least
        self.left = 0
        self.returned = 0
        for node in list(world.kept.values()):
            world.clock.callLater(stay.rest(draws), self._leave, node)

    def _leave(self, node: StoringNode) -> None:
        world = self._world
        self.left += 1
        node.die()
        absence = self._stay.absence(self._draws)
        if absence is None:
            node.gone = True
        else:
            world.clock.callLater(absence, self._return, node)
        if node.address in world.doors:
            world.doors.remove(node.address)
            others = [one.address for one in world.living if one.address not in world.doors]
            world.doors += world.draws.sample(others, min(1, len(others)))
        if len(world.living) < self._least:
            newcomer = world.add()
            world.join(newcomer)
            world.clock.callLater(self._stay.session(self._draws), self._leave, newcomer)

    def _return(self, node: StoringNode) -> None:
        self.returned += 1
        node.come_back()
        self._world.clock.callLater(self._stay.session(self._draws), self._leave, node)

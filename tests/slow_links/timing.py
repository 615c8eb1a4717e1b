"""When bytes sent now arrive: late, in order, and some after a retransmission. Pure.

Half of a round trip of `tests.sim.models.ROUND_TRIP` each way: two independent normal draws of
half the mean and 1/√2 of the deviation add up to it. What is read at one moment travels together,
for the delays of packets of one burst are nearly the same; each of its segments may be lost.
"""

import math
import random
from typing import Final

import attrs

from tests.sim.models import ROUND_TRIP

SEGMENT: Final = 1448  # bytes: what a TCP segment carries over Ethernet with time stamps
LOSS: Final = 0.02  # of segments
# Seconds after which TCP sends again what was lost: the round trip and four times its mean
# deviation (RFC 6298, section 2), which is 0.8 of the standard deviation.
RETRANSMIT: Final = ROUND_TRIP[0] + 4 * 0.8 * ROUND_TRIP[1]


@attrs.frozen
class Pace:
    """How late a link is.

    Attributes:
        mean: seconds of a round trip.
        deviation: of that, in seconds.
        loss: share of segments that have to be sent again.
    """

    mean: float = ROUND_TRIP[0]
    deviation: float = ROUND_TRIP[1]
    loss: float = LOSS


class OneWay:
    """One direction of one connection.

    Args:
        draws: a source of randomness.
    """

    def __init__(self, draws: random.Random) -> None:
        self._draws = draws
        self._last = 0.0

    def arrival(self, now: float, size: int, pace: Pace | None) -> float:
        """Return when bytes sent now arrive, never before those sent earlier.

        Args:
            now: seconds of any clock.
            size: bytes.
            pace: of the link; None for one that takes no time.
        """
        at = now
        if pace is not None:
            late = self._draws.gauss(pace.mean / 2, pace.deviation / math.sqrt(2))
            at += max(0.0, late)
            for _ in range(-(-size // SEGMENT)):
                if self._draws.random() < pace.loss:
                    at += RETRANSMIT
        self._last = max(self._last, at)
        return self._last

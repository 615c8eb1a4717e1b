"""How many nodes there are, where the k nearest to a point are expected, and what is too dense.

Ids of honest nodes fall evenly, so the number of them within a distance d of any point is
Poisson with mean N·d / 2^256. Identities that somebody ground to surround a key are nearer than
that allows (Sridhar et al., "Content Censorship in the InterPlanetary File System", NDSS 2024,
which compares the whole distribution; here the 5th, 10th and 20th nearest are looked at). Pure.
"""

import math
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Final

from bitsnode.ids import ID_BITS, distance
from bitsnode.wire.messages import K

SAMPLES: Final = 32  # walks that the estimate is taken from
LEAST_SAMPLES: Final = 3  # fewer say nothing
RANKS: Final = (K // 4, K // 2, K)  # of the nearest whose distances are judged
# An honest neighbourhood looks this dense once in a thousand keys: a region is then covered in
# full, which costs time and nothing else.
DOUBT: Final = 1e-3
# So dense that no honest network explains it, even if the estimate is off by half.
ALARM: Final = 1e-7
# Standard errors above the estimate that neighbourhoods are judged by: it is about 24 % of one
# walk (the k-th of points that fall evenly), a quarter more for a median, less for many walks.
CAUTION: Final = 2.0


class Density:
    """Estimates the number of nodes from what walks to points far from each other found.

    The median of many: who surrounds one point, or us, does not move it.
    """

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    @property
    def known(self) -> bool:
        """Whether there were walks enough."""
        return len(self._samples) >= LEAST_SAMPLES

    @property
    def nodes(self) -> float:
        """How many nodes there are; 0 while nothing is known."""
        return median(self._samples) if self.known else 0.0

    @property
    def most(self) -> float:
        """How many there are at most, with some caution: few walks tell little."""
        return self.nodes * self._margin

    @property
    def _margin(self) -> float:
        if self.nodes < K:
            return 1.0
        return 1 + CAUTION * 1.25 / math.sqrt((K - 2) * len(self._samples))

    def add(self, target: bytes, nearest: Sequence[bytes]) -> None:
        """Take the ids (32 bytes) of the nodes nearest to a point, the nearest first."""
        self._samples.append(_sample(target, nearest))

    def recount(self, walks: Sequence[tuple[bytes, Sequence[bytes]]]) -> None:
        """Take points and the ids nearest to them, of walks to far points made just now.

        If each of them shows more nodes than we thought possible, what was known is forgotten:
        the network grew, or we counted before we had joined. A few of them may have come to
        where somebody's nodes are, so that they do not decide it.
        """
        fresh = [_sample(target, nearest) for target, nearest in walks if nearest]
        if len(fresh) >= LEAST_SAMPLES and min(fresh) > self.most:
            self._samples.clear()
        self._samples.extend(fresh)

    def region_bits(self) -> int:
        """Return how many bits the ids share of a region in which k nodes or more are expected."""
        least = self.nodes / self._margin
        return max(0, math.floor(math.log2(least / K))) if least > K else 0

    def expected(self, bits: int) -> float:
        """Return how many nodes are expected to share a prefix of so many bits."""
        return self.nodes / 2.0**bits

    def chance(self, target: bytes, nearest: Sequence[bytes]) -> float:
        """Return how likely honest nodes would be as near to a point as these are.

        Args:
            target: the point, 32 bytes.
            nearest: ids of the nodes found nearest to it, the nearest first.

        Returns:
            The least probability over the ranks judged; 1 while nothing is known.
        """
        if not self.known:
            return 1.0
        least = 1.0
        for rank in RANKS:
            if len(nearest) >= rank:
                reach = distance(nearest[rank - 1], target) / (1 << ID_BITS)
                least = min(least, at_least(rank, self.most * reach))
        return least


def _sample(target: bytes, nearest: Sequence[bytes]) -> float:
    if len(nearest) < K:
        return float(len(nearest))
    # unbiased for the k-th of points that fall evenly
    return (K - 1) * (1 << ID_BITS) / distance(nearest[K - 1], target)


def at_least(count: int, mean: float) -> float:
    """Return the probability of ``count`` or more by a Poisson distribution."""
    if mean <= 0.0:
        return 0.0
    term = math.exp(-mean)
    if count <= mean:
        below = term
        for number in range(1, count):
            term *= mean / number
            below += term
        return max(0.0, 1.0 - below)
    # far in the tail, where the sum above would lose all its digits
    term = math.exp(-mean + count * math.log(mean) - math.lgamma(count + 1))
    total, number = 0.0, count
    while term > total * 1e-12:
        total += term
        number += 1
        term *= mean / number
    return min(1.0, total)

"""Which bytes of a place have been filled, when they come in any order."""

import bisect


class TooManyGaps(Exception):
    """The filled stretches are too scattered to be remembered."""


class Stretches:
    """The union of half-open stretches ``[start, end)``, kept as few sorted ones.

    Args:
        most: how many separate stretches are remembered at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """Note that ``start`` to ``end`` is filled; stretches that touch become one.

        Raises:
            TooManyGaps: it would be one stretch too many; nothing was noted.
        """
        if start >= end:
            return
        first = bisect.bisect_left(self._ends, start)  # the first that is not wholly before
        last = bisect.bisect_right(self._starts, end)  # past the last that is not wholly after
        if first == last and len(self._starts) >= self._most:
            raise TooManyGaps
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def cover(self, start: int, end: int) -> bool:
        """Return whether every byte of ``start`` to ``end`` is filled."""
        if start >= end:
            return True
        at = bisect.bisect_right(self._starts, start) - 1
        return at >= 0 and self._ends[at] >= end

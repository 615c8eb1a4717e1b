"""Whether this node's clock is right, by what others' cards say of theirs. Pure.

A card ends a whole number of hours after it was made, and nodes renew theirs each day, so the
cards that nodes show now end between two and three days from now. If most of them end much
earlier or later, the clock that is wrong is ours.
"""

from collections import OrderedDict
from statistics import median
from typing import Final

from bitsnode.wire.card import HOUR

MOST: Final = 64  # nodes whose latest card is looked at
LEAST: Final = 5  # fewer say nothing
USUAL: Final = 60 * HOUR  # seconds that a card has left on average
TOLERATED: Final = 16 * HOUR  # seconds off that what is usual explains: renewal takes up to 30 h


class ClockSkew:
    """Collects the ends of cards that were shown."""

    def __init__(self) -> None:
        self._left: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def saw(self, onion_key: bytes, expires: int, now: float) -> None:
        """Take note of a card that its node shows; one on an old connection is old itself."""
        known = self._left.pop(onion_key, None)
        if known is not None and known[0] == expires:
            self._left[onion_key] = known
            return
        self._left[onion_key] = expires, expires - now
        if len(self._left) > MOST:
            self._left.popitem(last=False)

    @property
    def hours(self) -> int:
        """Hours that our clock seems to be ahead of the others' (behind: below 0); 0 if right."""
        if len(self._left) < LEAST:
            return 0
        ahead = USUAL - median(left for _, left in self._left.values())
        return round(ahead / HOUR) if abs(ahead) > TOLERATED else 0

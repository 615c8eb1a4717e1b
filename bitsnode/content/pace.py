"""How fast holders answer: when to hedge, and how much to have under way. Pure."""

from collections import deque
from typing import Final

import attrs

KEPT: Final = 64  # durations remembered
ENOUGH: Final = 8  # durations before their percentile means something
FIRST_HEDGE: Final = 4.0  # seconds after which to hedge while nothing is known
SOONEST_HEDGE: Final = 1.0  # seconds; a hedge sooner than this saves nobody's time

FIRST_WINDOW: Final = 1 << 20  # bytes under way to one holder at first
LARGEST_WINDOW: Final = 4 << 20  # bytes; fills 4 MiB/s at a round trip of 1 s
QUICK: Final = 1.5  # seconds; blocks that come sooner let the window grow
SLOW: Final = 4.0  # seconds; blocks that come later let it shrink


class Times:
    """The durations of the last requests, in seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float) -> None:
        """Remember how long one took."""
        self._times.append(seconds)

    @property
    def hedge_after(self) -> float:
        """Seconds after which a request is slower than 95% of the recent ones."""
        if len(self._times) < ENOUGH:
            return FIRST_HEDGE
        ordered = sorted(self._times)
        return max(SOONEST_HEDGE, ordered[len(ordered) * 95 // 100])


@attrs.define
class Window:
    """How many bytes may be under way to one holder.

    It grows while blocks come quickly and shrinks while they queue, so that the pipe is full but a
    request never waits long behind others.

    Attributes:
        size: bytes that may be under way.
        under_way: bytes that are.
    """

    size: int = FIRST_WINDOW
    under_way: int = 0

    def has_room(self, block: int) -> bool:
        """Return whether a block may be asked for; one always may."""
        return self.under_way == 0 or self.under_way + block <= self.size

    def arrived(self, block: int, seconds: float) -> None:
        """Learn from a block of so many bytes that came after so many seconds."""
        if seconds < QUICK:
            self.size = min(max(LARGEST_WINDOW, 2 * block), self.size + block)
        elif seconds > SLOW:
            self.size = max(block, self.size - block)

    def halve(self) -> None:
        """The holder is overloaded or lost."""
        self.size = max(1, self.size // 2)

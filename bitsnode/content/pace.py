"""How fast holders answer: when to hedge, and how much to have under way. Pure."""

from collections import deque
from typing import Final

import attrs

KEPT: Final = 64  # durations remembered
ENOUGH: Final = 8  # durations before their percentile means something
FIRST_HEDGE: Final = 4.0  # seconds after which to hedge while nothing is known
SOONEST_HEDGE: Final = 1.0  # seconds; a hedge sooner than this saves nobody's time
PATIENT: Final = 3  # times as long is waited for a holder that gives other blocks meanwhile

FIRST_WINDOW: Final = 1 << 20  # bytes under way to one holder at first
LARGEST_WINDOW: Final = 4 << 20  # bytes; fills 4 MiB/s at a round trip of 1 s
# A block that comes sooner than this, or than twice the quickest of its holder, lets the window
# grow: a queue as long as the way itself keeps the pipe full; what is in a longer one comes late.
QUICK: Final = 0.75  # seconds
SLOW: Final = 4.0  # seconds; blocks that come later let it shrink


class Times:
    """The durations of the last requests, in seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float) -> None:
        """Remember how long one took."""
        self._times.append(seconds)

    def late_at(self, asked: float, heard: float) -> float:
        """Return when a block is late, so that another holder is to stand in.

        A holder that gives what was asked of it before is not slow: the block waits in its turn,
        and what is asked of another one too would mostly come twice.

        Args:
            asked: seconds of the clock when the block was asked for.
            heard: seconds of the clock when the holder last gave something.
        """
        limit = self.hedge_after
        return min(max(asked, heard) + limit, asked + PATIENT * limit)

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
        quickest: seconds of the block that came soonest.
    """

    size: int = FIRST_WINDOW
    under_way: int = 0
    quickest: float = float("inf")

    def has_room(self, block: int) -> bool:
        """Return whether a block may be asked for; one always may."""
        return self.under_way == 0 or self.under_way + block <= self.size

    def arrived(self, block: int, seconds: float) -> None:
        """Learn from a block of so many bytes that came after so many seconds."""
        self.quickest = min(self.quickest, seconds)
        if seconds < max(QUICK, 2 * self.quickest):
            self.size = min(max(LARGEST_WINDOW, 2 * block), self.size + block)
        elif seconds > SLOW:
            self.size = max(block, self.size - block)

    def halve(self) -> None:
        """The holder is overloaded or lost."""
        self.size = max(1, self.size // 2)

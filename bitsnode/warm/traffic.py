"""What upkeep costs: bytes of Tor cells that go over this machine's line for it."""

from collections import deque
from collections.abc import Callable
from typing import Final

CELL: Final = (
    514  # bytes on a link of Tor, by its circuit ids of four bytes (tor-spec, cell format)
)
CELL_DATA: Final = 498  # bytes of a stream in one cell
SLOT: Final = 60.0  # seconds that are counted together
SLOTS: Final = 10  # that the rate is taken from


class Traffic:
    """Counts by the minute.

    Args:
        now: returns the time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun = now()
        self._slots: deque[list[float]] = deque(maxlen=SLOTS)  # when it began, bytes

    def exchanged(self, sent: int, received: int) -> None:
        """Count one request and its answer, by the bytes of their bodies."""
        now = self._now()
        if not self._slots or now >= self._slots[-1][0] + SLOT:
            self._slots.append([now, 0.0])
        self._slots[-1][1] += on_the_line(sent) + on_the_line(received)

    @property
    def rate(self) -> float:
        """Bytes a second of the last ten minutes."""
        now = self._now()
        recent = [slot for slot in self._slots if slot[0] > now - SLOT * SLOTS]
        seconds = min(SLOT * SLOTS, now - self._begun)
        return sum(count for _, count in recent) / seconds if seconds > 0 else 0.0


def on_the_line(size: int) -> int:
    """Return how many bytes a message of ``size`` bytes is in cells; the smallest is one cell."""
    return CELL * max(1, -(-size // CELL_DATA))

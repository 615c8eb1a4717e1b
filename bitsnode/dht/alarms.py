"""What makes a node suspect that it, or a key, is surrounded by somebody's nodes. Pure.

An alarm proves nothing and stops nothing: it is shown, so that a person can add other addresses
to begin with, and lookups take the wider way by themselves.
"""

from enum import Enum
from typing import Final

from bitsnode.dht.density import ALARM

KEEP_SECONDS: Final = 24 * 3600.0  # that an alarm stays after it was last given


class Alarm(Enum):
    """Why; the value is the sentence that a person sees."""

    SURROUNDED = "Somebody's nodes surround what was looked up; it was looked for farther out."
    SHRUNK = "The network seen now is far smaller than the one this node knew."
    STRANGERS = "Nodes known for long are no longer named by the others: they may be another's."


class Alarms:
    """The alarms of the last day."""

    def __init__(self) -> None:
        self._given: dict[Alarm, float] = {}

    def give(self, alarm: Alarm, now: float) -> None:
        """Give an alarm at a Unix time in seconds."""
        self._given[alarm] = now

    def judged(self, chance: float, now: float) -> None:
        """Take how likely chance would make a neighbourhood so dense; see `Density.chance`."""
        if chance < ALARM:
            self.give(Alarm.SURROUNDED, now)

    def now(self, now: float) -> tuple[Alarm, ...]:
        """Return the alarms that stand."""
        return tuple(alarm for alarm, at in self._given.items() if now < at + KEEP_SECONDS)

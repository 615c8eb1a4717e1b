"""One connection that is kept open, and what its node did of late. Pure."""

import attrs

from bitsnode.warm.places import Place
from bitsnode.wire.card import SignedCard
from onion.isolation import Isolation


@attrs.define(eq=False)
class AskLink:
    """A link to one node.

    Attributes:
        card: of its node.
        place: it was opened for.
        isolation: its own.
        since: Unix time in seconds at which it opened.
        until: when it gives way to another.
        rtt: seconds that answers take, the latest counting most.
        waiting: questions that have no answer yet.
        doubts: questions given up since its last answer; it was pinged since, but said nothing yet.
        missed: of its last answers, whether it had nothing where another had something.
    """

    card: SignedCard
    place: Place
    isolation: Isolation
    since: float
    until: float
    rtt: float
    waiting: int = 0
    doubts: int = 0
    missed: list[bool] = attrs.Factory(list)

    @property
    def node_id(self) -> bytes:
        """Where its node is, 32 bytes."""
        return self.card.card.node_id

    def answered(self, seconds: float) -> None:
        """Take note of an answer that took so long."""
        self.rtt += (seconds - self.rtt) / 4
        self.doubts = 0

    def judged(self, missed: bool, most: int) -> int:
        """Count an answer; returns how many of the last ``most`` had nothing where others had."""
        self.missed = [*self.missed, missed][-most:]
        return sum(self.missed)

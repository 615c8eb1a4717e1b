"""Looks for signs that the network around this node is not the one that it knew."""

import secrets
from collections.abc import Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime

from bitsnode.dht.alarms import Alarm, Alarms
from bitsnode.dht.anchors import Anchor, anchored
from bitsnode.dht.density import Density
from bitsnode.dht.lookups import Lookups
from bitsnode.dht.routing import Contact, RoutingTable
from bitsnode.wire.messages import K
from onion.isolation import Isolation

LOOKED_FOR: Final = 3  # living anchors that others are asked about each time
SHRINKING: Final = 4.0  # a network so many times smaller than the one known is another one


class Watch:
    """Keeps the anchors, and compares what is seen with what was.

    Args:
        clock: the time.
        lookups: walks.
        table: contacts.
        density: how many nodes there seem to be.
        alarms: told of what does not fit.
        node_isolation: of the questions asked here.
        anchors: of the last run.
        nodes: how many there were in the last run; 0 if that is not known.
    """

    def __init__(
        self,
        clock: IReactorTime,
        lookups: Lookups,
        table: RoutingTable,
        density: Density,
        alarms: Alarms,
        node_isolation: Isolation,
        anchors: Sequence[Anchor],
        nodes: float,
    ) -> None:
        self._clock = clock
        self._lookups = lookups
        self._table = table
        self._density = density
        self._alarms = alarms
        self._isolation = node_isolation
        self._anchors = tuple(anchors)
        self._nodes = nodes

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        """The anchors now."""
        now = self._clock.seconds()
        self._anchors = anchored(self._anchors, self._table.contacts(), now)
        return self._anchors

    @property
    def nodes(self) -> float:
        """How many nodes to remember: an estimate that raised an alarm does not replace another."""
        if self._density.known and not self._shrunk():
            self._nodes = self._density.nodes
        return self._nodes

    async def look(self) -> None:
        """Compare: how many nodes there are, and whether others name those known for long."""
        now = self._clock.seconds()
        if self._shrunk():
            self._alarms.give(Alarm.SHRUNK, now)
        anchors = {anchor.onion_key for anchor in self.anchors}
        living = [c for c in self._table.contacts() if self._is_living(c, anchors)]
        # in a network of few nodes all are anchors, and nobody is left to ask about them
        others = [c for c in self._table.contacts() if c.alive and not self._is_in(c, anchors)]
        if len(living) < LOOKED_FOR or len(others) < LOOKED_FOR:
            return
        named = 0
        for _ in range(LOOKED_FOR):
            contact = living.pop(secrets.randbelow(len(living)))
            start = [other.card for other in others]
            named += await self._lookups.is_named(contact.card, start, self._isolation)
        if named == 0:
            self._alarms.give(Alarm.STRANGERS, self._clock.seconds())

    def _shrunk(self) -> bool:
        known = self._density.known and self._nodes > SHRINKING * K
        return known and self._density.nodes < self._nodes / SHRINKING

    @staticmethod
    def _is_in(contact: Contact, anchors: set[bytes]) -> bool:
        return contact.card.card.onion_key in anchors

    def _is_living(self, contact: Contact, anchors: set[bytes]) -> bool:
        return self._is_in(contact, anchors) and contact.failures == 0

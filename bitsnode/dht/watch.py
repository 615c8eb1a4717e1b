"""Looks for signs that the network around this node is not the one that it knew."""

from collections.abc import Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime

from bitsnode.dht.alarms import Alarm, Alarms
from bitsnode.dht.anchors import Anchor, anchored
from bitsnode.dht.density import Density
from bitsnode.dht.lookups import Lookups
from bitsnode.dht.routing import RoutingTable
from bitsnode.wire.messages import K
from onion.isolation import Isolation

LOOKED_FOR: Final = 3  # contacts known for longest that newer ones are asked about
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
        known = sorted(self._table.contacts(), key=lambda contact: contact.since)
        oldest = [contact for contact in known if contact.failures == 0][:LOOKED_FOR]
        if len(oldest) < LOOKED_FOR:
            return
        # those that came when our oldest contacts had been there for long already
        newer = now - (now - oldest[-1].since) / 2
        others = [c.card for c in known if c.alive and c.since > newer and c not in oldest]
        if len(others) < LOOKED_FOR:
            return
        for contact in oldest:
            if await self._lookups.is_named(contact.card, list(others), self._isolation):
                return
        self._alarms.give(Alarm.STRANGERS, self._clock.seconds())

    def _shrunk(self) -> bool:
        known = self._density.known and self._nodes > SHRINKING * K
        return known and self._density.nodes < self._nodes / SHRINKING

"""Asks on for others who seek a key: over our own links, as nobody."""

from twisted.internet.interfaces import IReactorTime

from bitsnode.config import Network
from bitsnode.dht.contacts import read_records
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import distance
from bitsnode.warm.asking import OwnCard
from bitsnode.warm.link import AskLink
from bitsnode.warm.links import AskLinks
from bitsnode.warm.plan import Plan
from bitsnode.warm.race import Race
from bitsnode.wire.record import SignedRecord
from bitsnode.wire.warm_messages import Seek, Sought


class HandingOn:
    """See `hand_on`.

    Args:
        clock: the time.
        links: open ones.
        network: what records must pay.
        plan: the numbers.
        own_card: ours.
    """

    def __init__(
        self,
        clock: IReactorTime,
        links: AskLinks,
        network: Network,
        plan: Plan,
        own_card: OwnCard,
    ) -> None:
        self._clock = clock
        self._links = links
        self._network = network
        self._plan = plan
        self._own_card = own_card

    async def hand_on(self, key: bytes, hops: int) -> list[SignedRecord]:
        """Ask the node nearest to a key to which we have a link, or a few of them the last time.

        A question with hops left goes only nearer to the key, so that it never comes back; where
        no link leads nearer, this is the last time.

        Args:
            key: 32 bytes.
            hops: that are left to whoever is asked now.
        """
        own = self._own_card()
        links = self._links.nearest(key)[: self._plan.last]
        if own is None:
            return []
        if hops > 0:
            near = distance(own.card.node_id, key)
            nearer = [link for link in links[:1] if distance(link.node_id, key) < near]
            links, hops = (nearer, hops) if nearer else (links, 0)
        race = Race(self._clock, self._plan.grace, self._plan.feed_grace)
        try:
            for link in links:
                race.start(self._ask(link, key, hops), hops)
            await race.wait(self._plan.seek_seconds(hops))
        finally:
            race.close()
        return list(race.records)

    async def _ask(self, link: AskLink, key: bytes, hops: int) -> list[SignedRecord]:
        most = max(self._plan.ping_answer, self._plan.seek_seconds(hops))
        reply = await self._links.ask(link, Seek(key, hops), most)
        if not isinstance(reply, Sought):
            raise RemoteProtocolError
        # what does not verify here would only be noise to whoever asked
        return read_records(reply.records, key, self._network, self._clock.seconds())

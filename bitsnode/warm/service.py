"""Records for the rest of the node, in under a second: links kept open, and our group's index."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from bitsnode.config import Network
from bitsnode.dht.contacts import read_records
from bitsnode.dht.repeating import Repeating
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import DIGEST_SIZE, distance
from bitsnode.warm.asking import Dht, OwnCard, Peers
from bitsnode.warm.finding import Finding, Found, Tier
from bitsnode.warm.groups import group_of, point_in, settled_bits
from bitsnode.warm.index import GroupIndex
from bitsnode.warm.links import AskLink, AskLinks
from bitsnode.warm.members import Members
from bitsnode.warm.places import Place, wanted_places
from bitsnode.warm.plan import PLAN, Plan
from bitsnode.warm.race import Race
from bitsnode.warm.responder import SeekResponder
from bitsnode.warm.traffic import Traffic
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Responder
from bitsnode.wire.messages import Request
from bitsnode.wire.record import RecordKind, SignedRecord
from bitsnode.wire.warm_messages import Seek, Sought
from onion.isolation import Isolation

TEND_SECONDS: Final = 1.0  # between looks at what is missing
WALK_GROWTH: Final = 2.0  # by which the wait for a place grows when its walk found nobody new
MOST_WALK_WAIT: Final = 3600.0  # seconds


@attrs.frozen
class WarmStatus:
    """What `bitsnode status` shows.

    Attributes:
        links: ask links that are open.
        wanted: how many there should be.
        groups: into which the keyspace is divided.
        neighbours: nodes of our group whose indexes we follow.
        records: of our index.
        bytes: of all records of it.
        upkeep: bytes a second that links and index cost on this machine's line.
    """

    links: int
    wanted: int
    groups: int
    neighbours: int
    records: int
    bytes: int
    upkeep: float


class WarmService:
    """One node's warm links, and its part in the index of its group.

    Args:
        clock: the time; its seconds are Unix time.
        peers: asks other nodes.
        dht: finds nodes, and walks when nobody warm knows a key.
        network: what records must pay, and how long connecting may take.
        own_card: our card, None until its puzzle is solved.
        node_isolation: of the node's duties.
        plan: the numbers.
    """

    def __init__(
        self,
        clock: IReactorTime,
        peers: Peers,
        dht: Dht,
        network: Network,
        own_card: OwnCard,
        node_isolation: Isolation,
        plan: Plan = PLAN,
    ) -> None:
        self._clock = clock
        self._dht = dht
        self._network = network
        self._own_card = own_card
        self._node_isolation = node_isolation
        self._plan = plan
        self._bits = 0
        self._traffic = Traffic(clock.seconds)
        groups = 1 << plan.group_bits
        self._members = Members(self._contacts, plan.kept_cards * groups, plan.retry)
        self._links = AskLinks(clock, peers, network, plan, self._members, self._traffic)
        self._index = GroupIndex(plan.index_bytes)
        self._short: list[Place] = []
        self._walk_waits: dict[Place, tuple[float, float]] = {}  # not before, and the last wait
        self._seek = SeekResponder(plan, dht.found_here, self._hand_on, clock.seconds)
        self._repeating = (
            Repeating(clock, lambda: TEND_SECONDS, self._tend),
            Repeating(clock, lambda: plan.walk, self._walk),
        )
        dht.attach(self)

    def start(self) -> None:
        """Begin to open links and to follow neighbours."""
        for repeating in self._repeating:
            repeating.start()

    async def stop(self) -> None:
        """Close all."""
        for repeating in self._repeating:
            repeating.stop()
        self._links.stop()

    def responders(self) -> Mapping[type[Request], Responder]:
        """Return who answers which of this room's requests."""
        return {Seek: self._seek}

    def status(self) -> WarmStatus:
        """Return where the node stands."""
        return WarmStatus(
            len(self._links.open_links()),
            self._links.wanted,
            1 << self._bits,
            0,
            len(self._index),
            self._index.size,
            round(self._traffic.rate, 1),
        )

    def links(self) -> list[AskLink]:
        """Return the links that are open."""
        return self._links.open_links()

    async def find(
        self,
        key: bytes,
        isolation: Isolation | None = None,
        *,
        own_index: bool = True,
        walk: bool = True,
    ) -> Found:
        """Return the records of a key.

        Args:
            key: 32 bytes.
            isolation: of the walk, if it comes to that; None for a fresh one.
            own_index: whether what this node has itself counts.
            walk: whether to walk when nobody warm knows the key.

        Raises:
            BitsError: nothing was found, and the walk could not be made.
            OnionError: likewise.
        """
        here = self._all_here(key) if own_index else []
        if here and not any(signed.record.kind == RecordKind.FEED for signed in here):
            return Found(tuple(here), Tier.INDEX, 0.0)
        place = Place(self._bits, group_of(key, self._bits))
        finding = Finding(
            self._clock, self._links, self._dht, self._network, self._plan, key, place
        )
        walk_as = (isolation or Isolation.fresh("lookup")) if walk else None
        return await finding.find(here, walk_as)

    # See bitsnode.dht.responder.Beside

    def took(self, signed: SignedRecord, now: float) -> None:
        """Take a record that somebody put here into the index, if it is of our group."""
        self._index.put(signed, now)

    def walked(self, cards: Sequence[SignedCard]) -> None:
        """Remember nodes that answered on one of the node's own walks: links may lead to them."""
        self._members.remember(cards)

    def more(self, key: bytes, count: int, now: float) -> list[SignedRecord]:
        """Return up to ``count`` records of a key that the index has."""
        return self._index.more(key, count, now)

    # What is here

    def _all_here(self, key: bytes) -> list[SignedRecord]:
        kept = [*self._dht.kept_records(key), *self._index.get(key, self._clock.seconds())]
        return list({signed.data: signed for signed in kept}.values())

    async def _hand_on(self, key: bytes, hops: int) -> list[SignedRecord]:
        """Ask the node nearest to a key to which we have a link, or the last time a few of them.

        A question with hops left goes only nearer to the key, so that it never comes back.
        """
        own = self._own_card()
        links = self._links.nearest(key)[: self._plan.last]
        if own is None:
            return []
        if hops > 0:
            near = distance(own.card.node_id, key)
            links = [link for link in links[:1] if distance(link.node_id, key) < near]
        race = Race(self._clock, self._plan.grace, self._plan.feed_grace)
        try:
            for link in links:
                race.start(self._seek_over(link, key, hops), Tier.HANDED_ON)
            await race.wait(self._plan.seek_seconds(hops))
        finally:
            race.close()
        return list(race.records)

    async def _seek_over(self, link: AskLink, key: bytes, hops: int) -> list[SignedRecord]:
        most = max(self._plan.ping_answer, self._plan.seek_seconds(hops))
        reply = await self._links.ask(link, Seek(key, hops), most)
        if not isinstance(reply, Sought):
            raise RemoteProtocolError
        # what does not verify here would only be noise to whoever asked
        return read_records(reply.records, key, self._network, self._clock.seconds())

    # Duties

    def _contacts(self) -> list[SignedCard]:
        return [contact.card for contact in self._dht.contacts() if contact.alive]

    async def _tend(self) -> None:
        """See what is missing."""
        own = self._own_card()
        status = self._dht.status()
        nodes = float(max(status.nodes, status.contacts + 1))
        bits = settled_bits(self._bits, nodes, self._plan.group_nodes, self._plan.group_bits)
        own_id = own.card.node_id if own is not None else None
        if own_id is not None:
            place = Place(bits, group_of(own_id, bits))
            if place != self._index.place:
                self._index.keep_only(place)
        self._bits = bits
        wanted = wanted_places(self._plan, bits, nodes, own_id)
        self._short = self._links.tend(wanted, own.card.onion_key if own is not None else None)

    async def _walk(self) -> None:
        """Look for nodes of one place that lacks them."""
        now = self._clock.seconds()
        due = [place for place in self._short if self._walk_waits.get(place, (0.0, 0.0))[0] <= now]
        if not due or not self._dht.status().contacts:
            return
        place = due[secrets.randbelow(len(due))]
        before = len(self._members.inside(place, now))
        point = point_in(place.prefix, place.bits, secrets.token_bytes(DIGEST_SIZE))
        found = await self._dht.find_node(point, self._node_isolation)
        self._members.remember(found)
        now = self._clock.seconds()
        wait = self._plan.walk
        if len(self._members.inside(place, now)) <= before:
            wait = min(
                MOST_WALK_WAIT, WALK_GROWTH * max(wait, self._walk_waits.get(place, (0, 0))[1])
            )
        self._walk_waits[place] = now + wait, wait

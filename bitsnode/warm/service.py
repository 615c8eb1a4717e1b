"""Records for the rest of the node, in under a second: links kept open, and our group's index."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from bitsnode.config import Network
from bitsnode.dht.repeating import Repeating
from bitsnode.ids import DIGEST_SIZE
from bitsnode.warm.asking import Dht, OwnCard, Peers
from bitsnode.warm.finding import Finding, Found, Tier
from bitsnode.warm.gossip import LOOK_SECONDS, Gossip
from bitsnode.warm.groups import group_of, kept_bits, point_in, settled_bits
from bitsnode.warm.handing_on import HandingOn
from bitsnode.warm.index import GroupIndex
from bitsnode.warm.link import AskLink
from bitsnode.warm.links import AskLinks
from bitsnode.warm.loading import Loading
from bitsnode.warm.members import Members
from bitsnode.warm.places import Place, wanted_places
from bitsnode.warm.plan import PLAN, Plan
from bitsnode.warm.responder import IndexResponder, SeekResponder
from bitsnode.warm.saved import IndexUnusable, SavedIndex
from bitsnode.warm.traffic import Traffic
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Responder
from bitsnode.wire.messages import Request
from bitsnode.wire.record import RecordKind, SignedRecord
from bitsnode.wire.warm_messages import AskIndex, PullRecords, Seek
from onion.isolation import Isolation

TEND_SECONDS: Final = 1.0  # between looks at what is missing...
IDLE_SECONDS: Final = 3.0  # ...while nothing was
WALK_GROWTH: Final = 2.0  # by which the wait for a place grows when its walk found nobody new
SETTLE_SECONDS: Final = 60.0  # by which the number of nodes is known, where there are many
SAVE_SECONDS: Final = 60.0  # between writes
EXPIRE_SECONDS: Final = 600.0  # between looks at what has expired
MOST_WALK_WAIT: Final = 3600.0  # seconds

_log = Logger()


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
        path: of the file that keeps the index; None to keep it in memory only.

    Raises:
        IndexByNewer, IndexUnusable: see `bitsnode.warm.saved`.
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
        path: Path | None = None,
    ) -> None:
        self._clock = clock
        self._dht = dht
        self._network = network
        self._own_card = own_card
        self._node_isolation = node_isolation
        self._plan = plan
        self._bits = 0
        self._began = clock.seconds()
        self._traffic = Traffic(clock.seconds)
        groups = 1 << plan.group_bits
        self._members = Members(self._contacts, plan.kept_cards * groups, plan.retry)
        self._links = AskLinks(clock, peers, network, plan, self._members, self._traffic)
        self._index = GroupIndex(plan.index_bytes)
        self._short: list[Place] = []
        self._walk_waits: dict[Place, tuple[float, float]] = {}  # not before, and the last wait
        handing_on = HandingOn(clock, self._links, network, plan, own_card).hand_on
        self._seek = SeekResponder(plan, dht.found_here, handing_on, clock.seconds)
        self._gossip = Gossip(
            clock,
            peers,
            network,
            plan,
            self._index,
            self._contacts,
            node_isolation,
            self._traffic,
        )
        self._pages = IndexResponder(plan, self._index, self._traffic, clock.seconds)
        self._repeating = (
            Repeating(clock, self._tend_wait, self._tend),
            Repeating(clock, lambda: plan.walk, self._walk),
            Repeating(clock, lambda: LOOK_SECONDS, self._follow),
            Repeating(clock, lambda: SAVE_SECONDS, self._save_again),
            Repeating(clock, lambda: EXPIRE_SECONDS, self._expire),
        )
        self._saved = SavedIndex(path) if path is not None else None
        self._loading = Loading(clock, self._saved, self._index) if self._saved else None
        self._take_own()
        dht.attach(self)

    def start(self) -> None:
        """Begin to open links, to read the index that was saved, and to follow neighbours."""
        if self._loading is not None:
            self._loading.start()
        for repeating in self._repeating:
            repeating.start()

    async def stop(self) -> None:
        """Close all."""
        for repeating in self._repeating:
            repeating.stop()
        self._links.stop()
        if self._loading is not None:
            self._loading.stop()
        if self._saved is not None:
            self._save()
            self._saved.close()

    def responders(self) -> Mapping[type[Request], Responder]:
        """Return who answers which of this room's requests."""
        return {Seek: self._seek, AskIndex: self._pages, PullRecords: self._pages}

    def status(self) -> WarmStatus:
        """Return where the node stands."""
        return WarmStatus(
            len(self._links.open_links()),
            self._links.wanted,
            1 << self._bits,
            self._gossip.neighbours,
            len(self._index),
            self._index.size,
            round(self._traffic.rate, 1),
        )

    def links(self) -> list[AskLink]:
        """Return the links that are open."""
        return self._links.open_links()

    @property
    def opening(self) -> int:
        """How many links are being dialled."""
        return self._links.opening

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

    def more(self, key: bytes, count: int, now: float) -> list[bytes]:
        """Return up to ``count`` signed records of a key that the index has."""
        return self._index.more(key, count, now)

    # What is here

    def _all_here(self, key: bytes) -> list[SignedRecord]:
        kept = [*self._dht.kept_records(key), *self._index.get(key, self._clock.seconds())]
        return list({signed.data: signed for signed in kept}.values())

    # Duties

    def _contacts(self) -> list[SignedCard]:
        return [contact.card for contact in self._dht.contacts() if contact.alive]

    def _tend_wait(self) -> float:
        complete = len(self._links.open_links()) >= self._links.wanted > 0
        return IDLE_SECONDS if complete else TEND_SECONDS

    async def _tend(self) -> None:
        """See what is missing."""
        own = self._own_card()
        status = self._dht.status()
        nodes = float(max(status.nodes, status.contacts + 1))
        limits = self._plan.group_nodes, self._plan.group_bits
        bits = settled_bits(self._bits, nodes, *limits)
        own_id = own.card.node_id if own is not None else None
        if own_id is not None:
            kept = kept_bits(self._index.place.bits, nodes, *limits)
            place = Place(kept, group_of(own_id, kept))
            if place != self._index.place:
                self._index.keep_only(place)
                self._gossip.begin_anew()
                self._take_own()
        self._bits = bits
        wanted = wanted_places(self._plan, bits, nodes, own_id)
        self._short = self._links.tend(wanted, own.card.onion_key if own is not None else None)

    async def _follow(self) -> None:
        """See what is new in our group; a node without a card is in none."""
        if self._loading is not None and not self._loading.done:
            return  # neighbours are asked for nothing that is on our disk
        known = self._dht.status().nodes > 0  # how large our group is
        if self._own_card() is not None and (known or self._up() > SETTLE_SECONDS):
            await self._gossip.look()

    def _up(self) -> float:
        return self._clock.seconds() - self._began

    def _take_own(self) -> None:
        """Take into the index what the DHT's own table has of our group."""
        now = self._clock.seconds()
        for signed in self._dht.all_records():
            self._index.put(signed, now)

    async def _save_again(self) -> None:
        self._save()

    async def _expire(self) -> None:
        self._index.expire(self._clock.seconds())

    def _save(self) -> None:
        kept, dropped = self._index.take_changes()
        if self._saved is not None and (kept or dropped):
            try:
                self._saved.save(kept, dropped)
            except IndexUnusable as error:
                _log.error("The index could not be saved: {error}", error=str(error))

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

"""The DHT for the rest of the node: look up, put, get, and join."""

import secrets
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IReactorTime

from bitsnode.config import Network
from bitsnode.dht.alarms import Alarms
from bitsnode.dht.candidates import Candidates
from bitsnode.dht.density import Density
from bitsnode.dht.feeds import Feed, judge
from bitsnode.dht.handover import Handover
from bitsnode.dht.lookups import Lookups
from bitsnode.dht.memory import Memory
from bitsnode.dht.questions import Peers, Questions
from bitsnode.dht.records import RecordTable
from bitsnode.dht.repeating import Repeating
from bitsnode.dht.responder import Beside, DhtResponder
from bitsnode.dht.routing import Contact, RoutingTable
from bitsnode.dht.saved import Saved
from bitsnode.dht.side_by_side import each_of
from bitsnode.dht.status import DhtState, DhtStatus
from bitsnode.dht.upkeep import Upkeep
from bitsnode.dht.walker import Walker
from bitsnode.dht.watch import Watch
from bitsnode.errors import BitsError
from bitsnode.ids import DIGEST_SIZE, distance
from bitsnode.wire.card import Capability, SignedCard
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import K
from bitsnode.wire.record import SignedRecord, record_key
from onion.address import OnionAddress
from onion.isolation import Isolation

NOTICE_SECONDS: Final = 1.0  # between looks whether our card is there
RENEWED_SECONDS: Final = 30.0  # the same, once there is one: a place does not change, cards do
GIVE_SECONDS: Final = 10.0  # between newcomers that are given records
WATCH_SECONDS: Final = 1800.0  # between looks whether the network is the one that was known
MAX_FOUND: Final = 256  # records that one lookup returns: 5 MiB of the largest
DRY_WALKS: Final = 3  # walks in a row without a new storer after which there are no more


class NoPeers(BitsError):
    """This node knows no other node: give it one with --bootstrap ADDRESS."""


class DhtService:
    """One node's part in the DHT.

    Whatever is done under ``node_isolation`` is done as this node; under any other isolation the
    caller is nobody, and should use a fresh one for each task.

    Args:
        clock: the time; its seconds are Unix time.
        peers: asks other nodes.
        network: what the network asks of cards and records.
        own_card: our card, None until its puzzle is solved.
        path: of the file for contacts and records.
        node_isolation: of the node's duties.
        open_saved: opens that file.

    Raises:
        SavedByNewer, SavedUnusable: see `bitsnode.dht.saved`.
    """

    def __init__(
        self,
        clock: IReactorTime,
        peers: Peers,
        network: Network,
        own_card: Callable[[], SignedCard | None],
        path: Path,
        node_isolation: Isolation,
        open_saved: Callable[[Path], Saved] = Saved,
    ) -> None:
        self._clock = clock
        self._own_card = own_card
        self._node_isolation = node_isolation
        centre = secrets.token_bytes(DIGEST_SIZE)  # until we have a card, and a place
        self._table = RoutingTable(centre)
        self._records = RecordTable(centre)
        self._candidates = Candidates(lambda: self._upkeep.tend_soon())
        self._density = Density()
        self._alarms = Alarms()
        self._questions = Questions(clock, peers, network)
        self._lookups = Lookups(
            clock,
            self._questions,
            Walker(clock, network.connect_seconds),
            self._table,
            self._candidates,
            self._density,
            self._alarms,
            own_card,
            node_isolation,
        )
        self._upkeep = Upkeep(
            clock, self._questions, self._lookups, self._table, self._candidates, node_isolation
        )
        self._handover = Handover(self._table, self._records, self._put_as_node, clock.seconds)
        self._giving = Repeating(clock, self._give_wait, self._handover.give)
        self._repeating = (
            Repeating(clock, self._notice_wait, self._notice_card_again),
            Repeating(clock, lambda: WATCH_SECONDS, lambda: self._watch.look()),
            self._giving,
        )
        self.responder = DhtResponder(
            network, self._table, self._records, clock.seconds, self._lookups.hear_of
        )
        saved = open_saved(path)
        self._watch = Watch(
            clock,
            self._lookups,
            self._table,
            self._density,
            self._alarms,
            node_isolation,
            saved.anchors(),
            saved.nodes(),
        )
        self._memory = Memory(clock, saved, self._table, self._records, self._watch)
        self._notice_card()
        self._upkeep.give(self._memory.load(self._questions, network))

    def start(self) -> None:
        """Begin the duties, and with them join by the contacts of the last run, if any."""
        self._notice_card()
        self._table.on_came = self._came
        self._memory.start()
        for repeating in self._repeating:
            repeating.start()
        self._upkeep.start()

    async def stop(self) -> None:
        """End the duties and save."""
        self._upkeep.stop()
        for repeating in self._repeating:
            repeating.stop()
        await self._memory.stop()

    async def bootstrap(self, addresses: Sequence[OnionAddress]) -> None:
        """Join by these addresses; returns when each was tried, and retries later what failed."""
        self._notice_card()
        self._upkeep.give(addresses)
        await self._upkeep.bootstrap()

    def attach(self, beside: Beside) -> None:
        """Let somebody hear of records that are put here, and answer beside our own table."""
        self.responder.beside = beside
        self._lookups.on_walked = beside.walked

    def kept_records(self, key: bytes) -> list[SignedRecord]:
        """Return what our own table has of a key (32 bytes)."""
        return self._records.get(key, self._clock.seconds())

    def found_here(self, key: bytes) -> tuple[bytes, ...]:
        """Return the signed records that we would answer about a key (32 bytes)."""
        return self.responder.found(key)

    def all_records(self) -> list[SignedRecord]:
        """Return all that our own table has."""
        return [signed for _, signed in self._records.everything()]

    def contacts(self) -> list[Contact]:
        """Return the contacts, those far from us first."""
        return self._table.contacts()

    def status(self) -> DhtStatus:
        """Return where the node stands."""
        contacts = self._table.contacts()
        alive = sum(1 for contact in contacts if contact.alive)
        if alive:
            state = DhtState.JOINED
        elif contacts or self._upkeep.given or len(self._candidates):
            state = DhtState.JOINING
        else:
            state = DhtState.NO_PEERS
        return DhtStatus(
            state,
            alive,
            len(self._candidates),
            self._upkeep.given,
            len(self._records),
            self._records.size,
            round(self._density.nodes),
            self._alarms.now(self._clock.seconds()),
            self._questions.skew.hours,
        )

    async def find_node(self, target: bytes, isolation: Isolation) -> list[SignedCard]:
        """Return the k nodes nearest to ``target`` (32 bytes) that answered, nearest first.

        Raises:
            NoPeers: there is nobody to ask.
        """
        self._need_peers()
        return (await self._lookups.find_node(target, isolation))[:K]

    async def get_records(self, key: bytes, isolation: Isolation) -> list[SignedRecord]:
        """Return the different records of ``key`` (32 bytes) that were found, at most 256.

        All nodes asked and our own table count; the nearest node's come first, and of one slot
        there may be several versions, for a storer may be behind, or lie.

        Raises:
            NoPeers: there is nobody to ask.
        """
        self._need_peers()
        _, found = await self._lookups.find_value(key, isolation)
        # one of each node in turn: many that lie cannot crowd out the few that do not
        turns = chain.from_iterable(zip_longest(*found))
        mine = self._records.get(key, self._clock.seconds())
        joined = chain(mine, (signed for signed in turns if signed is not None))
        return list({signed.data: signed for signed in joined}.values())[:MAX_FOUND]

    async def get_feed(self, public_key: bytes, salt: bytes, isolation: Isolation) -> Feed:
        """Return what storers say of a feed; see `bitsnode.dht.feeds`.

        An owner that lost what it knew asks this before it signs, and goes on from there.

        Args:
            public_key: of the owner, 32 bytes.
            salt: which of the owner's feeds, at most 32 bytes.
            isolation: of the asker.

        Raises:
            NoPeers: there is nobody to ask.
        """
        self._need_peers()
        key = record_key(public_key, salt)
        _, found = await self._lookups.find_value(key, isolation)
        mine = self._records.get(key, self._clock.seconds())
        return judge([*found, mine], public_key, salt)

    async def put_record(self, record: SignedRecord, isolation: Isolation) -> int:
        """Put one record; see `put_records`."""
        return (await self.put_records([record], isolation))[0]

    async def put_records(self, records: Sequence[SignedRecord], isolation: Isolation) -> list[int]:
        """Ask the nodes nearest to the records' key to keep them; return how many do, of each.

        They are k, or more where the key is surrounded: see `Lookups.find_region`.

        One walk serves all, for they must share one key. A node that puts records as its duty
        keeps them too, and counts, if it is among the nearest.

        Raises:
            NoPeers: there is nobody to ask.
        """
        self._need_peers()
        (key,) = {signed.record.key for signed in records}
        nearest = await self._lookups.find_region(key, isolation)
        stored = [0] * len(records)
        if isolation == self._node_isolation and self._is_near(key, nearest):
            stored = [self._keep(signed) for signed in records]
        asked = [(card, signed) for card in nearest for signed in records]
        taken = await each_of(self._lookups.put(*pair, isolation) for pair in asked)
        return [kept + sum(taken[number :: len(records)]) for number, kept in enumerate(stored)]

    async def find_storers(self, count: int, isolation: Isolation) -> list[SignedCard]:
        """Return up to ``count`` different nodes that store, drawn by walks to random points.

        In a network of fewer than k nodes one walk sees them all; in a larger one it ends when
        walk after walk brings nobody new.

        Raises:
            NoPeers: there is nobody to ask.
        """
        return await self._find_able(Capability.STORAGE, count, isolation)

    async def find_custodians(self, count: int, isolation: Isolation) -> list[SignedCard]:
        """Return up to ``count`` different nodes that keep key shares; as `find_storers` does."""
        return await self._find_able(Capability.CUSTODY, count, isolation)

    def relays(self) -> list[bytes]:
        """Return the onion keys (32 bytes) of the nodes known that submit redemptions."""
        cards = [contact.card.card for contact in self.contacts()]
        return [card.onion_key for card in cards if card.can(Capability.RELAY)]

    async def _find_able(
        self, capability: int, count: int, isolation: Isolation
    ) -> list[SignedCard]:
        self._need_peers()
        found: dict[bytes, SignedCard] = {}
        dry = 0
        while len(found) < count and dry < DRY_WALKS:
            before = len(found)
            answered = await self._lookups.find_node(secrets.token_bytes(DIGEST_SIZE), isolation)
            for card in answered:
                if card.card.can(capability):
                    found.setdefault(card.card.onion_key, card)
            if len(answered) < K:
                break
            dry = dry + 1 if len(found) == before else 0
        storers = list(found.values())
        secrets.SystemRandom().shuffle(storers)
        return storers[:count]

    async def _put_as_node(self, card: SignedCard, record: SignedRecord) -> None:
        await self._lookups.put(card, record, self._node_isolation)

    def _need_peers(self) -> None:
        if not self._table.contacts():
            raise NoPeers

    def _is_near(self, key: bytes, nearest: list[SignedCard]) -> bool:
        if self._own_card() is None:
            return False
        farthest = nearest[-1].card.node_id if len(nearest) >= K else None
        return farthest is None or distance(self._table.own_id, key) < distance(farthest, key)

    def _keep(self, record: SignedRecord) -> int:
        if self.responder.beside is not None:
            self.responder.beside.took(record, self._clock.seconds())
        try:
            self._records.put(record, self._clock.seconds())
        except Refused:
            return 0
        return 1

    def _notice_card(self) -> None:
        """Take our place in the keyspace as soon as we have a card."""
        own = self._own_card()
        if own is not None and own.card.node_id != self._table.own_id:
            self._table.recentre(own.card.node_id, own.card.onion_key)
            self._records.recentre(own.card.node_id)
            self._upkeep.walk_home_soon()

    def _give_wait(self) -> float:
        return GIVE_SECONDS if self._handover.waiting else WATCH_SECONDS

    def _came(self, contact: Contact) -> None:
        idle = not self._handover.waiting
        self._handover.came(contact)
        if idle:
            self._giving.again()

    def _notice_wait(self) -> float:
        return NOTICE_SECONDS if self._own_card() is None else RENEWED_SECONDS

    async def _notice_card_again(self) -> None:
        self._notice_card()

"""Lookups in the network: as the node we are, or as nobody.

A walk under the node's own isolation teaches the routing table what it finds. A walk under any
other isolation is anonymous, and leaves no trace in the table: else a hostile node could show an
anonymous caller a card that it shows to nobody else, and wait for the node whose table has it.

Where the nodes around a key are denser than chance allows, somebody surrounds it: the region
where the k nearest honest ones are expected is then looked through in parts, and all in it count.
Before that the nodes are counted again: the network may have grown since the last time.
"""

import math
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from bitsnode.dht.alarms import Alarms
from bitsnode.dht.candidates import Candidates
from bitsnode.dht.density import DOUBT, LEAST_SAMPLES, Density
from bitsnode.dht.lookup import MAX_WAITING
from bitsnode.dht.paths import PATH_ALPHA, PATHS, Paths
from bitsnode.dht.questions import Answer, Questions, tells_of_node
from bitsnode.dht.region import Part, Region
from bitsnode.dht.routing import RoutingTable
from bitsnode.dht.side_by_side import each_of
from bitsnode.dht.walker import Walker
from bitsnode.errors import BitsError
from bitsnode.ids import DIGEST_SIZE, ID_BITS, distance, leading_zero_bits
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import K
from bitsnode.wire.record import SignedRecord
from onion.isolation import Isolation

FAR_BITS: Final = 6  # shared with our id at most by points whose walks tell of the density
WALKS_AT_ONCE: Final = 4  # to the parts of a region
COUNT_SECONDS: Final = 3600.0  # for which it is not asked again how many nodes there are
MAX_REGION: Final = 400  # nodes of a region that are asked; more than 200 ground ones and k

T = TypeVar("T")


class Lookups:
    """Walks over the network, beginning at the routing table.

    Args:
        clock: the time.
        questions: asks other nodes.
        walker: runs walks.
        table: where walks begin.
        candidates: takes nodes that walks heard of.
        density: learns from walks, and judges what they find.
        alarms: told of keys that are surrounded.
        own_card: our card, None while we have none; we are never asked ourselves.
        node_isolation: the one isolation under which walks are not anonymous.
    """

    def __init__(
        self,
        clock: IReactorTime,
        questions: Questions,
        walker: Walker,
        table: RoutingTable,
        candidates: Candidates,
        density: Density,
        alarms: Alarms,
        own_card: Callable[[], SignedCard | None],
        node_isolation: Isolation,
    ) -> None:
        self._clock = clock
        self._questions = questions
        self._walker = walker
        self._table = table
        self._candidates = candidates
        self._density = density
        self._alarms = alarms
        self._own_card = own_card
        self._node_isolation = node_isolation
        self.on_walked: Callable[[Sequence[SignedCard]], None] = lambda _answered: None
        self._counted = -math.inf

    async def find_node(self, target: bytes, isolation: Isolation) -> list[SignedCard]:
        """Return all that answered on a walk to ``target``, the nearest first."""

        async def ask(card: SignedCard) -> Answer:
            return await self._questions.find_node(card, target, isolation)

        return await self._walk(target, isolation, ask)

    async def find_region(self, key: bytes, isolation: Isolation) -> list[SignedCard]:
        """Return the nodes that should keep the records of ``key``, the nearest first.

        They are the k nearest, or all of the region where k are expected, if these are so near
        that the key is surrounded.
        """
        answered = await self.find_node(key, isolation)
        return await self._widen(key, answered, isolation, hasty=False)

    async def find_value(
        self, key: bytes, isolation: Isolation
    ) -> tuple[list[SignedCard], list[list[SignedRecord]]]:
        """Return all that were asked about ``key``, the nearest first, and each one's records.

        The walk does not end at the first records: one holder may know few of them, or lie.
        """
        found: dict[bytes, list[SignedRecord]] = {}

        async def ask(card: SignedCard) -> Answer:
            answer = await self._questions.find_value(card, key, isolation)
            found[card.card.onion_key] = answer.records
            return answer

        answered = await self._walk(key, isolation, ask)
        wide = await self._widen(key, answered, isolation, hasty=any(found.values()))
        rest = [card for card in wide if card.card.onion_key not in found]
        limit = DeferredSemaphore(PATHS * PATH_ALPHA)

        async def ask_limited(card: SignedCard) -> None:
            await limit.acquire()
            try:
                await self._watch(card, isolation, ask(card))
            finally:
                limit.release()

        await each_of(ask_limited(card) for card in rest)
        asked = [card for card in [*answered, *rest] if card.card.onion_key in found]
        asked.sort(key=lambda card: distance(card.card.node_id, key))
        return asked, [found[card.card.onion_key] for card in asked]

    async def is_named(
        self, card: SignedCard, start: list[SignedCard], isolation: Isolation
    ) -> bool:
        """Return whether a walk that begins at these contacts comes to hear of a node."""
        point = card.card.node_id

        async def ask(other: SignedCard) -> list[SignedCard]:
            found = self._questions.find_node(other, point, isolation)
            cards = (await self._watch(other, isolation, found)).cards
            if any(named.card.onion_key == card.card.onion_key for named in cards):
                walk.end()
            return cards

        start.sort(key=lambda other: distance(other.card.node_id, point))
        own = self._own_card()
        walk = Paths(point, start[:MAX_WAITING], own_key=own.card.onion_key if own else None)
        await self._walker.run(walk, ask)
        return walk.knows(card.card.onion_key)

    async def put(self, card: SignedCard, record: SignedRecord, isolation: Isolation) -> None:
        """Ask one contact to keep a record; raises BitsError."""
        await self._watch(card, isolation, self._questions.put(card, record, isolation))

    def hear_of(self, card: SignedCard) -> None:
        """Take a card that someone showed or named: dialled later, if it is of use."""
        now = self._clock.seconds()
        if self._table.wants(card, now):
            self._candidates.add(card, now)

    async def _widen(
        self, key: bytes, answered: list[SignedCard], isolation: Isolation, hasty: bool
    ) -> list[SignedCard]:
        """Return the k nearest, or the region around them if the key is surrounded.

        Args:
            key: the point.
            answered: all that answered on a walk to it, the nearest first.
            isolation: of the lookup.
            hasty: whether to judge nothing while it is not known how many nodes there are.
        """
        nearest = answered[:K]
        judged = self._density.known or hasty
        if judged and self._density.chance(key, _ids(nearest)) >= DOUBT:
            return nearest
        await self._count_again(isolation)
        chance = self._density.chance(key, _ids(nearest))
        self._alarms.judged(chance, self._clock.seconds())
        if chance >= DOUBT:
            return nearest
        region = Region(key, self._density.region_bits(), self._density.nodes)
        known = {card.card.onion_key: card for card in answered}
        limit = DeferredSemaphore(WALKS_AT_ONCE)

        async def cover(part: Part) -> None:
            await limit.acquire()
            try:
                point = region.point(part, secrets.token_bytes(DIGEST_SIZE))
                if point is None:
                    return
                around = await self._walk_around(point, isolation, list(known.values()))
            finally:
                limit.release()
            known.update((card.card.onion_key, card) for card in around)
            await each_of(cover(half) for half in region.found(part, _ids(around[:K])))

        await each_of(cover(part) for part in region.begin(_ids(nearest)))
        inside = [card for card in known.values() if region.holds(card.card.node_id)]
        inside.sort(key=lambda card: distance(card.card.node_id, key))
        return inside[:MAX_REGION] if len(inside) >= K else nearest

    async def _count_again(self, isolation: Isolation) -> None:
        """Walk to a few random points, side by side, unless that was done not long ago."""
        if self._clock.seconds() < self._counted + COUNT_SECONDS:
            return
        walks: list[tuple[bytes, list[bytes]]] = []

        async def count(point: bytes) -> None:
            around = await self._walk_around(point, isolation, [])
            walks.append((point, _ids(around[:K])))

        points = [secrets.token_bytes(DIGEST_SIZE) for _ in range(LEAST_SAMPLES)]
        await each_of(count(point) for point in points)
        self._density.recount(walks)
        self._counted = self._clock.seconds()  # two that count at a time do not wait for each other

    async def _walk_around(
        self, point: bytes, isolation: Isolation, known: list[SignedCard]
    ) -> list[SignedCard]:
        async def ask(card: SignedCard) -> Answer:
            return await self._questions.find_node(card, point, isolation)

        return await self._walk(point, isolation, ask, known)

    async def _walk(
        self,
        target: bytes,
        isolation: Isolation,
        ask: Callable[[SignedCard], Coroutine[Any, Any, Answer]],
        known: list[SignedCard] | None = None,
    ) -> list[SignedCard]:
        own = self._own_card()
        # more than k, for those that are dead; what is not among the nearest is never asked
        start = self._table.beginnings(target, MAX_WAITING, self._clock.seconds())
        if known:
            cards = {card.card.onion_key: card for card in [*known, *start]}.values()
            start = sorted(cards, key=lambda card: distance(card.card.node_id, target))
        walk = Paths(target, start, own_key=own.card.onion_key if own else None)

        async def watched(card: SignedCard) -> list[SignedCard]:
            answer = await self._watch(card, isolation, ask(card))
            if isolation == self._node_isolation:
                self._table.answered(answer.shown, self._clock.seconds())
            return answer.cards

        await self._walker.run(walk, watched)
        if isolation == self._node_isolation:
            for card in walk.heard_of:
                self.hear_of(card)
            self._learn_density(target, walk.nearest)
            self.on_walked(walk.answered)
        return walk.answered

    def _learn_density(self, target: bytes, nearest: list[SignedCard]) -> None:
        """Learn from walks to far points: who is near ours could be there for our sake."""
        gap = distance(target, self._table.own_id).to_bytes(ID_BITS // 8, "big")
        if nearest and leading_zero_bits(gap) < FAR_BITS:
            self._density.add(target, _ids(nearest))

    async def _watch(
        self, card: SignedCard, isolation: Isolation, asked: Coroutine[Any, Any, T]
    ) -> T:
        try:
            return await asked
        except Refused:
            raise  # it is there
        except BitsError as error:
            if isolation == self._node_isolation and tells_of_node(error):
                now = self._clock.seconds()
                self._table.failed(card.card.onion_key, now)
                self._candidates.failed(card.card.onion_key, now)
            raise


def _ids(cards: list[SignedCard]) -> list[bytes]:
    return [card.card.node_id for card in cards]

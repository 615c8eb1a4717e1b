"""Lookups in the network: as the node we are, or as nobody.

A walk under the node's own isolation teaches the routing table what it finds. A walk under any
other isolation is anonymous, and leaves no trace in the table: else a hostile node could show an
anonymous caller a card that it shows to nobody else, and wait for the node whose table has it.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorTime

from bitsnode.dht.candidates import Candidates
from bitsnode.dht.lookup import MAX_WAITING, Walk
from bitsnode.dht.questions import Answer, Questions, tells_of_node
from bitsnode.dht.routing import RoutingTable
from bitsnode.dht.walker import Walker
from bitsnode.errors import BitsError
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Refused
from bitsnode.wire.record import SignedRecord
from onion.isolation import Isolation

T = TypeVar("T")


class Lookups:
    """Walks over the network, beginning at the routing table.

    Args:
        clock: the time.
        questions: asks other nodes.
        walker: runs walks.
        table: where walks begin.
        candidates: takes nodes that walks heard of.
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
        own_card: Callable[[], SignedCard | None],
        node_isolation: Isolation,
    ) -> None:
        self._clock = clock
        self._questions = questions
        self._walker = walker
        self._table = table
        self._candidates = candidates
        self._own_card = own_card
        self._node_isolation = node_isolation

    async def find_node(self, target: bytes, isolation: Isolation) -> list[SignedCard]:
        """Return all that answered on a walk to ``target``, the nearest first."""

        async def ask(card: SignedCard) -> Answer:
            return await self._questions.find_node(card, target, isolation)

        return await self._walk(target, isolation, ask)

    async def find_value(
        self, key: bytes, isolation: Isolation
    ) -> tuple[list[SignedCard], list[SignedRecord]]:
        """Return all that answered on a walk to ``key``, and their records, the nearest's first.

        The walk does not end at the first records: one holder may know few of them, or lie.
        """
        found: dict[bytes, list[SignedRecord]] = {}

        async def ask(card: SignedCard) -> Answer:
            answer = await self._questions.find_value(card, key, isolation)
            found[card.card.onion_key] = answer.records
            return answer

        answered = await self._walk(key, isolation, ask)
        return answered, [signed for card in answered for signed in found[card.card.onion_key]]

    async def put(self, card: SignedCard, record: SignedRecord, isolation: Isolation) -> None:
        """Ask one contact to keep a record; raises BitsError."""
        await self._watch(card, isolation, self._questions.put(card, record, isolation))

    def hear_of(self, card: SignedCard) -> None:
        """Take a card that someone showed or named: dialled later, if it is of use."""
        now = self._clock.seconds()
        if self._table.wants(card, now):
            self._candidates.add(card, now)

    async def _walk(
        self,
        target: bytes,
        isolation: Isolation,
        ask: Callable[[SignedCard], Coroutine[Any, Any, Answer]],
    ) -> list[SignedCard]:
        own = self._own_card()
        # more than k, for those that are dead; what is not among the nearest is never asked
        start = self._table.beginnings(target, MAX_WAITING, self._clock.seconds())
        walk = Walk(target, start, own_key=own.card.onion_key if own else None)

        async def watched(card: SignedCard) -> list[SignedCard]:
            answer = await self._watch(card, isolation, ask(card))
            if isolation == self._node_isolation:
                self._table.answered(answer.shown, self._clock.seconds())
            return answer.cards

        await self._walker.run(walk, watched)
        if isolation == self._node_isolation:
            for card in walk.heard_of:
                self.hear_of(card)
        return walk.answered

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

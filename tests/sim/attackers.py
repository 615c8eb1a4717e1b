"""Hostile nodes. All of them join as honest ones do, and keep in touch, so as to be named."""

import random

from bitsnode.ids import distance
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Caller
from bitsnode.wire.messages import (
    Contacts,
    Done,
    FindNode,
    FindValue,
    K,
    PutRecord,
    Records,
    Request,
)
from onion.keys import OnionKey
from tests.sim.world import SimNode, World, card_of

GHOSTS = 2000  # cards of nobody that a conspiracy has paid for


class Conspiracy:
    """What the hostile nodes of a world share: each knows all others at once."""

    def __init__(self) -> None:
        self.cards: list[SignedCard] = []
        self.dropped = 0

    def nearest(self, target: bytes) -> tuple[bytes, ...]:
        """Return the cards of the k of them that are nearest to a point."""
        ordered = sorted(self.cards, key=lambda card: distance(card.card.node_id, target))
        return tuple(card.data for card in ordered[:K])


class _Colluding:
    """Names only its own kind, keeps nothing and says that it does."""

    def __init__(self, conspiracy: Conspiracy) -> None:
        self._conspiracy = conspiracy

    async def handle(self, request: Request, caller: Caller) -> object:
        if isinstance(request, FindNode):
            return Contacts(self._conspiracy.nearest(request.target))
        if isinstance(request, FindValue):
            return Records((), self._conspiracy.nearest(request.key))
        if isinstance(request, PutRecord):
            self._conspiracy.dropped += 1
        return Done()


class Sybil(SimNode):
    """One of many identities of one attacker; it behaves until it `turn`s."""

    conspiracy = Conspiracy()  # of its own for each class that `conspire` returns

    def turn(self) -> None:
        """Be hostile from now on."""
        self.honest = False
        self.conspiracy.cards.append(self.card)
        self.end.responder = _Colluding(self.conspiracy)

    def relent(self) -> None:
        """Behave again."""
        self.honest = True
        self.end.responder = self.service.responder


def conspire() -> tuple[type[Sybil], Conspiracy]:
    """Return a class of hostile nodes that share one conspiracy of their own."""
    conspiracy = Conspiracy()
    return type("Sybil", (Sybil,), {"conspiracy": conspiracy}), conspiracy


def haunt(conspiracy: Conspiracy, world: World, count: int = GHOSTS) -> None:
    """Let the conspiracy also name nodes that are not there, to exhaust those who walk."""
    draws: random.Random = world.draws
    for _ in range(count):
        key = OnionKey(draws.randbytes(32))
        conspiracy.cards.append(card_of(key, draws.randbytes(16)))

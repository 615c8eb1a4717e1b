"""Which nodes a link may lead to: contacts of the routing table, and nodes that walks found. Pure.

A link's node is never taken from what another link's node said: who got one link could choose
all others. Walks take disjoint paths, and the table holds what was dialled.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable
from typing import Final

from bitsnode.warm.places import Place
from bitsnode.wire.card import SignedCard

MAX_FAILED: Final = 1024  # onion keys remembered not to have answered


class Members:
    """Nodes by the part of the keyspace they are in.

    Args:
        contacts: returns the cards of the routing table's live contacts.
        kept: cards of walks that are remembered in all.
        retry: seconds before a node that did not answer is drawn again: at first, doubled each
            time that it did not, and at most.
        below: returns a random integer from 0 up to, but not, its argument.
    """

    def __init__(
        self,
        contacts: Callable[[], Iterable[SignedCard]],
        kept: int,
        retry: tuple[float, float],
        below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._contacts = contacts
        self._kept = kept
        self._retry = retry
        self._below = below
        self._walked: OrderedDict[bytes, SignedCard] = OrderedDict()
        self._failed: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # until, the wait

    def remember(self, cards: Iterable[SignedCard]) -> None:
        """Take nodes that answered on a walk."""
        for card in cards:
            self._walked.pop(card.card.onion_key, None)
            self._walked[card.card.onion_key] = card
        while len(self._walked) > self._kept:
            self._walked.popitem(last=False)

    def failed(self, onion_key: bytes, now: float) -> None:
        """Take note that a node did not answer."""
        least, most = self._retry
        _, before = self._failed.get(onion_key, (0.0, 0.0))
        self._leave(onion_key, now, min(most, max(least, 2 * before)))

    def of_no_use(self, onion_key: bytes, now: float) -> None:
        """Take note that a node answered and was of no use: it will not be soon."""
        self._leave(onion_key, now, self._retry[1])

    def _leave(self, onion_key: bytes, now: float, wait: float) -> None:
        self._walked.pop(onion_key, None)
        self._failed.pop(onion_key, None)
        self._failed[onion_key] = now + wait, wait
        if len(self._failed) > MAX_FAILED:
            self._failed.popitem(last=False)

    def answered(self, onion_key: bytes) -> None:
        """Take note that a node has answered for a while: a first answer costs a liar nothing."""
        self._failed.pop(onion_key, None)

    def inside(self, place: Place, now: float) -> list[SignedCard]:
        """Return the nodes known in a place that are worth dialling, in no order."""
        known = {**self._walked, **{card.card.onion_key: card for card in self._contacts()}}
        return [
            card
            for key, card in known.items()
            if place.holds(card.card.node_id)
            and now < card.card.expires
            and self._failed.get(key, (0.0, 0.0))[0] <= now
        ]

    def draw(self, place: Place, but: Container[bytes], now: float) -> SignedCard | None:
        """Return a random node of a place whose onion key is not among those given."""
        found = [card for card in self.inside(place, now) if card.card.onion_key not in but]
        return found[self._below(len(found))] if found else None

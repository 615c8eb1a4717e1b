"""Several walks to one point that share no node (S/Kademlia, §4.4).

# in: begin, got_reply, got_failure, got_slow: each returns the contacts to ask now
# out: done, answered

A node that lies leads astray the path it is on, and no other: each path learns only from the
nodes that it asked itself, and a node is asked by one path. Pure, as `bitsnode.dht.lookup`.
"""

from collections.abc import Iterable
from typing import Final

from bitsnode.dht.lookup import MAX_QUESTIONS, Claims, Walk
from bitsnode.wire.card import SignedCard
from bitsnode.wire.messages import K

# S/Kademlia (fig. 7) finds 4 to 8 enough for 20 % of hostile nodes; more paths cost more questions
PATHS: Final = 4
PATH_ALPHA: Final = 2  # questions under way at a time on each path


class Paths:
    """Disjoint walks towards a point.

    Args:
        target: the point, 32 bytes.
        start: contacts to begin with; they are dealt to the paths in turn.
        own_key: our onion key, never to be asked; None when we have no card.
        k: how many of the nearest must have answered, on each path or on another.
        paths: how many, at most as many as there are contacts.
        alpha: questions under way at a time on each.
    """

    def __init__(
        self,
        target: bytes,
        start: Iterable[SignedCard],
        *,
        own_key: bytes | None = None,
        k: int = K,
        paths: int = PATHS,
        alpha: int = PATH_ALPHA,
    ) -> None:
        cards = list(start)
        count = max(1, min(paths, len(cards)))
        self._aim = int.from_bytes(target, "big")
        self._k = k
        self._claims = Claims()
        self._owners: dict[bytes, Walk] = {}
        self._ended = False
        self._walks = [
            Walk(
                target,
                cards[number::count],
                own_key=own_key,
                k=k,
                alpha=alpha,
                most=MAX_QUESTIONS // count,
                claims=self._claims,
            )
            for number in range(count)
        ]

    @property
    def done(self) -> bool:
        """Whether every path has come to its end, or it was said to be enough."""
        return self._ended or all(walk.done for walk in self._walks)

    def end(self) -> None:
        """Be done with what is known: nobody else is asked."""
        self._ended = True

    @property
    def answered(self) -> list[SignedCard]:
        """Every contact that answered on any path, the nearest first."""
        found = [card for walk in self._walks for card in walk.answered]
        return sorted(found, key=lambda card: card.card.point ^ self._aim)

    @property
    def nearest(self) -> list[SignedCard]:
        """The up to k nearest that answered."""
        return self.answered[: self._k]

    @property
    def heard_of(self) -> list[SignedCard]:
        """Contacts that were named on a path and asked on none."""
        named = {c.card.onion_key: c for walk in self._walks for c in walk.heard_of}
        return [card for key, card in named.items() if key not in self._claims.asked]

    def knows(self, onion_key: bytes) -> bool:
        """Return whether a contact was named, on any path, or was there to begin with."""
        return any(walk.knows(onion_key) for walk in self._walks)

    def begin(self) -> list[SignedCard]:
        """Return the first contacts to ask."""
        return self._own([(walk, walk.begin()) for walk in self._walks])

    def got_reply(self, onion_key: bytes, cards: Iterable[SignedCard]) -> list[SignedCard]:
        """Take the checked cards of a contact's reply; only the path that asked learns them."""
        walk = self._owners.get(onion_key)
        return [] if walk is None else self._own([(walk, walk.got_reply(onion_key, cards))])

    def got_failure(self, onion_key: bytes) -> list[SignedCard]:
        """Leave a contact out of all paths: that it is not there, we saw ourselves."""
        return self._own([(walk, walk.got_failure(onion_key)) for walk in self._walks])

    def got_slow(self, onion_key: bytes) -> list[SignedCard]:
        """Ask someone else beside a contact that takes long; its answer still counts."""
        return self._own([(walk, walk.got_slow(onion_key)) for walk in self._walks])

    def _own(self, asked: list[tuple[Walk, list[SignedCard]]]) -> list[SignedCard]:
        for walk, cards in asked:
            for card in cards:
                self._owners[card.card.onion_key] = walk
        return [] if self._ended else [card for _, cards in asked for card in cards]

"""Nodes we were told of and did not dial yet: bounded, and dialled a few at a time."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bitsnode.wire.card import SignedCard

MAX_CANDIDATES: Final = 256
MAX_FAILED: Final = 1024  # onion addresses remembered not to have answered
RETRY_SECONDS: Final = 600.0  # before one that did not answer is dialled again


class Candidates:
    """A bag of cards, one per onion address.

    Whoever fills it cannot keep others out: a newcomer takes the place of a random one, and a
    random one is dialled next.

    Args:
        on_first: called when there is one to dial and was none.
        below: returns a random integer from 0 up to, but not, its argument.
    """

    def __init__(
        self,
        on_first: Callable[[], None] = lambda: None,
        below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._on_first = on_first
        self._below = below
        self._cards: dict[bytes, SignedCard] = {}
        self._failed: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._cards)

    def add(self, card: SignedCard, now: float) -> None:
        """Take a card, unless its onion address was tried in vain not long ago."""
        key = card.card.onion_key
        if self._failed.get(key, 0.0) > now or key in self._cards:
            return
        if len(self._cards) >= MAX_CANDIDATES:
            self._take_random()
        self._cards[key] = card
        if len(self._cards) == 1:
            self._on_first()

    def take(self, count: int) -> list[SignedCard]:
        """Remove and return up to ``count`` cards."""
        return [self._take_random() for _ in range(min(count, len(self._cards)))]

    def failed(self, onion_key: bytes, now: float) -> None:
        """Take note that an onion address did not answer."""
        self._failed.pop(onion_key, None)
        self._failed[onion_key] = now + RETRY_SECONDS
        if len(self._failed) > MAX_FAILED:
            self._failed.popitem(last=False)

    def _take_random(self) -> SignedCard:
        return self._cards.pop(list(self._cards)[self._below(len(self._cards))])

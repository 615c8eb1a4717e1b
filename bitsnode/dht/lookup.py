"""The walk towards a point: which contacts to ask next, given what came back (Kademlia, §2.3).

# in: begin, got_reply, got_failure, got_slow: each returns the contacts to ask now
# out: done, answered

No I/O and no clock. Whoever runs it asks the contacts it names and feeds it what came back, in
any order. `bitsnode.dht.paths` runs several that share no node.
"""

import bisect
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from itertools import islice
from typing import Final

import attrs

from bitsnode.wire.card import SignedCard
from bitsnode.wire.messages import K

ALPHA: Final = 3  # questions under way at a time (Kademlia's alpha)
MAX_QUESTIONS: Final = 8 * K  # of a walk: honest ones need about 2k, hostile replies end here
MAX_WAITING: Final = 4 * K  # contacts kept to be asked; farther ones are forgotten


class _State(Enum):
    WAITING = auto()
    ASKED = auto()
    SLOW = auto()  # asked, and no longer counted on
    ANSWERED = auto()
    FAILED = auto()
    ELSEWHERE = auto()  # another path asks it: it counts, and teaches this one nothing


@attrs.define
class Claims:
    """What several walks that share no node know together.

    Attributes:
        asked: onion keys that one of them has asked.
        failed: those of them that were not there.
        slow: those of them that take long to answer.
    """

    asked: set[bytes] = attrs.Factory(set)
    failed: set[bytes] = attrs.Factory(set)
    slow: set[bytes] = attrs.Factory(set)


_SETTLED: Final = (_State.ANSWERED, _State.ELSEWHERE)


class Walk:
    """One walk towards a point.

    Contacts are told apart by onion key, and the first card seen of one stays, so that a node
    with many puzzle solutions has one position here.

    Args:
        target: the point, 32 bytes.
        start: contacts to begin with.
        own_key: our onion key, never to be asked; None when we have no card.
        k: how many of the nearest must have answered.
        alpha: questions under way at a time.
        most: questions in all.
        claims: shared with the walks that this one shares no node with.
    """

    def __init__(
        self,
        target: bytes,
        start: Iterable[SignedCard],
        *,
        own_key: bytes | None = None,
        k: int = K,
        alpha: int = ALPHA,
        most: int = MAX_QUESTIONS,
        claims: Claims | None = None,
    ) -> None:
        self._aim = int.from_bytes(target, "big")
        self._own_key = own_key
        self._k = k
        self._alpha = alpha
        self._most = most
        self._claims = claims or Claims()
        self._cards: dict[bytes, SignedCard] = {}
        self._states: dict[bytes, _State] = {}
        # distances and keys of all but the failed ones, the nearest first
        self._order: list[tuple[int, bytes]] = []
        self._waiting = 0  # of them that are in this state
        self._asked = 0
        self._questions = 0
        self._done: bool | None = None  # None when it has to be found out anew
        self._learn(start)

    @property
    def done(self) -> bool:
        """Whether the k nearest known contacts have answered, as far as they can.

        A slow contact is waited for only while fewer than k have answered.
        """
        if self._done is None:
            self._done = self._is_done()
        return self._done

    def _is_done(self) -> bool:
        if self._questions >= self._most:
            return not self._asked
        settled = 0
        for key in self._window():
            if self._states[key] not in _SETTLED:
                return False
            settled += 1
        slow = self._claims.slow
        return settled == self._k or not slow or slow.isdisjoint(k for _, k in self._order)

    @property
    def answered(self) -> list[SignedCard]:
        """Every contact that answered, the nearest first."""
        return [self._cards[k] for _, k in self._order if self._states[k] is _State.ANSWERED]

    @property
    def nearest(self) -> list[SignedCard]:
        """The up to k nearest that answered."""
        return self.answered[: self._k]

    @property
    def heard_of(self) -> list[SignedCard]:
        """Contacts that were named but not asked."""
        return [self._cards[k] for _, k in self._order if self._states[k] is _State.WAITING]

    def knows(self, onion_key: bytes) -> bool:
        """Return whether a contact was named, or was there to begin with."""
        return onion_key in self._cards

    def begin(self) -> list[SignedCard]:
        """Return the first contacts to ask."""
        return self._next()

    def got_reply(self, onion_key: bytes, cards: Iterable[SignedCard]) -> list[SignedCard]:
        """Take the checked cards of a contact's reply; at most k count, in whatever order."""
        if self._states.get(onion_key) in (_State.ASKED, _State.SLOW):
            self._set(onion_key, _State.ANSWERED)
            self._claims.slow.discard(onion_key)
            self._learn(islice(cards, self._k))
        return self._next()

    def got_failure(self, onion_key: bytes) -> list[SignedCard]:
        """Leave a contact out of the rest of this walk."""
        if self._states.get(onion_key, _State.FAILED) not in (_State.FAILED, _State.ANSWERED):
            self._set(onion_key, _State.FAILED)
            self._claims.failed.add(onion_key)
            self._claims.slow.discard(onion_key)
            self._order.remove(self._place(onion_key))
        return self._next()

    def got_slow(self, onion_key: bytes) -> list[SignedCard]:
        """Ask someone else beside a contact that takes long; its answer still counts."""
        if self._states.get(onion_key) is _State.ASKED:
            self._set(onion_key, _State.SLOW)
            self._claims.slow.add(onion_key)
        return self._next()

    def _window(self) -> Iterator[bytes]:
        """Yield the k nearest that are not slow."""
        # a slow one holds no place, whichever walk asked it: else nobody is asked in its stead
        slow, left = self._claims.slow, self._k
        for _, key in self._order:
            if key not in slow:
                yield key
                left -= 1
                if not left:
                    return

    def _set(self, key: bytes, state: _State) -> None:
        before = self._states.get(key)
        self._waiting += (state is _State.WAITING) - (before is _State.WAITING)
        self._asked += (state is _State.ASKED) - (before is _State.ASKED)
        self._states[key] = state

    def _place(self, key: bytes) -> tuple[int, bytes]:
        return self._cards[key].card.point ^ self._aim, key

    def _next(self) -> list[SignedCard]:
        self._done = None
        room = min(self._alpha - self._asked, self._most - self._questions)
        chosen: list[bytes] = []
        states, asked = self._states, self._claims.asked
        for key in self._window():
            if states[key] is not _State.WAITING:
                continue
            if key in asked:
                self._set(key, _State.ELSEWHERE)
            elif len(chosen) < room:
                self._set(key, _State.ASKED)
                asked.add(key)
                chosen.append(key)
        self._questions += len(chosen)
        return [self._cards[key] for key in chosen]

    def _learn(self, cards: Iterable[SignedCard]) -> None:
        for card in cards:
            key = card.card.onion_key
            if key not in self._cards and key != self._own_key and key not in self._claims.failed:
                self._cards[key] = card
                self._set(key, _State.WAITING)
                bisect.insort(self._order, self._place(key))
        if self._waiting > MAX_WAITING:
            waiting = [p for p in self._order if self._states[p[1]] is _State.WAITING]
            for place in waiting[MAX_WAITING:]:
                self._order.remove(place)
                del self._cards[place[1]], self._states[place[1]]
            self._waiting = MAX_WAITING

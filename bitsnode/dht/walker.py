"""Runs a walk: asks the contacts it names, feeds it what comes back, and keeps the time."""

import bisect
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.dht.lookup import Walk
from bitsnode.dht.paths import Paths
from bitsnode.errors import BitsError
from bitsnode.wire.card import SignedCard

SAMPLES: Final = 64  # answers that the pace is taken from
LEAST_SLOW: Final = 0.5  # seconds; no answer that comes sooner is called slow

# asks one contact and returns the checked cards of its reply; raises BitsError
Ask: TypeAlias = Callable[[SignedCard], Coroutine[Any, Any, Sequence[SignedCard]]]

_log = Logger()


class Pace:
    """How long answers take of late.

    Args:
        most: seconds after which a question counts as slow whatever others took; also the
            answer while nothing was measured.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._took: deque[float] = deque()
        self._ordered: list[float] = []

    def add(self, seconds: float) -> None:
        """Take note of one answer."""
        self._took.append(seconds)
        bisect.insort(self._ordered, seconds)
        if len(self._took) > SAMPLES:
            del self._ordered[bisect.bisect_left(self._ordered, self._took.popleft())]

    def slow_after(self) -> float:
        """Return the 95th percentile in seconds: later than that, someone else is asked too."""
        if not self._took:
            return self._most
        late = self._ordered[len(self._ordered) * 95 // 100]
        return min(self._most, max(LEAST_SLOW, late))


class Walker:
    """Runs walks.

    Args:
        clock: the time.
        connect_seconds: how long one attempt to reach an onion may take.
    """

    def __init__(self, clock: IReactorTime, connect_seconds: float) -> None:
        self._clock = clock
        self._pace = Pace(connect_seconds / 2)
        self._most = 3 * connect_seconds + 30.0  # seconds; the walk ends with what it has

    async def run(self, walk: Walk | Paths, ask: Ask) -> None:
        """Return when the walk is done or its time is over; cancelling drops its questions."""
        await _Run(self._clock, walk, ask, self._pace).begin(self._most)


class _Run:
    """One walk under way."""

    def __init__(self, clock: IReactorTime, walk: Walk | Paths, ask: Ask, pace: Pace) -> None:
        self._clock = clock
        self._walk = walk
        self._ask = ask
        self._pace = pace
        self._finished: Deferred[None] = Deferred(lambda _cancelled: self._clean_up())
        self._over = False
        self._pumping = False
        self._next: deque[SignedCard] = deque()
        self._questions: dict[bytes, Deferred[Sequence[SignedCard]]] = {}
        self._calls: dict[bytes, IDelayedCall] = {}

    def begin(self, most: float) -> Deferred[None]:
        self._calls[b""] = self._clock.callLater(most, self._finish)
        self._pump(self._walk.begin())
        return self._finished

    def _pump(self, contacts: list[SignedCard]) -> None:
        """Ask these; answers that come at once are handled by the outermost call, not nested."""
        self._next.extend(contacts)
        if self._pumping or self._over:
            return
        self._pumping = True
        while self._next:
            self._question(self._next.popleft())
        self._pumping = False
        if self._walk.done or not self._questions:
            self._finish()

    def _question(self, contact: SignedCard) -> None:
        key = contact.card.onion_key
        begun = self._clock.seconds()

        def slow() -> None:
            del self._calls[key]
            self._pump(self._walk.got_slow(key))

        def answered(cards: Sequence[SignedCard]) -> None:
            self._forget(key)
            if not self._over:
                self._pace.add(self._clock.seconds() - begun)
                self._pump(self._walk.got_reply(key, cards))

        def failed(failure: Failure) -> None:
            self._forget(key)
            if not self._over:
                if not isinstance(failure.value, BitsError):
                    _log.failure("A question of a lookup failed by a bug", failure=failure)
                self._pump(self._walk.got_failure(key))

        self._calls[key] = self._clock.callLater(self._pace.slow_after(), slow)
        question = Deferred.fromCoroutine(self._ask(contact))
        self._questions[key] = question
        question.addCallbacks(answered, failed)

    def _forget(self, key: bytes) -> None:
        self._questions.pop(key, None)
        call = self._calls.pop(key, None)
        if call is not None:
            call.cancel()

    def _finish(self) -> None:
        if not self._over:
            self._clean_up()
            self._finished.callback(None)

    def _clean_up(self) -> None:
        self._over = True
        for call in self._calls.values():
            if call.active():
                call.cancel()
        self._calls.clear()
        for question in list(self._questions.values()):
            question.cancel()
        self._questions.clear()

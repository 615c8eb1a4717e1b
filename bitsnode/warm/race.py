"""Several nodes asked the same at once: which answers count, and how long the rest is waited for.

Answers are signed records, so none can be forged: only withheld, or old. The first that has
something is enough in most cases; a short grace lets others add to it.
"""

from collections.abc import Coroutine
from typing import Any, Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.errors import BitsError
from bitsnode.wire.record import RecordKind, SignedRecord
from onion.errors import OnionError

AGREED: Final = 2  # answers with something after which nobody else is waited for

# asks one node; raises BitsError
Question: TypeAlias = Coroutine[Any, Any, list[SignedRecord]]

_log = Logger()


class Race:
    """One question, put to several nodes, in one step or in several.

    Args:
        clock: the time.
        grace: seconds that others may add to a first answer.
        feed_grace: the same where the answer is a feed's head.

    Attributes:
        label: of the first question that found something; None while none has.
    """

    def __init__(self, clock: IReactorTime, grace: float, feed_grace: float) -> None:
        self._clock = clock
        self._grace = grace
        self._feed_grace = feed_grace
        self._under_way: set[Deferred[list[SignedRecord]]] = set()
        self._waiting: Deferred[None] | None = None
        self._calls: list[IDelayedCall] = []
        self._found: dict[bytes, SignedRecord] = {}
        self._positive = 0
        self._graced = False
        self.label: int | None = None

    @property
    def records(self) -> tuple[SignedRecord, ...]:
        """All that was found until now, each once."""
        return tuple(self._found.values())

    def start(self, question: Question, label: int) -> None:
        """Ask one more node; the label says what kind of question it is."""
        asked = Deferred.fromCoroutine(question)
        self._under_way.add(asked)
        asked.addBoth(self._ended, asked, label)

    def add(self, known: list[SignedRecord]) -> None:
        """Add what is known already, which is not an answer."""
        self._found.update((signed.data, signed) for signed in known)

    async def wait(self, most: float) -> bool:
        """Return when there is an answer that counts, nobody is left to answer, or time is up.

        Returns:
            Whether an answer counts.
        """
        if not self._settled():
            self._waiting = Deferred()
            too_late = self._clock.callLater(most, self._wake)
            try:
                await self._waiting
            finally:
                self._waiting = None
                if too_late.active():
                    too_late.cancel()
        return self._graced or self._enough()

    @property
    def idle(self) -> bool:
        """Whether nobody is left to answer."""
        return not self._under_way

    def close(self) -> None:
        """Forget whoever has not answered."""
        for call in self._calls:
            if call.active():
                call.cancel()
        for asked in list(self._under_way):
            asked.cancel()

    def _enough(self) -> bool:
        return self._positive > 0 and (self.idle or self._positive >= self._wanted())

    def _wanted(self) -> int:
        # an old head is as well signed as a new one, so of a feed all are heard
        return AGREED if not self._is_feed() else 1 << 30

    def _is_feed(self) -> bool:
        return any(signed.record.kind == RecordKind.FEED for signed in self._found.values())

    def _settled(self) -> bool:
        return self.idle or self._graced or self._enough()

    def _ended(self, result: Any, asked: Deferred[list[SignedRecord]], label: int) -> None:
        self._under_way.discard(asked)
        if isinstance(result, Failure):
            if not isinstance(result.value, BitsError | OnionError | CancelledError):
                _log.failure("A question over a warm link failed by a bug", failure=result)
        elif result:
            self._heard(result, label)
        if self._settled():
            self._wake()

    def _heard(self, records: list[SignedRecord], label: int) -> None:
        self._found.update((signed.data, signed) for signed in records)
        self._positive += 1
        if self._positive == 1:
            self.label = label
            seconds = self._feed_grace if self._is_feed() else self._grace
            self._calls.append(self._clock.callLater(seconds, self._grace_over))

    def _grace_over(self) -> None:
        self._graced = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(None)

"""When invoices are looked at: each by its own clock, so that none goes with another.

A server sees which addresses somebody asks about, and when. Looks in rounds, or one right after
the other, would show it which invoices are one shop's.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from bitsnode.errors import BitsError

AT_ONCE: Final = 32  # looks under way; they bound what invoices cost the node
PUT_OFF: Final = (1.0, 10.0)  # seconds, when so many are under way
AGAIN_SECONDS: Final = 60.0  # after our disk refused what was seen
JITTER: Final = (0.5, 1.5)  # of each pause
FIRST_SECONDS: Final = 600.0  # within which all were looked at after a start

_log = Logger()


class InvoiceLooks:
    """One timer for each invoice.

    Args:
        clock: the time.
        uniform: draws a number from a range.
        look: looks at an invoice, and returns the seconds after which to look again, give or take.
    """

    def __init__(
        self,
        clock: IReactorTime,
        uniform: Callable[[float, float], float],
        look: Callable[[bytes], Awaitable[float]],
    ) -> None:
        self._clock = clock
        self._uniform = uniform
        self._look = look
        self._timers: dict[bytes, IDelayedCall] = {}
        self._under_way: dict[bytes, Deferred[None]] = {}
        self._stopped = False

    def begin(self, invoice: bytes, pause: float) -> None:
        """Look at a new invoice from now on, first after about ``pause`` seconds."""
        self._plan(invoice, pause * self._uniform(*JITTER))

    def resume(self, invoice: bytes, pause: float) -> None:
        """Look at one of before the start again: at any moment, as all of them begin at once."""
        self._plan(invoice, self._uniform(0.0, min(pause, FIRST_SECONDS)))

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for looking in list(self._under_way.values()):
            looking.cancel()

    def _plan(self, invoice: bytes, seconds: float) -> None:
        if not self._stopped and invoice not in self._timers:
            self._timers[invoice] = self._clock.callLater(seconds, partial(self._due, invoice))

    def _due(self, invoice: bytes) -> None:
        del self._timers[invoice]
        if len(self._under_way) >= AT_ONCE:
            self._plan(invoice, self._uniform(*PUT_OFF))
            return
        looking = self._under_way[invoice] = Deferred.fromCoroutine(self._once(invoice))
        looking.addErrback(_ended)
        looking.addBoth(partial(self._done, invoice))

    async def _once(self, invoice: bytes) -> None:
        try:
            pause = await self._look(invoice)
        except (BitsError, OSError) as error:
            _log.warn("What was seen of an invoice was lost: {reason}", reason=str(error))
            pause = AGAIN_SECONDS
        self._plan(invoice, pause * self._uniform(*JITTER))

    def _done(self, invoice: bytes, _result: object) -> None:
        self._under_way.pop(invoice, None)


def _ended(failure: Any) -> None:
    if not failure.check(CancelledError):
        _log.failure("An invoice is no longer looked at", failure)

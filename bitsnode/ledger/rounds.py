"""Reads the chain at even pauses: when it is read says nothing of what its owner does.

A server that logs would otherwise see somebody look just before an account buys a voucher, just
after it, and again while a voucher is spent; and from where one circuit goes on reading, where
another one of the same node ended. So one isolation reads for everything, by the clock alone.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bitsnode.ledger.errors import RpcStopped
from bitsnode.ledger.index_store import Reach

OnProgress = Callable[[Reach, int], None]


@attrs.define(eq=False)
class _Waiter:
    done: Deferred[Reach]
    on_progress: OnProgress


class Rounds:
    """Rounds of reading, begun at even pauses until they are stopped.

    Args:
        clock: the time.
        pause: seconds from the beginning of a round to that of the next. A round that takes
            longer is followed by the next one at a multiple of it.
        read: reads what is new.
    """

    def __init__(
        self,
        clock: IReactorTime,
        pause: float,
        read: Callable[[OnProgress], Awaitable[Reach]],
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._read = read
        self._began = clock.seconds()
        self._waiting: list[_Waiter] = []
        self._served: list[_Waiter] = []
        self._timer: IDelayedCall | None = None
        self._running: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin the first round now."""
        self._run()

    async def next(self, on_progress: OnProgress) -> Reach:
        """Wait for a round that begins from now on; return how far the index goes then.

        Raises:
            RpcStopped: there will be none.
            bitsnode.ledger.errors.LedgerError: that round failed.
        """
        if self._stopped:
            raise RpcStopped
        waiter = _Waiter(Deferred(self._forget), on_progress)
        self._waiting.append(waiter)
        return await waiter.done

    def stop(self) -> None:
        """Begin no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        waiting = self._served + self._waiting
        self._served, self._waiting = [], []
        for waiter in waiting:
            waiter.done.errback(RpcStopped())
        if self._running is not None:
            self._running.cancel()

    def _run(self) -> None:
        self._served, self._waiting = self._waiting, []
        self._running = Deferred.fromCoroutine(self._round())
        self._running.addErrback(lambda _cancelled: None)
        self._running.addBoth(self._plan)

    async def _round(self) -> None:
        try:
            reach = await self._read(self._tell)
        except BaseException as error:
            fault = error  # the name of an except clause does not outlive it
            self._settle(lambda done: done.errback(fault))
        else:
            self._settle(lambda done: done.callback(reach))

    def _settle(self, settle: Callable[[Deferred[Reach]], None]) -> None:
        served, self._served = self._served, []
        for waiter in served:
            settle(waiter.done)

    def _tell(self, reach: Reach, head: int) -> None:
        for waiter in list(self._served):
            waiter.on_progress(reach, head)

    def _plan(self, _result: Any) -> None:
        self._running = None
        if self._stopped:
            return
        since = self._clock.seconds() - self._began
        self._timer = self._clock.callLater(self._pause - since % self._pause, self._run)

    def _forget(self, cancelled: Deferred[Reach]) -> None:
        """Whoever waited goes away; the round goes on without them."""
        self._waiting = [each for each in self._waiting if each.done is not cancelled]
        self._served = [each for each in self._served if each.done is not cancelled]

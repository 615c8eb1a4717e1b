"""Virtual time: a heap of calls, so that a thousand nodes with their timers cost little."""

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
class VirtualClock:
    """Time that goes on only when `run_until` says so.

    Twisted's own `Clock` sorts all calls for each new one.

    Args:
        now: Unix time in seconds at which it begins.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._heap: list[tuple[float, int, _Call | Deferred[None]]] = []
        self._number = 0
        self.calls_made = 0

    def seconds(self) -> float:
        """Return the Unix time."""
        return self._now

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> IDelayedCall:
        """See `IReactorTime.callLater`."""
        call = _Call(self, self._now + delay, partial(callable, *args, **kw))
        self.push(call)
        return call

    def sleep(self, seconds: float) -> "Deferred[None]":
        """Return what fires after a time; cheaper than `callLater`, for what nobody cancels."""
        waiting: Deferred[None] = Deferred()
        self._number += 1
        heapq.heappush(self._heap, (self._now + seconds, self._number, waiting))
        return waiting

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """See `IReactorTime.getDelayedCalls`."""
        calls = [call for _, _, call in self._heap if isinstance(call, _Call)]
        return [call for call in calls if call.active()]

    def run_until(self, end: float, done: Callable[[], bool] | None = None) -> None:
        """Make the calls that are due up to ``end``, in order, until ``done``."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= end and not (done and done()):
            at, _, call = pop(heap)
            if isinstance(call, Deferred):
                self._now = max(self._now, at)
                if not call.called:  # it may have been cancelled
                    call.callback(None)
            elif call.work is not None and at >= call.time:
                self._now = max(self._now, at)
                self.calls_made += 1
                work, call.work = call.work, None
                work()
            elif call.work is not None:
                self.push(call)
        if not (done and done()):
            self._now = max(self._now, end)

    def push(self, call: "_Call") -> None:
        """Take a call up again whose time has changed."""
        self._number += 1
        heapq.heappush(self._heap, (call.time, self._number, call))


@implementer(IDelayedCall)
class _Call:
    """A call to be made: Twisted's own is made for many more uses, and costs more than the call.

    Attributes:
        time: Unix time in seconds at which it is due.
        work: what to do; None when it was done or cancelled.
    """

    __slots__ = ("_clock", "time", "work")

    def __init__(self, clock: VirtualClock, time: float, work: Callable[[], object]) -> None:
        self._clock = clock
        self.time = time
        self.work: Callable[[], object] | None = work

    def getTime(self) -> float:
        """See `IDelayedCall.getTime`."""
        return self.time

    def active(self) -> bool:
        """See `IDelayedCall.active`."""
        return self.work is not None

    def cancel(self) -> None:
        """See `IDelayedCall.cancel`."""
        if self.work is None:
            raise AlreadyCalled
        self.work = None

    def delay(self, secondsLater: float) -> None:
        """See `IDelayedCall.delay`."""
        self._move(self.time + secondsLater)

    def reset(self, secondsFromNow: float) -> None:
        """See `IDelayedCall.reset`."""
        self._move(self._clock.seconds() + secondsFromNow)

    def _move(self, time: float) -> None:
        if self.work is None:
            raise AlreadyCalled
        sooner, self.time = time < self.time, time
        if sooner:
            self._clock.push(self)

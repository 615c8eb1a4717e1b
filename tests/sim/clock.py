"""Virtual time: a heap of calls, so that a thousand nodes with their timers cost little."""

import heapq
from collections.abc import Callable
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
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
        self._heap: list[tuple[float, int, Any]] = []
        self._number = 0
        self.calls_made = 0

    def seconds(self) -> float:
        """Return the Unix time."""
        return self._now

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> IDelayedCall:
        """See `IReactorTime.callLater`."""
        call = DelayedCall(
            self._now + delay, callable, args, kw, lambda _: None, self._push, self.seconds
        )
        self._push(call)
        return call

    def sleep(self, seconds: float) -> "Deferred[None]":
        """Return what fires after a time; cheaper than `callLater`, for what nobody cancels."""
        waiting: Deferred[None] = Deferred()
        self._number += 1
        heapq.heappush(self._heap, (self._now + seconds, self._number, waiting))
        return waiting

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """See `IReactorTime.getDelayedCalls`."""
        calls = [call for _, _, call in self._heap if isinstance(call, DelayedCall)]
        return [call for call in calls if call.active()]

    def run_until(self, end: float, done: Callable[[], bool] = lambda: False) -> None:
        """Make the calls that are due up to ``end``, in order, until ``done``."""
        while self._heap and self._heap[0][0] <= end and not done():
            at, _, call = heapq.heappop(self._heap)
            if isinstance(call, Deferred):
                self._now = max(self._now, at)
                if not call.called:  # it may have been cancelled
                    call.callback(None)
                continue
            if not call.active():
                continue
            if call.delayed_time:
                call.activate_delay()
                self._push(call)
                continue
            self._now = max(self._now, at)
            call.called = 1
            self.calls_made += 1
            call.func(*call.args, **call.kw)
        if not done():
            self._now = max(self._now, end)

    def _push(self, call: DelayedCall) -> None:
        self._number += 1
        heapq.heappush(self._heap, (call.time, self._number, call))

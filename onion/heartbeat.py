"""Notices a tor that runs and does nothing: its sockets are there, and nobody answers."""

# mypy: disallow-untyped-calls=False

from collections.abc import Callable, Coroutine
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater


@attrs.frozen
class HeartbeatTimes:
    """When tor counts as hung.

    Attributes:
        every: seconds between an answer and the next question.
        answer: seconds to wait for an answer; tor gives one within milliseconds.
        misses: questions in a row without one. More than one, for on a machine that slept the
            wait is over before what came meanwhile is read.
    """

    every: float = 15
    answer: float = 30
    misses: int = 2


class Heartbeat:
    """Asks again and again, until there is no answer.

    Args:
        clock: the time.
        times: see there.
        ask: puts a question; a failure counts as an answer, for somebody gave it.
        on_silence: called once, when there were no answers; then it asks no more.
    """

    def __init__(
        self,
        clock: IReactorTime,
        times: HeartbeatTimes,
        ask: Callable[[], Coroutine[Any, Any, object]],
        on_silence: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._times = times
        self._ask = ask
        self._on_silence = on_silence
        self._beating: Deferred[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._beating = Deferred.fromCoroutine(self._beat())
        self._beating.addCallbacks(self._silent, lambda failure: failure.trap(CancelledError))

    def stop(self) -> None:
        """Ask no more."""
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()

    async def _beat(self) -> None:
        missed = 0
        while missed < self._times.misses:
            await deferLater(self._clock, 0 if missed else self._times.every)
            missed = 0 if await self._answers() else missed + 1

    def _silent(self, _none: None) -> None:
        self._beating = None
        self._on_silence()

    async def _answers(self) -> bool:
        asking = Deferred.fromCoroutine(self._ask())
        asking.addTimeout(self._times.answer, self._clock)
        try:
            await asking
        except DeferredTimeout:
            return False
        except CancelledError:
            raise
        except Exception:
            return True
        return True

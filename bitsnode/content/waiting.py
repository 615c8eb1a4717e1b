"""Waiting for several things at once, on the injected clock."""

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

T = TypeVar("T")


def pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Return a Deferred that fires in so many seconds."""
    return deferLater(clock, seconds, lambda: None)


class Alarm:
    """Wakes the one who waits when somebody rings, or when its time is up.

    Who rings is never interrupted by who wakes: that happens in the clock's next turn.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._rung = False
        self._waiting: Deferred[None] | None = None

    def ring(self) -> None:
        """Wake whoever waits; if nobody does, the next wait ends at once."""
        if not self._rung:
            self._rung = True
            self._clock.callLater(0, self._wake)

    async def wait(self, seconds: float) -> None:
        """Return when it rings, after ``seconds`` at the latest."""
        waiting = self._waiting = Deferred()
        timer = self._clock.callLater(seconds, self._wake)
        try:
            await waiting
        finally:
            self._waiting = None
            self._rung = False
            if timer.active():
                timer.cancel()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


class Tasks:
    """Coroutines that run side by side; the first failure is raised to the one who joins them."""

    def __init__(self) -> None:
        self._running: set[Deferred[Any]] = set()
        self._failure: Failure | None = None
        self._joining: Deferred[None] | None = None

    def __len__(self) -> int:
        return len(self._running)

    def start(self, coroutine: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
        """Start a coroutine, and return what can cancel it."""
        task = Deferred.fromCoroutine(coroutine)
        self._running.add(task)
        task.addErrback(self._failed)
        task.addCallback(self._ended, task)
        return task

    def check(self) -> None:
        """Raise what a task raised.

        Raises:
            BaseException: the first failure, if there is one.
        """
        if self._failure is not None:
            self._failure.raiseException()

    async def join(self) -> None:
        """Return when all have ended.

        Raises:
            BaseException: the first failure; the others are cancelled.
        """
        try:
            while self._running and self._failure is None:
                self._joining = Deferred()
                await self._joining
            self.check()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Cancel all that still run."""
        for task in list(self._running):
            task.cancel()

    def _failed(self, failure: Failure) -> None:
        if self._failure is None:
            self._failure = failure

    def _ended(self, _result: object, task: Deferred[Any]) -> None:
        self._running.discard(task)
        joining, self._joining = self._joining, None
        if joining is not None:
            joining.callback(None)


async def all_of(coroutines: Iterable[Coroutine[Deferred[Any], Any, T]], at_once: int) -> list[T]:
    """Return the results of all, in order, running at most ``at_once`` side by side.

    Raises:
        BaseException: the first failure; the others are cancelled.
    """
    limit = DeferredSemaphore(at_once)
    tasks = Tasks()
    results: dict[int, T] = {}

    async def one(number: int, coroutine: Coroutine[Deferred[Any], Any, T]) -> None:
        try:
            async with limit:
                results[number] = await coroutine
        finally:
            coroutine.close()  # cancelled before its turn, it would never have been awaited

    todo = list(coroutines)
    for number, coroutine in enumerate(todo):
        tasks.start(one(number, coroutine))
    await tasks.join()
    return [results[number] for number in range(len(todo))]

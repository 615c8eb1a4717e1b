"""The one thread that touches the chain, and the queues before it."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from attrs import define
from twisted.internet.defer import Deferred

from bitsnode.ledger.embedded.errors import LIMIT_EXCEEDED, RpcFault

MAX_WAITING: Final = 256  # requests of one side: the socket's, or the onion service's
T = TypeVar("T")


@define(eq=False)
class _Job(Generic[T]):
    run: Callable[[], T]
    done: "Deferred[T]"


class Worker:
    """Runs jobs one at a time in a thread; the socket's before those of the onion service.

    Args:
        reactor: whose `callFromThread` brings results back.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: tuple[deque[_Job[Any]], deque[_Job[Any]]] = (deque(), deque())
        self._change = threading.Condition()
        self._stopping = False
        self._stopped: Deferred[None] = Deferred()
        self._thread = threading.Thread(target=self._work, name="chain", daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], T], *, local: bool) -> "Deferred[T]":
        """Run a job when it is its turn; give its result or its exception.

        A job whose Deferred is cancelled before its turn is never run.

        Raises (in the Deferred):
            RpcFault: too many jobs wait, or the worker is stopping.
        """
        done: Deferred[T] = Deferred(lambda _: self._forget(entry, queue))
        entry, queue = _Job(job, done), self._waiting[0 if local else 1]
        with self._change:
            accepted = not self._stopping and len(queue) < MAX_WAITING
            if accepted:
                queue.append(entry)
                self._change.notify()
        if not accepted:
            done.errback(RpcFault(LIMIT_EXCEEDED, "too many requests wait; try again later"))
        return done

    def stop(self) -> "Deferred[None]":
        """Finish the job under way, refuse the others; fire when the thread has ended."""
        with self._change:
            self._stopping = True
            left = [*self._waiting[0], *self._waiting[1]]
            for queue in self._waiting:
                queue.clear()
            self._change.notify()
        for entry in left:
            entry.done.errback(RpcFault(LIMIT_EXCEEDED, "the chain is stopping"))
        return self._stopped

    def _forget(self, entry: _Job[Any], queue: "deque[_Job[Any]]") -> None:
        with self._change:
            if entry in queue:
                queue.remove(entry)

    def _next(self) -> _Job[Any] | None:
        with self._change:
            self._change.wait_for(lambda: self._stopping or any(self._waiting))
            for queue in self._waiting:
                if queue:
                    return queue.popleft()
        return None

    def _work(self) -> None:
        while (entry := self._next()) is not None:
            give: Callable[[Any], None] = entry.done.callback
            try:
                result: Any = entry.run()
            except Exception as error:
                result, give = error, entry.done.errback
            self._reactor.callFromThread(_deliver, entry.done, give, result)
            del entry, result, give
        self._reactor.callFromThread(self._stopped.callback, None)


def _deliver(done: "Deferred[Any]", give: Callable[[Any], None], result: Any) -> None:
    if not done.called:  # else it was cancelled while it ran
        give(result)

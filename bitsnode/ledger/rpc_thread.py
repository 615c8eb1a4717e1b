"""The thread of one RPC server, and the way from it to the reactor and through tor."""

# mypy: disallow-untyped-calls=False

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.threads import blockingCallFromThread, deferToThreadPool
from twisted.python.threadpool import ThreadPool

from bitsnode.ledger.errors import RpcStopped
from onion.http import HttpClient, HttpReply
from onion.isolation import Isolation
from onion.url import Url

T = TypeVar("T")


class RpcThread:
    """See `bitsnode.ledger.rpc.Carrier`; one thread, started when it is first needed."""

    def __init__(self, reactor: Any, http: HttpClient, url: str) -> None:
        self._reactor = reactor
        self._http = http
        self._url = Url.parse(url)
        self._pool = ThreadPool(0, 1, "rpc")
        self._working: set[Deferred[Any]] = set()
        self._asking: Deferred[HttpReply] | None = None
        self._trigger: Any = None
        self._stopping = False

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Do work in the thread, one after another."""
        if self._stopping:
            raise RpcStopped
        if self._trigger is None:
            self._pool.start()
            # a thread that waits for a reactor that has ended would wait for ever
            self._trigger = self._reactor.addSystemEventTrigger("before", "shutdown", self._end)
        ended: Deferred[None] = Deferred()
        self._working.add(ended)
        given: Deferred[T] = Deferred()

        def over(result: Any) -> None:
            self._working.discard(ended)
            if not given.called:  # who asked may have given up
                given.callback(result)
            ended.callback(None)

        deferToThreadPool(self._reactor, self._pool, work).addBoth(over)
        return given

    def post(self, body: bytes, isolation: Isolation, timeout: float, limit: int) -> HttpReply:
        """Post from the thread, and wait."""
        ask: Callable[[], Any] = partial(self._post, body, isolation, timeout, limit)
        reply: HttpReply = blockingCallFromThread(self._reactor, ask)
        return reply

    def close(self, isolation: Isolation) -> None:
        """Close idle connections."""
        self._http.close(isolation)

    async def stop(self) -> None:
        """End all that is under way, and the thread."""
        if self._trigger is not None:
            self._reactor.removeSystemEventTrigger(self._trigger)
        await self._end()

    def _end(self) -> Deferred[None]:
        self._stopping = True
        if self._asking is not None:
            self._asking.cancel()
        started, self._trigger = self._trigger is not None, None

        def stop_thread(_results: object) -> None:
            if started:
                self._pool.stop()

        return DeferredList(list(self._working)).addCallback(stop_thread)

    def _post(
        self, body: bytes, isolation: Isolation, timeout: float, limit: int
    ) -> Deferred[HttpReply]:
        if self._stopping:
            raise RpcStopped
        asked = self._http.post(
            self._url,
            body,
            content_type="application/json",
            isolation=isolation,
            timeout=timeout,
            limit=limit,
        )
        self._asking = Deferred.fromCoroutine(asked).addErrback(_stopped)
        return self._asking


def _stopped(failure: Any) -> Any:
    if failure.check(CancelledError):
        raise RpcStopped
    return failure

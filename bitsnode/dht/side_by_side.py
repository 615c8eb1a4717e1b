"""Several things at a time, of which some may fail."""

from collections.abc import Coroutine, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.errors import BitsError

_log = Logger()


async def all_of(work: Iterable[Coroutine[Any, Any, None]]) -> int:
    """Run these side by side and return how many raised no BitsError; cancelling cancels all."""
    return sum(await each_of(work))


async def each_of(work: Iterable[Coroutine[Any, Any, None]]) -> list[bool]:
    """Run these side by side and return of each whether it raised no BitsError."""
    started = [Deferred.fromCoroutine(one) for one in work]
    results = await DeferredList(started, consumeErrors=True)
    for ok, result in results:
        expected = (BitsError, CancelledError)
        if not ok and isinstance(result, Failure) and not isinstance(result.value, expected):
            _log.failure("A part of the DHT's work failed by a bug", failure=result)
    return [ok for ok, _ in results]

"""A purchase that runs in this process, and those who listen and wait for its end."""

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.market.buying import Buying
from bitsnode.market.purchase import Story
from bitsnode.market.purchase_progress import Event, OnEvent

_log = Logger()


class PurchaseRun:
    """One purchase that runs, its listeners, and those who wait for its end.

    Args:
        name: id of the purchase, 16 bytes.
        listeners: told of progress.

    Attributes:
        buying: carries it on.
        task: ends when there is nothing more to do, or it cannot go on.
    """

    buying: Buying
    task: "Deferred[None]"

    def __init__(self, name: bytes, listeners: Iterable[OnEvent]) -> None:
        self.name = name
        self.listeners = list(listeners)
        self._waiters: list[Deferred[None]] = []
        self._failed: Failure | None = None

    def tell(self, event: Event) -> None:
        """Tell all who listen; who cannot be told any more is no reason to stop."""
        for listener in list(self.listeners):
            try:
                listener(event)
            except Exception as error:
                _log.warn("Progress is not shown: {kind}", kind=type(error).__name__)
                self.forget(listener)

    def forget(self, listener: OnEvent) -> None:
        """Tell somebody nothing any more."""
        if listener in self.listeners:
            self.listeners.remove(listener)

    async def wait(self) -> Story:
        """Return the story when it is known how it ends.

        Raises:
            bitsnode.errors.BitsError: it cannot go on now.
        """
        if not self.buying.story.known:
            if self._failed is not None:
                self._failed.raiseException()
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            await waiter
        return self.buying.story

    def settle(self) -> None:
        """Tell those who wait that it is known how it ends."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def fail(self, failure: Failure) -> bool:
        """Tell those who wait that it cannot go on; whether there was anybody."""
        self._failed = failure
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.errback(failure)
        return bool(waiters)

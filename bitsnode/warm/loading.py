"""Takes the index up that the last run left, a little at a time: a full one takes many seconds."""

from collections.abc import Callable, Iterator
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Cooperator, SchedulerStopped
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.warm.index import GroupIndex
from bitsnode.warm.saved import IndexUnusable, SavedIndex

PAUSE: Final = 0.01  # seconds between pieces, which take as long: others have half of the time

_log = Logger()


class Loading:
    """Reads while the node runs.

    Args:
        clock: the time.
        saved: what the last run left.
        index: where it goes.

    Attributes:
        done: whether all was read, or the rest cannot be.
    """

    def __init__(self, clock: IReactorTime, saved: SavedIndex, index: GroupIndex) -> None:
        self._clock = clock
        self._saved = saved
        self._index = index
        self._cooperator = Cooperator(scheduler=self._soon)
        self.done = False

    def start(self) -> None:
        """Begin."""
        self._cooperator.cooperate(self._pages()).whenDone().addErrback(self._failed)

    def stop(self) -> None:
        """Leave the rest, which stays in the file."""
        self._cooperator.stop()

    def _soon(self, work: Callable[[], None]) -> IDelayedCall:
        return self._clock.callLater(PAUSE, work)

    def _pages(self) -> Iterator[None]:
        for page in self._saved.pages():
            for signed in page:
                self._index.restore(signed, self._clock.seconds())
            yield
        self.done = True

    def _failed(self, failure: Failure) -> None:
        if isinstance(failure.value, SchedulerStopped):
            return
        self.done = True
        if isinstance(failure.value, IndexUnusable):
            _log.error("The index could not be read: {error}", error=str(failure.value))
        else:
            _log.failure("Reading the index failed by a bug", failure=failure)

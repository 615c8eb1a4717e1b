"""Something done again and again, at times that nobody can foresee."""

import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

_STEPS: Final = 1024  # of the jitter

_log = Logger()


class Repeating:
    """Runs a coroutine function, waits, and runs it again; never twice at a time.

    Args:
        clock: the time.
        seconds: returns the mean time to wait from now; half of it more or less is drawn.
        work: what to do. An exception of it is logged and does not end the repeating.
    """

    def __init__(
        self,
        clock: IReactorTime,
        seconds: Callable[[], float],
        work: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._work = work
        self._call: IDelayedCall | None = None
        self._running: Deferred[None] | None = None
        self._stopped = True

    def start(self) -> None:
        """Begin to wait."""
        self._stopped = False
        self._wait()

    def again(self) -> None:
        """Wait anew, because ``seconds`` changed; nothing happens while the work runs."""
        if not self._stopped and self._call is not None:
            self._call.cancel()
            self._wait()

    def stop(self) -> None:
        """Wait no more, and cancel the work if it runs."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._running is not None:
            self._running.cancel()

    def _wait(self) -> None:
        share = 0.5 + secrets.randbelow(_STEPS) / _STEPS
        self._call = self._clock.callLater(self._seconds() * share, self._run)

    def _run(self) -> None:
        self._call = None

        def finished(result: object) -> None:
            self._running = None
            if isinstance(result, Failure) and not isinstance(result.value, CancelledError):
                _log.failure("An upkeep of the DHT failed", failure=result)
            if not self._stopped:
                self._wait()

        running = Deferred.fromCoroutine(self._work())
        self._running = running
        running.addBoth(finished)

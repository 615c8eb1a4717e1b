"""Sending a content as fast as its reader takes it, and never holding more than a piece of it."""

import threading
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from bitsnode.errors import BitsError
from bitsnode.web.answers import Outflow
from bitsnode.web.needs import RunInThread

WRITE: Final = 64 * 1024  # bytes handed to the connection at once: what it buffers before it pauses
_log = Logger()


class BrokenOff(BitsError):
    """A content ended before all that was promised of it was sent."""


class Reader(Protocol):
    """Where a content goes."""

    def is_paused(self) -> bool:
        """Whether the connection takes no more for now."""

    def take(self, data: bytes) -> None:
        """Send."""

    def register(self, producer: IPushProducer) -> None:
        """Tell a push producer when to pause and to go on."""

    def unregister(self) -> None:
        """There is no more to send."""

    def abort(self) -> None:
        """Close the connection at once."""


class _Tap:
    """An iterator that lives in threads: taken from by one at a time, closed when it is idle."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces
        self._lock = threading.Lock()
        self._iterator: Iterator[bytes] | None = None
        self._closed = False

    def next(self) -> bytes | None:
        """Return the next piece, None at the end."""
        with self._lock:
            if self._closed:
                return None
            if self._iterator is None:
                self._iterator = iter(self._pieces())
            return next(self._iterator, None)

    def close(self) -> None:
        """Let go of what the iterator holds."""
        with self._lock:
            self._closed = True
            close = getattr(self._iterator, "close", None)
            if close is not None:
                close()


@implementer(IPushProducer)
class Flow:
    """One content on its way to one reader.

    Args:
        reader: who gets it.
        clock: measures for how long the reader takes nothing.
        run: fetches pieces in threads.
        stall_seconds: after which the reader is let go.
    """

    def __init__(
        self, reader: Reader, clock: IReactorTime, run: RunInThread, stall_seconds: float
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._run = run
        self._stall_seconds = stall_seconds
        self._paused = False
        self._gone = False
        self._waiting: Deferred[None] | None = None

    async def send(self, outflow: Outflow) -> None:
        """Send it; ends when all is sent, or cancelled when the reader goes."""
        tap = _Tap(outflow.pieces)
        self._paused = self._reader.is_paused()
        self._reader.register(self)
        try:
            await self._send(tap, outflow.span.length)
        except CancelledError:
            raise
        except Exception as error:
            if not isinstance(error, BitsError):
                _log.failure("a content of the shop could not be read")
            else:
                _log.warn("a content of the shop broke off: {error}", error=str(error))
            if not self._gone:
                self._reader.abort()  # what was sent must not look whole
        finally:
            if not self._gone:
                self._reader.unregister()
            Deferred.fromCoroutine(_closed(self._run, tap))

    async def _send(self, tap: _Tap, left: int) -> None:
        while left > 0:
            await self._ready()
            piece = await self._run(tap.next)
            if not piece or len(piece) > left:
                raise BrokenOff
            left -= len(piece)
            view = memoryview(piece)
            for start in range(0, len(piece), WRITE):
                await self._ready()
                self._reader.take(bytes(view[start : start + WRITE]))

    async def _ready(self) -> None:
        if not self._paused:
            return
        self._waiting = Deferred()
        stalled: IDelayedCall = self._clock.callLater(self._stall_seconds, self._reader.abort)
        try:
            await self._waiting
        finally:
            self._waiting = None
            if stalled.active():
                stalled.cancel()

    def pauseProducing(self) -> None:
        """The connection is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The connection takes more."""
        self._paused = False
        waiting = self._waiting
        if waiting is not None and not waiting.called:
            waiting.callback(None)

    def stopProducing(self) -> None:
        """The connection is gone; whoever runs `send` cancels it."""
        self._gone = True


async def _closed(run: RunInThread, tap: _Tap) -> None:
    try:
        await run(tap.close)
    except Exception:
        _log.failure("a content of the shop could not be closed")

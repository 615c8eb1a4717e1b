"""One open connection, either side: feeds a `Session`, keeps its times, holds back both ways."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from bitsnode.errors import RemoteProtocolError
from bitsnode.peer.budgets import Times
from bitsnode.peer.errors import ConnectionLost, PeerError, ProtocolBroken, TooSlow
from bitsnode.wire.session import Event, HelloReceived, Session

TURN: Final = 32  # events handled before other connections have their turn


@implementer(IPushProducer)
class Connection(Protocol):
    """What both sides of a connection have in common.

    A subclass says what it does with events, whether it takes more of them, what it does when
    it may write again, and what happens at the end.
    """

    def __init__(self, clock: IReactorTime, session: Session, times: Times) -> None:
        self._clock = clock
        self._session = session
        self._times = times
        self._timers: dict[str, IDelayedCall] = {}
        self._pumping = False
        self._reading = True
        self._full = False  # more is written than the transport has sent
        self._progress = 0  # bytes since the progress window began
        self.received = 0  # bytes in all
        self.last_used = clock.seconds()
        self.over = False

    # For the subclass

    def _greeting(self) -> bytes:
        """Return the frame of our hello."""
        raise NotImplementedError

    def _greeted(self, hello: HelloReceived) -> None:
        """The other side said hello; raises RemoteProtocolError if its card is not in order."""
        raise NotImplementedError

    def _heard(self, event: Event) -> None:
        """Handle any other event."""
        raise NotImplementedError

    def _wants_more(self) -> bool:
        """Return whether events are taken now; if not, nothing more is read."""
        raise NotImplementedError

    @property
    def in_use(self) -> bool:
        """Whether requests are under way, so that the connection is not idle."""
        raise NotImplementedError

    def _drained(self) -> None:
        """What was written has been sent."""
        raise NotImplementedError

    def _ended(self, error: PeerError) -> None:
        """The connection is gone; called once."""
        raise NotImplementedError

    # Life

    def connectionMade(self) -> None:
        """Say hello, and wait for the other side's."""
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]
        self._start("hello", self._times.hello, lambda: self.abort(TooSlow()))
        self._start("idle", self._times.idle, self._look_idle)
        self._write(self._greeting())

    def dataReceived(self, data: bytes) -> None:
        """Take what came."""
        if self.over:
            return
        self.received += len(data)
        self._progress += len(data)
        self._session.receive(data)
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The transport is gone."""
        self._finish(ConnectionLost())

    def abort(self, error: PeerError) -> None:
        """Close at once; all that waits on the connection fails."""
        if self.over:
            return
        self._finish(error)
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def _finish(self, error: PeerError) -> None:
        if self.over:
            return
        self.over = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ended(error)

    # Reading

    def _pump(self) -> None:
        """Handle the events that wait, as far as they are wanted."""
        if self._pumping or self.over:
            return
        self._pumping = True
        try:
            self._turn()
        except RemoteProtocolError as error:
            broken = error if isinstance(error, PeerError) else ProtocolBroken(str(error))
            broken.__cause__ = error.__cause__ if broken is error else error
            self.abort(broken)
        finally:
            self._pumping = False
        if not self.over:
            self._hold_or_read()

    def _turn(self) -> None:
        for _ in range(TURN):
            if self.over or not self._wants_more():
                return
            event = self._session.next_event()
            if event is None:
                return
            self._progress += self._times.progress
            if isinstance(event, HelloReceived):
                self._stop("hello")
                self._greeted(event)
            else:
                self._heard(event)
        if not self.over and "turn" not in self._timers:
            self._start("turn", 0, self._pump)

    def _hold_or_read(self) -> None:
        """Stop reading while more is at hand than is wanted; watch a frame that was begun."""
        reading = self._wants_more() and "turn" not in self._timers
        if reading != self._reading:
            self._reading = reading
            if reading:
                self.transport.resumeProducing()  # type: ignore[union-attr]
            else:
                self.transport.pauseProducing()  # type: ignore[union-attr]
        if reading and self._session.frame_begun and "window" not in self._timers:
            self._progress = 0
            self._start("window", self._times.window, self._look_progress)

    def _look_progress(self) -> None:
        # While we hold back reading, the lack of progress is ours.
        if self._reading and self._session.frame_begun:
            if self._progress < self._times.progress:
                self.abort(TooSlow())
                return
        elif self._reading:
            return
        self._progress = 0
        self._start("window", self._times.window, self._look_progress)

    # Writing

    def _write(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[union-attr]

    def pauseProducing(self) -> None:
        """The transport holds enough: see IPushProducer."""
        self._full = True
        if not self.over and "stall" not in self._timers:
            self._start("stall", self._times.stall, lambda: self.abort(TooSlow()))

    def resumeProducing(self) -> None:
        """The transport has sent what it held: see IPushProducer."""
        self._full = False
        self._stop("stall")
        if not self.over:
            self._drained()

    def stopProducing(self) -> None:
        """The transport is closing: see IPushProducer. `connectionLost` follows."""

    # Time

    def _look_idle(self) -> None:
        left = self.last_used + self._times.idle - self._clock.seconds()
        if self.in_use:
            left = self._times.idle
        if left > 0:
            self._start("idle", left, self._look_idle)
        else:
            self.abort(ConnectionLost())

    def _start(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        def fire() -> None:
            del self._timers[name]
            then()

        self._timers[name] = self._clock.callLater(seconds, fire)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

"""Two ends of a byte stream in memory, with the flow control of a real transport."""

# mypy: disallow-untyped-calls=False

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

PIECE = 65_536  # bytes delivered at once, what a reactor reads from a socket in one go
HIGH_WATER = (
    65_536  # bytes under way at which a producer is paused, as in twisted.internet.abstract
)


@implementer(IAddress)
class MemoryAddress:
    """The address of an end in memory: there is nothing to tell."""


def stream_pair(
    clock: Clock, latency: Callable[[], float]
) -> tuple["MemoryStream", "MemoryStream"]:
    """Two joined ends; `latency` gives the seconds that bytes written now will travel."""
    one, other = MemoryStream(clock, latency), MemoryStream(clock, latency)
    one.peer, other.peer = other, one
    return one, other


@implementer(ITransport, IConsumer, IPushProducer)
class MemoryStream:
    """One end: the transport of the protocol attached to it."""

    peer: "MemoryStream"

    def __init__(self, clock: Clock, latency: Callable[[], float]) -> None:
        self._clock = clock
        self._latency = latency
        self._protocol: IProtocol | None = None
        self._outgoing: deque[bytes] = deque()  # on their way to the peer
        self._arrived = 0  # how many of them have travelled long enough
        self._in_flight = 0  # bytes
        self._reading = True
        self._stalled = False
        self._closing = False
        self._producer: Any = None
        self._streaming = False
        self._producer_paused = False
        self.connected = True
        self.disconnecting = False

    def attach(self, protocol: IProtocol) -> None:
        """Give this end its protocol, and tell it that it is connected."""
        self._protocol = protocol
        protocol.makeConnection(self)

    # ITransport

    def write(self, data: bytes) -> None:
        """Send bytes; what is written after `loseConnection` is dropped."""
        if not self.connected or self._closing or not data:
            return
        for start in range(0, len(data), PIECE):
            piece = bytes(data[start : start + PIECE])
            self._outgoing.append(piece)
            self._in_flight += len(piece)
            self._clock.callLater(self._latency(), self._arrive)
        if self._in_flight > HIGH_WATER and self._producer and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send pieces one after another."""
        self.write(b"".join(data))

    def loseConnection(self, _connDone: object = None) -> None:
        """Close once all that was written, and all that a producer will write, has arrived."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            if self._producer is None:
                self._close_when_sent()

    def abortConnection(self) -> None:
        """Close at once; what is under way is lost."""
        if self.connected:
            self.disconnecting = self._closing = True
            self._reading = False
            self._outgoing.clear()
            self._clock.callLater(0, self.peer._end, ConnectionLost())
            self._clock.callLater(0, self._end, ConnectionAborted())

    def getPeer(self) -> MemoryAddress:
        """Nobody: callers are anonymous."""
        return MemoryAddress()

    def getHost(self) -> MemoryAddress:
        """Nothing to tell."""
        return MemoryAddress()

    # IConsumer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a producer be paused when too much is under way."""
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer, self._streaming, self._producer_paused = producer, streaming, False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """The producer has no more to say."""
        self._producer = None
        if self.disconnecting:
            self._close_when_sent()

    # IPushProducer: the attached protocol holds the reading side

    def pauseProducing(self) -> None:
        """Deliver no more to the protocol for now."""
        self._reading = False

    def resumeProducing(self) -> None:
        """Deliver again."""
        if not self._reading and not self._closing:
            self._reading = True
            self._clock.callLater(0, self.peer._deliver)

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # What the network does to it

    def stall(self) -> None:
        """Carry no more bytes either way, and stay open."""
        self._stalled = self.peer._stalled = True

    def break_off(self) -> None:
        """Lose the connection on both ends, as when a circuit breaks."""
        for end in (self, self.peer):
            self._clock.callLater(0, end._end, ConnectionLost())

    def _arrive(self) -> None:
        self._arrived += 1
        self._deliver()

    def _deliver(self) -> None:
        while self._arrived and self._outgoing and self.peer._reads():
            self._arrived -= 1
            piece = self._outgoing.popleft()
            self._in_flight -= len(piece)
            protocol = self.peer._protocol
            if protocol is not None:
                protocol.dataReceived(piece)
        self._wake_producer()
        if self._closing and not self._outgoing and self.connected:
            self._finish()

    def _reads(self) -> bool:
        return self.connected and self._reading and not self._stalled

    def _wake_producer(self) -> None:
        if self._producer is None or self._in_flight > HIGH_WATER:
            return
        if self._producer_paused or (not self._streaming and not self._in_flight):
            self._producer_paused = False
            self._producer.resumeProducing()

    def _close_when_sent(self) -> None:
        self._closing = True
        if not self._outgoing:
            self._clock.callLater(self._latency(), self._deliver)

    def _finish(self) -> None:
        if not self._stalled:
            self._clock.callLater(0, self.peer._end, ConnectionDone())
        self._end(ConnectionDone())

    def _end(self, reason: Exception) -> None:
        if not self.connected:
            return
        self.connected = False
        self._outgoing.clear()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(reason))

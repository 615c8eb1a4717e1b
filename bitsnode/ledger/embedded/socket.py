"""The socket for this machine's tools: it takes HTTP and bare JSON, told apart by the first byte.

`cast` and web3's IPCProvider write JSON one value after another; curl and others speak HTTP.
"""

from collections import deque
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from bitsnode.ledger.embedded.dispatch import Dispatcher
from bitsnode.ledger.embedded.framing import JsonSplitter, NotJson
from bitsnode.ledger.embedded.http import MAX_CONNECTIONS, REQUEST_SECONDS, ChainSite

UNREAD_SECONDS: Final = 60.0  # that a client may leave an answer unread


@implementer(IPushProducer)
class JsonConnection(Protocol):
    """JSON values in, answers out, in order, one at a time; reads no more than it can answer."""

    def __init__(self, clock: IReactorTime, dispatcher: Dispatcher) -> None:
        self._clock = clock
        self._dispatcher = dispatcher
        self._splitter = JsonSplitter()
        self._waiting: deque[bytes] = deque()
        self._work: Deferred[bytes] | None = None
        self._full = False
        self._late: Any = None

    def connectionMade(self) -> None:
        """Ask to be told when the client reads too slowly."""
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Take bytes."""
        try:
            self._waiting.extend(self._splitter.feed(data))
        except NotJson:
            self._hang_up()
            return
        self._limit(None if self._splitter.empty else REQUEST_SECONDS)
        self._next()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Do nothing of what has not begun."""
        self._limit(None)
        self._waiting.clear()
        if self._work is not None:
            self._work.cancel()

    def pauseProducing(self) -> None:
        """The client does not read."""
        self._full = True
        self._limit(UNREAD_SECONDS)

    def resumeProducing(self) -> None:
        """The client has read."""
        self._full = False
        self._limit(None)
        self._next()

    def stopProducing(self) -> None:
        """The connection ends; `connectionLost` follows."""

    def _limit(self, seconds: float | None) -> None:
        if self._late is not None and (seconds is None or not self._late.active()):
            if self._late.active():
                self._late.cancel()
            self._late = None
        if seconds is not None and self._late is None:
            self._late = self._clock.callLater(seconds, self._hang_up)

    def _hang_up(self) -> None:
        self.transport.abortConnection()  # type: ignore[union-attr]

    def _next(self) -> None:
        if self._work is None and self._waiting and not self._full:
            self.transport.pauseProducing()  # type: ignore[union-attr]
            body = self._waiting.popleft()
            self._work = Deferred.fromCoroutine(self._dispatcher.answer(body))
            self._work.addCallbacks(self._answered, lambda _: None)

    def _answered(self, answer: bytes) -> None:
        self._work = None
        if answer:
            self.transport.write(answer + b"\n")  # type: ignore[union-attr]
        if not self._waiting:
            self.transport.resumeProducing()  # type: ignore[union-attr]
        self._next()


class _Either(Protocol):
    """Hands all to what the first byte asks for."""

    _inner: IProtocol | None = None

    def __init__(self, owner: "ChainSocket") -> None:
        self._owner = owner

    def connectionMade(self) -> None:
        self._owner.count += 1

    def dataReceived(self, data: bytes) -> None:
        if self._inner is None:
            if not (data := data.lstrip(b" \t\r\n")):
                return
            self._inner = self._owner.speaker(data[:1])
            if self._inner is None or self.transport is None:
                self.transport.abortConnection()  # type: ignore[union-attr]
                return
            self._inner.makeConnection(self.transport)
        self._inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._owner.count -= 1
        if self._inner is not None:
            self._inner.connectionLost(reason)


class ChainSocket(Factory):
    """Builds the connections of the unix socket.

    Args:
        clock: for time limits.
        dispatcher: answers bodies, those of this machine's tools.
    """

    noisy = False

    def __init__(self, clock: IReactorTime, dispatcher: Dispatcher) -> None:
        self.count = 0  # connections open
        self._clock = clock
        self._dispatcher = dispatcher
        self._site = ChainSite(clock, dispatcher)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return a new connection, or None if there are too many."""
        return _Either(self) if self.count < MAX_CONNECTIONS else None

    def speaker(self, first: bytes) -> IProtocol | None:
        """Return what a client speaks whose first byte this is."""
        if first in b"{[":
            return JsonConnection(self._clock, self._dispatcher)
        return self._site.buildProtocol(None) if first.isalpha() else None

"""JSON-RPC over HTTP/1.1: what the onion service serves."""

# Twisted's HTTP classes carry no types.
# mypy: disable-error-code="no-untyped-call"

from io import BytesIO
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from twisted.web import http

from bitsnode.ledger.embedded.dispatch import Dispatcher
from bitsnode.ledger.embedded.framing import MAX_BODY

REQUEST_SECONDS: Final = 30.0  # from the first byte of a request to its last
IDLE_SECONDS: Final = 300.0  # without a byte, between two requests or while an answer is unread
MAX_CONNECTIONS: Final = 256  # at once


class _Request(http.Request):
    """One POST; its body is refused as soon as it is known to be too large."""

    channel: "HttpChannel"
    content: BytesIO
    _received = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()  # never a file: what is asked stays in memory
        if length is not None and length > MAX_BODY:
            self._too_large()

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > MAX_BODY:
            self._too_large()
        if not self._refused:
            super().handleContentChunk(data)

    def _too_large(self) -> None:
        if not self._refused:
            self._refused = True
            self.channel.refuse(b"413 Content Too Large")

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if not self._refused:
            super().requestReceived(command, path, version)

    def process(self) -> None:
        if self.method != b"POST":
            self._finish(http.NOT_ALLOWED)
        elif self.path != b"/":
            self._finish(http.NOT_FOUND)
        elif not _is_json(self.getHeader(b"content-type")):
            self._finish(http.UNSUPPORTED_MEDIA_TYPE)
        else:
            answer = self.channel.dispatcher.answer(self.content.read())
            work = Deferred.fromCoroutine(answer)
            self.notifyFinish().addErrback(lambda _: work.cancel())
            work.addCallbacks(self._answer, lambda _: None)

    def _answer(self, answer: bytes) -> None:
        if not self._disconnected:
            self._finish(http.OK, answer)

    def _finish(self, code: int, body: bytes = b"") -> None:
        self.setResponseCode(code)
        if body:
            self.setHeader(b"content-type", b"application/json")
        if code == http.NOT_ALLOWED:
            self.setHeader(b"allow", b"POST")
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(body)
        self.finish()


def _is_json(content_type: bytes | None) -> bool:
    # Also keeps other sites' pages out: a browser sends this type only after asking us (CORS).
    return (content_type or b"").split(b";")[0].strip().lower() == b"application/json"


class HttpChannel(http.HTTPChannel):
    """One connection, with a time limit on each request as a whole."""

    dispatcher: Dispatcher
    factory: "ChainSite"
    requestFactory = _Request
    transport: Any
    _late: Any = None
    _refused = False

    def connectionMade(self) -> None:
        """Count it."""
        self.factory.count += 1
        super().connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count it no more."""
        self.factory.count -= 1
        self._in_time()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; the first of a request start its clock."""
        if self._refused:
            return
        if self._late is None:
            self._late = self.callLater(REQUEST_SECONDS, self._too_late)
        super().dataReceived(data)

    def allContentReceived(self) -> None:
        """A request is complete."""
        self._in_time()
        super().allContentReceived()

    def refuse(self, status: bytes) -> None:
        """Answer with nothing but a status, and hang up."""
        self._refused = True
        self._in_time()
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\n")
        self.loseConnection()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        self.transport.abortConnection()


class ChainSite(Factory):
    """Builds HTTP connections; what its dispatcher does not answer is not there.

    Args:
        clock: for time limits.
        dispatcher: answers bodies.
    """

    noisy = False

    def __init__(self, clock: IReactorTime, dispatcher: Dispatcher) -> None:
        self.count = 0  # connections open
        self._clock = clock
        self._dispatcher = dispatcher

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a new connection, or None if there are too many."""
        if self.count >= MAX_CONNECTIONS:
            return None
        channel: Any = HttpChannel()
        channel.factory = self
        channel.dispatcher = self._dispatcher
        channel.callLater = self._clock.callLater
        channel.timeOut = IDLE_SECONDS
        return channel

    def log(self, request: object) -> None:
        """Write no access log: who asks what is nobody's business."""

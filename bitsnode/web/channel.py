"""One connection of a browser, on top of Twisted's parser of HTTP.

What Twisted does by itself and a shop must not: it answers bad requests without any of our headers,
it lets one who sends a byte now and then stay for ever, it writes a line to the log for each
connection that it times out, it goes on parsing after it has refused a request, and it answers all
requests that came in one go, whether or not anybody takes the answers.
"""

# mypy: disallow-untyped-calls=False, disallow-subclassing-any=False

from typing import Any, Final, Protocol, cast

from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from bitsnode.web.errors import BadRequest, Refused, TooLarge
from bitsnode.web.limits import Limits
from bitsnode.web.target import MAX_BODY

MAX_LINE: Final = 4_096  # bytes of the request line and of each header
MAX_HEAD: Final = 16 * 1024  # bytes of all of them
MAX_HEADERS: Final = 64
FLUSH_SECONDS: Final = 60  # for what was written to be taken, when a connection is closed


class ChannelSite(Protocol):
    """What a connection needs of the site."""

    @property
    def limits(self) -> Limits:
        """Limits of the shop."""

    def seconds(self) -> float:
        """Unix time."""

    def opened(self, channel: "ShopChannel") -> None:
        """Count a connection."""

    def closed(self, channel: "ShopChannel") -> None:
        """Count it no more."""

    def refusal(self, error: Refused) -> bytes:
        """Return the bytes that answer what is no whole request."""


class ShopChannel(HTTPChannel):
    """A connection; its requests are answered one after another.

    Attributes:
        since: second at which it last finished something; the order in which idle ones make way.
        stopped: its reader takes no more for now.
    """

    MAX_LENGTH = MAX_LINE
    totalHeadersSize = MAX_HEAD
    maxHeaders = MAX_HEADERS
    site: ChannelSite

    def __init__(self) -> None:
        super().__init__()
        self.since = 0.0
        self.stopped = False
        self._refused = False
        self._receiving = False  # a part of a request is here
        self._ending: IDelayedCall | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return not self._handlingRequest

    def connectionMade(self) -> None:
        """A browser is there."""
        self.since = self.site.seconds()
        self.site.opened(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; from the first byte of a request on, all of it has a limited time."""
        if self._refused:
            return
        if data and not self._receiving and not self._handlingRequest:
            self._receiving = True
            self.setTimeout(self.site.limits.receive_seconds)
        super().dataReceived(data)

    def resetTimeout(self) -> None:
        """Do not: the time for a request does not grow with every byte of it."""

    def allHeadersReceived(self) -> None:
        """Refuse a body that is too long before any of it is taken."""
        if self.length is not None and self.length > MAX_BODY:
            self.refuse(TooLarge())
            return
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """A request is here."""
        if self._refused:
            return
        self._receiving = False
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """An answer is written; the next request has to wait until enough of it is taken."""
        self.since = self.site.seconds()
        self._savedTimeOut = self.site.limits.idle_seconds
        self.paused = self.stopped  # LineReceiver then keeps what it has received
        super().requestDone(request)
        if self.stopped:
            self._networkProducer.pauseProducing()

    def refuse(self, error: Refused) -> None:
        """Answer with a page and close; what else comes is dropped."""
        if self._refused:
            return
        self._refused = True
        if self.transport is not None:
            self.transport.write(self.site.refusal(error))
        self._end()

    def lineLengthExceeded(self, _line: bytes) -> None:
        """Refuse an endless line."""
        self.refuse(BadRequest())

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(BadRequest())

    def timeoutConnection(self) -> None:
        """Close, and say nothing of it to anybody."""
        self._refused = True
        self._end()

    def _end(self) -> None:
        self.setTimeout(None)
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close when all that was written is taken, which nobody is waited for without end."""
        if self._ending is None:
            self._ending = self.callLater(FLUSH_SECONDS, self.abort)
        super().loseConnection()

    def abort(self) -> None:
        """Close at once."""
        self._refused = True
        if self.transport is not None:
            cast(ITCPTransport, self.transport).abortConnection()

    def pauseProducing(self) -> None:
        """The reader is slow."""
        self.stopped = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """The reader takes more."""
        self.stopped = self.paused = False
        super().resumeProducing()
        if not self._handlingRequest:
            self.dataReceived(b"")  # what came meanwhile

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The browser is gone."""
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        self.site.closed(self)
        super().connectionLost(reason)

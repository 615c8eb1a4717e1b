"""The parts of an HTTP request: a way to the server, its connections, the body each way."""

# mypy: disallow-untyped-calls=False

from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import (
    URI,
    HTTPConnectionPool,
    ResponseDone,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH, IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from onion import errors
from onion.isolation import Isolation
from onion.network import Dialer, ExitDialer
from onion.url import Url

KEEP_SECONDS: Final = 60  # an idle connection is kept for the next request
_DONE = Failure(ConnectionDone())


class Connection(HTTP11ClientProtocol):
    """A connection that takes no more bytes of an answer than it is allowed.

    Attributes:
        allowance: bytes that may still come, head and framing included.
        exceeded: more came; the connection is gone.
    """

    allowance = 0
    exceeded = False

    def connectionMade(self) -> None:
        """Do nothing, where Twisted would set an option of TCP: our streams are unix sockets."""

    def dataReceived(self, data: bytes) -> None:
        """Take bytes as long as there are not too many."""
        self.allowance -= len(data)
        if self.allowance < 0:
            self.abort_now()
            self.exceeded = True
            return
        super().dataReceived(data)

    def abort(self) -> Deferred[None]:
        """Close; fires when it is closed."""
        closed: Deferred[None] = super().abort()
        self.abort_now()  # else TLS would wait for the server's goodbye
        return closed

    def abort_now(self) -> None:
        """Close without waiting for the server."""
        transport: Any = self.transport
        transport.abortConnection()


class _Connections(Factory):
    noisy = False

    def __init__(self, when_idle: Any, _metadata: str) -> None:
        self._when_idle = when_idle

    def buildProtocol(self, _address: IAddress | None) -> Connection:
        return Connection(self._when_idle)


class IdleConnections(HTTPConnectionPool):
    """Connections of one isolation that wait for the next request."""

    _factory = _Connections  # type: ignore[assignment]
    cachedConnectionTimeout = KEEP_SECONDS
    # Twisted repeats by method; who asks knows better what may be repeated
    retryAutomatically = False


class Way:
    """The connection of one request, as the pool that `Agent` takes it from."""

    persistent = True

    def __init__(self, idle: IdleConnections, allowance: int) -> None:
        self._idle = idle
        self._allowance = allowance
        self._connection: Connection | None = None

    def getConnection(
        self, key: Any, endpoint: IStreamClientEndpoint
    ) -> Deferred[HTTP11ClientProtocol]:
        """A connection that was kept, or a new one."""
        return self._idle.getConnection(key, endpoint).addCallback(self._take)

    @property
    def exceeded(self) -> bool:
        """The server sent more than was allowed."""
        return self._connection is not None and self._connection.exceeded

    def abort(self) -> None:
        """Close the connection at once."""
        if self._connection is not None:
            self._connection.abort_now()

    def _take(self, connection: Any) -> Any:
        self._connection = connection
        connection.allowance = self._allowance
        return connection


@implementer(IStreamClientEndpoint)
class UrlEndpoint:
    """Dials the server of a web address.

    Attributes:
        dialled: a new connection was asked for.
    """

    def __init__(
        self, dialer: Dialer, exits: ExitDialer | None, url: Url, isolation: Isolation
    ) -> None:
        self._dialer = dialer
        self._exits = exits
        self._url = url
        self._isolation = isolation
        self.dialled = False

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Open a connection."""
        self.dialled = True
        url = self._url
        if url.onion is not None:
            return self._dialer.dial(url.onion, url.port, self._isolation, factory)
        if self._exits is None:
            raise errors.ExitsOff(url.host)
        return self._exits.dial_out(url.host, url.port, self._isolation, factory)


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """Speaks TLS on the way of another endpoint; as `wrapClientTLS`, but on a clock given in."""

    def __init__(self, clock: Any, options: Any, endpoint: IStreamClientEndpoint) -> None:
        self._clock = clock
        self._options = options
        self._endpoint = endpoint

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Open a connection; the handshake goes on while the first bytes wait."""
        secured: Any = TLSMemoryBIOFactory(self._options, True, factory, self._clock)
        secured.noisy = False
        opened: Deferred[Any] = self._endpoint.connect(secured)
        return opened.addCallback(lambda protocol: protocol.wrappedProtocol)


@implementer(IAgentEndpointFactory)
class ThisEndpoint:
    """Gives `Agent` the one endpoint that is meant."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, _uri: URI) -> IStreamClientEndpoint:
        """The endpoint."""
        return self._endpoint


@implementer(IBodyProducer)
class WholeBody:
    """A request body that is there already, so it is written at once."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write it."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written."""

    def resumeProducing(self) -> None:
        """It is written."""

    def stopProducing(self) -> None:
        """It is written."""


class Answer(Protocol):
    """Collects the body of an answer, up to a limit.

    Attributes:
        whole: fires with the body, or fails; cancelling closes the connection.
    """

    def __init__(self, limit: int, length: Any, way: Way) -> None:
        self._limit = limit
        self._length = length
        self._way = way
        self._pieces: list[bytes] = []
        self._size = 0
        self.whole: Deferred[bytes] = Deferred(lambda _cancelled: way.abort())

    def connectionMade(self) -> None:
        """Refuse a body that is announced as too large."""
        if self._length is not UNKNOWN_LENGTH and self._length > self._limit:
            self._refuse()

    def dataReceived(self, data: bytes) -> None:
        """Keep a piece."""
        self._size += len(data)
        if self._size > self._limit:
            self._refuse()
        elif not self.whole.called:
            self._pieces.append(data)

    def connectionLost(self, reason: Failure = _DONE) -> None:
        """The body is complete, or its rest is lost."""
        if self.whole.called:
            return
        # without a length the end of the connection is the end of the body
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._pieces))
        else:
            self.whole.errback(reason)

    def _refuse(self) -> None:
        if not self.whole.called:
            self._pieces.clear()
            self.whole.errback(errors.HttpAnswerTooLarge(f"more than {self._limit} bytes"))
            self._way.abort()

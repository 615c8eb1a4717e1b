"""HTTP requests over the dialer: no other way out, nothing that names us, everything bounded."""

# mypy: disallow-untyped-calls=False

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import attrs
from OpenSSL.SSL import Error as SslError
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.web.client import Agent, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers

from onion import errors
from onion.http_connection import (
    Answer,
    IdleConnections,
    ThisEndpoint,
    TlsEndpoint,
    UrlEndpoint,
    Way,
    WholeBody,
)
from onion.isolation import Isolation
from onion.network import Dialer, ExitDialer
from onion.url import Url

HEAD_LIMIT: Final = 64 << 10  # bytes of status line and headers
KEPT_ISOLATIONS: Final = 64  # whose idle connections are kept; the longest unused make way


@attrs.frozen
class HttpReply:
    """What a server answered.

    Attributes:
        status: 100-999.
        body: at most as long as the caller allowed.
    """

    status: int
    body: bytes = attrs.field(repr=False)


class HttpClient:
    """Posts to onion services, and through exits if it is given a dialer for them.

    Connections are kept for the next request to the same server under the same isolation, never
    for another isolation. Redirects are not followed, cookies not kept, and no header says who
    asks.
    """

    def __init__(
        self,
        clock: Any,
        dialer: Dialer,
        exit_dialer: ExitDialer | None = None,
        trust_roots: Any = None,
    ) -> None:
        self.clock = clock
        self._dialer = dialer
        self._exits = exit_dialer
        self._trust_roots = trust_roots
        self._pools: OrderedDict[Isolation, IdleConnections] = OrderedDict()
        self._running: set[Deferred[HttpReply]] = set()

    async def post(
        self,
        url: Url,
        body: bytes,
        *,
        content_type: str,
        isolation: Isolation,
        timeout: float,
        limit: int,
        headers: Sequence[tuple[str, str]] = (),
    ) -> HttpReply:
        """Post a body and return the whole answer, whatever its status.

        Args:
            url: whom to ask.
            body: what to send. It is sent a second time when a kept connection turns out to be
                closed before any byte of an answer came.
            content_type: of the body.
            isolation: who must share no circuit with others.
            timeout: seconds for all of it, connecting included.
            limit: bytes that the body of the answer may have.
            headers: further ones.

        Raises:
            HttpError: the server cannot be asked, or answers wrongly or too late.
            DialError: it cannot be reached.
        """
        exchange = _Exchange(self, url, body, _headers(content_type, headers), isolation, limit)
        running = Deferred.fromCoroutine(exchange.run())
        self._running.add(running)
        running.addTimeout(timeout, self.clock)
        try:
            return await running
        except DeferredTimeout as error:
            raise errors.HttpTimedOut(f"{url.host}, {timeout:g} s") from error
        finally:
            self._running.discard(running)

    def close(self, isolation: Isolation) -> None:
        """Close the idle connections of an isolation."""
        pool = self._pools.pop(isolation, None)
        if pool is not None:
            pool.closeCachedConnections()

    async def stop(self) -> None:
        """End all requests, and close all connections."""
        for running in list(self._running):
            running.cancel()
        pools = [self._pools.pop(isolation) for isolation in list(self._pools)]
        await gatherResults([pool.closeCachedConnections() for pool in pools])

    def pool(self, isolation: Isolation) -> IdleConnections:
        """The idle connections of an isolation."""
        pool = self._pools.get(isolation)
        if pool is None:
            pool = self._pools[isolation] = IdleConnections(self.clock)
        self._pools.move_to_end(isolation)
        while len(self._pools) > KEPT_ISOLATIONS:
            self.close(next(iter(self._pools)))
        return pool

    def endpoint(self, url: Url, isolation: Isolation) -> "UrlEndpoint":
        """A way to a server, not yet gone.

        Raises:
            ExitsOff: it is outside, and there are no exits.
        """
        if url.onion is None and self._exits is None:
            raise errors.ExitsOff(url.host)
        return UrlEndpoint(self._dialer, self._exits, url, isolation)

    def secured(self, url: Url, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        """The same way with TLS, if the web address asks for it."""
        if url.scheme != "https":
            return endpoint
        options = optionsForClientTLS(url.host, trustRoot=self._trust_roots)
        return TlsEndpoint(self.clock, options, endpoint)


@attrs.frozen
class _Exchange:
    """One request and its answer."""

    client: HttpClient
    url: Url
    body: bytes = attrs.field(repr=False)
    headers: Headers
    isolation: Isolation
    limit: int

    async def run(self) -> HttpReply:
        """Ask; a second time if a kept connection was closed."""
        kept = True
        while True:
            endpoint = self.client.endpoint(self.url, self.isolation)
            way = Way(self.client.pool(self.isolation), HEAD_LIMIT + 2 * self.limit)
            try:
                return await self._ask(endpoint, way)
            except (CancelledError, errors.OnionError):
                raise
            except Exception as error:
                if _was_cancelled(error):
                    raise CancelledError from error
                was_kept, kept = kept and not endpoint.dialled, False
                if not (was_kept and isinstance(error, ResponseNeverReceived)):
                    raise _explained(error, way, self.url) from error

    async def _ask(self, endpoint: "UrlEndpoint", way: "Way") -> HttpReply:
        secured = self.client.secured(self.url, endpoint)
        agent = Agent.usingEndpointFactory(self.client.clock, ThisEndpoint(secured), way)
        url = self.url.full.encode("ascii")
        response: Any = await agent.request(b"POST", url, self.headers, WholeBody(self.body))
        if response.headers.hasHeader(b"content-encoding"):
            # never asked for, and a small body could unpack to a huge one
            way.abort()
            raise errors.HttpAnswerInvalid("it is compressed")
        reading = Answer(self.limit, response.length, way)
        response.deliverBody(reading)
        return HttpReply(response.code, await reading.whole)


def _headers(content_type: str, further: Sequence[tuple[str, str]]) -> Headers:
    headers = Headers({b"content-type": [content_type.encode("ascii")]})
    for name, value in further:
        headers.addRawHeader(name, value)
    return headers


def _was_cancelled(error: Exception) -> bool:
    # Twisted tells of the end of a request that is cancelled as of any other failure
    if not isinstance(error, ResponseFailed):
        return False
    return any(failure.check(CancelledError) for failure in error.reasons)


def _explained(error: Exception, way: "Way", url: Url) -> errors.HttpError:
    """What Twisted says, as one of our errors."""
    reasons = [error]
    if isinstance(error, ResponseFailed):
        reasons += [failure.value for failure in error.reasons]
    if way.exceeded:
        return errors.HttpAnswerTooLarge(url.host)
    if any(isinstance(reason, SslError | VerificationError) for reason in reasons):
        return errors.TlsUntrusted(url.host)
    if any(_is_nonsense(reason) for reason in reasons):
        return errors.HttpAnswerInvalid(url.host)
    return errors.HttpConnectionLost(url.host)


def _is_nonsense(reason: BaseException) -> bool:
    # the parser of Twisted raises its ParseError, but also what int() and decode() raise
    name = type(reason).__name__
    return isinstance(reason, ValueError) or name in ("ParseError", "BadResponseVersion")

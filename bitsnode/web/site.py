"""The shop as a factory of connections, to be published on an onion service of its own."""

# mypy: disallow-untyped-calls=False

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.server import Site

from bitsnode.web.answers import Answer
from bitsnode.web.app import Pages, ShopApp
from bitsnode.web.browsing import Browsing
from bitsnode.web.channel import ShopChannel
from bitsnode.web.cookies import TICKET, VISITOR
from bitsnode.web.errors import BadRequest, Broken, Refused
from bitsnode.web.forms import Forms
from bitsnode.web.limits import Limits, Throttle
from bitsnode.web.needs import Backroom
from bitsnode.web.opening import Opening
from bitsnode.web.ordering import Ordering
from bitsnode.web.render import Renderer
from bitsnode.web.request import ShopRequest
from bitsnode.web.target import (
    MAX_BODY,
    check_host,
    check_origin,
    parse_cookies,
    parse_target,
)
from bitsnode.web.texts import Texts
from bitsnode.web.tickets import Tickets
from bitsnode.web.visit import Visit

COIN: Final = "ETH"
_log = Logger()


class ShopSite(Site):
    """The shop; publish it on port 80 of its onion service.

    Args:
        clock: reactor time; its seconds are Unix time.
        app: the pages.
        ordering: is stopped with the shop.
        forms: knows the cookies that the shop gave out.
        hosts: under which names the shop is asked for: its onion address.
        limits: of the shop.
        throttle: its budgets.

    Attributes:
        limits: of the shop.
    """

    protocol = ShopChannel  # type: ignore[assignment]
    requestFactory = ShopRequest  # type: ignore[assignment]
    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        app: ShopApp,
        ordering: Ordering,
        forms: Forms,
        hosts: Sequence[str],
        limits: Limits,
        throttle: Throttle,
    ) -> None:
        super().__init__(
            app.app.resource(),
            timeout=limits.idle_seconds,
            reactor=clock,
            parsePOSTFormSubmission=False,
        )
        self.limits = limits
        self._app = app
        self._ordering = ordering
        self._forms = forms
        self._hosts = frozenset(host.lower().encode("ascii") for host in hosts)
        self._throttle = throttle
        self._channels: set[ShopChannel] = set()

    # Twisted would write the time of each request to a log file

    def startFactory(self) -> None:
        """Open no log."""

    def stopFactory(self) -> None:
        """Close none."""

    def log(self, request: Request) -> None:
        """Write nothing: who asked for what, and when, is nobody's business."""

    def seconds(self) -> float:
        """Unix time."""
        return self.reactor.seconds()

    def opened(self, channel: ShopChannel) -> None:
        """Count a connection; of too many, the one that is idle for longest makes way."""
        self._channels.add(channel)
        if len(self._channels) > self.limits.connections:
            others = [one for one in self._channels if one.idle and one is not channel]
            leaving = min(others, key=lambda one: one.since, default=channel)
            self._channels.discard(leaving)  # now: its end is told later, and more may come
            leaving.abort()

    def closed(self, channel: ShopChannel) -> None:
        """Count it no more."""
        self._channels.discard(channel)

    def stop(self) -> None:
        """Close all connections, and give up orders that are being made."""
        self._ordering.stop()
        for channel in list(self._channels):
            channel.abort()

    def serve(self, request: ShopRequest) -> None:
        """Admit a request, at once or a little later, and let its page answer."""
        try:
            wait, request.visit = self._visit(request)
        except Refused as error:
            self._send(request, self._app.error_page(error))
            return
        if not wait:
            request.answered_by(self.resource)
            return
        later = self.reactor.callLater(wait, request.answered_by, self.resource)
        request.notifyFinish().addErrback(lambda _gone: later.cancel() if later.active() else None)

    def failed(self, request: ShopRequest, failure: Failure) -> None:
        """Answer a request that no page could answer."""
        _log.failure("a request to the shop failed", failure=failure)
        if request.startedWriting:
            request.abort()
        else:
            self._send(request, self._app.error_page(Broken()))

    def refusal(self, error: Refused) -> bytes:
        """Return the bytes that answer what is no whole request."""
        answer = self._app.error_page(error)
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.all_headers()]
        lines.append("Connection: close")
        return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + answer.body

    def _visit(self, request: ShopRequest) -> tuple[float, Visit]:
        def header(name: str) -> str | None:
            found = request.requestHeaders.getRawHeaders(name.encode("ascii"), [])
            return found[0].decode("latin-1") if len(found) == 1 else None

        def headers(name: bytes) -> Sequence[bytes]:
            return request.requestHeaders.getRawHeaders(name, [])

        check_host(headers(b"host"), self._hosts)
        check_origin(headers(b"origin"), self._hosts)
        if headers(b"upgrade"):
            raise BadRequest
        target = parse_target(request.uri)
        cookies = parse_cookies(headers(b"cookie"))
        visitor = cookies.get(VISITOR, "")
        ticket = self._forms.token(cookies.get(TICKET, ""))
        known = visitor if self._forms.is_visitor(visitor) else None
        wait = self._throttle.admit(self.seconds(), ticket or known, ticket is not None)
        body = request.content.read(MAX_BODY + 1) if request.content is not None else b""
        return wait, Visit(
            method=request.method.decode("ascii"),
            target=target,
            visitor=known,
            ticket=ticket,
            body=body,
            content_type=(headers(b"content-type") or [b""])[0],
            range=header("range"),
            if_range=header("if-range"),
            if_none_match=header("if-none-match"),
        )

    def _send(self, request: ShopRequest, answer: Answer) -> None:
        request.head(answer.status, answer.all_headers())
        request.write(answer.body)
        request.finish()


def shop_site(
    clock: Any,
    backroom: Backroom,
    tickets: Tickets,
    *,
    hosts: Sequence[str],
    coin: str = COIN,
    language: str = "en",
    limits: Limits | None = None,
) -> ShopSite:
    """Return the shop's pages as a factory of connections.

    Args:
        clock: reactor time; its seconds are Unix time.
        backroom: what lies behind the counter.
        tickets: which browser may see which order; the caller closes them.
        hosts: under which names browsers ask for the shop: its onion address.
        coin: name of the chain's coin.
        language: of the pages.
        limits: other than usual.
    """
    limits = limits or Limits()
    renderer, forms = Renderer(Texts(language), coin), Forms(tickets.key)
    throttle = Throttle(limits, clock.seconds())
    browsing = Browsing(backroom.catalogue, backroom.run, renderer, forms, tickets.key)
    ordering = Ordering(clock, backroom, browsing, renderer, forms, tickets, throttle)
    opening = Opening(clock, backroom, ordering, renderer, forms, tickets.key)
    pages = Pages(browsing, ordering, opening)
    app = ShopApp(pages, renderer, clock, backroom.run, limits)
    return ShopSite(clock, app, ordering, forms, hosts, limits, throttle)

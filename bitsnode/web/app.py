"""Routes of the shop. klein does the routing and nothing else."""

# mypy: disallow-untyped-calls=False

from collections.abc import Coroutine
from typing import Any, Final

import attrs
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from bitsnode.errors import BitsError
from bitsnode.web.answers import SECRET, SECURITY_HEADERS, Answer, News, Outflow
from bitsnode.web.browsing import Browsing
from bitsnode.web.errors import Broken, Busy, NotAllowed, NotFound, Refused, Unavailable
from bitsnode.web.flow import Flow
from bitsnode.web.limits import Limits, Places
from bitsnode.web.needs import RunInThread
from bitsnode.web.opening import Opening
from bitsnode.web.ordering import Ordering
from bitsnode.web.render import Renderer
from bitsnode.web.request import ShopRequest
from onion.errors import OnionError

_log = Logger()
Reply = Coroutine[Any, Any, Answer | Outflow | News]
RETRY_MILLISECONDS: Final = 15_000  # after which a browser that was cut off asks for news again


@attrs.frozen
class Pages:
    """Everything that can be asked for."""

    browsing: Browsing
    ordering: Ordering
    opening: Opening


class ShopApp:
    """Joins paths with pages, and sends what they answer.

    Args:
        pages: of the shop.
        renderer: of pages that say what went wrong.
        clock: for those who wait.
        run: fetches contents in threads.
        limits: of the shop.
    """

    app = Klein()

    def __init__(
        self,
        pages: Pages,
        renderer: Renderer,
        clock: IReactorTime,
        run: RunInThread,
        limits: Limits,
    ) -> None:
        self._pages = pages
        self._renderer = renderer
        self._clock = clock
        self._run = run
        self._limits = limits
        self._streams = Places(limits.streams, limits.streams_each)
        self._listeners = Places(limits.listeners, limits.listeners_each)

    @app.route("/", methods=["GET"])
    def front(self, request: ShopRequest) -> Deferred[bytes | None]:
        """The catalogue."""
        return self._reply(request, self._pages.browsing.front(request.visit))

    @app.route("/item/<item>", methods=["GET"])
    def item(self, request: ShopRequest, item: str) -> Deferred[bytes | None]:
        """An item."""
        return self._reply(request, self._pages.browsing.item(request.visit, item))

    @app.route("/item/<item>/buy", methods=["POST"])
    def buy(self, request: ShopRequest, item: str) -> Deferred[bytes | None]:
        """Order it."""
        return self._reply(request, self._pages.ordering.buy(request.visit, item))

    @app.route("/claim", methods=["GET"])
    def claim_page(self, request: ShopRequest) -> Deferred[bytes | None]:
        """Where a claim code is typed."""
        return self._reply(request, self._pages.ordering.claim_page(request.visit))

    @app.route("/claim", methods=["POST"])
    def claim(self, request: ShopRequest) -> Deferred[bytes | None]:
        """Open an order by its claim code."""
        return self._reply(request, self._pages.ordering.claim(request.visit))

    @app.route("/order/<order>", methods=["GET"])
    def order(self, request: ShopRequest, order: str) -> Deferred[bytes | None]:
        """An order."""
        return self._reply(request, self._pages.opening.page(request.visit, order))

    @app.route("/order/<order>/kept", methods=["POST"])
    def kept(self, request: ShopRequest, order: str) -> Deferred[bytes | None]:
        """The claim code is kept."""
        return self._reply(request, self._pages.ordering.kept(request.visit, order))

    @app.route("/order/<order>/qr.png", methods=["GET"])
    def qr(self, request: ShopRequest, order: str) -> Deferred[bytes | None]:
        """The QR code of a payment."""
        return self._reply(request, self._pages.opening.qr(request.visit, order))

    @app.route("/order/<order>/events", methods=["GET"])
    def events(self, request: ShopRequest, order: str) -> Deferred[bytes | None]:
        """News of a payment."""
        return self._reply(request, self._pages.opening.news(request.visit, order))

    @app.route("/order/<order>/content", methods=["GET"])
    def content(self, request: ShopRequest, order: str) -> Deferred[bytes | None]:
        """What was bought, to be shown."""
        return self._reply(request, self._pages.opening.content(request.visit, order))

    @app.route("/order/<order>/content/<int(max=9999):number>", methods=["GET"])
    def part(self, request: ShopRequest, order: str, number: int) -> Deferred[bytes | None]:
        """One of several pictures, from 1."""
        return self._reply(request, self._pages.opening.content(request.visit, order, number))

    @app.route("/order/<order>/download", methods=["GET"])
    def download(self, request: ShopRequest, order: str) -> Deferred[bytes | None]:
        """What was bought, to be saved."""
        return self._reply(request, self._pages.opening.download(request.visit, order))

    @app.route("/order/<order>/sealed", methods=["GET"])
    def sealed(self, request: ShopRequest, order: str) -> Deferred[bytes | None]:
        """What was bought, as ciphertext."""
        return self._reply(request, self._pages.opening.sealed(request.visit, order))

    @app.route("/blob/<name>", methods=["GET"])
    def blob(self, request: ShopRequest, name: str) -> Deferred[bytes | None]:
        """A small picture."""
        return self._reply(request, self._pages.browsing.blob(request.visit, name))

    @app.route("/about", methods=["GET"])
    def about(self, request: ShopRequest) -> Deferred[bytes | None]:
        """What the shop is."""
        return self._reply(request, self._pages.browsing.about(request.visit))

    @app.route("/tips", methods=["GET"])
    def tips(self, request: ShopRequest) -> Deferred[bytes | None]:
        """Where tips go."""
        return self._reply(request, self._pages.browsing.tips(request.visit))

    @app.route("/tips/qr.png", methods=["GET"])
    def tips_qr(self, request: ShopRequest) -> Deferred[bytes | None]:
        """The same as a picture."""
        return self._reply(request, self._pages.browsing.tips_qr(request.visit))

    @app.route("/feed.atom", methods=["GET"])
    def feed(self, request: ShopRequest) -> Deferred[bytes | None]:
        """The newest items."""
        return self._reply(request, self._pages.browsing.feed(request.visit))

    @app.route("/static/<name>", methods=["GET"])
    def static(self, request: ShopRequest, name: str) -> bytes:
        """The style sheet, the script, the icon."""
        asset = self._renderer.assets.get(name)
        if asset is None:
            raise NotFound
        return _whole(request, asset.answer)

    @app.handle_errors(Exception)  # type: ignore[arg-type]
    def failed(self, request: ShopRequest, failure: Failure) -> bytes | None:
        """Answer with a page; break off an answer that was begun."""
        error = _refusal(failure)
        if request.startedWriting:
            request.abort()
            return None
        return _whole(request, self.error_page(error, _way_back(request)))

    def error_page(self, error: Refused, back: str = "") -> Answer:
        """Return the page of an error."""
        headers = (("Retry-After", str(error.retry)),) if error.retry else ()
        if isinstance(error, NotAllowed):
            headers = (("Allow", "GET, HEAD, POST"),)
        body = self._renderer.page("error.html", name=error.name, back=back)
        return Answer(error.status, body, cache=SECRET, headers=headers)

    def _reply(self, request: ShopRequest, reply: Reply) -> Deferred[bytes | None]:
        return Deferred.fromCoroutine(self._replied(request, reply))

    async def _replied(self, request: ShopRequest, reply: Reply) -> bytes | None:
        answer = await reply
        if isinstance(answer, Answer):
            return _whole(request, answer)
        if request.method == b"HEAD":
            request.head(answer.status, answer.all_headers())
            return b""
        if isinstance(answer, Outflow):
            await self._stream(request, answer)
        else:
            await self._tell(request, answer)
        return None

    async def _stream(self, request: ShopRequest, outflow: Outflow) -> None:
        if not self._streams.take(outflow.key):
            raise Busy
        try:
            request.head(outflow.status, outflow.all_headers())
            request.write(b"")
            flow = Flow(request, self._clock, self._run, self._limits.stall_seconds)
            await flow.send(outflow)
        finally:
            self._streams.give_back(outflow.key)

    async def _tell(self, request: ShopRequest, news: News) -> None:
        if not self._listeners.take(news.key):
            # "no content" makes a browser ask no more (HTML, section 9.2): its page looks by itself
            request.head(204, (("Cache-Control", SECRET), *SECURITY_HEADERS))
            return
        changed: Deferred[bytes] = Deferred()

        def tell(event: bytes) -> None:
            if not changed.called:
                changed.callback(event)

        stop = news.watch(lambda _status: tell(b"event: changed\ndata: .\n\n"))
        over = self._clock.callLater(self._limits.listen_seconds, tell, b"")
        try:
            request.head(news.status, news.all_headers())
            request.write(b"retry: %d\n\n" % RETRY_MILLISECONDS)
            request.write(await changed)
        finally:
            stop()
            if over.active():
                over.cancel()
            self._listeners.give_back(news.key)


def _whole(request: ShopRequest, answer: Answer) -> bytes:
    request.head(answer.status, answer.all_headers())
    return answer.body


def _refusal(failure: Failure) -> Refused:
    error = failure.value
    if isinstance(error, Refused):
        return error
    if isinstance(error, MethodNotAllowed):
        return NotAllowed()
    if isinstance(error, HTTPException):  # routing finds nothing, or would redirect
        return NotFound()
    if isinstance(error, BitsError | OnionError):
        _log.info("a page of the shop cannot be shown: {error}", error=str(error))
        return Unavailable()
    if not failure.check(CancelledError):
        _log.failure("a page of the shop failed", failure=failure)
    return Broken()


def _way_back(request: ShopRequest) -> str:
    """The page that has the button of a failed POST; "" if it is none."""
    path = request.visit.target.path
    if request.method != b"POST":
        return ""
    return path.removesuffix("/buy").removesuffix("/kept")

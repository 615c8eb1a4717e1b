"""One request, on top of Twisted's: no Server, no Date, no parsing that we did not ask for."""

# mypy: disallow-untyped-calls=False

from http import HTTPStatus
from typing import Any, Protocol, cast

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request

from bitsnode.web.answers import Headers
from bitsnode.web.channel import ShopChannel
from bitsnode.web.errors import TooLarge
from bitsnode.web.target import MAX_BODY
from bitsnode.web.visit import Visit


class RequestSite(Protocol):
    """What a request needs of the site."""

    def serve(self, request: "ShopRequest") -> None:
        """Let a page answer."""

    def failed(self, request: "ShopRequest", failure: Failure) -> None:
        """Answer a request that no page could answer."""


class ShopRequest(Request):
    """A request of a browser.

    Attributes:
        visit: what the pages see of it, once it was admitted.
    """

    defaultContentType = None
    visit: Visit

    def __init__(self, channel: Any, *_queued: object) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self._received = 0

    @property
    def shop_channel(self) -> ShopChannel:
        """The connection."""
        return cast(ShopChannel, self.channel)

    @property
    def _shop(self) -> RequestSite:
        return cast(RequestSite, self.site)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body, whose length nobody may have told."""
        self._received += len(data)
        if self._received > MAX_BODY:
            self.shop_channel.refuse(TooLarge())
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Keep what was sent as it is; `visit` is the one place where it is read."""
        if self.content is not None:
            self.content.seek(0)
        self.args = {}
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self.process()

    def process(self) -> None:
        """Let the site answer."""
        self.site = self.shop_channel.site  # type: ignore[assignment]
        self.prepath = []
        self.postpath = self.path[1:].split(b"/")
        try:
            self._shop.serve(self)
        except Exception:
            self.processingFailed(Failure())

    def answered_by(self, resource: IResource) -> None:
        """Let a resource answer."""
        try:
            self.render(resource)
        except Exception:
            self.processingFailed(Failure())

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer with a page that says nothing of the reason, or break off what was begun."""
        if not self._disconnected:
            self._shop.failed(self, reason)
        return reason

    def head(self, status: int, headers: Headers) -> None:
        """Set the status and all headers of the answer."""
        self.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
        for name, value in headers:
            self.responseHeaders.addRawHeader(name, value)

    # What a `Flow` needs of its reader

    def is_paused(self) -> bool:
        """See `Reader.is_paused`."""
        return self.shop_channel.stopped

    def take(self, data: bytes) -> None:
        """See `Reader.take`."""
        self.write(data)

    def register(self, producer: IPushProducer) -> None:
        """See `Reader.register`."""
        self.registerProducer(producer, True)

    def unregister(self) -> None:
        """See `Reader.unregister`."""
        if not self._disconnected:
            self.unregisterProducer()

    def abort(self) -> None:
        """See `Reader.abort`."""
        if not self._disconnected:
            self.shop_channel.abort()

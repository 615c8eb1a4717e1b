"""Answers of the shop: which headers they have, and how long they are. Pure.

The headers are the same on every answer. None tells the software, its version, the host or the
time; none allows another site anything.
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final

import attrs

from bitsnode.market.invoice import InvoiceStatus
from bitsnode.web.ranges import Span

HTML: Final = "text/html; charset=utf-8"
SECRET: Final = "no-store"  # noqa: S105 - Cache-Control of what must leave no trace in the browser
PLAIN: Final = "private, no-cache"  # of pages that everybody may see, and that change
FOR_EVER: Final = "public, max-age=31536000, immutable"  # of what has a new name when it changes

SECURITY_HEADERS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self';"
        " script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), midi=(), display-capture=()",
    ),
)

_PAD_BEFORE: Final = b"\n<!--"
_PAD_AFTER: Final = b"-->\n"
SMALLEST: Final = 4_096  # bytes; the first size class
OF_AN_ORDER: Final = 8_192  # bytes; the class of every page of an order, whatever its state

Headers = tuple[tuple[str, str], ...]


@attrs.frozen
class Answer:
    """A whole answer.

    Attributes:
        status: 200-599.
        body: all of it.
        media_type: of the body.
        cache: Cache-Control.
        headers: further ones.
    """

    status: int
    body: bytes = attrs.field(repr=False)
    media_type: str = HTML
    cache: str = PLAIN
    headers: Headers = attrs.field(default=(), repr=False)

    def all_headers(self) -> Headers:
        """Every header of the answer but those of the connection."""
        described: Headers = (("Cache-Control", self.cache),)
        if self.status != HTTPStatus.NOT_MODIFIED:
            described += (("Content-Type", self.media_type), ("Content-Length", str(self.length)))
        return described + self.headers + SECURITY_HEADERS

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body)


@attrs.frozen
class Outflow:
    """An answer that is read while it is sent.

    Attributes:
        key: whose places for such answers it takes.
        span: the bytes that it has.
        media_type: of the whole.
        headers: further ones.
        pieces: called in a thread, as is what it returns.
    """

    key: str = attrs.field(repr=False)
    span: Span
    media_type: str
    headers: Headers
    pieces: Callable[[], Iterator[bytes]] = attrs.field(repr=False)

    @property
    def status(self) -> int:
        """200, or 206 for a part."""
        return HTTPStatus.OK if self.span.whole else HTTPStatus.PARTIAL_CONTENT

    def all_headers(self) -> Headers:
        """Every header of the answer but those of the connection."""
        part: Headers = ()
        if not self.span.whole:
            part = (("Content-Range", self.span.content_range),)
        described = (
            ("Cache-Control", SECRET),
            ("Content-Type", self.media_type),
            ("Content-Length", str(self.span.length)),
            ("Accept-Ranges", "bytes"),
        )
        return described + part + self.headers + SECURITY_HEADERS


@attrs.frozen
class News:
    """An answer that says when something changes (server-sent events).

    Attributes:
        key: whose places for such answers it takes.
        watch: is given what to call at a change; returns what ends that.
    """

    key: str = attrs.field(repr=False)
    watch: Callable[[Callable[[InvoiceStatus], None]], Callable[[], None]] = attrs.field(repr=False)

    status = HTTPStatus.OK

    def all_headers(self) -> Headers:
        """Every header of the answer but those of the connection."""
        described = (("Cache-Control", SECRET), ("Content-Type", "text/event-stream"))
        return described + SECURITY_HEADERS


def redirect(path: str, *headers: tuple[str, str]) -> Answer:
    """Send the browser to another page, by GET; the path names no host."""
    return Answer(HTTPStatus.SEE_OTHER, b"", cache=SECRET, headers=(("Location", path), *headers))


def padded(html: bytes, least: int = SMALLEST) -> bytes:
    """Return a page filled up to the next size class, so that its length tells little.

    The classes are 4, 6, 8, 12, 16, 24, 32 … KiB: a page grows by half at most. What fills it is a
    comment, and nothing is ever compressed, so a length does not depend on what a page says.

    Args:
        html: the page.
        least: the smallest class for it, so that pages of one kind have one length.
    """
    needed = len(html) + len(_PAD_BEFORE) + len(_PAD_AFTER)
    room = max(least, size_class(needed)) - needed
    return html + _PAD_BEFORE + b" " * room + _PAD_AFTER


def size_class(length: int) -> int:
    """Return the size in bytes that a page of some length is filled up to."""
    size = SMALLEST
    while size < length:
        # 1, 1.5, 2, 3, 4, 6 … times the smallest
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size

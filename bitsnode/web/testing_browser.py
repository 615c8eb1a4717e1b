"""A browser for tests: it speaks to the shop's factory over a stream in memory."""

# mypy: disallow-untyped-calls=False

import re
from collections.abc import Mapping
from html import unescape
from typing import Final
from urllib.parse import urlencode, urljoin

import attrs
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock

from bitsnode.web.site import ShopSite
from onion.memory_stream import MemoryStream, stream_pair

HOST: Final = "shopshopshopshopshopshopshopshopshopshopshopshopshopshop.onion"


@attrs.frozen
class Reply:
    """An answer as it came over the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    def header(self, name: str) -> str:
        """Return a header's value; "" if it is missing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8")


class Wire(Protocol):
    """A connection to the shop on which a test writes what it likes.

    Attributes:
        got: all that came.
        lost: whether it was closed.
    """

    def __init__(self, site: ShopSite, clock: Clock) -> None:
        self._clock = clock
        self.got = b""
        self.lost = False
        ours, theirs = stream_pair(clock, lambda: 0.0)
        self.stream: MemoryStream = ours
        far = site.buildProtocol(None)
        if far is None:
            raise RuntimeError("the shop takes no connection")
        theirs.attach(far)
        ours.attach(self)

    def dataReceived(self, data: bytes) -> None:
        """Keep what came."""
        self.got += data

    def connectionLost(self, _reason: object = None) -> None:
        """Remember that it is over."""
        self.lost = True

    def send(self, data: bytes) -> None:
        """Write, and let the shop do all that it does now."""
        self.stream.write(data)
        self.flush()

    def flush(self) -> None:
        """Let all that is due happen."""
        clock = self._clock
        while any(call.getTime() <= clock.seconds() for call in clock.getDelayedCalls()):
            clock.advance(0)


class Browser:
    """Asks the shop for pages, keeps its cookies, follows its redirects and fills its forms.

    Attributes:
        site: the shop.
        cookies: (path, name) -> value.
    """

    def __init__(self, site: ShopSite, clock: Clock) -> None:
        self.site = site
        self._clock = clock
        self.cookies: dict[tuple[str, str], str] = {}

    def ask(
        self,
        target: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        """Send one request over a connection of its own; no redirect is followed."""
        wire = self.start(target, method, headers, body)
        reply = parse_reply(wire.got, head=method == "HEAD")
        self._keep(reply)
        return reply

    def start(
        self,
        target: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        fields: Mapping[str, str] | None = None,
        slow: bool = False,
    ) -> Wire:
        """Send one request, and wait for no answer.

        Args:
            target: path and query.
            method: of the request.
            headers: further ones.
            body: of the request.
            fields: a form to send instead.
            slow: take nothing of the answer until `wire.stream.resumeProducing`.
        """
        body = urlencode(fields).encode() if fields is not None else body
        lines = {"Host": HOST, "Connection": "close"}
        cookies = self._cookies(target)
        if cookies:
            lines["Cookie"] = cookies
        if body:
            lines["Content-Length"] = str(len(body))
            lines["Content-Type"] = "application/x-www-form-urlencoded"
        lines |= headers or {}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        wire = Wire(self.site, self._clock)
        if slow:
            wire.stream.pauseProducing()
        wire.send(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return wire

    def received(self, target: str, wire: Wire) -> Reply:
        """Take what came over a connection as the answer, and follow where it leads."""
        reply = parse_reply(wire.got)
        self._keep(reply)
        return self._follow(target, reply)

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask for a page, and follow where it leads."""
        return self._follow(target, self.ask(target, "GET", headers))

    def post(self, target: str, **fields: str) -> Reply:
        """Send a form, and follow where it leads."""
        body = urlencode(fields).encode()
        return self._follow(target, self.ask(target, "POST", body=body))

    def submit(self, page: Reply, action: str, **fields: str) -> Reply:
        """Press the button of the form with this action on a page."""
        form = page.text.partition(f'action="{action}"')[2].partition("</form>")[0]
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
        return self.post(action, **{name: unescape(value) for name, value in hidden} | fields)

    def _follow(self, target: str, reply: Reply) -> Reply:
        for _ in range(5):
            if reply.status != 303:
                break
            target = urljoin(target, reply.header("Location"))
            reply = self.ask(target)
        return reply

    def _cookies(self, target: str) -> str:
        path = target.partition("?")[0]
        fitting = [
            (cookie_path, name, value)
            for (cookie_path, name), value in self.cookies.items()
            if cookie_path == "/" or path == cookie_path or path.startswith(cookie_path + "/")
        ]
        fitting.sort(key=lambda cookie: -len(cookie[0]))
        return "; ".join(f"{name}={value}" for _, name, value in fitting)

    def _keep(self, reply: Reply) -> None:
        for name, value in reply.headers:
            if name.lower() == "set-cookie":
                pair, *attributes = value.split("; ")
                path = next(a.removeprefix("Path=") for a in attributes if a.startswith("Path="))
                cookie, _, content = pair.partition("=")
                self.cookies[path, cookie] = content


def parse_reply(raw: bytes, *, head: bool = False) -> Reply:
    """Read one answer; its body is as long as it says."""
    start, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = start.decode("latin-1").split("\r\n")
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    reply = Reply(int(first.split(" ")[1]), headers, b"", raw)
    length = reply.header("Content-Length")
    body = rest[: int(length)] if length else rest
    return attrs.evolve(reply, body=b"" if head else body)

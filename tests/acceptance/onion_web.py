"""Asks for pages of an onion service through the SOCKS socket of a tor, as a browser does."""

import html
import re
import socket
import urllib.parse
from http.cookies import SimpleCookie
from pathlib import Path

import attrs

TIMEOUT = 60.0  # seconds


class NotConnected(Exception):
    """Tor did not connect; the reply code of SOCKS5 (RFC 1928 section 6) is its argument."""


@attrs.frozen
class Page:
    """An answer.

    Attributes:
        status: of it.
        head: status line and headers, in small letters.
        headers: by name in small letters.
        body: all of it.
        cookies: that it sets.
        raw: the whole answer, to the byte.
    """

    status: int
    head: str
    headers: dict[str, str]
    body: bytes
    cookies: list[str]
    raw: bytes = attrs.field(default=b"", repr=False)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@attrs.frozen
class Browser:
    """Somebody's tor.

    Attributes:
        socks: unix socket of its SOCKS port.
        user: visits of different users share no circuit.
        patience: seconds that anything may take.
    """

    socks: Path
    user: str = "visitor"
    patience: float = TIMEOUT

    def connect(self, onion: str, port: int = 80) -> socket.socket:
        """Connect to a port of an onion service.

        Raises:
            NotConnected: tor says why not.
        """
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(self.patience)
        try:
            stream.connect(str(self.socks))
            name, user = onion.encode(), self.user.encode()
            stream.sendall(b"\x05\x01\x02")
            _exactly(stream, 2)
            stream.sendall(b"\x01" + bytes([len(user)]) + user + b"\x01x")
            _exactly(stream, 2)
            address = b"\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big")
            stream.sendall(b"\x05\x01\x00" + address)
            _, reply, _, kind = _exactly(stream, 4)
            if reply:
                raise NotConnected(reply)
            _exactly(stream, {1: 4, 4: 16}[kind] + 2)
        except BaseException:
            stream.close()
            raise
        return stream

    def get(self, onion: str, path: str = "/") -> Page:
        """Ask for one page."""
        return self.send(onion, f"GET {path} HTTP/1.1", {})

    def send(self, onion: str, first: str, headers: dict[str, str], body: bytes = b"") -> Page:
        """Send a request whose first line is given, and return the whole answer."""
        lines = [first, f"Host: {onion}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        with self.connect(onion) as stream:
            stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            answer = b""
            while part := stream.recv(65_536):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in rest]
        cookies = [value for name, value in pairs if name.lower() == "set-cookie"]
        found = {name.lower(): value for name, value in pairs}
        return Page(
            int(first.split()[1]), head.decode("latin-1").lower(), found, body, cookies, answer
        )


class Visit:
    """A browser window without scripts: it keeps cookies, and posts the forms of its page.

    Args:
        browser: of the visitor.
        onion: of the shop.

    Attributes:
        path: of the page that is open.
        page: that is open.
        heard: every answer so far, redirects included, with the path that was asked for.
    """

    def __init__(self, browser: Browser, onion: str) -> None:
        self._browser = browser
        self._onion = onion
        self._cookies: dict[tuple[str, str], str] = {}
        self.path = "/"
        self.page = Page(0, "", {}, b"", [])
        self.heard: list[tuple[str, Page]] = []

    def open(self, path: str) -> Page:
        """Go to a page."""
        return self._go("GET", path, {}, b"")

    def press(self, action: str, **typed: str) -> Page:
        """Post the form of this page whose action ends so, with what was typed."""
        forms = re.findall(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', self.page.text, re.S)
        ((path, inside),) = [form for form in forms if form[0].endswith(action)]
        fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', inside))
        known = {name: html.unescape(value) for name, value in fields.items()} | typed
        body = urllib.parse.urlencode(known).encode()
        headers = {
            "Origin": f"http://{self._onion}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(body)),
        }
        return self._go("POST", path, headers, body)

    def _go(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Page:
        fitting = [f"{k}={v}" for (k, where), v in self._cookies.items() if path.startswith(where)]
        cookie = {"Cookie": "; ".join(fitting)} if fitting else {}
        page = self._browser.send(self._onion, f"{method} {path} HTTP/1.1", headers | cookie, body)
        self.heard.append((path, page))
        for text in page.cookies:
            for name, morsel in SimpleCookie(text).items():
                self._cookies[name, morsel["path"] or "/"] = morsel.value
        self.path, self.page = path, page
        if 300 <= page.status < 400:
            return self._go("GET", page.headers["location"], {}, b"")
        return page


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ConnectionError("tor closed the connection")
        data += part
    return data

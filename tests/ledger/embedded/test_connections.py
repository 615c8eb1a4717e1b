"""Connections: HTTP and bare JSON on one socket, size and time limits, clients that do not read."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from bitsnode.ledger.embedded.framing import MAX_BODY
from bitsnode.ledger.embedded.http import IDLE_SECONDS, MAX_CONNECTIONS, REQUEST_SECONDS, ChainSite
from bitsnode.ledger.embedded.socket import UNREAD_SECONDS, ChainSocket

HEADERS = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Echo:
    """Answers with what it was asked, at once or when it is let."""

    def __init__(self) -> None:
        self.held: list[Deferred[None]] | None = None
        self.cancelled = 0

    async def answer(self, body: bytes) -> bytes:
        """Answer."""
        if self.held is not None:
            waiting: Deferred[None] = Deferred(lambda _: self._count())
            self.held.append(waiting)
            await waiting
        return b"<" + body + b">"

    def _count(self) -> None:
        self.cancelled += 1


class Line:
    """A connection in memory."""

    def __init__(self, factory: Any) -> None:
        self.transport = StringTransport()
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> bytes:
        """Send bytes; return all that came back since the last time."""
        self.protocol.dataReceived(data)
        return self.heard()

    def heard(self) -> bytes:
        """Return what came back."""
        said = self.transport.value()
        self.transport.clear()
        return said

    @property
    def over(self) -> bool:
        """The other side hung up."""
        return self.transport.disconnecting or self.transport.disconnected

    def hang_up(self) -> None:
        """End it from this side."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


@pytest.fixture
def clock() -> Clock:
    """Time."""
    return Clock()


@pytest.fixture
def echo() -> Echo:
    """What answers."""
    return Echo()


@pytest.fixture
def tools(clock: Clock, echo: Echo) -> ChainSocket:
    """The unix socket's connections."""
    return ChainSocket(clock, echo)  # type: ignore[arg-type]


@pytest.fixture
def site(clock: Clock, echo: Echo) -> ChainSite:
    """The onion service's connections."""
    return ChainSite(clock, echo)  # type: ignore[arg-type]


def post(body: bytes) -> bytes:
    """An HTTP request."""
    return HEADERS + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("kind", ["tools", "site"])
def test_http(kind: str, request: pytest.FixtureRequest) -> None:
    """Both take HTTP, several requests on one connection, and tell nothing about themselves."""
    line = Line(request.getfixturevalue(kind))
    for body in (b"{}", b"[1]"):
        said = line.say(post(body))
        head, _, answer = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert answer == b"<" + body + b">"
        names = {each.split(b":")[0].lower() for each in head.split(b"\r\n")[1:]}
        assert names == {b"content-type", b"content-length"}
    assert not line.over


def test_bare_json(tools: ChainSocket) -> None:
    """Values one after another, in pieces or joined, are answered in order, a line each."""
    line = Line(tools)
    assert line.say(b' \n{"a"') == b""
    assert line.say(b":1}[2]") == b'<{"a":1}>\n<[2]>\n'
    assert line.say(b"\n[3]\n") == b"<[3]>\n"


def test_the_site_speaks_no_bare_json(site: ChainSite) -> None:
    """Through the onion service only HTTP is spoken."""
    line = Line(site)
    assert b"[1]>" not in line.say(b"[1]\r\n\r\n")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"404"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", b"415"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 2\r\n\r\n{}",
            b"415",
        ),
        (HEADERS + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1), b"413"),
        (HEADERS + b"Content-Length: -1\r\n\r\n", b"400"),
        (b"rubbish\r\n\r\n", b"400"),
    ],
)
def test_http_that_is_refused(site: ChainSite, text: bytes, status: bytes) -> None:
    """Other methods, paths, types and sizes are refused with nothing but a status."""
    said = Line(site).say(text)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert said.endswith(b"\r\n\r\n")
    assert b"Twisted" not in said


def test_bodies_without_a_length_are_limited(site: ChainSite) -> None:
    """A chunked body is refused as soon as it is too large, and no more of it is read."""
    line = Line(site)
    line.say(HEADERS + b"Transfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    said = b""
    for _ in range(MAX_BODY // 0x10000 + 1):
        said += line.say(piece)
    assert said.startswith(b"HTTP/1.1 413")
    assert line.over
    assert line.say(piece * 3) == b""


@pytest.mark.parametrize("data", [b"{" * 100, b"[" + b"1" * (MAX_BODY + 1), b"[1] x"])
def test_json_that_ends_the_connection(tools: ChainSocket, data: bytes) -> None:
    """What is too deep, too large or no JSON ends the connection."""
    line = Line(tools)
    line.say(data)
    assert line.over


def test_other_first_bytes_end_the_connection(tools: ChainSocket) -> None:
    """What is neither HTTP nor JSON is not spoken to."""
    line = Line(tools)
    line.say(b"\x16\x03\x01")
    assert line.over


@pytest.mark.parametrize("start", [b"[1", HEADERS[:20], HEADERS + b"Content-Length: 99\r\n\r\n{"])
def test_slow_requests_end(tools: ChainSocket, clock: Clock, start: bytes) -> None:
    """A request that trickles in, a byte now and then, is ended when its time is over."""
    line = Line(tools)
    line.say(start)
    for _ in range(int(REQUEST_SECONDS) - 1):
        clock.advance(1)
        line.say(b" ")
    assert not line.over
    clock.advance(1)
    assert line.over


def test_time_starts_anew_with_each_request(site: ChainSite, clock: Clock) -> None:
    """A connection may be kept and used for long; idle for too long, it ends."""
    line = Line(site)
    for _ in range(5):
        assert line.say(post(b"{}"))
        clock.advance(IDLE_SECONDS - 1)
    assert not line.over
    clock.advance(2)
    assert line.over


def test_who_does_not_read_is_not_answered(tools: ChainSocket, clock: Clock, echo: Echo) -> None:
    """While answers pile up no more requests are taken; after a while the connection ends."""
    line = Line(tools)
    line.say(b"[1]")
    line.transport.producer.pauseProducing()
    assert line.say(b"[2]") == b""
    line.transport.producer.resumeProducing()
    assert line.heard() == b"<[2]>\n"
    clock.advance(UNREAD_SECONDS + 1)
    assert not line.over
    line.transport.producer.pauseProducing()
    clock.advance(UNREAD_SECONDS + 1)
    assert line.over


def test_one_request_at_a_time(tools: ChainSocket, echo: Echo) -> None:
    """Requests on one connection wait for each other, and nothing more is read meanwhile."""
    echo.held = []
    line = Line(tools)
    assert line.say(b"[1][2]") == b""
    assert len(echo.held) == 1
    assert line.transport.producerState == "paused"
    echo.held[0].callback(None)
    assert line.heard() == b"<[1]>\n"
    echo.held[1].callback(None)
    assert line.heard() == b"<[2]>\n"
    assert line.transport.producerState == "producing"


@pytest.mark.parametrize("data", [b"[1][2]", post(b"{}")])
def test_who_hangs_up_wants_nothing_more(tools: ChainSocket, echo: Echo, data: bytes) -> None:
    """What was asked on a connection that ended is not worked on."""
    echo.held = []
    line = Line(tools)
    line.say(data)
    line.hang_up()
    assert (len(echo.held), echo.cancelled) == (1, 1)
    assert tools.count == 0


@pytest.mark.parametrize("kind", ["tools", "site"])
def test_connections_are_counted(kind: str, request: pytest.FixtureRequest) -> None:
    """Only so many connections are open at once; one that ends makes room."""
    factory = request.getfixturevalue(kind)
    lines = [Line(factory) for _ in range(MAX_CONNECTIONS)]
    assert factory.buildProtocol(None) is None
    lines[0].hang_up()
    assert factory.buildProtocol(None) is not None

"""HTTP over onion services: what is sent, what is taken, and everything a server may do wrong."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from onion.http import HttpClient, HttpReply
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.testing import MemoryOnionNetwork
from onion.url import Url

ONE = Isolation("rpc", "one")
OTHER = Isolation("rpc", "other")


class World:
    """A client, and one onion service that speaks whatever a test wants."""

    def __init__(self, factory: Factory) -> None:
        self.clock = Clock()
        self.network = MemoryOnionNetwork(self.clock)
        self.key = OnionKey.generate()
        self.network.publisher().publish(self.key, 80, factory)
        self.network.flush()
        self.client = HttpClient(self.clock, self.network.dialer())
        self.url = Url.parse(f"http://{self.key.address}/rpc?key=secret")

    def post(self, body: bytes = b"{}", **kwargs: Any) -> Deferred[HttpReply]:
        options: dict[str, Any] = {
            "content_type": "application/json",
            "isolation": ONE,
            "timeout": 10.0,
            "limit": 1000,
        } | kwargs
        url = options.pop("url", self.url)
        asked = Deferred.fromCoroutine(self.client.post(url, body, **options))
        self.network.flush()
        return asked


def outcome(deferred: Deferred[Any]) -> Any:
    """What a Deferred came to; raises its failure."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "it has not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


class Speaker(Protocol):
    """Says something as soon as a request is there."""

    said: bytes = b""
    closes = False

    def __init__(self, log: list[bytes], say: Callable[[int], bytes], close: bool) -> None:
        self._log, self._say, self._close = log, say, close

    def dataReceived(self, data: bytes) -> None:
        self._log.append(data)
        if b"\r\n\r\n" in data:
            transport: Any = self.transport
            transport.write(self._say(len(self._log)))
            if self._close:
                transport.loseConnection()


def speaker(
    answer: bytes | Callable[[int], bytes], close: bool = False
) -> tuple[World, list[bytes]]:
    """A server that gives this answer, and the log of what it was sent."""
    log: list[bytes] = []
    say = answer if callable(answer) else lambda _count: answer
    return World(Factory.forProtocol(lambda: Speaker(log, say, close))), log


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class _Echo(Resource):
    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        request.setResponseCode(201)
        body: bytes = request.content.read()
        return request.method + b" " + request.uri + b" " + body


def test_a_request_reaches_a_site_and_its_answer_comes_back() -> None:
    """Status and body of an ordinary Twisted site arrive."""
    world = World(Site(_Echo()))
    reply = outcome(world.post(b"[1]"))
    assert reply == HttpReply(201, b"POST /rpc?key=secret [1]")

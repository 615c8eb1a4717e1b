"""HTTP over onion services: what is sent, what is taken, and everything a server may do wrong."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from onion import errors
from onion.http import HttpClient, HttpReply
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.testing import MemoryOnionNetwork
from onion.url import Url

ONE = Isolation("rpc", "one")
OTHER = Isolation("rpc", "other")


class World:
    """A client, and one onion service that speaks whatever a test wants."""

    def __init__(self, factory: Any, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.network = MemoryOnionNetwork(self.clock)
        self.key = OnionKey.generate()
        self.network.publisher().publish(self.key, 80, factory)
        self.network.flush()
        self.client = HttpClient(self.clock, self.network.dialer())
        self.url = Url.parse(f"http://{self.key.address}/rpc?key=secret")

    def post(self, body: bytes = b"{}", **kwargs: Any) -> Deferred[HttpReply]:
        """Begin a post."""
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
    """Says something as soon as the head of a request is there."""

    def __init__(self, log: list[bytes], say: Callable[[int], bytes], close: bool) -> None:
        self._log, self._say, self._close = log, say, close

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        transport: Any = self.transport
        if self._log and not data.startswith(b"POST "):
            self._log[-1] += data
            return
        self._log.append(data)
        transport.write(self._say(len(self._log)))
        if self._close:
            transport.loseConnection()


def speaker(
    answer: bytes | Callable[[int], bytes], close: bool = False
) -> tuple[World, list[bytes]]:
    """A server that gives this answer, and the log of requests that it was sent."""
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


def test_nothing_names_who_asks() -> None:
    """The request has the headers that HTTP needs, those given, and no others."""
    world, log = speaker(OK)
    outcome(world.post(b"{}", headers=[("x-more", "1")]))
    head, body = b"".join(log).split(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert first == b"POST /rpc?key=secret HTTP/1.1"
    names = {line.partition(b":")[0].lower() for line in headers}
    assert names == {b"host", b"content-type", b"content-length", b"connection", b"x-more"} - (
        {b"connection"} - names
    )
    assert world.key.address.host.encode() in head
    assert body == b"{}"


def test_connections_are_kept_for_the_same_isolation_alone() -> None:
    """A second request uses the open connection; another isolation gets its own."""
    world, log = speaker(OK)
    for isolation in (ONE, ONE, OTHER, ONE):
        outcome(world.post(isolation=isolation))
    assert [dial.isolation for dial in world.network.dials] == [ONE, OTHER]
    assert len(log) == 4
    world.client.close(ONE)
    world.network.flush()
    assert world.network.live_connections(world.key.address) == 1
    outcome(world.post(isolation=ONE))
    assert len(world.network.dials) == 3


def test_two_requests_at_once_use_two_connections() -> None:
    """Requests are not pipelined: one that waits does not hold up another."""
    world, _ = speaker(lambda count: b"" if count == 1 else OK)
    first = world.post()
    assert outcome(world.post()) == HttpReply(200, b"hi")
    world.clock.advance(10)
    with pytest.raises(errors.HttpTimedOut):
        outcome(first)


def test_idle_connections_close_and_many_isolations_are_not_kept() -> None:
    """An idle connection closes after a minute; the longest unused isolations make way."""
    world, _ = speaker(OK)
    for number in range(70):
        outcome(world.post(isolation=Isolation("rpc", str(number))))
    world.network.flush()
    assert world.network.live_connections(world.key.address) == 64
    world.clock.advance(60)
    world.network.flush()
    assert world.network.live_connections(world.key.address) == 0


def test_a_kept_connection_that_was_closed_is_replaced_once() -> None:
    """The server closed it meanwhile: the request is sent on a new one, and that one counts."""
    world, _ = speaker(OK)
    outcome(world.post())
    world.network.drop(world.key.address)
    assert outcome(world.post()) == HttpReply(200, b"hi")
    assert len(world.network.dials) == 2
    closing, _ = speaker(b"", close=True)
    with pytest.raises(errors.HttpConnectionLost):
        outcome(closing.post())
    assert len(closing.network.dials) == 1


def test_a_kept_connection_that_closes_on_the_request_is_replaced_once() -> None:
    """Closed by the server just when the request arrives: sent again, on a new connection."""
    world, _ = speaker(OK)
    outcome(world.post())
    asked = Deferred.fromCoroutine(
        world.client.post(
            world.url, b"", content_type="text/plain", isolation=ONE, timeout=10, limit=10
        )
    )
    world.network.drop(world.key.address)
    world.network.flush()
    assert outcome(asked) == HttpReply(200, b"hi")


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "close", "error"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", False, errors.HttpAnswerInvalid),
        (b"HTTP/1.1 abc OK\r\n\r\n", False, errors.HttpAnswerInvalid),
        (b"\xff\xfe\r\n\r\n", False, errors.HttpAnswerInvalid),
        (HEAD + b"Content-Length: x\r\n\r\n", False, errors.HttpAnswerInvalid),
        (HEAD + b"Content-Length: -5\r\n\r\n", False, errors.HttpError),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", False, errors.HttpError),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", False, errors.HttpError),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", False, errors.HttpError),
        (HEAD + b"Content-Length: 5\r\n\r\nab", True, errors.HttpConnectionLost),
        (HEAD, True, errors.HttpConnectionLost),
        (b"", True, errors.HttpConnectionLost),
        (HEAD + b"Content-Length: 1001\r\n\r\n", False, errors.HttpAnswerTooLarge),
        (HEAD + b"Content-Length: " + b"9" * 4000 + b"\r\n\r\n", False, errors.HttpAnswerTooLarge),
        (HEAD + b"\r\n" + b"x" * 1001, False, errors.HttpAnswerTooLarge),
        (HEAD + b"a: b\r\n" * 20_000, False, errors.HttpAnswerTooLarge),
        (HEAD + b"a: " + b"b" * 100_000, False, errors.HttpError),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5000, False, errors.HttpAnswerTooLarge),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1001,
            False,
            errors.HttpAnswerTooLarge,
        ),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 100_000,
            False,
            errors.HttpError,
        ),
        (b"", False, errors.HttpTimedOut),
        (HEAD, False, errors.HttpTimedOut),
        (HEAD + b"Content-Length: 5\r\n\r\nab", False, errors.HttpTimedOut),
    ],
)
def test_a_hostile_answer_is_one_error_and_leaves_nothing_behind(
    answer: bytes, close: bool, error: type[Exception]
) -> None:
    """Nonsense, too much, too little or nothing: a typed error in time, and no open connection."""
    world, _ = speaker(answer, close)
    asked = world.post()
    world.clock.advance(10)
    world.network.flush()
    with pytest.raises(error) as failed:
        outcome(asked)
    assert isinstance(failed.value, errors.HttpError)
    assert "secret" not in str(failed.value)
    world.clock.advance(100)
    world.network.flush()
    assert world.network.live_connections(world.key.address) == 0
    assert world.clock.getDelayedCalls() == []


@pytest.mark.parametrize("status", [100 + 99, 204, 301, 302, 307, 404, 500])
def test_any_status_is_an_answer_and_redirects_are_not_followed(status: int) -> None:
    """The caller decides what a status means; nobody is sent elsewhere."""
    elsewhere = (
        f"HTTP/1.1 {status} X\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"
    )
    world, log = speaker(elsewhere.encode())
    asked = world.post()
    world.clock.advance(10)
    if status == 199:  # provisional: the answer proper never comes
        with pytest.raises(errors.HttpTimedOut):
            outcome(asked)
        return
    assert outcome(asked).status == status
    assert len(log) == 1


def test_an_endless_answer_ends() -> None:
    """A server that drips for ever is cut off at the limit of the body, or of time."""
    world, _ = speaker(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    asked = world.post(limit=10**9, timeout=30)
    (stream,) = world.network._live[world.key.address]
    for _ in range(60):
        stream.peer.write(b"1\r\nx\r\n")
        world.clock.advance(1)
        world.network.flush()
    with pytest.raises(errors.HttpTimedOut):
        outcome(asked)
    assert world.network.live_connections(world.key.address) == 0


def test_dials_that_fail_are_told_as_they_are() -> None:
    """What the dialer says is what the caller hears; a hanging dial ends with the time allowed."""
    world, _ = speaker(OK)
    world.network.cut(world.key.address)
    with pytest.raises(errors.ServiceNotFound):
        outcome(world.post())
    world.network.mend(world.key.address)
    world.network.hang(world.key.address)
    asked = world.post(timeout=5)
    world.clock.advance(5)
    with pytest.raises(errors.HttpTimedOut):
        outcome(asked)
    assert world.clock.getDelayedCalls() == []


def test_stopping_ends_what_is_under_way() -> None:
    """Requests that wait are cancelled, idle connections are closed."""
    world, _ = speaker(lambda count: OK if count == 1 else b"")
    outcome(world.post(isolation=OTHER))
    asked = world.post()
    stopped = Deferred.fromCoroutine(world.client.stop())
    world.network.flush()
    outcome(stopped)
    with pytest.raises(CancelledError):
        outcome(asked)
    assert world.network.live_connections(world.key.address) == 0
    assert world.clock.getDelayedCalls() == []


class MemoryExits:
    """An exit dialer that brings every name to the one service of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.dialled: list[tuple[str, int]] = []

    def dial_out(self, host: str, port: int, isolation: Isolation, factory: Any) -> Any:
        """Dial."""
        self.dialled.append((host, port))
        return self._world.network.dialer().dial(self._world.key.address, 80, isolation, factory)


def _certificate(name: str) -> Any:
    """A self-signed certificate, as twisted wants it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(Encoding.PEM) + key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return PrivateCertificate.loadPEM(pem)


# Twisted hands pyOpenSSL the certificates of servers as objects of its own
@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
@pytest.mark.parametrize(
    ("named", "trusted", "error"),
    [
        ("rpc.example.org", True, None),
        ("other.example.org", True, errors.TlsUntrusted),
        ("rpc.example.org", False, errors.TlsUntrusted),
    ],
)
def test_names_outside_need_tls_that_proves_them(
    named: str, trusted: bool, error: type[Exception] | None
) -> None:
    """The name goes to the exit as it is; the certificate must be for it and trusted."""
    certificate = _certificate(named)
    log: list[bytes] = []
    server = Factory.forProtocol(lambda: Speaker(log, lambda _count: OK, False))
    clock = Clock()
    world = World(TLSMemoryBIOFactory(certificate.options(), False, server, clock), clock)
    exits = MemoryExits(world)
    roots = trustRootFromCertificates([Certificate(certificate.original)] if trusted else [])
    world.client = HttpClient(world.clock, world.network.dialer(), exits, roots)
    asked = world.post(b"hi", url=Url.parse("https://rpc.example.org/"))
    assert exits.dialled == [("rpc.example.org", 443)]
    if error is None:
        assert outcome(asked) == HttpReply(200, b"hi")
        assert log[0].startswith(b"POST / HTTP/1.1")
    else:
        with pytest.raises(error, match=r"could not prove.*rpc\.example\.org"):
            outcome(asked)
        assert log == []
    stopped = Deferred.fromCoroutine(world.client.stop())
    world.network.flush()
    outcome(stopped)


def test_a_server_without_tls_is_not_spoken_to() -> None:
    """Where TLS is asked for and something else answers, nothing of the request is sent."""
    world, log = speaker(OK)
    world.client = HttpClient(world.clock, world.network.dialer(), MemoryExits(world))
    asked = world.post(b"password", url=Url.parse("https://rpc.example.org/"))
    world.clock.advance(10)
    with pytest.raises(errors.HttpError):
        outcome(asked)
    assert b"password" not in b"".join(log)


def test_without_exits_names_outside_are_refused() -> None:
    """No exit dialer, no way out, and nothing is dialled."""
    world, _ = speaker(OK)
    with pytest.raises(errors.ExitsOff, match=r"rpc\.example\.org"):
        outcome(world.post(url=Url.parse("https://rpc.example.org/")))
    assert world.network.dials == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rpc.example.org",
        "ftp://rpc.example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://1.2.3.4/",
        "https://localhost/",
        "https://user:secret@rpc.example.org/",
        "https://rpc.example.org/#part",
        "https://rpc.example.org:0/",
        "https://rpc.example.org:99999/",
        "https://rpc.example.org:x/",
        "https://rpc.example.org/a b",
        "https://rpc.example.org/\r\nHost: x",
        "https://rpc.exämple.org/",
        "https://-rpc.example.org/",
        "https://rpc..example.org/",
        "https://" + "a" * 64 + ".org/",
        "https://" + "a." * 130 + "org/",
        "https://rpc.example.org/" + "a" * 3000,
        "http://rpc.example.org/",
        "http://example.onion/",
        "http://" + "a" * 56 + ".onion/",
    ],
)
def test_other_web_addresses_are_refused(text: str) -> None:
    """IP addresses, plain http outside, user names, odd characters and bad onions: all refused."""
    with pytest.raises((errors.UrlInvalid, errors.UrlInsecure)) as refused:
        Url.parse(text)
    assert "secret" not in str(refused.value)


def test_web_addresses_are_read() -> None:
    """Scheme, host, port and target; what may be a secret is not shown."""
    host = OnionKey.generate().address.host
    url = Url.parse(f"http://WWW.{host.upper()}:8545/v3/secret?a=b")
    assert (url.scheme, url.port, url.target) == ("http", 8545, "/v3/secret?a=b")
    assert url.onion is not None
    assert url.onion.host == host
    assert url.origin == f"http://www.{host}:8545"
    assert "secret" not in repr(url)
    plain = Url.parse("https://rpc.example.org")
    assert (plain.port, plain.target, plain.onion) == (443, "/", None)
    assert plain.full == "https://rpc.example.org/"

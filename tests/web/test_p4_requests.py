"""P4: requests that no browser sends. What answers them says nothing, and is one of our pages."""

import re
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from bitsnode.web.channel import MAX_HEAD, MAX_HEADERS, MAX_LINE
from bitsnode.web.site import ShopSite, shop_site
from bitsnode.web.target import MAX_BODY
from bitsnode.web.testing import MemoryShop, item_of
from bitsnode.web.testing_browser import HOST, Browser, Reply, Wire, parse_reply
from bitsnode.web.tickets import Tickets

PAGE = b"GET / HTTP/1.1\r\nHost: %b\r\n" % HOST.encode()
TELLTALE = re.compile(
    rb"twisted|klein|werkzeug|jinja|python|traceback|exception|File \"|/work|/home|/tmp|line \d"
    rb"|\d+\.\d+\.\d+\.\d+|127\.|localhost|19\d\d-|20\d\d-|GMT|shopshop",
    re.IGNORECASE,
)


def ask(site: ShopSite, clock: Clock, raw: bytes) -> tuple[Wire, Reply]:
    """Send bytes; returns the connection and the one answer that came."""
    wire = Wire(site, clock)
    wire.send(raw)
    assert wire.got.count(b"HTTP/1.1 ") == 1
    return wire, parse_reply(wire.got)


def check(reply: Reply) -> None:
    """See that an answer is a page of the shop, and that it tells nothing."""
    assert b"Content-Security-Policy: default-src 'none'" in reply.raw
    assert reply.text.startswith("<!doctype html>")
    assert int(reply.header("Content-Length")) == len(reply.body)
    found = TELLTALE.search(reply.raw)
    assert found is None, found


@pytest.mark.parametrize(
    "host",
    [
        b"Host: evil.onion",
        b"Host: www.%b" % HOST.encode(),
        b"Host: %b:8080" % HOST.encode(),
        b"Host: %b@evil" % HOST.encode(),
        b"Host: %b.evil" % HOST.encode(),
        b"Host: 127.0.0.1",
        b"Host: localhost",
        b"Host: ",
        b"X: y",
        b"Host: %b\r\nHost: %b" % (HOST.encode(), HOST.encode()),
        b"Host: %b\r\nHost: evil.onion" % HOST.encode(),
    ],
)
def test_p4_another_host_is_refused(site: ShopSite, clock: Clock, host: bytes) -> None:
    """Whoever points a name of theirs here gets nothing (DNS rebinding)."""
    _, reply = ask(site, clock, b"GET / HTTP/1.1\r\n%b\r\n\r\n" % host)
    assert reply.status == 400
    check(reply)


def test_p4_our_host_is_taken_however_it_is_written(site: ShopSite, clock: Clock) -> None:
    """Capitals and the usual port make no difference."""
    for host in (HOST, HOST.upper(), f"{HOST}:80"):
        _, reply = ask(site, clock, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert reply.status == 200


@pytest.mark.parametrize(
    "target",
    [
        b"http://evil.onion/",
        b"http://%b/" % HOST.encode(),
        b"//evil.onion/",
        b"*",
        b"evil.onion:80",
        b"/../etc/passwd",
        b"/static/../../etc/passwd",
        b"/static/..",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        b"/static/..%5c..%5cx",
        b"/static\\..\\x",
        b"/blob/%00",
        b"/blob/x%00.png",
        b"/item/a;b",
        b"/item//x",
        b"/item/./x",
        b"/item/",
        b"/item/%ff",
        b"/\xc3\xbc",
        b"/?q=%ff",
        b"/?q=%00",
        b"/?q=%1b%5b2J",
        b"/?" + b"a&" * 900,
        b"/?q=" + b"a" * 2_100,
    ],
)
def test_p4_paths_that_play_tricks_are_refused(site: ShopSite, clock: Clock, target: bytes) -> None:
    """No path of the shop has an escape, a dot segment or an empty segment."""
    _, reply = ask(site, clock, b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, HOST.encode()))
    assert reply.status == 400
    check(reply)


@pytest.mark.parametrize(
    "lines",
    [
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://evil.example",
        b"Upgrade: websocket\r\nConnection: Upgrade",
        b"Origin: http://evil.example",
        b"Origin: null",
        b"Origin: https://%b" % HOST.encode(),
        b"Origin: http://%b.evil" % HOST.encode(),
    ],
)
def test_p4_other_origins_are_refused(site: ShopSite, clock: Clock, lines: bytes) -> None:
    """Pages of other sites get nothing, and no leave to read it."""
    _, reply = ask(site, clock, PAGE + lines + b"\r\n\r\n")
    assert reply.status in (400, 403)
    check(reply)


def test_p4_odd_agents_and_referers_make_no_difference(site: ShopSite, clock: Clock) -> None:
    """Nobody reads them, so nothing comes back of them."""
    odd = b"User-Agent: () { :; }; /bin/x\r\nReferer: http://evil/<script>\r\nForwarded: a\r\n"
    _, plain = ask(site, clock, PAGE + b"\r\n")
    _, reply = ask(site, clock, PAGE + odd + b"\r\n")
    assert reply.raw == plain.raw
    own = b"Origin: http://%b\r\n\r\n" % HOST.encode()
    assert ask(site, clock, PAGE + own)[1].status == 200


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"PUT", b"/", 405),
        (b"DELETE", b"/claim", 405),
        (b"POST", b"/", 405),
        (b"TRACE", b"/", 405),
        (b"CONNECT", b"/", 405),
        (b"PROPFIND", b"/", 405),
        (b"GET", b"/item/x/buy", 405),
        (b"GET", b"/favicon.ico", 404),
        (b"GET", b"/wp-admin", 404),
        (b"GET", b"/order/x", 403),
        (b"GET", b"/order/x/content/0x1", 404),
        (b"GET", b"/order/x/content/99999999999999999999", 404),
        (b"GET", b"/item/nothing", 404),
        (b"POST", b"/claim", 400),
    ],
)
def test_p4_errors_are_pages_of_the_shop(
    site: ShopSite, clock: Clock, method: bytes, target: bytes, status: int
) -> None:
    """Each with one sentence and a way on."""
    raw = b"%b %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (method, target, HOST.encode())
    _, reply = ask(site, clock, raw)
    assert reply.status == status
    check(reply)
    assert 'href="/"' in reply.text


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"G<script>T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
        b"POST /claim HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /claim HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /claim HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"POST /claim HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"POST /claim HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /claim HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2_000,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: %b\r\n" % (b"b" * 1_000) * (MAX_HEAD // 1_000 + 1) + b"\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"b" * (MAX_LINE + 2),
        b"GET /" + b"a" * (MAX_LINE + 2),
    ],
)
def test_p4_what_is_no_http_is_refused_in_our_words(
    site: ShopSite, clock: Clock, raw: bytes
) -> None:
    """Also what the parser below us refuses; the connection ends, and what follows is dropped."""
    wire, reply = ask(site, clock, raw)
    assert reply.status == 400
    check(reply)
    wire.send(PAGE + b"\r\n")
    assert wire.got.count(b"HTTP/1.1 ") == 1
    assert wire.lost


def test_p4_what_follows_a_refusal_is_dropped(site: ShopSite, clock: Clock) -> None:
    """Also while the refusal waits for its reader: no later line becomes a request."""
    wire = Wire(site, clock)
    wire.stream.pauseProducing()
    wire.send(b"nonsense\r\n")
    for line in (PAGE + b"\r\n").split(b"\r\n")[:-1]:
        wire.send(line + b"\r\n")
    wire.stream.resumeProducing()
    wire.flush()
    assert wire.got.count(b"HTTP/1.1 ") == 1
    assert wire.lost


def test_p4_endless_headers_are_cut_off(site: ShopSite, clock: Clock) -> None:
    """Long before they fill the memory, whether in many lines or in one that is continued."""
    for line in (b"A: b\r\n", b" more\r\n", b"A: " + b"b" * 4_000 + b"\r\n"):
        wire = Wire(site, clock)
        wire.send(PAGE)
        sent = 0
        while not wire.lost and sent < 10 * MAX_HEAD:
            wire.send(line)
            sent += len(line)
        assert wire.lost
        assert sent <= 2 * MAX_HEAD
        check(parse_reply(wire.got))


def test_p4_a_body_that_is_too_long_is_refused_before_it_comes(
    site: ShopSite, clock: Clock
) -> None:
    """By the length that it claims, and by what comes where it claims none."""
    head = b"POST /claim HTTP/1.1\r\nHost: %b\r\n" % HOST.encode()
    claimed = head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1)
    wire, reply = ask(site, clock, claimed + b"x" * 1_000)
    assert reply.status == 413
    check(reply)
    assert wire.lost
    wire = Wire(site, clock)
    wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(100):
        wire.send(b"400\r\n" + b"x" * 0x400 + b"\r\n")
        if wire.lost:
            break
    assert wire.lost
    assert parse_reply(wire.got).status == 413
    assert wire.got.count(b"HTTP/1.1 ") == 1


def test_p4_a_form_of_a_hundred_thousand_fields_is_not_read(browser: Browser) -> None:
    """It is longer than any form; what fits is counted before it is read."""
    refused = [
        browser.ask("/claim", "POST", body=b"&".join(b"a%d=" % n for n in range(10**5))),
        browser.ask("/claim", "POST", body=b"&" * (MAX_BODY - 1)),
        browser.ask("/claim", "POST", body=b"a=b&" * 16),
    ]
    for reply in refused:
        assert reply.status == 413
        check(reply)


def test_p4_other_forms_than_a_browser_sends_are_refused(browser: Browser) -> None:
    """Multipart, JSON and plain text are read by nobody."""
    for kind in ("multipart/form-data; boundary=x", "application/json", "text/plain"):
        reply = browser.ask("/claim", "POST", {"Content-Type": kind}, b"--x\r\n\r\nform=1")
        assert reply.status == 400
        check(reply)


def test_p4_a_bug_is_a_page_that_does_not_tell_it(browser: Browser, shop: MemoryShop) -> None:
    """The log has it, without a word of who asked for what."""
    secret = "the secret detail /home/mira"

    def broken(*_: object) -> None:
        raise ZeroDivisionError(secret)

    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        for name, target in (
            ("profile", "/"),
            ("page", "/?q=very-private"),
            ("item", f"/item/{item_of(1).id}"),
            ("blob", "/blob/abc"),
            ("newest", "/feed.atom"),
        ):
            whole = getattr(shop.catalogue, name)
            setattr(shop.catalogue, name, broken)
            reply = browser.ask(target)
            setattr(shop.catalogue, name, whole)
            assert reply.status == 500
            check(reply)
            assert "secret" not in reply.text
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert len([event for event in events if "log_failure" in event]) == 5
    assert not any("very-private" in repr(event) for event in events)


def test_p4_a_full_disk_costs_the_order_and_not_the_shop(
    browser: Browser, shop: MemoryShop, tickets: Tickets
) -> None:
    """What cannot be written is a page; reading goes on, and the next try works."""
    page = browser.get(f"/item/{item_of(1).id}")
    action = f"/item/{item_of(1).id}/buy"
    tickets.database.before = full
    assert browser.submit(page, action).status == 500
    assert browser.get("/").status == 200
    tickets.database.before = lambda _statement: None
    assert browser.submit(page, action).status == 200


def full(statement: str) -> None:
    """As SQLite on a disk without room."""
    if statement.startswith("INSERT"):
        raise OSError(28, "No space left on device")


def test_p4_nothing_is_written_down_of_visitors(
    browser: Browser, shop: MemoryShop, site: ShopSite, clock: Clock
) -> None:
    """Neither of those who get a page, nor of those who are refused, time out or go away."""
    events: list[LogEvent] = []
    shop.goods.contents[item_of(1).id] = bytes(1 << 20)
    globalLogPublisher.addObserver(events.append)
    try:
        page = browser.get(f"/item/{item_of(1).id}")
        page = browser.submit(page, f"/item/{item_of(1).id}/buy")
        (path,) = [path for path, name in browser.cookies if name == "ticket"]
        browser.submit(page, f"{path}/kept")
        leaving = [browser.start(f"{path}/events")]
        shop.invoices.stands(shop.orders.made[0].order.invoice, received=10**18)
        leaving += [browser.start(f"{path}/{name}", slow=True) for name in ("content", "download")]
        for wire in leaving:
            wire.stream.abortConnection()
            wire.flush()
        browser.get("/?q=very-private")
        browser.get("/nothing")
        Wire(site, clock).send(b"nonsense\r\n\r\n")
        Wire(site, clock).send(b"GET / HT")
        clock.advance(1_000)
        Wire(site, clock).stream.abortConnection()
        clock.advance(1)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert events == []


@given(raw=st.binary(max_size=300), split=st.integers(0, 300), whole=st.booleans())
def test_p4_no_bytes_break_the_shop(raw: bytes, split: int, whole: bool) -> None:
    """Whatever comes, in whatever pieces: a page, or silence and the end of the connection."""
    head = b"" if whole else PAGE
    wire = Wire(FUZZED, FUZZ_CLOCK)
    wire.send(head + raw[:split])
    wire.send(raw[split:] + b"\r\n\r\n")
    for answer in re.findall(rb"HTTP/1.1 (\d+)", wire.got):
        assert int(answer) in (200, 400, 403, 404, 405, 413, 429)
    assert TELLTALE.search(wire.got) is None
    wire.stream.abortConnection()
    wire.flush()
    FUZZ_CLOCK.advance(1)


class NoTickets(Tickets):
    """Tickets without a file, for requests that make none."""

    def __init__(self) -> None:
        self.key = bytes(32)


FUZZ_CLOCK = Clock()
FUZZED = shop_site(FUZZ_CLOCK, MemoryShop(FUZZ_CLOCK).backroom, NoTickets(), hosts=[HOST])


def test_p4_memory_stays_where_it_is(opened: Callable[..., ShopSite], clock: Clock) -> None:
    """A thousand bad requests leave nothing behind."""
    site = opened(per_second=10_000, burst=10_000)

    def bad() -> None:
        for raw in (b"x" * 5_000, PAGE + b"A: b\r\n" * 70, b"GET /.. HTTP/1.1\r\n\r\n"):
            Wire(site, clock).send(raw)
        clock.advance(100)

    for _ in range(20):
        bad()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(100):
        bad()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 300_000

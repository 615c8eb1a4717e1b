"""P3 and its like: too many, too fast, too slow; who behaves is served all the same."""

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from bitsnode.shop.items import MAX_BLOB, Blob
from bitsnode.web.errors import TooMany
from bitsnode.web.limits import MAX_KEYS, Bucket, Limits, Places, Throttle
from bitsnode.web.site import ShopSite
from bitsnode.web.testing import MemoryShop, item_of
from bitsnode.web.testing_browser import HOST, Browser, Wire, parse_reply

PAGE = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
ITEM = item_of(1).id


def test_p3_two_hundred_connections_for_a_minute_leave_room(
    opened: Callable[..., ShopSite], clock: Clock
) -> None:
    """Those that say nothing, or never end a request, make way for who asks for a page."""
    site = opened(connections=100)
    honest = Browser(site, clock)
    crowd: list[Wire] = []
    served = 0
    for _ in range(15):
        for number in range(200):
            wire = Wire(site, clock)
            if number % 2:
                wire.send(b"GET / HTTP/1.1\r\nHost")
            crowd.append(wire)
        crowd[-1].flush()
        served += honest.get("/").status == 200
        assert sum(not wire.lost for wire in crowd) <= 100
        crowd = [wire for wire in crowd if not wire.lost]
        clock.advance(4)
    assert served == 15


def test_p3_a_flood_of_requests_is_answered_shortly(
    opened: Callable[..., ShopSite], shop: MemoryShop, clock: Clock
) -> None:
    """Beyond the budget a page says to wait; who has ordered is still served."""
    site = opened(per_second=10, burst=20, patience_seconds=0)
    buyer = Browser(site, clock)
    buyer.submit(buyer.get(f"/item/{ITEM}"), f"/item/{ITEM}/buy")
    (path,) = [path for path, name in buyer.cookies if name == "ticket"]
    found = [Browser(site, clock).get("/") for _ in range(50)]
    refused = [reply for reply in found if reply.status == 429]
    assert len(refused) == 50 - (20 - 3)
    assert refused[0].header("Retry-After") == "5"
    assert "Wait a few seconds" in refused[0].text
    assert [buyer.get(path).status for _ in range(20)] == [200] * 20
    forger = Browser(site, clock)
    ticket = buyer.cookies[path, "ticket"]
    forger.cookies[path, "ticket"] = ("b" if ticket[0] == "a" else "a") + ticket[1:]
    assert forger.get(path).status == 429
    clock.advance(5)
    assert Browser(site, clock).get("/").status == 200


def test_a_crowd_is_served_one_after_another_and_not_refused(
    opened: Callable[..., ShopSite], shop: MemoryShop, clock: Clock
) -> None:
    """Beyond the budget requests wait for a moment; only who would wait for long is refused."""
    site = opened(per_second=10, burst=20, patience_seconds=2)
    browsers = [Browser(site, clock) for _ in range(50)]
    wires = [browser.start("/") for browser in browsers]
    assert [parse_reply(wire.got).status for wire in wires[:20]] == [200] * 20
    assert [wire.got for wire in wires[20:40]] == [b""] * 20
    assert [parse_reply(wire.got).status for wire in wires[40:]] == [429] * 10
    wires[39].stream.abortConnection()  # who has gone is not answered
    for _ in range(20):
        clock.advance(0.1)
        wires[0].flush()
    assert [parse_reply(wire.got).status for wire in wires[20:39]] == [200] * 19
    assert wires[39].got == b""
    assert [call for call in clock.getDelayedCalls() if call.active()] == []


def test_one_visitor_cannot_use_up_what_is_for_all(
    opened: Callable[..., ShopSite], clock: Clock
) -> None:
    """A cookie has a budget of its own."""
    site = opened(each_per_second=1, each_burst=10, patience_seconds=0)
    greedy = Browser(site, clock)
    greedy.get(f"/item/{ITEM}")
    found = [greedy.get("/").status for _ in range(12)]
    assert found == [200] * 10 + [429] * 2
    assert Browser(site, clock).get("/").status == 200


def test_a_request_that_comes_byte_by_byte_is_not_waited_for(site: ShopSite, clock: Clock) -> None:
    """The time for a request does not grow with its bytes; the next one has its own."""
    for head in (PAGE, b"POST /claim HTTP/1.1\r\nContent-Length: 500\r\n\r\n" + b"a" * 500):
        wire = Wire(site, clock)
        sent = 0
        while not wire.lost and sent < 60:
            wire.send(head[sent : sent + 1])
            clock.advance(10)
            sent += 1
        assert wire.lost
        assert sent <= 4
        assert wire.got == b""


def test_a_quiet_connection_stays_for_the_next_request_and_no_longer(
    site: ShopSite, clock: Clock
) -> None:
    """It is kept for a minute; a request that begins in time is taken whole."""
    wire = Wire(site, clock)
    wire.send(PAGE)
    clock.advance(50)
    wire.send(PAGE[:10])
    clock.advance(20)
    wire.send(PAGE[10:])
    assert wire.got.count(b"HTTP/1.1 200") == 2
    clock.advance(59)
    assert not wire.lost
    clock.advance(2)
    wire.flush()
    assert wire.lost


def test_a_reader_who_never_takes_a_page_is_let_go(site: ShopSite, clock: Clock) -> None:
    """What was written for them does not stay."""
    for asked in (PAGE, PAGE * 30, PAGE[:-2] + b"Connection: close\r\n\r\n", b"nonsense\r\n"):
        wire = Wire(site, clock)
        wire.stream.pauseProducing()
        wire.send(asked)
        for _ in range(10):
            clock.advance(20)
            wire.flush()
        assert wire.lost, asked


def test_answers_that_nobody_takes_are_not_piled_up(
    site: ShopSite, shop: MemoryShop, clock: Clock
) -> None:
    """Of many requests in one go the next is answered when the last answer is on its way."""
    shop.catalogue.blobs["big"] = Blob("image/webp", bytes(MAX_BLOB))
    wire = Wire(site, clock)
    wire.stream.pauseProducing()
    wanted = PAGE.replace(b"GET / ", b"GET /blob/big ")
    wire.send(wanted * 30)
    wire.send(wanted * 30)
    assert wire.stream.peer._in_flight < 1.1 * MAX_BLOB
    wire.stream.resumeProducing()
    wire.flush()
    assert wire.got.count(b"HTTP/1.1 200") == 60
    assert len(wire.got) > 60 * MAX_BLOB
    wire.send(PAGE)
    assert wire.got.count(b"HTTP/1.1 200") == 61


def test_many_requests_in_one_go_are_answered_in_their_order(site: ShopSite, clock: Clock) -> None:
    """Pipelining works, and an end is an end."""
    wire = Wire(site, clock)
    last = PAGE[:-2] + b"Connection: close\r\n\r\n"
    wire.send(PAGE * 3 + last + PAGE * 3)
    assert wire.got.count(b"HTTP/1.1 200") == 4
    assert wire.lost


def test_places_for_news_are_counted_and_come_back(
    opened: Callable[..., ShopSite], shop: MemoryShop, clock: Clock
) -> None:
    """Beyond them a browser is told to ask no more; its page looks by itself."""
    browser = Browser(opened(listeners=3, listeners_each=2, listen_seconds=600), clock)
    page = browser.submit(browser.get(f"/item/{ITEM}"), f"/item/{ITEM}/buy")
    (path,) = [path for path, name in browser.cookies if name == "ticket"]
    browser.submit(page, f"{path}/kept")
    invoice = shop.orders.made[0].order.invoice
    waiting = [browser.start(f"{path}/events") for _ in range(2)]
    assert browser.ask(f"{path}/events").status == 204
    assert len(shop.invoices.watchers[invoice]) == 2
    waiting[0].stream.abortConnection()
    waiting[0].flush()
    assert len(shop.invoices.watchers[invoice]) == 1
    again = browser.start(f"{path}/events")
    clock.advance(601)
    again.flush()
    assert again.lost
    assert b"event:" not in again.got
    assert shop.invoices.watchers[invoice] == []
    assert parse_reply(browser.ask(f"{path}/events", "HEAD").raw).status == 200


def test_stopping_the_shop_closes_everything(site: ShopSite, clock: Clock) -> None:
    """Also who is in the middle of a request."""
    wires = [Wire(site, clock) for _ in range(3)]
    wires[0].send(PAGE)
    wires[1].send(PAGE[:10])
    site.stop()
    wires[2].flush()
    assert all(wire.lost for wire in wires)
    assert [call for call in clock.getDelayedCalls() if call.active()] == []


def test_a_bucket_fills_with_time_and_no_further() -> None:
    """Its tokens come back at their rate, up to what it holds; no time gives none."""
    bucket = Bucket.full(2.0, 4.0, 100.0)
    assert [bucket.take(100.0) for _ in range(5)] == [True] * 4 + [False]
    assert bucket.take(100.4) is False
    assert bucket.take(100.5) is True
    assert bucket.take(50.0) is False
    assert [bucket.take(200.0) for _ in range(5)] == [True] * 4 + [False]


def test_a_throttle_forgets_visitors_and_keeps_the_budget_of_all() -> None:
    """What is remembered of visitors is bounded; fresh cookies give no fresh budget for all."""
    throttle = Throttle(Limits(per_second=0.001, burst=MAX_KEYS + 10), 0.0)  # one in a quarter hour
    for number in range(MAX_KEYS + 10):
        throttle.admit(0.0, f"visitor {number}", ordered=False)
    assert len(throttle._each) == MAX_KEYS
    with pytest.raises(TooMany):
        throttle.admit(0.0, "one more", ordered=False)
    assert throttle.admit(0.0, "a buyer", ordered=True) == 0.0


def test_places_are_for_all_and_for_each() -> None:
    """Neither number is passed, and giving back too much gives nothing."""
    places = Places(3, 2)
    assert [places.take(key) for key in "aaabb"] == [True, True, False, True, False]
    places.give_back("a")
    assert places.take("b")
    places.give_back("nobody")
    assert (places.taken, places.take("c")) == (3, False)

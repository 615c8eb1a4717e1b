"""From the button to the content: claim code, payment, and who may see what."""

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.market.invoice_errors import InvoicePriceTooLow, TooManyInvoices
from bitsnode.shop.errors import ItemWithdrawn
from bitsnode.web.site import ShopSite, shop_site
from bitsnode.web.testing import MemoryShop, item_of
from bitsnode.web.testing_browser import HOST, Browser, Reply
from bitsnode.web.tickets import Tickets

ITEM = item_of(1).id
BUY = f"/item/{ITEM}/buy"
COIN = 10**18


def order(browser: Browser) -> tuple[str, Reply]:
    """Press the button; returns the order's page and what it shows."""
    reply = browser.submit(browser.get(f"/item/{ITEM}"), BUY)
    assert reply.status == 200
    (path,) = [path for path, name in browser.cookies if name == "ticket"][-1:]
    return path, reply


def form_of(page: Reply) -> dict[str, str]:
    """Return what the form of an item's page sends."""
    return {"form": page.text.partition('name="form" value="')[2].partition('"')[0]}


def pay_page(browser: Browser) -> tuple[str, Reply]:
    """Press the button, and say that the claim code is kept."""
    path, reply = order(browser)
    return path, browser.submit(reply, f"{path}/kept")


def test_an_order_has_two_steps(browser: Browser, shop: MemoryShop) -> None:
    """First the claim code and nothing to pay, then the payment and no code."""
    path, first = order(browser)
    code = shop.orders.made[0].claim_code
    assert "Step 1 of 2" in first.text
    assert code in first.text
    assert "0xd8dA" not in first.text
    second = browser.submit(first, f"{path}/kept")
    assert "Step 2 of 2" in second.text
    assert code not in second.text
    for text in (
        ">0.05<",
        "ethereum:0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045@100?value=",
        "qr.png",
    ):
        assert text in second.text
    assert len(first.body) == len(second.body) == 8_192
    assert first.header("Cache-Control") == second.header("Cache-Control") == "no-store"


def test_a_claim_code_is_shown_until_it_is_kept_and_never_again(
    browser: Browser, shop: MemoryShop, tickets: Tickets
) -> None:
    """A page lost on its way can be loaded again; afterwards the code is nowhere."""
    path, first = order(browser)
    code = shop.orders.made[0].claim_code
    assert code in browser.get(path).text
    browser.submit(first, f"{path}/kept")
    assert code not in browser.get(path).text
    assert browser.submit(first, f"{path}/kept").status == 200  # a second click does no harm
    assert code.encode() not in stored(tickets)


def stored(tickets: Tickets) -> bytes:
    """Return all bytes of the tickets' file."""
    tickets.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return tickets.database.path.read_bytes()


def test_the_file_alone_tells_neither_orders_nor_codes_nor_cookies(
    browser: Browser, shop: MemoryShop, tickets: Tickets
) -> None:
    """Tokens are hashed, and what belongs to them is sealed under them."""
    path, _ = order(browser)
    found = stored(tickets)
    assert shop.orders.made[0].order.id.encode() not in found
    assert shop.orders.made[0].claim_code.encode() not in found
    assert browser.cookies[path, "ticket"].partition(".")[0].encode() not in found


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({}, "Nothing has arrived yet"),
        ({"pending": COIN // 20}, "Your payment is on its way"),
        ({"pending": COIN // 100}, "0.01 ETH was seen so far. 0.04 ETH is still missing"),
        ({"received": COIN // 100}, "0.01 ETH has arrived. 0.04 ETH is still missing"),
        ({"received": COIN // 100, "undone": True}, "the chain dropped it. It is not counted"),
        ({"undone": True}, "The payment was taken back"),
        ({"over_time": True}, "The address still works"),
        ({"received": COIN // 20}, "Paid. It is yours."),
        ({"received": COIN // 20, "late": True}, "It counts all the same"),
        ({"received": COIN}, "You sent 0.95 ETH more than was asked"),
        ({"paid": True, "swept": True}, "Paid. It is yours."),
        ({"paid": True, "undone": True}, "Paid. It is yours."),
    ],
)
def test_every_state_of_an_invoice_is_told(
    browser: Browser, shop: MemoryShop, facts: dict[str, int], says: str
) -> None:
    """In words, and in pages of one length."""
    path, _ = pay_page(browser)
    shop.invoices.stands(shop.orders.made[0].order.invoice, **facts)
    reply = browser.get(path)
    assert says in reply.text
    assert len(reply.body) == 8_192


def test_who_has_paid_in_full_is_not_asked_again(browser: Browser, shop: MemoryShop) -> None:
    """While a payment waits to be final there is no address to pay twice."""
    path, _ = pay_page(browser)
    shop.invoices.stands(shop.orders.made[0].order.invoice, pending=COIN // 20)
    assert "0xd8dA" not in browser.get(path).text


def test_a_part_asks_for_the_rest(browser: Browser, shop: MemoryShop) -> None:
    """Amount, text and code are of what is missing."""
    path, _ = pay_page(browser)
    before = browser.get(f"{path}/qr.png").body
    shop.invoices.stands(shop.orders.made[0].order.invoice, received=COIN // 100)
    page = browser.get(path).text
    assert ">0.04<" in page
    assert f"?value={COIN // 25}" in page
    assert browser.get(f"{path}/qr.png").body != before


def test_the_page_looks_again_ever_less_often(
    browser: Browser, shop: MemoryShop, clock: Clock
) -> None:
    """Without scripts by itself; a day later no more."""
    path, _ = pay_page(browser)
    found = []
    for seconds in (0, 5 * 60, 30 * 60, 5 * 3600, 48 * 3600):
        clock.advance(seconds)
        text = browser.get(path).text
        found.append(text.partition('http-equiv="refresh" content="')[2].partition('"')[0])
    assert found == ["10", "20", "60", "300", ""]


def test_a_double_click_makes_one_order(browser: Browser, shop: MemoryShop) -> None:
    """So does pressing the same button again later, after the back button."""
    page = browser.get(f"/item/{ITEM}")
    first, again = browser.submit(page, BUY), browser.submit(page, BUY)
    assert len(shop.orders.made) == 1
    assert shop.orders.made[0].claim_code in first.text
    assert shop.orders.made[0].claim_code in again.text
    browser.submit(browser.get(f"/item/{ITEM}"), BUY)
    assert len(shop.orders.made) == 2


def test_two_clicks_at_once_make_one_order(
    browser: Browser, shop: MemoryShop, site: ShopSite, clock: Clock
) -> None:
    """Both are answered with it, though the first was not done when the second came."""
    slow: Deferred[None] = Deferred()
    shop.orders.gate = lambda: slow
    page = browser.get(f"/item/{ITEM}")
    twin = Browser(site, clock)
    twin.cookies |= browser.cookies
    wires = [one.start(BUY, "POST", fields=form_of(page)) for one in (browser, twin)]
    assert [wire.got for wire in wires] == [b"", b""]
    slow.callback(None)
    for one, wire in zip((browser, twin), wires, strict=True):
        wire.flush()
        assert shop.orders.made[0].claim_code in one.received(BUY, wire).text
    assert len(shop.orders.made) == 1


def test_two_tabs_make_two_orders_and_keep_both(browser: Browser, shop: MemoryShop) -> None:
    """The ticket of one order does not replace that of another."""
    pages = [browser.get(f"/item/{ITEM}") for _ in range(2)]
    for page in pages:
        browser.submit(page, BUY)
    paths = [path for path, name in browser.cookies if name == "ticket"]
    assert len(paths) == 2
    for path, made in zip(paths, shop.orders.made, strict=True):
        assert made.claim_code in browser.get(path).text


def test_a_failed_order_fails_for_all_who_wait_and_can_be_tried_again(
    browser: Browser, shop: MemoryShop
) -> None:
    """Nothing of it stays behind the button."""
    page = browser.get(f"/item/{ITEM}")
    for fault, status in (
        (TooManyInvoices(), 503),
        (InvoicePriceTooLow(), 403),
        (ItemWithdrawn(), 404),
    ):
        shop.orders.fault = fault
        assert browser.submit(page, BUY).status == status
    shop.orders.fault = None
    assert "Step 1" in browser.submit(page, BUY).text


def test_another_browser_sees_nothing_of_an_order(
    browser: Browser, shop: MemoryShop, site: ShopSite, clock: Clock
) -> None:
    """Whether the order exists is not told either."""
    path, _ = pay_page(browser)
    shop.invoices.stands(shop.orders.made[0].order.invoice, received=COIN)
    stranger = Browser(site, clock)
    bodies = set()
    for name in ("", "/qr.png", "/events", "/content", "/download", "/sealed"):
        for target in (path + name, f"/order/{'z' * 26}{name}"):
            reply = stranger.get(target)
            assert reply.status == 403
            bodies.add(reply.body)
    assert len(bodies) == 1
    assert "/claim" in bodies.pop().decode()


def test_a_ticket_is_good_for_its_own_order_only(
    browser: Browser, site: ShopSite, clock: Clock
) -> None:
    """Sent for another order it opens nothing."""
    one, _ = order(browser)
    other = Browser(site, clock)
    two, _ = order(other)
    other.cookies[two, "ticket"] = browser.cookies[one, "ticket"]
    assert other.get(two).status == 403


def test_a_claim_code_opens_the_order_in_another_browser(
    browser: Browser, shop: MemoryShop, site: ShopSite, clock: Clock
) -> None:
    """However often; the first browser keeps its own way."""
    path, _ = pay_page(browser)
    shop.invoices.stands(shop.orders.made[0].order.invoice, received=COIN)
    other = Browser(site, clock)
    page = other.get("/claim")
    wrong = other.submit(page, "/claim", code="00000-AAAAA-BBBBB-CCCCC-DDDDE")
    assert (wrong.status, "No order has this code" in wrong.text) == (403, True)
    opened = other.submit(page, "/claim", code=shop.orders.made[0].claim_code.lower())
    assert "Paid. It is yours." in opened.text
    assert other.get(f"{path}/download").body == shop.goods.contents[ITEM]
    assert other.cookies[path, "ticket"] != browser.cookies[path, "ticket"]
    assert browser.get(path).status == 200


def test_orders_outlive_a_restart(
    browser: Browser, shop: MemoryShop, tickets: Tickets, clock: Clock, tmp_path: Path
) -> None:
    """A page opened before it works after it, claim code and unsent forms included."""
    unsent = browser.get(f"/item/{ITEM}")
    path, first = order(browser)
    tickets.close()
    again = Tickets(tmp_path / "web.db", tickets.key)
    later = Browser(shop_site(clock, shop.backroom, again, hosts=[HOST]), clock)
    later.cookies |= browser.cookies
    assert shop.orders.made[0].claim_code in later.get(path).text
    assert "Step 2" in later.submit(first, f"{path}/kept").text
    assert "Step 1" in later.submit(unsent, BUY).text
    again.close()


def test_a_form_without_its_cookie_is_a_page_and_not_an_order(
    browser: Browser, shop: MemoryShop, site: ShopSite, clock: Clock
) -> None:
    """Another site can neither make an order nor have one made (CSRF)."""
    page = browser.get(f"/item/{ITEM}")
    stranger = Browser(site, clock)
    mallory = Browser(site, clock)
    foreign = mallory.get(f"/item/{ITEM}")
    tries = [
        stranger.submit(page, BUY),  # no cookie
        browser.submit(foreign, BUY),  # another visitor's form
        browser.post(BUY, other="x"),  # no field
        browser.post(BUY, form="x" * 10_000),
        browser.submit(page, BUY, form="e30.e30"),
        browser.ask(BUY, "POST"),  # no body at all
        browser.post(f"/item/{item_of(2).id}/buy", **form_of(page)),  # of another item
        stranger.post("/claim", code="x"),
    ]
    assert [reply.status for reply in tries] == [403, 403, 403, 403, 403, 400, 403, 403]
    assert "press the button once more" in tries[0].text
    assert f'href="/item/{ITEM}"' in tries[0].text
    assert not shop.orders.made


def test_a_claim_that_another_site_sends_is_no_claim(
    browser: Browser, shop: MemoryShop, site: ShopSite, clock: Clock
) -> None:
    """Nobody can put an order of theirs into somebody's browser."""
    order(browser)
    victim = Browser(site, clock)
    victim.get("/claim")
    foreign = form_of(Browser(site, clock).get("/claim"))
    for fields in ({}, foreign):
        reply = victim.post("/claim", code=shop.orders.made[0].claim_code, **fields)
        assert "press the button once more" in reply.text
        assert reply.header("Set-Cookie") == ""


def test_a_form_for_one_thing_does_no_other(browser: Browser, shop: MemoryShop) -> None:
    """The field of the claim page does not order, nor that of an item say that a code is kept."""
    path, _ = order(browser)
    claim, item = browser.get("/claim"), browser.get(f"/item/{ITEM}")
    for page, source, action in ((claim, "/claim", BUY), (item, BUY, f"{path}/kept")):
        field = (
            page.text.partition(f'action="{source}"')[2].partition('value="')[2].partition('"')[0]
        )
        assert browser.post(action, form=field).status == 403
    assert shop.orders.made[0].claim_code in browser.get(path).text
    assert len(shop.orders.made) == 1


def test_the_session_is_new_with_every_right(
    browser: Browser, shop: MemoryShop, site: ShopSite, clock: Clock
) -> None:
    """A cookie that somebody planted gains no right when its bearer orders (fixation)."""
    mallory = Browser(site, clock)
    mallory.get(f"/item/{ITEM}")
    planted_path, _ = order(mallory)
    browser.cookies |= mallory.cookies
    path, _ = order(browser)
    mallory.cookies = {(path, name): value for (_, name), value in mallory.cookies.items()}
    assert mallory.get(path).status == 403
    assert browser.cookies[path, "ticket"] != browser.cookies[planted_path, "ticket"]
    field = browser.get(f"/item/{ITEM}").text.partition('name="form" value="')[2]
    assert browser.cookies[path, "ticket"] not in field
    assert browser.cookies["/", "visitor"] not in field


def test_cookies_are_hidden_and_stay_here(browser: Browser) -> None:
    """From scripts and from requests that other sites cause; each for no more than it needs."""
    page = browser.get(f"/item/{ITEM}")
    assert page.header("Set-Cookie").endswith("; Path=/; HttpOnly; SameSite=Strict")
    made = browser.ask(BUY, "POST", body=f"form={form_of(page)['form']}".encode())
    assert made.status == 303
    path = made.header("Location")
    assert path.startswith("/order/")
    assert made.header("Set-Cookie").endswith(f"; Path={path}; HttpOnly; SameSite=Strict")
    assert made.body == b""


def test_a_visitor_who_leaves_does_not_stop_the_order(browser: Browser, shop: MemoryShop) -> None:
    """It is there for the next click, and made once."""
    slow: Deferred[None] = Deferred()
    shop.orders.gate = lambda: slow
    page = browser.get(f"/item/{ITEM}")
    wire = browser.start(BUY, "POST", fields=form_of(page))
    wire.stream.loseConnection()
    wire.flush()
    slow.callback(None)
    assert shop.orders.made[0].claim_code in browser.submit(page, BUY).text
    assert len(shop.orders.made) == 1


def test_orders_are_made_no_faster_than_invoices_can_be_watched(
    opened: Callable[..., ShopSite], shop: MemoryShop, clock: Clock
) -> None:
    """A flood of orders is slowed; browsing goes on."""
    browser = Browser(opened(orders_burst=2, orders_per_minute=1), clock)
    found = [browser.submit(browser.get(f"/item/{ITEM}"), BUY).status for _ in range(3)]
    assert found == [200, 200, 429]
    assert browser.get("/").status == 200
    clock.advance(61)
    assert browser.submit(browser.get(f"/item/{ITEM}"), BUY).status == 200


def test_news_of_a_payment_reach_who_waits(browser: Browser, shop: MemoryShop) -> None:
    """One event, without a word of what happened; then nobody is watched any more."""
    path, _ = pay_page(browser)
    invoice = shop.orders.made[0].order.invoice
    reply = browser.start(f"{path}/events")
    assert b"event:" not in reply.got
    shop.invoices.stands(invoice, pending=COIN)
    reply.flush()
    assert b"event: changed\ndata: .\n\n" in reply.got
    assert b"text/event-stream" in reply.got
    assert shop.invoices.watchers[invoice] == []

"""The pages over the shop's real files: catalogue, orders, stock."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.market.invoice import Invoice
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.goods import Goods
from bitsnode.shop.items import Blob, Draft, Item, Kind, Profile
from bitsnode.shop.orders import Orders
from bitsnode.shop.stock import Stock
from bitsnode.web.needs import Backroom
from bitsnode.web.site import shop_site
from bitsnode.web.testing import MemoryInvoices, at_once, item_of
from bitsnode.web.testing_browser import HOST, Browser
from bitsnode.web.tickets import Tickets

KEY = b"\x5a" * 32
PLAIN = bytes(range(253)) * 9_000  # more than two chunks
LINK = Link(ContentId(b"\x07" * 32), b"s" * 16, b"w" * 16)


class IssuedInvoices(MemoryInvoices):
    """Invoices as the real orders ask for them."""

    made = 0

    async def issue_for(self, content: ContentId, price: int) -> Invoice:
        """Make an invoice."""
        self.made += 1
        name = self.issue(self.made, item_of(1, content_id=content, price=price))
        return (await self.status(name)).invoice


class Issuing:
    """What the real orders need of invoices."""

    def __init__(self, invoices: IssuedInvoices) -> None:
        self.issue = invoices.issue_for


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """The catalogue of a shop."""
    catalogue = Catalogue(tmp_path / "shop.db", KEY)
    catalogue.set_profile(Profile("Mira Ostrowska", "Films."))
    yield catalogue
    catalogue.close()


@pytest.fixture
def film(catalogue: Catalogue, tmp_path: Path, clock: Clock) -> Item:
    """A film in it, and in the stock."""
    source = tmp_path / "film.mp4"
    source.write_bytes(PLAIN)
    Stock(tmp_path / "stock").add(source, LINK, hashlib.sha256(PLAIN).digest())
    draft = Draft(
        title="The Long Tide",
        description="Twelve minutes of sea.",
        tags=("sea", "film"),
        price=5 * 10**16,
        kind=Kind.VIDEO,
        media_type="video/mp4",
        bytes=len(PLAIN),
        link=LINK,
        publisher_seed=bytes(32),
        thumbnail=Blob("image/webp", b"small"),
        preview=Blob("image/webp", b"blurred"),
        width=1280,
        height=720,
    )
    return catalogue.add(draft, clock.seconds())


@pytest.fixture
def invoices(clock: Clock) -> IssuedInvoices:
    """Invoices; the test says how they stand."""
    return IssuedInvoices(clock)


@pytest.fixture
def browser(
    catalogue: Catalogue,
    invoices: IssuedInvoices,
    tickets: Tickets,
    tmp_path: Path,
    clock: Clock,
) -> Iterator[Browser]:
    """A browser in front of that shop."""
    orders = Orders(tmp_path / "orders.db", KEY, Issuing(invoices), clock, at_once)
    goods = Goods(catalogue, Stock(tmp_path / "stock"))
    backroom = Backroom(catalogue, orders, invoices, goods, at_once)
    yield Browser(shop_site(clock, backroom, tickets, hosts=[HOST]), clock)
    orders.close()


def test_a_film_is_found_bought_and_watched(
    browser: Browser, film: Item, invoices: IssuedInvoices, tickets: Tickets
) -> None:
    """From the search to the last byte, and once more by claim code in another browser."""
    front = browser.get("/?q=tide").text
    assert f'href="/item/{film.id}"' in front
    assert browser.ask(f"/blob/{film.thumbnail}").body == b"small"
    assert browser.ask("/?tag=sea").text.count('class="card"') == 1
    item = browser.get(f"/item/{film.id}")
    assert f"/blob/{film.preview}" in item.text
    first = browser.submit(item, f"/item/{film.id}/buy")
    code = first.text.partition('<code class="copy">')[2].partition("<")[0]
    (path,) = [path for path, name in browser.cookies if name == "ticket"]
    assert "Step 2 of 2" in browser.submit(first, f"{path}/kept").text

    other = Browser(browser.site, browser._clock)
    other.submit(other.get("/claim"), "/claim", code=code.lower().replace("-", " "))
    assert other.ask(f"{path}/content").status == 403
    invoices.stands((1).to_bytes(16, "big"), received=film.price)
    for one in (browser, other):
        assert "<video" in one.get(path).text
        span = {"Range": "bytes=1048570-1048580"}
        assert one.ask(f"{path}/content", headers=span).body == PLAIN[1_048_570:1_048_581]
        assert one.ask(f"{path}/download").body == PLAIN
        assert len(one.ask(f"{path}/sealed").body) == len(PLAIN) + 3 * 16
        assert LINK.text in one.get(path).text
    assert LINK.text.encode() not in tickets.database.path.read_bytes()


def test_what_is_not_there_is_a_page(
    browser: Browser, film: Item, invoices: IssuedInvoices, tmp_path: Path, catalogue: Catalogue
) -> None:
    """An item or a picture that nobody has, a wrong code, a content that is gone from the disk."""
    assert browser.get("/item/aaaaaaaaaa").status == 404
    assert browser.get("/blob/aaaaaaaaaaaaaaaaaaaaaaaaaa").status == 404
    assert browser.submit(browser.get("/claim"), "/claim", code="nonsense").status == 403
    page = browser.submit(browser.get(f"/item/{film.id}"), f"/item/{film.id}/buy")
    (path,) = [path for path, name in browser.cookies if name == "ticket"]
    browser.submit(page, f"{path}/kept")
    invoices.stands((1).to_bytes(16, "big"), received=film.price)
    (tmp_path / "stock" / str(film.content_id)).unlink()
    reply = browser.get(path)
    assert reply.status == 503
    assert "Nothing is lost" in reply.text
    catalogue.withdraw(film.id)
    assert browser.get(f"/item/{film.id}").status == 404


def test_too_many_claims_are_slowed(browser: Browser, film: Item) -> None:
    """Who tries codes is told to wait."""
    page = browser.get("/claim")
    found = [browser.submit(page, "/claim", code="A" * 25).status for _ in range(101)]
    assert found == [403] * 100 + [429]

"""A shop in memory for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from bitsnode.ledger import database
from bitsnode.web.limits import Limits
from bitsnode.web.site import ShopSite, shop_site
from bitsnode.web.testing import MemoryShop, item_of
from bitsnode.web.testing_browser import HOST, Browser
from bitsnode.web.tickets import Tickets

NOW = 1_800_000_000.0  # seconds
KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what only a power cut would show."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")


@pytest.fixture
def clock() -> Clock:
    """The time of one test."""
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture
def shop(clock: Clock) -> MemoryShop:
    """What lies behind the counter: one item, and its content."""
    shop = MemoryShop(clock)
    shop.catalogue.add(item_of(1, title="The Long Tide", description="Twelve minutes of sea."))
    shop.goods.contents[item_of(1).id] = bytes(range(256)) * 10
    return shop


@pytest.fixture
def tickets(tmp_path: Path) -> Iterator[Tickets]:
    """Which browser may see which order."""
    tickets = Tickets(tmp_path / "web.db", KEY)
    yield tickets
    tickets.close()


@pytest.fixture
def opened(clock: Clock, shop: MemoryShop, tickets: Tickets) -> Callable[..., ShopSite]:
    """Open the shop, with other limits than usual if a test wants that."""

    def open_shop(**limits: float) -> ShopSite:
        return shop_site(
            clock,
            shop.backroom,
            tickets,
            hosts=[HOST],
            limits=Limits(**limits),  # type: ignore[arg-type]
        )

    return open_shop


@pytest.fixture
def site(opened: Callable[..., ShopSite]) -> ShopSite:
    """The shop, open."""
    return opened()


@pytest.fixture
def browser(site: ShopSite, clock: Clock) -> Browser:
    """A browser in front of it."""
    return Browser(site, clock)

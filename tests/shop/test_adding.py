"""How files become items: in which order, and what is left when a step fails."""

import io
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from PIL import Image
from twisted.internet.task import Clock

from bitsnode.codec.link import Link
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId, sha256
from bitsnode.market.errors import TooFewHolders
from bitsnode.market.selling_errors import NotOnSale
from bitsnode.market.selling_needs import OnSale
from bitsnode.media.errors import UnreadableImage
from bitsnode.shop.adding import Adding, Tools, Wish
from bitsnode.shop.adding_needs import InShop, Noted, OfferLater, Preparing
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.errors import BadItem, BadShopText, NoSuchItem
from bitsnode.shop.goods import Goods
from bitsnode.shop.items import Kind
from bitsnode.shop.preparing import ANIMATED
from bitsnode.shop.stock import Stock
from tests.shop.conftest import NOW, at_once, now
from zk.stealth import MetaAddress

PRICE = 10**16
POINT = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


class NoHoldersHere(BitsError):
    """Nobody takes it."""


@attrs.frozen
class Spread:
    """A content that was published, as far as adding knows it."""

    link: Link
    publisher_seed: bytes
    sha256: bytes
    bytes: int
    code: str = "1/3"


class Network:
    """Publishes by remembering, and sells by remembering."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.contents: dict[ContentId, bytes] = {}
        self.sales: dict[ContentId, OnSale] = {}
        self.refuses: BitsError | None = None
        self.publishes = True

    async def publish(self, path: Path, _progress: Any) -> Spread:
        """See `bitsnode.shop.adding.Publisher`."""
        if not self.publishes:
            raise NoHoldersHere
        data = path.read_bytes()
        self.files.append(data)
        content = ContentId(secrets.token_bytes(32))
        self.contents[content] = data
        return Spread(Link(content, b"s" * 16, b"w" * 16), b"p" * 32, sha256(data), len(data))

    async def get(self, link: Link, output: Path, _wanted: Any, _progress: Any) -> Spread:
        """See `bitsnode.shop.adding.Publisher`."""
        if not self.publishes:
            raise NoHoldersHere
        data = self.contents[link.content_id]
        output.write_bytes(data)
        return Spread(link, b"", sha256(data), len(data))

    async def sell(self, link: Link, seed: bytes, payee: Any, price: int, _event: Any) -> OnSale:
        """See `bitsnode.shop.adding.Selling`."""
        assert (seed, payee) == (b"p" * 32, MetaAddress(POINT, POINT))
        if self.refuses is not None:
            raise self.refuses
        sale = OnSale(link.content_id, price, price, 1, 1, 2, 5, withdrawn=False, announced=True)
        self.sales[link.content_id] = sale
        return sale

    async def withdraw(self, content_id: ContentId) -> OnSale:
        """See `bitsnode.shop.adding.Selling`."""
        if content_id not in self.sales:
            raise NotOnSale
        self.sales[content_id] = attrs.evolve(self.sales[content_id], withdrawn=True)
        return self.sales[content_id]

    async def offers(self) -> list[OnSale]:
        """See `bitsnode.shop.adding.Selling`."""
        return list(self.sales.values())


@attrs.frozen
class Shop:
    """A shop with all that adding needs."""

    adding: Adding
    network: Network
    catalogue: Catalogue
    stock: Stock
    making: Path
    told: list[Any]

    def add(self, *files: Path, **values: Any) -> Any:
        """Add an item."""
        wish = Wish(files, values.pop("title", "Blue hour"), values.pop("price", PRICE), **values)
        return now(self.adding.add(wish, self.told.append))


@pytest.fixture
def shop(tmp_path: Path, catalogue: Catalogue) -> Shop:
    """An empty shop on a network that takes everything."""
    network, stock, clock = Network(), Stock(tmp_path / "stock"), Clock()
    clock.advance(NOW)

    async def selling() -> Network:
        return network

    async def payee() -> MetaAddress:
        return MetaAddress(POINT, POINT)

    making = tmp_path / "making"
    tools = Tools(clock, at_once, making, catalogue, stock, network, selling, payee)
    return Shop(Adding(tools), network, catalogue, stock, making, [])


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Make pictures that say where they were taken."""

    def make(name: str = "picture.jpg", size: tuple[int, int] = (80, 60)) -> Path:
        path = tmp_path / name
        exif = Image.Exif()
        exif[0x010E] = "taken at home"  # ImageDescription
        Image.new("RGB", size, "teal").save(path, exif=exif)
        return path

    return make


def test_a_picture_is_published_without_what_it_says_of_its_maker(
    shop: Shop, picture: Callable[..., Path]
) -> None:
    """In the network, the stock and the catalogue is the file that was written anew."""
    path = picture()
    assert b"taken at home" in path.read_bytes()
    added = shop.add(path, description="Over the sea", tags=("sea",))
    (published,) = shop.network.files
    assert b"taken at home" not in published
    item = added.item
    assert (item.kind, item.media_type, item.width, item.height) == (
        Kind.IMAGE,
        "image/jpeg",
        80,
        60,
    )
    assert (item.bytes, item.price, item.tags) == (len(published), PRICE, ("sea",))
    goods = Goods(shop.catalogue, shop.stock)
    assert b"".join(goods.read(item, None, 0, item.bytes - 1)) == published
    assert b"taken at home" not in shop.catalogue.blob(item.thumbnail).data
    assert item.preview != item.thumbnail
    assert shop.network.sales[item.content_id].price == PRICE
    assert added.sale is not None
    assert shop.told == [Preparing(1), InShop(item.id)]
    assert list(shop.making.glob("*")) == []


def test_what_is_no_picture_is_sold_as_it_is(shop: Shop, tmp_path: Path) -> None:
    """And never shown as anything but a download, whatever its name says."""
    path = tmp_path / "page.jpg"
    path.write_bytes(b"<html><script>alert(1)</script>")
    item = shop.add(path).item
    assert (item.kind, item.media_type) == (Kind.FILE, "application/octet-stream")
    assert (item.thumbnail, item.preview) == ("", "")
    assert shop.network.files == [path.read_bytes()]
    assert path.exists()


def test_a_publish_that_fails_leaves_nothing(shop: Shop, picture: Callable[..., Path]) -> None:
    """No item, no stock, no prepared file."""
    shop.network.publishes = False
    with pytest.raises(NoHoldersHere):
        shop.add(picture())
    assert shop.catalogue.all() == []
    assert list(shop.making.glob("*")) == []


@pytest.mark.parametrize(
    ("values", "error"),
    [({"title": ""}, BadShopText), ({"price": 0}, BadItem), ({"tags": ("a,b",)}, BadShopText)],
)
def test_what_cannot_be_said_is_refused_before_anything_is_published(
    shop: Shop, picture: Callable[..., Path], values: dict[str, Any], error: type[BitsError]
) -> None:
    """A text or a price is wrong: nothing was done."""
    with pytest.raises(error):
        shop.add(picture(), **values)
    assert shop.network.files == []


def test_a_damaged_picture_is_refused_before_anything_is_published(
    shop: Shop, picture: Callable[..., Path]
) -> None:
    """It begins like one and is none."""
    path = picture()
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnreadableImage):
        shop.add(path)
    assert shop.network.files == []
    assert list(shop.making.glob("*")) == []


def test_an_offer_that_cannot_be_made_now_follows_later(
    shop: Shop, picture: Callable[..., Path]
) -> None:
    """The item can be bought by invoice at once; at the next start it is offered."""
    shop.network.refuses = TooFewHolders(1, 2)
    added = shop.add(picture())
    assert added.sale is None
    assert any(isinstance(event, OfferLater) for event in shop.told)
    assert shop.catalogue.page().items == (added.item,)
    shop.network.refuses = None
    now(shop.adding.reconcile())
    assert not shop.network.sales[added.item.content_id].withdrawn


def test_a_new_price_is_that_of_shop_and_offer(shop: Shop, picture: Callable[..., Path]) -> None:
    """Both; what is no price changes neither."""
    item = shop.add(picture()).item
    assert now(shop.adding.price(item.id, 2 * PRICE, shop.told.append)).price == 2 * PRICE
    assert shop.catalogue.item(item.id).price == 2 * PRICE
    assert shop.network.sales[item.content_id].price == 2 * PRICE
    with pytest.raises(BadItem):
        now(shop.adding.price(item.id, 0, shop.told.append))
    assert shop.catalogue.item(item.id).price == 2 * PRICE


def test_what_is_withdrawn_is_not_offered_any_more(
    shop: Shop, picture: Callable[..., Path]
) -> None:
    """Neither way; who has paid still gets it; a crash between the two is made good."""
    first, second = shop.add(picture()).item, shop.add(picture("b.jpg")).item
    assert now(shop.adding.withdraw(first.id)).withdrawn
    assert shop.network.sales[first.content_id].withdrawn
    assert shop.stock.has(first.content_id)
    shop.catalogue.withdraw(second.id)  # and then the power failed
    now(shop.adding.reconcile())
    assert shop.network.sales[second.content_id].withdrawn
    with pytest.raises(NoSuchItem):
        now(shop.adding.withdraw("aaaaaaaaaa"))


def test_an_offer_that_its_owner_withdrew_stays_withdrawn(
    shop: Shop, picture: Callable[..., Path]
) -> None:
    """A shop may sell by invoice alone."""
    item = shop.add(picture()).item
    now(shop.network.withdraw(item.content_id))
    now(shop.adding.reconcile())
    assert shop.network.sales[item.content_id].withdrawn


def test_several_pictures_are_one_item(shop: Shop, picture: Callable[..., Path]) -> None:
    """Published as one content, shown one by one, each as it was written anew."""
    files = [picture("a.png", (40, 30)), picture("b.jpg", (30, 50)), picture("c.webp")]
    item = shop.add(*files).item
    (published,) = shop.network.files
    assert b"taken at home" not in published
    assert (item.kind, item.pictures, item.bytes) == (Kind.IMAGE, 3, len(published))
    goods = Goods(shop.catalogue, shop.stock)
    parts = goods.parts(item)
    assert [part.media_type for part in parts] == ["image/png", "image/jpeg", "image/webp"]
    for number, part in enumerate(parts):
        data = b"".join(goods.read(item, number, 0, part.size - 1))
        with Image.open(io.BytesIO(data)) as shown:
            shown.load()
            assert shown.size == (part.width, part.height)
    assert list(shop.making.glob("*")) == []


def test_a_set_has_pictures_only(shop: Shop, picture: Callable[..., Path], tmp_path: Path) -> None:
    """One other file among them, or a wish to change nothing, and nothing is published."""
    other = tmp_path / "other"
    other.write_bytes(b"words")
    with pytest.raises(UnreadableImage):
        shop.add(picture(), other)
    with pytest.raises(BadItem):
        shop.add(picture(), picture("b.jpg"), as_is=True)
    assert shop.network.files == []
    assert list(shop.making.glob("*")) == []


def test_a_file_can_be_sold_as_it_is(shop: Shop, picture: Callable[..., Path]) -> None:
    """Then it is a download that says all that its maker left in it."""
    path = picture()
    item = shop.add(path, as_is=True).item
    assert shop.network.files == [path.read_bytes()]
    assert (item.kind, item.media_type) == (Kind.FILE, "application/octet-stream")


def test_what_is_lost_of_an_animation_is_said(shop: Shop, tmp_path: Path) -> None:
    """Its first picture is sold, and its creator knows."""
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert shop.add(path).item.media_type == "image/png"
    assert Noted(ANIMATED) in shop.told


def test_what_the_stock_has_lost_comes_back_from_the_network(
    shop: Shop, picture: Callable[..., Path]
) -> None:
    """After a restore, which has no stock; as long as nobody has it, the shop goes on without."""
    item = shop.add(picture()).item
    shop.stock.remove(item.content_id)
    shop.network.publishes = False
    with pytest.raises(NoHoldersHere):
        now(shop.adding.reconcile())
    shop.network.publishes = True
    now(shop.adding.reconcile())
    goods = Goods(shop.catalogue, shop.stock)
    assert b"".join(goods.read(item, None, 0, item.bytes - 1)) == shop.network.files[0]
    assert list(shop.making.glob("*")) == []

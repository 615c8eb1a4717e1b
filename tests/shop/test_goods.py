"""What is sold, out of the stock."""

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.ids import sha256
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.errors import BadItem, NoSuchItem
from bitsnode.shop.goods import Goods
from bitsnode.shop.items import Draft, Item, Part
from bitsnode.shop.stock import Stock
from bitsnode.shop.stock_errors import BadStockRange
from tests.shop.conftest import NOW

PLAIN = bytes(range(251)) * 5000  # more than one chunk


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    """An empty stock."""
    return Stock(tmp_path / "stock")


@pytest.fixture
def sold(catalogue: Catalogue, stock: Stock, tmp_path: Path) -> Callable[[Draft], Item]:
    """Take `PLAIN` into the shop as what a draft says."""

    def sell(draft: Draft) -> Item:
        source = tmp_path / "source"
        source.write_bytes(PLAIN)
        stock.add(source, draft.link, sha256(PLAIN))
        return catalogue.add(attrs.evolve(draft, bytes=len(PLAIN)), NOW)

    return sell


def test_a_file_is_one_part(
    catalogue: Catalogue, stock: Stock, sold: Callable[[Draft], Item], draft: Callable[..., Draft]
) -> None:
    """Itself, and read like the whole."""
    goods, item = Goods(catalogue, stock), sold(draft(width=4, height=3))
    whole = Part("image/jpeg", len(PLAIN), 4, 3)
    assert goods.whole(item) == whole
    assert list(goods.parts(item)) == [whole]
    for part in (None, 0):
        assert b"".join(goods.read(item, part, 0, len(PLAIN) - 1)) == PLAIN
    assert b"".join(goods.read(item, 0, 7, 9)) == PLAIN[7:10]


def test_pictures_of_a_set_are_read_one_by_one(
    catalogue: Catalogue, stock: Stock, sold: Callable[[Draft], Item], draft: Callable[..., Draft]
) -> None:
    """Each from its own first byte to its own last, across chunks, and nothing beside it."""
    parts = (
        Part("image/png", 10, 1, 1, 30),
        Part("image/webp", CHUNK_SIZE, 2, 3, 100),
    )
    goods = Goods(catalogue, stock)
    item = sold(draft(parts=parts, bytes=len(PLAIN), media_type="application/zip"))
    assert item.pictures == 2
    assert tuple(goods.parts(item)) == parts
    assert b"".join(goods.read(item, 0, 0, 9)) == PLAIN[30:40]
    assert b"".join(goods.read(item, 1, 1, CHUNK_SIZE - 1)) == PLAIN[101 : 100 + CHUNK_SIZE]
    for part, first, last in ((0, 0, 10), (0, -1, 3), (0, 5, 4), (2, 0, 0), (-1, 0, 0)):
        with pytest.raises(BadStockRange):
            goods.read(item, part, first, last)


def test_parts_lie_within_their_content(draft: Callable[..., Draft]) -> None:
    """None is empty, beyond the end, or of no type."""
    for part in (
        Part("image/png", 0, 1, 1, 0),
        Part("image/png", 11, 1, 1, 990),
        Part("image/png", 1, 1, 1, -1),
        Part("image", 1, 1, 1, 0),
    ):
        with pytest.raises(BadItem):
            draft(parts=(part,))


def test_the_ciphertext_is_given_as_it_lies(
    catalogue: Catalogue, stock: Stock, sold: Callable[[Draft], Item], draft: Callable[..., Draft]
) -> None:
    """All of it, none of it in the clear, and the link that opens it."""
    goods, made = Goods(catalogue, stock), draft()
    item = sold(made)
    size = goods.sealed_size(item)
    sealed = b"".join(goods.sealed(item, 0, size - 1))
    assert len(sealed) == size > len(PLAIN)
    assert PLAIN[:64] not in sealed
    assert goods.link(item) == made.link.text


def test_nothing_is_read_for_an_item_of_another_shop(
    catalogue: Catalogue, stock: Stock, sold: Callable[[Draft], Item], draft: Callable[..., Draft]
) -> None:
    """The link comes from the catalogue, not from who asks."""
    item = attrs.evolve(sold(draft()), id="aaaaaaaaaa")
    with pytest.raises(NoSuchItem):
        Goods(catalogue, stock).read(item, None, 0, 0)

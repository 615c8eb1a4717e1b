"""Orders and claim codes."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from twisted.internet.task import Clock

from bitsnode.ids import ContentId
from bitsnode.shop import orders_store
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.claim_codes import ALPHABET, code_hash, fresh_code
from bitsnode.shop.errors import (
    ItemWithdrawn,
    NoSuchOrder,
    ShopDiskError,
    ShopSealed,
    TooManyClaims,
    TooManyOrders,
    WrongClaimCode,
)
from bitsnode.shop.items import Draft, Item
from bitsnode.shop.orders import CLAIMS_AT_ONCE, CLAIMS_PER_SECOND, Orders
from tests.shop.conftest import KEY, NOW, at_once, now


@attrs.frozen
class Bill:
    """An invoice as far as an order knows it."""

    id: bytes
    content: ContentId
    price: int


class Bills:
    """Makes invoices and remembers them."""

    def __init__(self) -> None:
        self.issued: list[Bill] = []

    async def issue(self, content: ContentId, price: int) -> Bill:
        """See `bitsnode.shop.orders.Invoices`."""
        self.issued.append(Bill(secrets.token_bytes(16), content, price))
        return self.issued[-1]


@pytest.fixture
def bills() -> Bills:
    """Invoices of the shop."""
    return Bills()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at `NOW`."""
    made = Clock()
    made.advance(NOW)
    return made


@pytest.fixture
def orders(tmp_path: Path, bills: Bills, clock: Clock) -> Iterator[Orders]:
    """The orders of a shop."""
    made = Orders(tmp_path / "orders.db", KEY, bills, clock, at_once)
    yield made
    made.close()


@pytest.fixture
def item(catalogue: Catalogue, draft: Callable[..., Draft]) -> Item:
    """What is ordered."""
    return catalogue.add(draft(), NOW)


def test_an_order_is_found_by_its_id_and_by_its_code(
    orders: Orders, bills: Bills, item: Item
) -> None:
    """And names item, invoice and day; another one is not found."""
    opened = now(orders.open(item))
    other = now(orders.open(item))
    order = opened.order
    assert now(orders.find(order.id)) == now(orders.claim(opened.claim_code)) == order
    assert (order.item, order.invoice) == (item.id, bills.issued[0].id)
    assert (bills.issued[0].content, bills.issued[0].price) == (item.content_id, item.price)
    assert order.created % 86_400 == 0
    assert now(orders.claim(other.claim_code)) == other.order != order
    assert now(orders.all()) == [other.order, order]


def test_a_claim_code_works_after_a_restart_however_it_is_typed(
    tmp_path: Path, orders: Orders, bills: Bills, clock: Clock, item: Item
) -> None:
    """Small letters, other spaces, O for 0, I and L for 1."""
    opened = now(orders.open(item))
    orders.close()
    again = Orders(tmp_path / "orders.db", KEY, bills, clock, at_once)
    code = opened.claim_code
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert now(again.claim(f"  {typed}\n")) == opened.order
    assert now(again.claim(code.replace("-", "").replace("1", "I"))) == opened.order
    again.close()


@pytest.mark.parametrize(
    "typed",
    ["", "ABCDE", "U" * 25, "0" * 24, "0" * 26, "0" * 10**6, "é" * 25, "٣" * 25, "0" * 24 + "\x00"],
)
def test_what_was_never_given_out_is_no_claim_code(orders: Orders, typed: str) -> None:
    """Of any length and in any script."""
    with pytest.raises(WrongClaimCode):
        now(orders.claim(typed))


def test_one_wrong_character_opens_nothing(orders: Orders, item: Item) -> None:
    """Wherever it stands."""
    code = now(orders.open(item)).claim_code
    for place, character in enumerate(code):
        if character == "-":
            continue
        wrong = ALPHABET[(ALPHABET.index(character) + 1) % 32]
        with pytest.raises(WrongClaimCode):
            now(orders.claim(code[:place] + wrong + code[place + 1 :]))


@pytest.mark.parametrize("order_id", ["", "a" * 26, "a" * 25 + "b", "A" * 26, "../" * 8 + "aa"])
def test_what_is_no_order_is_not_found(orders: Orders, order_id: str) -> None:
    """Of the right form or of none."""
    with pytest.raises(NoSuchOrder):
        now(orders.find(order_id))


def test_an_id_has_one_form(orders: Orders, item: Item) -> None:
    """In capitals, or with its unused bits set, it is none."""
    order = now(orders.open(item)).order
    last = "abcdefghijklmnopqrstuvwxyz234567".index(order.id[-1])
    assert last % 4 == 0
    with pytest.raises(NoSuchOrder):
        now(orders.find(order.id[:-1] + "abcdefghijklmnopqrstuvwxyz234567"[last + 1]))
    with pytest.raises(NoSuchOrder):
        now(orders.find(order.id.upper()))


def test_codes_are_tried_at_a_bounded_rate(orders: Orders, clock: Clock, item: Item) -> None:
    """All visitors together; a moment later a right one works again."""
    opened = now(orders.open(item))
    for _ in range(CLAIMS_AT_ONCE):
        with pytest.raises(WrongClaimCode):
            now(orders.claim(fresh_code()))
    with pytest.raises(TooManyClaims):
        now(orders.claim(opened.claim_code))
    clock.advance(2 / CLAIMS_PER_SECOND)
    assert now(orders.claim(opened.claim_code)) == opened.order
    clock.advance(10**6)
    for _ in range(CLAIMS_AT_ONCE):
        now(orders.claim(opened.claim_code))
    with pytest.raises(TooManyClaims):
        now(orders.claim(opened.claim_code))


def test_the_file_opens_no_order(tmp_path: Path, orders: Orders, bills: Bills, item: Item) -> None:
    """Neither id, nor code, nor item, nor invoice is in it; with another key it says nothing."""
    opened = now(orders.open(item))
    orders.close()
    data = b"".join(path.read_bytes() for path in tmp_path.glob("orders.db*"))
    code = opened.claim_code
    for secret in (opened.order.id, item.id, code, code.replace("-", ""), code[:5]):
        assert secret.encode() not in data
    assert bills.issued[0].id not in data
    assert code not in repr(opened)
    assert opened.order.id not in repr(opened)
    stranger = orders_store.OrdersStore(tmp_path / "orders.db", b"\x00" * 32)
    with pytest.raises(ShopSealed):
        stranger.all()
    assert stranger.claimed(code_hash(b"\x00" * 32, code)) is None
    stranger.close()


def test_what_is_withdrawn_is_not_ordered(orders: Orders, bills: Bills, item: Item) -> None:
    """And no invoice is made for it."""
    with pytest.raises(ItemWithdrawn):
        now(orders.open(attrs.evolve(item, withdrawn=True)))
    assert bills.issued == []


def test_a_shop_takes_so_many_orders(
    orders: Orders, bills: Bills, item: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No invoice is made for one that there is no room for."""
    monkeypatch.setattr(orders_store, "MAX_ORDERS", 1)
    now(orders.open(item))
    with pytest.raises(TooManyOrders):
        now(orders.open(item))
    assert len(bills.issued) == 1


def test_codes_differ() -> None:
    """Each is of its own form and drawn by lot."""
    codes = {fresh_code() for _ in range(100)}
    assert len(codes) == 100
    assert all(len(code) == 29 and code[5::6] == "----" for code in codes)


def test_an_order_that_cannot_be_kept_is_none(orders: Orders, item: Item, tmp_path: Path) -> None:
    """The disk is full: the visitor gets no code, and the shop knows no order."""
    database = orders.store.database
    ((pages,),) = database.rows("PRAGMA page_count")
    database.rows(f"PRAGMA max_page_count = {pages}")
    with suppress(ShopDiskError):
        for _ in range(100):
            now(orders.open(item))
    before = now(orders.all())
    with pytest.raises(ShopDiskError, match="full"):
        now(orders.open(item))
    assert now(orders.all()) == before

"""Orders: what joins an invoice with whoever may see the content when it is paid.

Two things open an order: its id, which the browser's session keeps, and its claim code, which is
shown once and works from any browser. Neither is on the disk in the clear. An order knows no
visitor and no hour.
"""

import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import attrs
from twisted.internet.interfaces import IReactorTime

from bitsnode.ids import ContentId
from bitsnode.shop.claim_codes import code_hash, fresh_code
from bitsnode.shop.errors import ItemWithdrawn, NoSuchOrder, TooManyClaims, WrongClaimCode
from bitsnode.shop.items import Item, day_of
from bitsnode.shop.orders_store import ID_SIZE, Entry, OrdersStore, id_bytes, id_text

CLAIMS_AT_ONCE: Final = 100
CLAIMS_PER_SECOND: Final = 20.0  # of all visitors together; it bounds the work, not the odds

T = TypeVar("T")


class Invoice(Protocol):
    """See `bitsnode.market.invoices.Invoice`."""

    @property
    def id(self) -> bytes:
        """16 bytes."""


class Invoices(Protocol):
    """See `bitsnode.market.invoices.Invoices`."""

    async def issue(self, content: ContentId, price: int) -> Invoice:
        """Make an invoice of a price in wei for a content."""


@attrs.frozen
class Order:
    """A visitor's wish to have an item.

    Attributes:
        id: 26 characters of base32, 128 random bits; who knows it sees the order.
        item: id of the item.
        invoice: id of its invoice, 16 bytes.
        created: day on which it came, Unix time in seconds.
    """

    id: str = attrs.field(repr=False)
    item: str
    invoice: bytes
    created: int


@attrs.frozen
class Opened:
    """An order that was just made.

    Attributes:
        order: itself.
        claim_code: opens it from any browser; not to be had a second time.
    """

    order: Order
    claim_code: str = attrs.field(repr=False)


class Orders:
    """The orders of a shop.

    Args:
        path: of their file.
        key: that seals it, 32 bytes.
        invoices: makes invoices.
        clock: the reactor's time; its seconds are Unix time.
        run: carries out in a thread what waits for the disk.

    Attributes:
        store: the file.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        invoices: Invoices,
        clock: IReactorTime,
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._key = key
        self.store = OrdersStore(path, key)
        self._invoices = invoices
        self._clock = clock
        self._run = run
        self._claims = float(CLAIMS_AT_ONCE)
        self._counted_at = clock.seconds()

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    async def open(self, item: Item) -> Opened:
        """Order an item: make an invoice, an order and its claim code.

        Raises:
            ItemWithdrawn: it is not sold any more.
            TooManyOrders: there is no room for it.
            ShopDiskError: it cannot be kept.
            BitsError: no invoice can be made now; see `bitsnode.market.invoices`.
        """
        if item.withdrawn:
            raise ItemWithdrawn
        await self._run(self.store.check_room)
        invoice = await self._invoices.issue(item.content_id, item.price)
        code, key = fresh_code(), secrets.token_bytes(ID_SIZE)
        entry = Entry(key, item.id, invoice.id, day_of(self._clock.seconds()))
        await self._run(partial(self.store.add, entry, code_hash(self._key, code)))
        return Opened(_order(entry), code)

    async def find(self, order_id: str) -> Order:
        """Return an order by its id.

        Raises:
            NoSuchOrder: there is none.
        """
        key = id_bytes(order_id)
        if key is None:
            raise NoSuchOrder
        entry = await self._run(partial(self.store.find, key))
        if entry is None:
            raise NoSuchOrder
        return _order(entry)

    async def claim(self, code: str) -> Order:
        """Return an order by its claim code, however it is typed.

        Raises:
            WrongClaimCode: no order has it.
            TooManyClaims: of all visitors together; see `CLAIMS_PER_SECOND`.
        """
        self._count_claim()
        entry = await self._run(partial(self.store.claimed, code_hash(self._key, code)))
        if entry is None:
            raise WrongClaimCode
        return _order(entry)

    async def all(self) -> list[Order]:
        """Return all orders, newest first."""
        return [_order(entry) for entry in await self._run(self.store.all)]

    def _count_claim(self) -> None:
        now = self._clock.seconds()
        grown = self._claims + max(0.0, now - self._counted_at) * CLAIMS_PER_SECOND
        self._claims, self._counted_at = min(float(CLAIMS_AT_ONCE), grown), now
        if self._claims < 1:
            raise TooManyClaims
        self._claims -= 1


def _order(entry: Entry) -> Order:
    return Order(id_text(entry.key), entry.item, entry.invoice, entry.created)

"""A shop in memory: what lies behind the counter, with neither disk nor chain."""

# mypy: disallow-untyped-calls=False

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.task import Clock

from bitsnode.ids import ContentId
from bitsnode.market.invoice import Invoice, InvoiceStatus
from bitsnode.shop.errors import NoSuchBlob, NoSuchItem, NoSuchOrder, WrongClaimCode
from bitsnode.shop.items import Blob, Item, Kind, Page, Part, Profile
from bitsnode.web.needs import Backroom

ADDRESS: Final = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
PIECE: Final = 1 << 20  # bytes of what goods are read in
T = TypeVar("T")


async def at_once(work: Callable[[], T]) -> T:
    """Do the work of a thread here and now."""
    return work()


def item_of(number: int, **changes: Any) -> Item:
    """Return an item; another for each number."""
    values: dict[str, Any] = {
        "id": f"item{number:06d}".translate(str.maketrans("0189", "abcd")),
        "title": f"Work {number}",
        "description": "",
        "tags": (),
        "content_id": ContentId(number.to_bytes(32, "big")),
        "price": 5 * 10**16,
        "kind": Kind.FILE,
        "media_type": "application/octet-stream",
        "bytes": 1_000,
        "pictures": 1,
        "width": 0,
        "height": 0,
        "thumbnail": "",
        "preview": "",
        "added": 20_000 * 86_400,
        "withdrawn": False,
    }
    return Item(**values | changes)


class MemoryCatalogue:
    """A catalogue; `items` and `blobs` are for the test to fill."""

    def __init__(self) -> None:
        self.shown = Profile("Mira Ostrowska", "Photographs and short films.")
        self.items: dict[str, Item] = {}
        self.blobs: dict[str, Blob] = {}

    def add(self, *items: Item) -> None:
        """Put items in."""
        self.items |= {item.id: item for item in items}

    def profile(self) -> Profile:
        """See `Catalogue.profile`."""
        return self.shown

    def item(self, item_id: str, /) -> Item:
        """See `Catalogue.item`."""
        if item_id not in self.items:
            raise NoSuchItem
        return self.items[item_id]

    def page(self, query: str = "", tag: str = "", page: int = 1, size: int = 24) -> Page:
        """See `Catalogue.page`."""
        found = [item for item in self._sold() if not tag or tag in item.tags]
        found = [item for item in found if query.lower() in item.title.lower()]
        pages = max(1, -(-len(found) // size))
        page = min(page, pages)
        return Page(tuple(found[(page - 1) * size : page * size]), len(found), page, pages)

    def tags(self) -> list[tuple[str, int]]:
        """See `Catalogue.tags`."""
        every = [tag for item in self._sold() for tag in item.tags]
        return [(tag, every.count(tag)) for tag in dict.fromkeys(every)]

    def newest(self, count: int, /) -> list[Item]:
        """See `Catalogue.newest`."""
        return self._sold()[:count]

    def blob(self, name: str, /) -> Blob:
        """See `Catalogue.blob`."""
        if name not in self.blobs:
            raise NoSuchBlob
        return self.blobs[name]

    def _sold(self) -> list[Item]:
        return [item for item in self.items.values() if not item.withdrawn]


@attrs.frozen
class MemoryOrder:
    """An order."""

    id: str
    item: str
    invoice: bytes


@attrs.frozen
class MemoryOpened:
    """An order that was just made."""

    order: MemoryOrder
    claim_code: str


class MemoryOrders:
    """Orders; each makes an invoice.

    Attributes:
        made: all of them, in their order.
        fault: raised instead of making one.
        gate: awaited before one is made.
    """

    def __init__(self, invoices: "MemoryInvoices") -> None:
        self._invoices = invoices
        self.made: list[MemoryOpened] = []
        self.fault: Exception | None = None
        self.gate: Callable[[], Awaitable[object]] | None = None

    async def open(self, item: Item, /) -> MemoryOpened:
        """See `Orders.open`."""
        if self.gate is not None:
            await self.gate()
        if self.fault is not None:
            raise self.fault
        number = len(self.made)
        invoice = self._invoices.issue(number, item)
        order = MemoryOrder(f"{number:026d}".translate(str.maketrans("01", "ab")), item.id, invoice)
        self.made.append(MemoryOpened(order, f"{number:05d}-AAAAA-BBBBB-CCCCC-DDDDD"))
        return self.made[-1]

    async def find(self, order_id: str, /) -> MemoryOrder:
        """See `Orders.find`."""
        for opened in self.made:
            if opened.order.id == order_id:
                return opened.order
        raise NoSuchOrder

    async def claim(self, code: str, /) -> MemoryOrder:
        """See `Orders.claim`."""
        for opened in self.made:
            if opened.claim_code == code.strip().upper():
                return opened.order
        raise WrongClaimCode


class MemoryInvoices:
    """Invoices; the test says how they stand."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._standing: dict[bytes, InvoiceStatus] = {}
        self.watchers: dict[bytes, list[Callable[[InvoiceStatus], None]]] = {}

    def issue(self, number: int, item: Item) -> bytes:
        """Make an invoice; returns its id."""
        now = int(self._clock.seconds())
        name = number.to_bytes(16, "big")
        invoice = Invoice(name, item.content_id, ADDRESS, item.price, now, now + 3600, 100)
        self._standing[name] = InvoiceStatus.of(invoice)
        return name

    def stands(self, name: bytes, **facts: Any) -> None:
        """Let an invoice stand as these facts say; see `InvoiceStatus.of`."""
        status = InvoiceStatus.of(self._standing[name].invoice, **facts)
        self._standing[name] = status
        for changed in list(self.watchers.get(name, ())):
            changed(status)

    async def status(self, invoice: bytes, /) -> InvoiceStatus:
        """See `Invoices.status`."""
        return self._standing[invoice]

    def watch(
        self, invoice: bytes, changed: Callable[[InvoiceStatus], None], /
    ) -> Callable[[], None]:
        """See `Invoices.watch`."""
        watchers = self.watchers.setdefault(invoice, [])
        watchers.append(changed)
        return lambda: watchers.remove(changed)


class MemoryGoods:
    """Contents; `contents` and `pictures` are for the test to fill, by item id.

    Attributes:
        read_bytes: how many bytes were read, of all contents.
        closed: how many readings ended, one way or the other.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.pictures: dict[str, list[tuple[Part, bytes]]] = {}
        self.read_bytes = 0
        self.closed = 0

    def whole(self, item: Item, /) -> Part:
        """See `Goods.whole`."""
        return Part(item.media_type, len(self.contents[item.id]), item.width, item.height)

    def parts(self, item: Item, /) -> Sequence[Part]:
        """See `Goods.parts`."""
        if item.id in self.pictures:
            return [part for part, _ in self.pictures[item.id]]
        return [self.whole(item)]

    def read(self, item: Item, part: int | None, first: int, last: int, /) -> Iterator[bytes]:
        """See `Goods.read`."""
        data = self.contents[item.id]
        if part is not None and item.id in self.pictures:
            data = self.pictures[item.id][part][1]
        return self._pieces(data, first, last)

    def sealed_size(self, item: Item, /) -> int:
        """See `Goods.sealed_size`."""
        return len(self.contents[item.id]) + 16

    def sealed(self, item: Item, first: int, last: int, /) -> Iterator[bytes]:
        """See `Goods.sealed`."""
        data = bytes(byte ^ 0x55 for byte in self.contents[item.id]) + bytes(16)
        return self._pieces(data, first, last)

    def link(self, item: Item, /) -> str:
        """See `Goods.link`."""
        return f"bits:{item.content_id}#{'k' * 52}"

    def _pieces(self, data: bytes, first: int, last: int) -> Iterator[bytes]:
        try:
            for start in range(first, last + 1, PIECE):
                piece = data[start : min(start + PIECE, last + 1)]
                self.read_bytes += len(piece)
                yield piece
        finally:
            self.closed += 1


class MemoryShop:
    """All that lies behind the counter, in memory."""

    def __init__(self, clock: Clock) -> None:
        self.catalogue = MemoryCatalogue()
        self.invoices = MemoryInvoices(clock)
        self.orders = MemoryOrders(self.invoices)
        self.goods = MemoryGoods()

    @property
    def backroom(self) -> Backroom:
        """As the pages take it."""
        return Backroom(self.catalogue, self.orders, self.invoices, self.goods, at_once)

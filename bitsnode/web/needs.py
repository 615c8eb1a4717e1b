"""What the shop's pages need of the rest of the node; whoever wires gives it."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import attrs

from bitsnode.market.invoice import InvoiceStatus
from bitsnode.shop.items import Blob, Item, Page, Part, Profile

T = TypeVar("T")


class RunInThread(Protocol):
    """Runs blocking work in a thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Start the work."""


class Catalogue(Protocol):
    """What is in the shop; every method blocks, any thread may call it."""

    def profile(self) -> Profile:
        """What the shop says of itself."""

    def item(self, item_id: str, /) -> Item:
        """Return an item; raises `NoSuchItem`."""

    def page(self, query: str = "", tag: str = "", page: int = 1, size: int = 24) -> Page:
        """Return a part of what is for sale."""

    def tags(self) -> list[tuple[str, int]]:
        """Return the tags of what is for sale, each with the number of items."""

    def newest(self, count: int, /) -> list[Item]:
        """Return the newest items for sale."""

    def blob(self, name: str, /) -> Blob:
        """Return a small picture; raises `NoSuchBlob`."""


class Order(Protocol):
    """See `bitsnode.shop.orders.Order`."""

    @property
    def id(self) -> str:
        """26 characters of base32."""

    @property
    def item(self) -> str:
        """Id of the item."""

    @property
    def invoice(self) -> bytes:
        """Id of the invoice, 16 bytes."""


class Opened(Protocol):
    """See `bitsnode.shop.orders.Opened`."""

    @property
    def order(self) -> Order:
        """The order that was made."""

    @property
    def claim_code(self) -> str:
        """Opens it from any browser."""


class Orders(Protocol):
    """What joins an invoice with a visitor."""

    async def open(self, item: Item, /) -> Opened:
        """Order an item; raises a BitsError when that is not possible now."""

    async def find(self, order_id: str, /) -> Order:
        """Return an order; raises `NoSuchOrder`."""

    async def claim(self, code: str, /) -> Order:
        """Return an order; raises `WrongClaimCode` and `TooManyClaims`."""


class Invoices(Protocol):
    """How invoices stand. A visitor never causes a question to the chain."""

    async def status(self, invoice: bytes, /) -> InvoiceStatus:
        """Return how an invoice stands, by its id."""

    def watch(
        self, invoice: bytes, changed: Callable[[InvoiceStatus], None], /
    ) -> Callable[[], None]:
        """Call `changed` when an invoice stands otherwise; returns what ends that."""


class Goods(Protocol):
    """What is sold, kept encrypted here; every method blocks, and so does an iterator's next.

    A set of pictures is one content, a stored archive; its parts are the pictures. Everything else
    has one part, itself.
    """

    def whole(self, item: Item, /) -> Part:
        """Return what a download of the item is."""

    def parts(self, item: Item, /) -> Sequence[Part]:
        """Return what can be looked at, in order."""

    def read(self, item: Item, part: int | None, first: int, last: int, /) -> Iterator[bytes]:
        """Return plaintext from byte `first` to `last`, both included, in pieces of at most 1 MiB.

        Of a part, by its number from 0, or of the whole; verified before it is given out.
        """

    def sealed_size(self, item: Item, /) -> int:
        """Return the bytes of the item's ciphertext."""

    def sealed(self, item: Item, first: int, last: int, /) -> Iterator[bytes]:
        """Return ciphertext, likewise."""

    def link(self, item: Item, /) -> str:
        """Return the link that reads the content: a secret of who has paid."""


@attrs.frozen
class Backroom:
    """What lies behind the shop's counter.

    Attributes:
        catalogue: what is shown.
        orders: who wants what.
        invoices: who has paid.
        goods: what they get.
        run: carries out in a thread what waits for the disk.
    """

    catalogue: Catalogue
    orders: Orders
    invoices: Invoices
    goods: Goods
    run: RunInThread

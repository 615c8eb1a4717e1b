"""The node's invoices, opened when one is needed: pages are shown while no chain can be asked."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from bitsnode.ids import ContentId
from bitsnode.market.invoice import Invoice, InvoiceStatus


class Invoices(Protocol):
    """See `bitsnode.market.invoices.Invoices`."""

    async def issue(self, content: ContentId, price: int, /) -> Invoice:
        """Make an invoice of a price in wei for a content."""

    async def status(self, invoice: bytes, /) -> InvoiceStatus:
        """Return how one stands, by its id."""

    def watch(
        self, invoice: bytes, changed: Callable[[InvoiceStatus], None], /
    ) -> Callable[[], None]:
        """Tell when one stands otherwise; returns what ends that."""


class LateInvoices:
    """What a shop needs of invoices.

    Args:
        find: opens them.
    """

    def __init__(self, find: Callable[[], Awaitable[Invoices]]) -> None:
        self._find = find
        self._found: Invoices | None = None

    async def issue(self, content: ContentId, price: int) -> Invoice:
        """See `Invoices.issue`."""
        return await (await self._opened()).issue(content, price)

    async def status(self, invoice: bytes) -> InvoiceStatus:
        """See `Invoices.status`."""
        return await (await self._opened()).status(invoice)

    def watch(self, invoice: bytes, changed: Callable[[InvoiceStatus], None]) -> Callable[[], None]:
        """See `Invoices.watch`; while they are not open nothing changes."""
        return self._found.watch(invoice, changed) if self._found else lambda: None

    async def _opened(self) -> Invoices:
        if self._found is None:
            self._found = await self._find()
        return self._found

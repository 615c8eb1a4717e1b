"""The pages of an order: its claim code, its payment, and then its content."""

import hashlib
import hmac
from functools import partial
from http import HTTPStatus
from typing import Final

from twisted.internet.interfaces import IReactorTime

from bitsnode.ledger.invoice_uri import payment_uri
from bitsnode.market.invoice import Invoice, InvoiceStatus
from bitsnode.shop.items import Item, Part
from bitsnode.web.answers import OF_AN_ORDER, SECRET, Answer, News, Outflow
from bitsnode.web.errors import NotFound, NotPaidYet
from bitsnode.web.forms import Forms
from bitsnode.web.needs import Backroom, Order
from bitsnode.web.ordering import Ordering
from bitsnode.web.qr import qr_code
from bitsnode.web.ranges import matches, span_of
from bitsnode.web.render import Renderer
from bitsnode.web.states import told
from bitsnode.web.tickets import Ticket
from bitsnode.web.visit import Visit
from bitsnode.web.words import UNKNOWN_TYPE, coins, disposition, file_name, served_type

SEALED_ENDING: Final = "sealed"


class Opening:
    """What the owner of a ticket sees.

    Args:
        clock: its seconds are Unix time.
        backroom: what lies behind the counter.
        ordering: knows who has a ticket.
        renderer: of pages.
        forms: signs them.
        key: of the shop, 32 bytes.
    """

    def __init__(
        self,
        clock: IReactorTime,
        backroom: Backroom,
        ordering: Ordering,
        renderer: Renderer,
        forms: Forms,
        key: bytes,
    ) -> None:
        self._clock = clock
        self._room = backroom
        self._ordering = ordering
        self._renderer = renderer
        self._forms = forms
        self._key = key

    async def page(self, visit: Visit, order_id: str) -> Answer:
        """The one page of an order, as it stands: step 1, step 2, or the content."""
        order, ticket = await self._ordering.order(visit, order_id)
        item = await self._item(order)
        if ticket.claim_code:
            body = self._code_page(visit, item, ticket)
        else:
            status = await self._room.invoices.status(order.invoice)
            if status.opens:
                body = await self._opened_page(visit, order, item, status)
            else:
                body = await self._pay_page(order, item, status)
        return Answer(200, body, cache=SECRET)

    async def qr(self, visit: Visit, order_id: str) -> Answer:
        """What is still to be paid, as a QR code."""
        order, _ = await self._ordering.order(visit, order_id)
        status = await self._room.invoices.status(order.invoice)
        code = await self._room.run(partial(qr_code, _uri(status)))
        return Answer(200, code.png, "image/png", SECRET)

    async def news(self, visit: Visit, order_id: str) -> News:
        """Tell when the invoice stands otherwise."""
        order, _ = await self._ordering.order(visit, order_id)
        return News(order_id, partial(self._room.invoices.watch, order.invoice))

    async def content(self, visit: Visit, order_id: str, number: int = 1) -> Answer | Outflow:
        """A part of the content, to be shown by the browser itself."""
        order, item = await self._paid(visit, order_id)
        parts = await self._room.run(partial(self._room.goods.parts, item))
        if not 1 <= number <= len(parts):
            raise NotFound
        part = parts[number - 1]
        if served_type(part.media_type) == UNKNOWN_TYPE:
            raise NotFound
        return self._flow(visit, order, item, number - 1, part)

    async def download(self, visit: Visit, order_id: str) -> Answer | Outflow:
        """The whole content, to be saved."""
        order, item = await self._paid(visit, order_id)
        whole = await self._room.run(partial(self._room.goods.whole, item))
        return self._flow(visit, order, item, None, whole)

    async def sealed(self, visit: Visit, order_id: str) -> Answer | Outflow:
        """The content as it is kept here, to be opened elsewhere."""
        order, item = await self._paid(visit, order_id)
        size = await self._room.run(partial(self._room.goods.sealed_size, item))
        tag = self._tag(order, "sealed")
        if matches(visit.if_none_match, tag):
            return Answer(HTTPStatus.NOT_MODIFIED, b"", cache=SECRET, headers=(("ETag", tag),))
        span = span_of(size, visit.range, visit.if_range, tag)
        name = disposition(item.title, UNKNOWN_TYPE, SEALED_ENDING)
        headers = (("ETag", tag), ("Content-Disposition", name))
        pieces = partial(self._room.goods.sealed, item, span.first, span.last)
        return Outflow(order.id, span, UNKNOWN_TYPE, headers, pieces)

    def _flow(
        self, visit: Visit, order: Order, item: Item, number: int | None, part: Part
    ) -> Answer | Outflow:
        tag = self._tag(order, f"part {number}")
        if matches(visit.if_none_match, tag):
            return Answer(HTTPStatus.NOT_MODIFIED, b"", cache=SECRET, headers=(("ETag", tag),))
        span = span_of(part.size, visit.range, visit.if_range, tag)
        headers: tuple[tuple[str, str], ...] = (("ETag", tag),)
        media_type = served_type(part.media_type)
        if number is None:
            headers += (("Content-Disposition", disposition(item.title, part.media_type)),)
            media_type = UNKNOWN_TYPE
        pieces = partial(self._room.goods.read, item, number, span.first, span.last)
        return Outflow(order.id, span, media_type, headers, pieces)

    async def _paid(self, visit: Visit, order_id: str) -> tuple[Order, Item]:
        order, _ = await self._ordering.order(visit, order_id)
        if not (await self._room.invoices.status(order.invoice)).opens:
            raise NotPaidYet
        return order, await self._item(order)

    async def _item(self, order: Order) -> Item:
        # a withdrawn one too: who has ordered it gets it
        return await self._room.run(partial(self._room.catalogue.item, order.item))

    def _code_page(self, visit: Visit, item: Item, ticket: Ticket) -> bytes:
        field = self._forms.field(f"kept {ticket.order}", visit.ticket or "")
        return self._renderer.page(
            "code.html",
            OF_AN_ORDER,
            order=ticket.order,
            code=ticket.claim_code,
            item=item,
            field=field,
        )

    async def _pay_page(self, order: Order, item: Item, status: InvoiceStatus) -> bytes:
        code = await self._room.run(partial(qr_code, _uri(status)))
        return self._renderer.page(
            "pay.html",
            OF_AN_ORDER,
            order=order.id,
            item=item,
            invoice=status.invoice,
            due=status.missing,
            uri=_uri(status),
            side=code.side,
            told=told(status, self._clock.seconds()),
            sums=self._sums(status),
        )

    async def _opened_page(
        self, visit: Visit, order: Order, item: Item, status: InvoiceStatus
    ) -> bytes:
        goods, run = self._room.goods, self._room.run
        parts = await run(partial(goods.parts, item))
        whole = await run(partial(goods.whole, item))
        asked = visit.query.get("picture", "1")
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 5 else 1
        number = min(max(1, number), max(1, len(parts)))
        part = parts[number - 1] if parts else whole
        return self._renderer.page(
            "opened.html",
            OF_AN_ORDER,
            order=order.id,
            item=item,
            told=told(status, self._clock.seconds()),
            sums=self._sums(status),
            shown=served_type(part.media_type).partition("/")[0],
            part=part,
            number=number,
            total=len(parts),
            whole=whole,
            sealed_size=await run(partial(goods.sealed_size, item)),
            sealed_name=file_name(item.title, UNKNOWN_TYPE, SEALED_ENDING),
            plain_name=file_name(item.title, whole.media_type),
            secret_link=await run(partial(goods.link, item)),
        )

    def _sums(self, status: InvoiceStatus) -> dict[str, str]:
        return {
            "coin": self._renderer.coin,
            "received": coins(status.received),
            "pending": coins(status.pending),
            "arrived": coins(status.received + status.pending),
            "missing": coins(status.missing),
            "over": coins(status.over),
        }

    def _tag(self, order: Order, what: str) -> str:
        name = f"bits/shop-tag/v1 {order.id} {what}".encode()
        return f'"{hmac.digest(self._key, name, hashlib.sha256).hex()[:32]}"'


def _uri(status: InvoiceStatus) -> str:
    invoice: Invoice = status.invoice
    # what is still to be paid; a code that outlives its page asks for the sum, and not for nothing
    return payment_uri(invoice.address, invoice.chain_id, status.missing or invoice.amount)

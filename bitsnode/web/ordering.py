"""Ordering, and coming back to an order: who gets a ticket."""

# mypy: disallow-untyped-calls=False

from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.errors import BitsError
from bitsnode.market.invoice_errors import InvoicePriceTooLow
from bitsnode.shop import errors as shop
from bitsnode.web import errors
from bitsnode.web.answers import SECRET, Answer, redirect
from bitsnode.web.browsing import Browsing
from bitsnode.web.cookies import ticket_cookie, visitor_cookie
from bitsnode.web.forms import Forms
from bitsnode.web.limits import Throttle
from bitsnode.web.needs import Backroom, Order
from bitsnode.web.render import Renderer
from bitsnode.web.target import parse_form
from bitsnode.web.tickets import Ticket, Tickets, fresh_token
from bitsnode.web.visit import Visit
from onion.errors import OnionError

MAX_CODE: Final = 100  # characters that somebody typed
_log = Logger()


@attrs.define
class _Making:
    """An order that is being made, and who waits for it."""

    waiting: list[Deferred[None]]
    running: Deferred[None] | None = None


class Ordering:
    """Makes orders, and tickets for them.

    An order that is being made is finished when its visitor goes away: the next click on the same
    button finds it.

    Args:
        clock: its seconds are Unix time.
        backroom: what lies behind the counter.
        browsing: finds items.
        renderer: of pages.
        forms: signs them.
        tickets: of all orders.
        throttle: the shop's budgets.
    """

    def __init__(
        self,
        clock: IReactorTime,
        backroom: Backroom,
        browsing: Browsing,
        renderer: Renderer,
        forms: Forms,
        tickets: Tickets,
        throttle: Throttle,
    ) -> None:
        self._clock = clock
        self._room = backroom
        self._browsing = browsing
        self._renderer = renderer
        self._forms = forms
        self._tickets = tickets
        self._throttle = throttle
        self._making: dict[str, _Making] = {}

    def stop(self) -> None:
        """Give up orders that are being made."""
        for making in list(self._making.values()):
            if making.running is not None:
                making.running.cancel()

    async def buy(self, visit: Visit, item_id: str) -> Answer:
        """Order an item; a second click on the same button is the first one again."""
        form = parse_form(visit.body, visit.content_type)
        click = self._forms.click(f"buy {item_id}", visit.visitor, form.get("form"))
        token = fresh_token()
        again = partial(self._tickets.clicked, click, token, self._clock.seconds())
        ticket = await self._room.run(again)
        if ticket is None:
            await self._made(click, item_id)
            ticket = await self._room.run(again)
        if ticket is None:
            raise errors.NoInvoice
        return self._admitted(token, ticket.order)

    async def claim_page(self, visit: Visit) -> Answer:
        """Where a claim code is typed."""
        await self._browsing.refresh()
        return self._claim_form(visit)

    async def claim(self, visit: Visit) -> Answer:
        """Give a ticket for a claim code."""
        form = parse_form(visit.body, visit.content_type)
        self._forms.click("claim", visit.visitor, form.get("form"))
        code = form.get("code", "")[:MAX_CODE]
        try:
            order = await self._room.orders.claim(code)
        except shop.WrongClaimCode:
            return self._claim_form(visit, code, wrong=True)
        except shop.TooManyClaims:
            raise errors.TooManyClaims from None
        token = fresh_token()
        ticket = Ticket(order.id, "")
        now = self._clock.seconds()
        await self._room.run(partial(self._tickets.add, token, ticket, now))
        return self._admitted(token, order.id)

    async def kept(self, visit: Visit, order_id: str) -> Answer:
        """Forget a claim code: its owner says that it is kept."""
        form = parse_form(visit.body, visit.content_type)
        _, ticket = await self.order(visit, order_id)
        self._forms.click(f"kept {order_id}", visit.ticket, form.get("form"))
        if ticket.claim_code:
            await self._room.run(partial(self._tickets.kept, order_id))
        return redirect(f"/order/{order_id}")

    async def order(self, visit: Visit, order_id: str) -> tuple[Order, Ticket]:
        """Return the order of a page, and the visitor's ticket.

        Raises:
            ForeignOrder: the visitor has no ticket for it.
        """
        if visit.ticket is None:
            raise errors.ForeignOrder
        ticket = await self._room.run(partial(self._tickets.find, visit.ticket))
        if ticket is None or ticket.order != order_id:
            raise errors.ForeignOrder
        try:
            return await self._room.orders.find(order_id), ticket
        except shop.NoSuchOrder:
            raise errors.ForeignOrder from None

    def _made(self, click: str, item_id: str) -> Deferred[None]:
        """Wait for an order that is made once, whoever waits, and however often."""
        waiting: Deferred[None] = Deferred()
        order = self._making.get(click)
        if order is not None:
            order.waiting.append(waiting)
            return waiting
        order = self._making[click] = _Making([waiting])
        order.running = Deferred.fromCoroutine(self._make(click, item_id))
        order.running.addBoth(self._tell, click)
        return waiting

    def _tell(self, result: Any, click: str) -> None:
        if isinstance(result, Failure) and not result.check(BitsError, OnionError, CancelledError):
            _log.failure("an order could not be made", failure=result)
            result = Failure(errors.Broken())
        for waiting in self._making.pop(click).waiting:
            if not waiting.called:  # else its visitor has gone
                waiting.callback(result)

    async def _make(self, click: str, item_id: str) -> None:
        item = await self._browsing.find(item_id)
        self._throttle.admit_order(self._clock.seconds())
        try:
            opened = await self._room.orders.open(item)
        except shop.ItemWithdrawn:
            raise errors.NotForSale from None
        except InvoicePriceTooLow:
            raise errors.PriceTooLow from None
        except (BitsError, OnionError) as error:
            _log.info("no order can be made: {error}", error=str(error))
            raise errors.NoInvoice from None
        ticket = Ticket(opened.order.id, opened.claim_code)
        now = self._clock.seconds()
        await self._room.run(partial(self._tickets.remember, click, ticket, now))

    def _admitted(self, token: str, order: str) -> Answer:
        return redirect(f"/order/{order}", ticket_cookie(self._forms.sign_token(token), order))

    def _claim_form(self, visit: Visit, typed: str = "", wrong: bool = False) -> Answer:
        visitor, cookies = visit.visitor, []
        if visitor is None:
            visitor = self._forms.fresh_visitor()
            cookies.append(visitor_cookie(visitor))
        field = self._forms.field("claim", visitor)
        body = self._renderer.page("claim.html", field=field, typed=typed, wrong=wrong)
        return Answer(403 if wrong else 200, body, cache=SECRET, headers=tuple(cookies))

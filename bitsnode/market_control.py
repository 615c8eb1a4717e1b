"""What the control API can do in the market: sell, buy, and open what was bought."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import attrs

from bitsnode.api.app import BadArguments, Command, Report
from bitsnode.content.service import ContentService
from bitsnode.control import absolute, byte_range, event_line, fetched_result
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.ledger.wallet.results import Addresses
from bitsnode.market.agreeing import Consent
from bitsnode.market.complaint_check import Verdict
from bitsnode.market.library import Bought
from bitsnode.market.purchase_progress import Terms
from bitsnode.market.purchases import Purchases
from bitsnode.market.selling import Selling
from bitsnode.market.selling_needs import OnSale
from zk.stealth import MetaAddress

_HASH: Final = re.compile("[0-9a-f]{64}")


class NoSuchPrice(BitsError):
    """No voucher is worth that price."""


class TermsShown(BitsError):
    """These are the terms; nothing was paid. Give --yes to buy."""


class Wallet(Protocol):
    """Where a creator is paid."""

    async def addresses(self) -> Addresses:
        """Return where money can be sent."""


class MarketControl:
    """The commands.

    Args:
        content: publishes and fetches.
        wallet: returns the wallet.
        selling: returns the sales of the node.
        purchases: returns its purchases.
        check_complaint: sees what there is to a complaint.
        denominations: returns the prices that there are, wei.
    """

    def __init__(
        self,
        content: ContentService,
        wallet: Callable[[], Wallet],
        selling: Callable[[], Awaitable[Selling]],
        purchases: Callable[[], Awaitable[Purchases]],
        check_complaint: Callable[[bytes], Awaitable[Verdict]],
        denominations: Callable[[], Awaitable[Sequence[int]]],
    ) -> None:
        self._content = content
        self._wallet = wallet
        self._selling = selling
        self._purchases = purchases
        self._check_complaint = check_complaint
        self._denominations = denominations

    def commands(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {
            "sell": self.sell,
            "offers": self.offers,
            "offer-price": self.offer_price,
            "offer-withdraw": self.offer_withdraw,
            "buy": self.buy,
            "library": self.library,
            "purchase-cancel": self.purchase_cancel,
            "complain": self.complain,
            "complaint-check": self.complaint_check,
            "get-bought": self.get_bought,
        }

    async def sell(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Publish the file at ``path`` and offer it for ``price`` wei."""
        path = absolute(arguments, "path")
        price = await self._price(arguments)
        addresses = await self._wallet().addresses()
        payee = MetaAddress.parse(addresses.meta_address)
        selling = await self._selling()
        shown = lambda event: report(event_line(event))  # noqa: E731
        published = await self._content.publish(path, shown)
        sale = await selling.sell(published.link, published.publisher_seed, payee, price, shown)
        return {
            "sha256": published.sha256.hex(),
            "bytes": published.bytes,
            "code": published.code,
            "link": published.link.text,
            **_sale(sale),
        }

    async def offers(self, _arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return what this node has on sale."""
        return {"offers": [_sale(sale) for sale in await (await self._selling()).offers()]}

    async def offer_price(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Offer ``content_id``, which was published before, for ``price`` wei."""
        content_id, price = _content_id(arguments), await self._price(arguments)
        shown = lambda event: report(event_line(event))  # noqa: E731
        return _sale(await (await self._selling()).price(content_id, price, shown))

    async def offer_withdraw(
        self, arguments: Mapping[str, Any], _report: Report
    ) -> dict[str, object]:
        """Make no further offer for ``content_id``."""
        return _sale(await (await self._selling()).withdraw(_content_id(arguments)))

    async def _price(self, arguments: Mapping[str, Any]) -> int:
        price = arguments.get("price")
        if type(price) is not int or not 0 < price < 1 << 96:
            raise BadArguments
        table = await self._denominations()
        if price not in table:
            sums = ", ".join(f"{(Decimal(wei) / 10**18).normalize():f}" for wei in table)
            raise NoSuchPrice(f"A price is what one voucher is worth: {sums} coins.")
        return price

    async def buy(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Buy ``content_id``; without ``yes`` it ends when the terms were told.

        With ``offer_hash``, of terms told before, it buys by those terms or not at all.
        """
        password, agreed = arguments.get("password"), bool(arguments.get("yes"))
        if not isinstance(password, str) or not password:
            raise BadArguments
        terms: list[Terms] = []

        async def confirm(told: Terms) -> bool:
            terms.append(told)
            return agreed

        offer = arguments.get("offer_hash")
        if offer is not None and not (isinstance(offer, str) and _HASH.fullmatch(offer)):
            raise BadArguments
        consent = Consent(
            confirm,
            password,
            bool(arguments.get("own_relay")),
            None if offer is None else bytes.fromhex(offer),
        )
        purchases = await self._purchases()
        try:
            done = await purchases.buy(
                _content_id(arguments), consent, lambda event: report(event_line(event))
            )
        except BitsError as error:
            if terms and not agreed:
                raise TermsShown from error
            raise
        return _bought(done)

    async def library(self, _arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return what was bought, and what is being bought."""
        purchases = await self._purchases()
        return {
            "bought": [_bought(each) for each in await purchases.library()],
            "under_way": [
                {
                    "content_id": str(each.content_id),
                    "step": each.step.name.lower(),
                    "price": each.price,
                    "deadline": each.deadline,
                }
                for each in await purchases.under_way()
            ],
            "in_vain": [
                attrs.asdict(each, recurse=False) | {"content_id": str(each.content_id)}
                for each in await purchases.in_vain()
            ],
        }

    async def purchase_cancel(
        self, arguments: Mapping[str, Any], _report: Report
    ) -> dict[str, object]:
        """Give the purchase of ``content_id`` up, of which nothing was sent."""
        content_id = _content_id(arguments)
        await (await self._purchases()).cancel(content_id)
        return {"content_id": str(content_id), "cancelled": True}

    async def complain(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return a complaint about the purchase of ``content_id`` with ``text``, in hex."""
        content_id, text = _content_id(arguments), arguments.get("text", "")
        if not isinstance(text, str) or any("\ud800" <= each <= "\udfff" for each in text):
            raise BadArguments  # half a character, which has no UTF-8
        made = await (await self._purchases()).complaint(content_id, text)
        return {"content_id": str(content_id), "complaint": made.hex()}

    async def complaint_check(
        self, arguments: Mapping[str, Any], _report: Report
    ) -> dict[str, object]:
        """See what there is to a ``complaint``, given in hex."""
        try:
            data = bytes.fromhex(arguments["complaint"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadArguments from error
        verdict = await self._check_complaint(data)
        return {
            **attrs.asdict(verdict, recurse=False),
            "content_id": str(verdict.content_id),
            "publisher": verdict.publisher.hex(),
        }

    async def get_bought(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Fetch ``content_id``, which was bought, to ``output``."""
        output = absolute(arguments, "output")
        link = await (await self._purchases()).link(_content_id(arguments))
        done = await self._content.get(
            link,
            output,
            byte_range(arguments),
            lambda event: report(event_line(event)),
        )
        return fetched_result(done)


def _content_id(arguments: Mapping[str, Any]) -> ContentId:
    found = arguments.get("content_id")
    if not isinstance(found, str):
        raise BadArguments
    return ContentId.parse(found)


def _sale(sale: OnSale) -> dict[str, object]:
    return {**attrs.asdict(sale, recurse=False), "content_id": str(sale.content_id)}


def _bought(done: Bought) -> dict[str, object]:
    return {
        "content_id": str(done.content_id),
        "price": done.price,
        "block": done.block,
        "bought_at": done.bought_at,
        "liars": [key.hex() for key in done.liars],
    }

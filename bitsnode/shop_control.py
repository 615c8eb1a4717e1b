"""What the control API can do with the node's shop: for its owner, and not on the onion."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.api.app import BadArguments, Command, Report
from bitsnode.control import event_line
from bitsnode.market.errors import UnknownDenomination
from bitsnode.market.invoice_recovery import GAP, MAX_GAP, Wanted
from bitsnode.shop.adding import Wish
from bitsnode.shop.items import MAX_PICTURES, Item, Profile
from bitsnode.shop.stock import Stock
from bitsnode.shop_access import ShopAccess

MAX_TEXT: Final = 10_000  # characters of any argument
_REQUIRED: Final = object()


class ShopControl:
    """The commands.

    Args:
        shop: of the node.
        denominations: returns the prices that there are, wei.
    """

    def __init__(
        self, shop: ShopAccess, denominations: Callable[[], Awaitable[Sequence[int]]]
    ) -> None:
        self._shop = shop
        self._denominations = denominations

    def commands(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {
            "shop-create": self.create,
            "shop-edit": self.edit,
            "shop-add": self.add,
            "shop-change": self.change,
            "shop-withdraw": self.withdraw,
            "shop-items": self.items,
            "shop-orders": self.orders,
            "shop-status": self.status,
            "shop-recover": self.recover,
        }

    async def create(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Make a shop called ``name`` and open it; ``about`` and ``tips`` may be given."""
        profile = Profile(_text(arguments, "name"), _text(arguments, "about", ""))
        if arguments.get("tips", True):
            profile = attrs.evolve(profile, meta_address=await self._shop.tips_address())
        onion = await self._shop.create(profile)
        await self._shop.door.until_reachable(lambda event: report(event_line(event)))
        return {"shop_onion": str(onion), **_profile(profile)}

    async def edit(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Change ``name``, ``about`` or ``tips`` of the shop, as far as they are given."""
        catalogue = (await self._shop.rooms()).catalogue
        found = await self._shop.run(catalogue.profile)
        profile = Profile(
            _text(arguments, "name", found.name),
            _text(arguments, "about", found.about),
            found.meta_address,
        )
        tips = arguments.get("tips")
        if tips is not None:
            address = str(await self._shop.payee()) if tips else ""
            profile = attrs.evolve(profile, meta_address=address)
        await self._shop.run(partial(catalogue.set_profile, profile))
        return {"shop_onion": str(self._shop.onion), **_profile(profile)}

    async def add(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Publish the files at ``paths`` as one item called ``title`` for ``price`` wei.

        With ``as_is`` the one file is not changed.
        """
        wish = Wish(
            _paths(arguments),
            _text(arguments, "title"),
            await self._price(arguments),
            _text(arguments, "description", ""),
            _tags(arguments),
            bool(arguments.get("as_is")),
        )
        adding = await self._shop.adding()
        added = await adding.add(wish, lambda event: report(event_line(event)))
        published, sale = added.published, added.sale
        return {
            **self._item(added.item),
            "link": published.link.text,
            "sha256": published.sha256.hex(),
            "code": published.code,
            "holders": sale.holders if sale else 0,
            "threshold": sale.threshold if sale else 0,
            "announced": bool(sale and sale.announced),
        }

    async def change(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Change ``title``, ``description``, ``tags`` or ``price`` of the item ``item``."""
        item_id, catalogue = _text(arguments, "item"), (await self._shop.rooms()).catalogue
        price = await self._price(arguments) if "price" in arguments else None
        item: Item = await self._shop.run(
            partial(
                catalogue.edit,
                item_id,
                title=_text(arguments, "title", None),
                description=_text(arguments, "description", None),
                tags=_tags(arguments) if "tags" in arguments else None,
            )
        )
        if price is not None:
            adding = await self._shop.adding()
            item = await adding.price(item_id, price, lambda event: report(event_line(event)))
        return self._item(item)

    async def withdraw(self, arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Sell the item ``item`` no more."""
        adding = await self._shop.adding()
        return self._item(await adding.withdraw(_text(arguments, "item")))

    async def items(self, _arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return all items, withdrawn ones too."""
        rooms = await self._shop.rooms()
        return {"items": [self._item(item) for item in await self._shop.run(rooms.catalogue.all)]}

    async def orders(self, _arguments: Mapping[str, Any], _report: Report) -> dict[str, object]:
        """Return all orders, newest first, and how each stands."""
        rooms = await self._shop.rooms()
        titles = {item.id: item.title for item in await self._shop.run(rooms.catalogue.all)}
        found = []
        for order in await rooms.orders.all():
            status = await rooms.invoices.status(order.invoice)
            found.append(
                {
                    "item": order.item,
                    "title": titles.get(order.item, ""),
                    "day": order.created,
                    "state": status.state.value,
                    "amount": status.invoice.amount,
                    "received": status.received,
                    "pending": status.pending,
                    "missing": status.missing,
                    "over": status.over,
                    "late": status.late,
                    "undone": status.undone,
                }
            )
        return {"orders": found}

    async def status(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Return how the shop is: its onion, its tor, what it has and what was ordered."""
        rooms = await self._shop.rooms()
        door = self._shop.door.status()
        items = await self._shop.run(rooms.catalogue.all)
        profile = await self._shop.run(rooms.catalogue.profile)
        orders: Any = (await self.orders(arguments, report))["orders"]
        disk = await self._shop.run(partial(_disk, rooms.stock, items))
        return {
            "shop_onion": str(self._shop.onion),
            **_profile(profile),
            "state": door.state,
            "tor": door.tor,
            "tor_bootstrap": door.percent,
            "fault": door.fault,
            "items": sum(not item.withdrawn for item in items),
            "withdrawn": sum(item.withdrawn for item in items),
            "orders": dict(Counter(order["state"] for order in orders)),
            "polled_seconds_ago": self._shop.polled_ago(),
            "disk": disk | {"free": await self._shop.run(self._shop.free)},
        }

    async def recover(self, arguments: Mapping[str, Any], report: Report) -> dict[str, object]:
        """Look for invoices that were issued after the backup that this shop came from.

        With ``ask`` servers of others are asked for balances, too, of ``gap`` indices beyond the
        last found, with ``all_fees`` for each fee that there is. One's own are always asked.
        """
        own, gap = self._shop.own_chain, arguments.get("gap", GAP)
        if type(gap) is not int or not 0 < gap <= MAX_GAP:
            raise BadArguments
        ask = own or bool(arguments.get("ask"))
        wanted = Wanted(ask, own or bool(arguments.get("all_fees")), own, gap)
        search = await self._shop.recover(wanted, lambda event: report(event_line(event)))
        return {
            "found": [attrs.asdict(found) for found in search.found],
            "asked": search.asked,
            "balances": ask,
            "own": own,
        }

    async def _price(self, arguments: Mapping[str, Any]) -> int:
        price = arguments.get("price")
        if type(price) is not int:
            raise BadArguments
        table = await self._denominations()
        if price not in table:
            sums = ", ".join(f"{(Decimal(wei) / 10**18).normalize():f}" for wei in table)
            raise UnknownDenomination(f"A price is what one voucher is worth: {sums} coins.")
        return price

    def _item(self, item: Item) -> dict[str, object]:
        found = attrs.asdict(item, recurse=False)
        return {
            "item": found.pop("id"),
            "url": f"http://{self._shop.onion}/item/{item.id}",
            **found,
            "tags": list(item.tags),
            "content_id": str(item.content_id),
            "kind": item.kind.value,
        }


def _text(arguments: Mapping[str, Any], name: str, otherwise: Any = _REQUIRED) -> Any:
    """Return a text argument, or what it is when it is not given."""
    found = arguments.get(name)
    if found is None and otherwise is not _REQUIRED:
        return otherwise
    if not isinstance(found, str) or len(found) > MAX_TEXT or not _has_utf8(found):
        raise BadArguments
    return found


def _has_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _tags(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    found = arguments.get("tags", [])
    if not isinstance(found, list):
        raise BadArguments
    return tuple(_text({"tag": tag}, "tag") for tag in found)


def _paths(arguments: Mapping[str, Any]) -> tuple[Path, ...]:
    found = arguments.get("paths")
    if not isinstance(found, list) or not 0 < len(found) <= MAX_PICTURES:
        raise BadArguments
    texts = [_text({"path": path}, "path") for path in found]
    if not all(text.startswith("/") and "\0" not in text for text in texts):
        raise BadArguments
    return tuple(map(Path, texts))


def _profile(profile: Profile) -> dict[str, object]:
    return {"name": profile.name, "about": profile.about, "tips": profile.meta_address}


def _disk(stock: Stock, items: Sequence[Item]) -> dict[str, int]:
    """Return the bytes that the shop keeps, and those that are free; blocks."""
    kept = sum(
        stock.ciphertext_size(item.content_id) for item in items if stock.has(item.content_id)
    )
    return {"stock": kept, "missing": sum(not stock.has(item.content_id) for item in items)}

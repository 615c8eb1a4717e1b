"""How a file becomes an item: prepared, published, kept encrypted, shown, and put on sale.

What cannot be tried again (a picture that cannot be read, a text that is refused) comes first, what
spreads the content over other nodes after that. Once the item is in the shop it can be bought by
invoice; the offer to buyers with a node may follow later.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import attrs
from twisted.internet.interfaces import IReactorTime

from bitsnode.errors import BitsError
from bitsnode.market.selling_errors import NotOnSale
from bitsnode.market.selling_needs import OnSale
from bitsnode.shop import texts
from bitsnode.shop.adding_needs import (
    InShop,
    Noted,
    OfferLater,
    OnEvent,
    Preparing,
    Published,
    Publisher,
    Run,
    Selling,
)
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.items import Draft, Item, check_price
from bitsnode.shop.preparing import Prepared, new_folder, prepare, sweep
from bitsnode.shop.stock import Stock
from onion.errors import OnionError
from zk.stealth import MetaAddress


@attrs.frozen
class Wish:
    """What its creator says of an item.

    Attributes:
        files: one, or the pictures of a set in their order; absolute paths.
        title: one line.
        price: wei.
        description: any number of lines.
        tags: at most `texts.MAX_TAGS`.
        as_is: change nothing of the file, which is then a download.
    """

    files: tuple[Path, ...]
    title: str = attrs.field(converter=texts.title)
    price: int
    description: str = attrs.field(default="", converter=texts.paragraphs)
    tags: tuple[str, ...] = attrs.field(default=(), converter=texts.tags)
    as_is: bool = False

    def __attrs_post_init__(self) -> None:
        """Check the price."""
        check_price(self.price)


@attrs.frozen
class Added:
    """An item that is in the shop.

    Attributes:
        item: itself.
        published: its content.
        sale: the offer to buyers with a node; None if it is still to be made.
    """

    item: Item
    published: Published
    sale: OnSale | None


@attrs.frozen
class Tools:
    """What adding works with.

    Attributes:
        clock: the reactor's time; its seconds are Unix time.
        run: carries out in a thread what takes long.
        folder: where prepared files lie while they are published; ours.
        catalogue: of the shop.
        stock: of the shop.
        publisher: spreads contents.
        selling: returns the sales of the node.
        payee: returns the creator's meta-address.
    """

    clock: IReactorTime
    run: Run
    folder: Path
    catalogue: Catalogue
    stock: Stock
    publisher: Publisher
    selling: Callable[[], Awaitable[Selling]]
    payee: Callable[[], Awaitable[MetaAddress]]


class Adding:
    """Puts items into a shop, changes their price, and takes them out.

    Args:
        tools: of the shop.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def add(self, wish: Wish, on_event: OnEvent) -> Added:
        """Make an item of files.

        Raises:
            BitsError: one sentence; see `bitsnode.media.errors`, `bitsnode.content.errors`,
                `bitsnode.shop.stock_errors` and `bitsnode.shop.errors`.
        """
        tools = self._tools
        payee = await tools.payee()  # no wallet is said before anything is published
        on_event(Preparing(len(wish.files)))
        prepared: Prepared = await tools.run(
            partial(prepare, wish.files, tools.folder, as_is=wish.as_is)
        )
        for remark in prepared.remarks:
            on_event(Noted(remark))
        try:
            published = await tools.publisher.publish(prepared.path, on_event)
            put = partial(tools.stock.add, prepared.path, published.link, published.sha256)
            await tools.run(put)
        finally:
            await tools.run(prepared.remove)
        draft = _draft(wish, prepared, published)
        item = await tools.run(partial(tools.catalogue.add, draft, tools.clock.seconds()))
        on_event(InShop(item.id))
        return Added(item, published, await self._offer(item, payee, on_event))

    async def price(self, item_id: str, price: int, on_event: OnEvent) -> Item:
        """Change what an item costs; invoices that were made stay as they are.

        Raises:
            NoSuchItem, BadItem: there is none, or that is no price.
            BitsError: as `add`.
        """
        payee = await self._tools.payee()
        change = partial(self._tools.catalogue.edit, item_id, price=price)
        item: Item = await self._tools.run(change)
        await self._offer(item, payee, on_event)
        return item

    async def withdraw(self, item_id: str) -> Item:
        """Sell an item no more; who has paid still gets it.

        Raises:
            NoSuchItem: there is none.
        """
        item: Item = await self._tools.run(partial(self._tools.catalogue.withdraw, item_id))
        await self._stop_offer(item)
        return item

    async def reconcile(self) -> None:
        """Offer what a crash kept from it, and end the offers that it kept from their end.

        What the stock has not, as after a restore, is fetched from the network again.

        Raises:
            BitsError, OnionError: the chain or the network cannot be asked.
        """
        selling = await self._tools.selling()
        offers = {sale.content_id: sale for sale in await selling.offers()}
        for item in await self._tools.run(self._tools.catalogue.all):
            sale = offers.get(item.content_id)
            if item.withdrawn and sale is not None and not sale.withdrawn:
                await self._stop_offer(item)
            elif not item.withdrawn and sale is None:
                await self._offer(item, await self._tools.payee(), lambda _event: None)
        for item in await self._tools.run(self._tools.catalogue.all):
            if not await self._tools.run(partial(self._tools.stock.has, item.content_id)):
                await self._restock(item)

    async def _restock(self, item: Item) -> None:
        tools = self._tools
        link = await tools.run(partial(tools.catalogue.link, item.id))
        folder = await tools.run(partial(new_folder, tools.folder))
        try:
            path = folder / "fetched"
            fetched = await tools.publisher.get(link, path, None, lambda _event: None)
            await tools.run(partial(tools.stock.add, path, link, fetched.sha256))
        finally:
            await tools.run(partial(sweep, folder))

    async def _offer(self, item: Item, payee: MetaAddress, on_event: OnEvent) -> OnSale | None:
        tools = self._tools
        secrets = await tools.run(partial(tools.catalogue.secrets, item.id))
        try:
            selling = await tools.selling()
            return await selling.sell(
                secrets.link, secrets.publisher_seed, payee, item.price, on_event
            )
        except (BitsError, OnionError) as error:
            on_event(OfferLater(str(error)))
            return None

    async def _stop_offer(self, item: Item) -> None:
        try:
            await (await self._tools.selling()).withdraw(item.content_id)
        except NotOnSale:
            return


def _draft(wish: Wish, prepared: Prepared, published: Published) -> Draft:
    return Draft(
        title=wish.title,
        price=wish.price,
        kind=prepared.kind,
        link=published.link,
        publisher_seed=published.publisher_seed,
        media_type=prepared.media_type,
        bytes=published.bytes,
        description=wish.description,
        tags=wish.tags,
        parts=prepared.parts,
        width=prepared.width,
        height=prepared.height,
        thumbnail=prepared.thumbnail,
        preview=prepared.preview,
    )

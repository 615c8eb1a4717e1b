"""The node's shop: its files, its pages and its door, opened when there is one.

Shop and node share a process and nothing that is seen from outside; see `bitsnode.shop_door`. The
shop's work is done by threads of its own, so that visitors cannot keep the node's waiting.
"""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from bitsnode.chain_access import ChainAccess
from bitsnode.config import Settings
from bitsnode.errors import BitsError
from bitsnode.events import ShopEvent, ShopIdentified
from bitsnode.market.invoice_recovery import InvoicesLookedFor, Search, Wanted
from bitsnode.market_access import MarketAccess
from bitsnode.shop.adding import Adding, Tools
from bitsnode.shop.adding_needs import Publisher
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.errors import NoShop, ShopExists
from bitsnode.shop.goods import Goods
from bitsnode.shop.items import Profile
from bitsnode.shop.late_invoices import LateInvoices
from bitsnode.shop.orders import Orders
from bitsnode.shop.preparing import sweep
from bitsnode.shop.stock import Stock
from bitsnode.shop_door import ShopDoor
from bitsnode.store.disk import Disk
from bitsnode.web.needs import Backroom
from bitsnode.web.site import ShopSite, shop_site
from bitsnode.web.tickets import Tickets
from onion.address import OnionAddress
from onion.errors import OnionError
from onion.keys import load_or_create_seed
from onion.sockets import private_directory
from zk.stealth import MetaAddress

THREADS: Final = 4

T = TypeVar("T")


@attrs.frozen
class Rooms:
    """The open files of a shop.

    Attributes:
        catalogue: what is shown.
        stock: the ciphertext of what is sold.
        orders: who wants what.
        invoices: who has paid.
        tickets: which browser may see which order.
    """

    catalogue: Catalogue
    stock: Stock
    orders: Orders
    invoices: LateInvoices
    tickets: Tickets

    def close(self) -> None:
        """Close them."""
        for file in (self.catalogue, self.orders, self.tickets):
            file.close()


class ShopAccess:
    """A node's shop, or none.

    Args:
        reactor: runs everything.
        settings: of the node.
        chain: has the wallet.
        market: has the sales and the invoices.
        content: publishes.
        report: is told what becomes of the shop.

    Attributes:
        door: its onion.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        chain: ChainAccess,
        market: MarketAccess,
        content: Publisher,
        report: Callable[[ShopEvent], None],
    ) -> None:
        self._home = settings.home / "shop"
        self.door = ShopDoor(reactor, settings, self._home, report)
        self._reactor = reactor
        self._chain = chain
        self._market = market
        self._content = content
        self._report = report
        self._threads = ThreadPool(0, THREADS, "bits-shop")
        self._lock = DeferredLock()
        self._made: Deferred[None] = Deferred()
        self._rooms: Rooms | None = None
        self._pages: ShopSite | None = None

    @property
    def onion(self) -> OnionAddress | None:
        """Where the shop is, or will be; None when there is none."""
        return self.door.address if self._file("shop.db").exists() else None

    async def rooms(self) -> Rooms:
        """Return the files of the shop.

        Raises:
            NoShop: there is none.
            BitsError: a file cannot be used; the text says why.
        """
        if not self._file("shop.db").exists():
            raise NoShop
        return await self._opened()

    async def create(self, profile: Profile) -> OnionAddress:
        """Make a shop, and have it opened; return where it will be.

        Raises:
            ShopExists: there is one.
            BitsError: a file cannot be used; the text says why.
        """
        rooms = await self._opened()
        try:
            await self.run(rooms.catalogue.profile)
        except NoShop:
            await self.run(partial(rooms.catalogue.set_profile, profile))
        else:
            raise ShopExists
        if not self._made.called:
            self._made.callback(None)
        return self.door.address

    async def keep_open(self) -> None:
        """Open the shop as soon as there is one."""
        if self.onion is None:
            await self._made
        self._report(ShopIdentified(self.door.address))
        # one that was made since the node started is new to everybody: there is nothing to hide
        await self.door.keep_open(self._find_pages, at_once=self._made.called)
        # what is left out is found at the next start
        with contextlib.suppress(BitsError, OnionError):
            await (await self.adding()).reconcile()
        await self.door.shut_now_and_then(self._find_pages)

    async def adding(self) -> Adding:
        """Return what puts items into the shop.

        Raises:
            NoShop: there is none.
            BitsError: a file cannot be used; the text says why.
        """
        rooms = await self.rooms()
        tools = Tools(
            clock=self._reactor,
            run=self.run,
            folder=self._file("making"),
            catalogue=rooms.catalogue,
            stock=rooms.stock,
            publisher=self._content,
            selling=self._market.selling,
            payee=self.payee,
        )
        return Adding(tools)

    async def recover(
        self, wanted: Wanted, on_event: Callable[[InvoicesLookedFor], None]
    ) -> Search:
        """Look for invoices that were issued after the backup that this shop came from.

        Raises:
            NoShop: there is none.
            BitsError: the chain or a file cannot be used; the text says why.
        """
        await self.rooms()
        return await self._market.recover_invoices(wanted, on_event)

    @property
    def own_chain(self) -> bool:
        """Whether all servers that are asked about the chain are one's own.

        Raises:
            BitsError: no chain can be asked.
        """
        return self._chain.own

    async def payee(self) -> MetaAddress:
        """Return where the creator is paid.

        Raises:
            NoWallet: there is no wallet.
        """
        return MetaAddress.parse((await self._chain.wallet().addresses()).meta_address)

    async def tips_address(self) -> str:
        """Return where tips go, as text; "" while there is no wallet."""
        return str(await self.payee()) if self._chain.wallet().exists else ""

    def polled_ago(self) -> int | None:
        """Return the seconds since invoices were last looked after; None before the first."""
        looked_at = self._market.invoice_access.looked_at
        return None if looked_at is None else int(self._reactor.seconds() - looked_at)

    def free(self) -> int:
        """Return the bytes that may still be written where the shop is; blocks."""
        return Disk().free(self._home)

    def run(self, work: Callable[[], T]) -> Awaitable[T]:
        """Carry out blocking work in a thread of the shop's own."""
        if not self._threads.started:
            self._threads.start()
        return deferToThreadPool(self._reactor, self._threads, work)

    async def stop(self) -> None:
        """Close the shop for now."""
        await self.door.stop()
        if self._pages is not None:
            self._pages.stop()
        if self._threads.started:
            self._threads.stop()
        if self._rooms is not None:
            self._rooms.close()

    # Inside

    async def _find_pages(self) -> ShopSite:
        rooms = await self.rooms()
        if self._pages is None:
            goods = Goods(rooms.catalogue, rooms.stock)
            backroom = Backroom(rooms.catalogue, rooms.orders, rooms.invoices, goods, self.run)
            hosts = [self.door.address.host]
            self._pages = shop_site(self._reactor, backroom, rooms.tickets, hosts=hosts)
        return self._pages

    async def _opened(self) -> Rooms:
        await self._lock.acquire()
        try:
            if self._rooms is None:
                self._rooms = await self.run(self._open_rooms)
            return self._rooms
        finally:
            self._lock.release()

    def _open_rooms(self) -> Rooms:
        private_directory(self._home)
        sweep(self._file("making"))
        key = load_or_create_seed(private_directory(self._file("keys")) / "seal.seed")
        invoices = LateInvoices(self._market.invoices)
        return Rooms(
            Catalogue(self._file("shop.db"), key),
            Stock(self._file("stock")),
            Orders(self._file("orders.db"), key, invoices, self._reactor, self.run),
            invoices,
            Tickets(self._file("web.db"), key),
        )

    def _file(self, name: str) -> Path:
        return self._home / name

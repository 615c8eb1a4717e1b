"""A node's invoices: opened when the first is made, or when there are some, and looked after."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from bitsnode.chain_access import ChainAccess, RunInThread
from bitsnode.config import LOCAL, Settings
from bitsnode.errors import BitsError
from bitsnode.market.invoice_chain import LedgerInvoices
from bitsnode.market.invoice_recovery import InvoicesLookedFor, Recovery, Search, Wanted
from bitsnode.market.invoice_store import InvoiceStore, far_place
from bitsnode.market.invoice_sweeping import PAUSES, Sweeping
from bitsnode.market.invoices import Invoices, InvoiceTools
from bitsnode.market.relay_client import Peers, RelayClient
from bitsnode.market.sweep_client import SweepClient
from onion.errors import OnionError
from onion.isolation import Isolation
from onion.keys import load_or_create_seed
from onion.sockets import private_directory
from zk.stealth import MetaAddress

TEND_SECONDS: Final = 5.0  # between two rounds
LOCAL_PAUSES: Final = (2.0, 10.0)  # seconds between sweeps where nobody can be watched

_log = Logger()


@attrs.frozen
class _Files:
    """What is open."""

    store: InvoiceStore
    tools: InvoiceTools
    invoices: Invoices


class InvoiceAccess:
    """A node's invoices.

    Args:
        reactor: runs everything.
        settings: of the node.
        chain: its side of the chain.
        peers: asks other nodes.
        run: runs blocking work in a thread.

    Attributes:
        looked_at: when they were last looked after without trouble, Unix time in seconds; None for
            not since the node started.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        chain: ChainAccess,
        peers: Peers,
        run: RunInThread,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._chain = chain
        self._peers = peers
        self._run = run
        self._folder: Path = settings.home / "shop"
        self._files: _Files | None = None
        self._tending: Deferred[None] | None = None
        self.looked_at: float | None = None

    @property
    def there(self) -> bool:
        """Whether there are invoices, or soon will be.

        Seed and counter are made with the shop and not with its first invoice, so that a backup
        from before that one knows them, too.
        """
        return any((self._folder / name).exists() for name in ("invoices.db", "shop.db"))

    def open(self, relays: RelayClient) -> Invoices:
        """Return the invoices, and look after them from now on.

        Raises:
            BitsError: the chain or a file cannot be used; the text says why.
        """
        return self._opened(relays).invoices

    async def recover(
        self, relays: RelayClient, wanted: Wanted, on_event: Callable[[InvoicesLookedFor], None]
    ) -> Search:
        """Look for invoices that were issued after the backup that this home came from.

        Raises:
            BitsError: the chain or a file cannot be used; the text says why.
        """
        files = self._opened(relays)
        return await Recovery(files.tools, files.store, files.invoices, wanted, on_event).run()

    async def stop(self) -> None:
        """Look after them no more, and close the file."""
        if self._tending is not None:
            self._tending.cancel()
        if self._files is not None:
            self._files.invoices.stop()
            self._files.store.close()

    async def _tend(self, invoices: Invoices) -> None:
        while True:
            try:
                await invoices.tend()
                self.looked_at = self._reactor.seconds()
            except (BitsError, OnionError, OSError, sqlite3.Error) as error:
                _log.warn("Invoices could not be looked after: {reason}", reason=str(error))
            await deferLater(self._reactor, TEND_SECONDS)

    def _opened(self, relays: RelayClient) -> _Files:
        if self._files is None:
            ledger = self._chain.ledger()
            chain_id = ledger.deployment.chain_id
            factory = bytes.fromhex(ledger.deployment.address("InvoiceFactory")[2:])
            private_directory(self._folder)
            store = self._open_store(chain_id, factory)
            sweeper = SweepClient(relays, self._peers, chain_id, factory)
            tools = InvoiceTools(
                clock=self._reactor,
                run=self._run,
                chain_id=chain_id,
                factory=factory,
                chain=LedgerInvoices(ledger, self._run, Isolation.fresh("invoices")),
                payee=self._payee,
                relays=sweeper,
            )
            pauses = LOCAL_PAUSES if self._settings.network == LOCAL else PAUSES
            sweeping = Sweeping(self._reactor, sweeper, pauses=pauses)
            self._files = _Files(store, tools, Invoices(tools, store, sweeping))
            self._tending = Deferred.fromCoroutine(self._tend(self._files.invoices))
            self._tending.addErrback(_ended)
        return self._files

    def _open_store(self, chain_id: int, factory: bytes) -> InvoiceStore:
        path = private_directory(self._folder / "keys") / "invoices.seed"
        # without a counter, a seed that was there before may have been used for anything
        begin = far_place() if path.exists() else 0
        key = load_or_create_seed(path)
        return InvoiceStore(self._folder / "invoices.db", key, chain_id, factory, begin)

    async def _payee(self) -> MetaAddress:
        return MetaAddress.parse((await self._chain.wallet().addresses()).meta_address)


def _ended(failure: Any) -> None:
    if not failure.check(CancelledError):
        _log.failure("Invoices are no longer looked after", failure)

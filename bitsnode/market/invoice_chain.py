"""This node's ledger as its invoices see it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.invoice import SWEPT, Swept, read_swept
from bitsnode.ledger.service import Ledger
from bitsnode.market.invoice_needs import FinalBalance, Run
from onion.isolation import Isolation

if TYPE_CHECKING:
    from web3 import Web3

BATCH: Final = 1_000  # events read at once


class LedgerInvoices:
    """An `InvoiceChain` on this node's ledger.

    Args:
        ledger: of the node.
        run: carries out in a thread what waits for the disk.
        isolation: of what is asked for everybody's events.
    """

    def __init__(self, ledger: Ledger, run: Run, isolation: Isolation) -> None:
        self._ledger = ledger
        self._run = run
        self._isolation = isolation

    async def latest(self, address: str, isolation: Isolation) -> int:
        """See `InvoiceChain.latest`."""
        return await self._ledger.balance(address, isolation)

    async def final(self, address: str, isolation: Isolation) -> FinalBalance:
        """See `InvoiceChain.final`."""

        def read(web3: Web3, number: int) -> FinalBalance:
            place: Any = address
            return FinalBalance(int(web3.eth.get_balance(place, number)), number)

        return await self._ledger.agreed(read, isolation)

    async def refresh(self) -> None:
        """See `InvoiceChain.refresh`.

        Where the node reads events by the clock, nothing is waited for: looks that come right after
        a round would show the server that they are of one node, and which.
        """
        if not self._ledger.follows:
            await self._ledger.sync(self._isolation)

    async def swept(self, after: Cursor | None) -> list[Swept]:
        """See `InvoiceChain.swept`."""
        found: list[Swept] = []
        while True:
            last = found[-1].cursor if found else after
            events = partial(self._ledger.index.events, "InvoiceFactory", SWEPT, last, BATCH)
            logs = await self._run(events)
            found += [read_swept(log) for log in logs]
            if len(logs) < BATCH:
                return found

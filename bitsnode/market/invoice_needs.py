"""What invoices need of the other rooms."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias, TypeVar

import attrs

from bitsnode.errors import BitsError
from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.invoice import InvoiceFields, Swept
from onion.errors import OnionError
from onion.isolation import Isolation
from zk.stealth import MetaAddress

T = TypeVar("T")
Trouble: TypeAlias = BitsError | OnionError
TROUBLES: Final = (BitsError, OnionError)  # what a room below may raise that is not a bug


class Run(Protocol):
    """Carries out a call in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Return what will be the call's result."""


@attrs.frozen
class FinalBalance:
    """What is certain of an address.

    Attributes:
        wei: that it has.
        block: number of the final block in which it has them.
    """

    wei: int
    block: int


class InvoiceChain(Protocol):
    """Where invoices are paid; see `bitsnode.market.invoice_chain.LedgerInvoices`."""

    async def latest(self, address: str, isolation: Isolation) -> int:
        """Return the wei of an address now, as one server has it.

        Raises:
            bitsnode.errors.BitsError: no server answers.
        """

    async def final(self, address: str, isolation: Isolation) -> FinalBalance:
        """Return what is final, as servers enough say alike.

        Raises:
            bitsnode.errors.BitsError: nothing is certain now.
        """

    async def refresh(self) -> None:
        """Look for new blocks.

        Raises:
            bitsnode.errors.BitsError: the chain does not answer.
        """

    async def swept(self, after: Cursor | None) -> list[Swept]:
        """Return all final sweeps behind a cursor, of everybody's invoices, in order.

        Of the blocks that are known; asks nobody.

        Raises:
            bitsnode.errors.BitsError: what is known cannot be read.
        """


class SweepRelays(Protocol):
    """Nodes that sweep invoices for a fee; see `bitsnode.market.sweep_client.SweepClient`."""

    async def fee(self, isolation: Isolation) -> int:
        """Return the wei to write into an invoice, so that some relay sweeps it.

        Raises:
            bitsnode.errors.BitsError: no relay was found.
        """

    async def find(self, fee: int, isolation: Isolation) -> list[bytes]:
        """Return the onion keys of relays that would sweep for a fee (wei), to be tried in order.

        Raises:
            bitsnode.errors.BitsError: none was found.
        """

    async def submit(self, relay: bytes, fields: InvoiceFields, isolation: Isolation) -> None:
        """Ask a relay to sweep an invoice; that it was taken is no promise.

        Raises:
            bitsnode.errors.BitsError: it was not taken.
        """


class Payee(Protocol):
    """Says where the creator is paid."""

    async def __call__(self) -> MetaAddress:
        """Return the meta-address.

        Raises:
            bitsnode.errors.BitsError: there is no wallet.
        """


class OwnSweeper(Protocol):
    """Sweeps from an account of one's own, which shows on the chain."""

    async def __call__(self, fields: InvoiceFields, /) -> None:
        """Send it.

        Raises:
            bitsnode.errors.BitsError: it was not sent.
        """

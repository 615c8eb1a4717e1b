"""For tests: invoices on a chain in memory that forks at will, and relays that sweep there."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
from eth_hash.auto import keccak

from bitsnode.errors import BitsError
from bitsnode.ledger.deployment import CONTRACTS, Deployed, Deployment
from bitsnode.ledger.invoice import SWEPT, InvoiceFields, fee_of, invoice_address
from bitsnode.ledger.redemption import WORD
from bitsnode.ledger.testing import FakeBlock, FakeChain, FakeLog, checksummed
from bitsnode.ledger.testing_rpc import FakeServer
from onion.isolation import Isolation

CHAIN_ID: Final = 13370042
FACTORY: Final = b"\xfa" * 20
RELAY_FEE: Final = 5 * 10**14  # wei


class NothingToSweep(BitsError):
    """There is nothing at the invoice's address."""


def invoice_deployment() -> Deployment:
    """Return contracts of which the factory of invoices is at `FACTORY`."""
    contracts = {
        name: Deployed(checksummed(bytes([number]) * 20), 1, "0x" + "00" * 32)
        for number, name in enumerate(CONTRACTS, start=0x11)
    }
    contracts["InvoiceFactory"] = Deployed(checksummed(FACTORY), 1, "0x" + "00" * 32)
    return Deployment(CHAIN_ID, contracts)


class InvoiceBlocks(FakeChain):
    """A chain that knows what came to and left each address, block by block.

    A fork drops what its blocks moved.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.moved: dict[bytes, list[tuple[str, int]]] = {}
        super().__init__(*args, **kwargs)

    def pay(self, address: str, wei: int) -> FakeBlock:
        """Pay an address in a block of its own."""
        block = self.mine(FakeLog(b"\x01" * 20, (keccak(address.encode()),)))
        self.moved[block.hash] = [(address.lower(), wei)]
        return block

    def wei(self, address: str, number: int | None = None) -> int:
        """Return what an address has after a block; the newest by default."""
        blocks = self.blocks if number is None else self.blocks[: number + 1]
        moves = [move for block in blocks for move in self.moved.get(block.hash, ())]
        return sum(wei for to, wei in moves if to == address.lower())

    def sweep(self, fields: InvoiceFields) -> FakeBlock:
        """Divide what is at an invoice's address, in a block of its own; see `InvoiceFactory`.

        Raises:
            NothingToSweep: nothing is there.
        """
        place = invoice_address(FACTORY, fields)
        address = checksummed(place).lower()
        gross = self.wei(address)
        if not gross:
            raise NothingToSweep
        fee = fee_of(fields, gross)
        shares = [(gross - fee) * share // 10_000 for share in (300, 200)]
        words = b"".join(n.to_bytes(WORD, "big") for n in (gross, fee, *shares))
        topics = (SWEPT, place.rjust(WORD, b"\0"), fields.payee.rjust(WORD, b"\0"))
        block = self.mine(FakeLog(FACTORY, topics, words))
        net = gross - fee - sum(shares)
        payee = checksummed(fields.payee).lower()
        self.moved[block.hash] = [(address, -gross), (payee, net)]
        return block


class InvoiceServer(FakeServer):
    """An RPC server that knows balances of the past.

    Attributes:
        behind: blocks more that it waits before it calls one final.
    """

    chain: InvoiceBlocks
    behind = 0

    def _number(self, tag: str) -> int:
        return max(0, super()._number(tag) - (self.behind if tag == "finalized" else 0))

    def _eth_getBalance(self, address: str, tag: str) -> str:
        return hex(self.chain.wei(address, self._number(tag)))


@attrs.define
class FakeRelays:
    """Relays, which sweep at once, or as told.

    Attributes:
        chain: where they sweep.
        names: their onion keys.
        wanted: the fee that they name, wei.
        down: none can be found.
        refusing: those that take nothing.
        idle: those that take everything and do nothing.
        asked: relay, fields and isolation of each sweep that was asked for.
        before: called before a relay sweeps.
        fees_asked: how often they were asked their fee.
    """

    chain: InvoiceBlocks
    names: Sequence[bytes] = (b"\x01" * 32, b"\x02" * 32)
    wanted: int = RELAY_FEE
    down: bool = False
    refusing: frozenset[bytes] = frozenset()
    idle: frozenset[bytes] = frozenset()
    asked: list[tuple[bytes, InvoiceFields, Isolation]] = attrs.Factory(list)
    before: Callable[[], None] = lambda: None
    fees_asked: int = 0

    async def fee(self, isolation: Isolation) -> int:
        """See `bitsnode.market.invoice_needs.SweepRelays`."""
        self.fees_asked += 1
        if self.down:
            raise BitsError("no relay")
        return self.wanted

    async def find(self, fee: int, isolation: Isolation) -> list[bytes]:
        """See `bitsnode.market.invoice_needs.SweepRelays`."""
        if self.down or fee < self.wanted:
            raise BitsError("no relay")
        return list(self.names)

    async def submit(self, relay: bytes, fields: InvoiceFields, isolation: Isolation) -> None:
        """See `bitsnode.market.invoice_needs.SweepRelays`."""
        self.asked.append((relay, fields, isolation))
        self.before()
        if relay in self.refusing:
            raise BitsError("no")
        if relay not in self.idle:
            self.chain.sweep(fields)

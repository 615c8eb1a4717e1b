"""A relay sweeps invoices of others, by the same account and at the same price of gas.

What it risks is gas, as with redemptions: it looks at what there is, of which the contract pays at
most a tenth as fee, simulates, and spends no more than that. Who loses a race pays 27,000 gas.
"""

from typing import Final, Protocol

from twisted.internet.defer import DeferredLock

from bitsnode.ledger.errors import (
    FeeTooHigh,
    InsufficientFunds,
    NotMined,
    TransactionReplaced,
    WouldRevert,
)
from bitsnode.ledger.invoice import fee_of, invoice_address, read_sweep_data
from bitsnode.ledger.redemption import address_text
from bitsnode.ledger.sending import Signer
from bitsnode.ledger.standing import Call
from bitsnode.market.relay import (
    OtherRelay,
    Relay,
    RelayError,
    RelayFeeTooLow,
    RelayLedger,
    RelayPoor,
    Run,
)
from bitsnode.market.sweep_journal import Sweep, SweepJournal
from bitsnode.wire.relay_messages import SubmitSweep, Submitted
from onion.isolation import Isolation

SWEEP_GAS: Final = 165_000  # of an invoice's first; contracts/snapshots, and a tenth


class SweepLedger(RelayLedger, Protocol):
    """What it needs of the chain besides; `bitsnode.ledger.service.Ledger`."""

    async def balance(self, address: str, isolation: Isolation) -> int:
        """Return wei."""


class SweepRelay:
    """Sweeps invoices.

    Args:
        relay: knows the price of gas; its account pays.
        ledger: sends.
        key: of that account.
        journal: what was taken.
        chain_id: as in EIP-155.
        factory: contract, 20 bytes.
        run: runs what waits for the disk.
    """

    def __init__(
        self,
        relay: Relay,
        ledger: SweepLedger,
        key: Signer,
        journal: SweepJournal,
        chain_id: int,
        factory: bytes,
        run: Run,
    ) -> None:
        self._relay = relay
        self._ledger = ledger
        self._key = key
        self._journal = journal
        self._chain_id = chain_id
        self._factory = factory
        self._contract = address_text(factory)
        self._run = run
        self._lock = DeferredLock()

    async def submit(self, request: SubmitSweep) -> Submitted:
        """Send a sweep to the chain; while one of the invoice is on its way, that one.

        Raises:
            MalformedInvoice: it is none.
            RelayError: it is not taken; one class per reason.
            WouldRevert: the contract refuses it.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        fields = read_sweep_data(request.call)
        if (request.chain_id, request.factory) != (self._chain_id, self._factory):
            raise OtherRelay
        place = invoice_address(self._factory, fields)
        await self._lock.acquire()
        try:
            known = await self._run(lambda: self._journal.find(place))
            if known is None:
                has = await self._ledger.balance(address_text(place), self._relay.isolation)
                fee = fee_of(fields, has)
                if has and fee < SWEEP_GAS * await self._relay.least_price():
                    raise RelayFeeTooLow
                call = Call(self._contract, 0, request.call)
                await self._ledger.quote(self._key.address, call, self._relay.isolation)
                known = await self._run(lambda: self._journal.take(place, request.call, fee))
            return await self._send(known)
        finally:
            self._lock.release()

    async def tend(self) -> int:
        """See to what is on its way; to be called every minute. Returns how much still is.

        Raises:
            bitsnode.ledger.errors.RpcError: the chain does not answer.
        """
        waiting = 0
        isolation = self._relay.isolation
        for sweep in await self._run(self._journal.open):
            try:
                await self._send(sweep)
                mined = await self._ledger.wait(_intent(sweep), isolation, 0.0)
                final = await self._ledger.block_number("finalized", isolation)
            except NotMined:
                waiting += 1
            except TransactionReplaced:
                await self._settle(sweep)
            except (WouldRevert, RelayError):
                continue  # it was never signed, and is dropped
            else:
                if mined.block > final:  # a reorganisation may still take it out
                    waiting += 1
                else:
                    await self._settle(sweep)
        return waiting

    async def _send(self, sweep: Sweep) -> Submitted:
        intent = _intent(sweep)
        call = Call(self._contract, 0, sweep.call)
        try:
            sent = await self._ledger.send(
                self._key, intent, call, self._relay.isolation, sweep.fee_limit
            )
        except Exception as error:
            if not await self._ledger.knows(intent):
                await self._settle(sweep)
            if isinstance(error, FeeTooHigh):
                raise RelayFeeTooLow from error
            if isinstance(error, InsufficientFunds):
                raise RelayPoor from error
            raise
        return Submitted(bytes.fromhex(sent.transaction_hash[2:]))

    async def _settle(self, sweep: Sweep) -> None:
        await self._run(lambda: self._journal.settle(sweep.number))


def _intent(sweep: Sweep) -> str:
    return f"sweep-{sweep.number}-{sweep.invoice.hex()}"

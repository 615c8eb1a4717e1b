"""Deposits: each voucher is written down before anything is signed, and paid for once.

After a crash a planned deposit is either known to the ledger, and brought to its end, or it was
never signed and never will be: its index stays used.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from bitsnode.ledger.errors import InsufficientFunds, TransactionReplaced, WouldRevert
from bitsnode.ledger.fees import in_coins
from bitsnode.ledger.redemption import deposit_data
from bitsnode.ledger.refusals import CommitmentCopied, refusal
from bitsnode.ledger.standing import Call
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.wallet.chain import RunInThread, VoucherLedger
from bitsnode.ledger.wallet.errors import DepositFailed
from bitsnode.ledger.wallet.isolations import Isolations
from bitsnode.ledger.wallet.keys import KeySigner
from bitsnode.ledger.wallet.progress import Finishing, OnEvent, Sending, Waiting
from bitsnode.ledger.wallet.voucher_store import Row, VoucherStore
from bitsnode.ledger.wallet.voucher_values import Deposit

# Of one level of the tree: a deposit may hash on any number of levels more than it was estimated
# to, if another one comes before it. (533,497 - 125,641) / 19 by contracts/snapshots.
GAS_PER_LEVEL: Final = 22_000
FEE_ROOM: Final = 2  # times the fee of now, for transactions that have to be replaced


class Deposits:
    """Pays for vouchers.

    Args:
        store: where they are written down.
        ledger: sends.
        trees: tell how much a deposit may cost.
        run: runs blocking work in a thread.
        isolations: of the wallet.
        contract: of the vouchers, hex with 0x.
    """

    def __init__(
        self,
        store: VoucherStore,
        ledger: VoucherLedger,
        trees: Trees,
        run: RunInThread,
        isolations: Isolations,
        contract: str,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._trees = trees
        self._run = run
        self._isolations = isolations
        self._contract = contract

    async def finish(self, on_event: OnEvent) -> None:
        """Bring to their end those that were cut short; no key is needed for it."""
        for row in await self._run(self._store.rows):
            if row.deposit is not Deposit.PLANNED:
                continue
            if await self._ledger.knows(self._intent(row)):
                on_event(Finishing(self._contract))
                with suppress(TransactionReplaced, DepositFailed):  # the history says so
                    await self._see_through(row)
            else:
                await self._settle(row, Deposit.FAILED)

    async def make(
        self, rows: Sequence[Row], table: Sequence[int], signer: KeySigner, on_event: OnEvent
    ) -> None:
        """Pay for planned vouchers, one after another.

        Raises:
            DepositFailed: the chain refused one; those before it stand, the rest is given up.
            CommitmentCopied: somebody paid for one before; all others were paid for.
            InsufficientFunds: the account cannot pay for all; nothing was sent.
            LedgerError: the chain does not answer or refuses; what was not signed is given up.
        """
        copied = False
        try:
            for number, row in enumerate(rows, 1):
                call = await self._call(row, table)
                isolation = self._isolations.of(signer.address)
                try:
                    quote = await self._ledger.quote(signer.address, call, isolation)
                    limit = FEE_ROOM * quote.most
                    if number == 1:
                        await self._check_funds(rows, table, signer.address, limit)
                    on_event(Sending(number, len(rows)))
                    sent = await self._ledger.send(
                        signer, self._intent(row), call, isolation, limit
                    )
                    on_event(Waiting(sent.transaction_hash))
                    try:
                        await self._see_through(row)
                    except DepositFailed:
                        # refused for what, the chain says when it is asked once more
                        await self._ledger.quote(signer.address, call, isolation)
                        raise
                except WouldRevert as error:
                    found = refusal(error.data)
                    if not isinstance(found, CommitmentCopied):
                        raise found or error from error
                    await self._settle(row, Deposit.COPIED)
                    copied = True
        except BaseException:
            await self._give_up(rows)
            raise
        finally:
            signer.forget()
        if copied:
            raise CommitmentCopied

    async def _see_through(self, row: Row) -> None:
        isolation = self._isolations.of(row.account or self._contract)
        try:
            mined = await self._ledger.wait(self._intent(row), isolation)
        except TransactionReplaced:
            await self._settle(row, Deposit.FAILED)
            raise
        state = Deposit.DONE if mined.succeeded else Deposit.FAILED
        await self._run(
            lambda: self._store.settle(row.index, state, mined.transaction_hash, mined.block)
        )
        if not mined.succeeded:
            raise DepositFailed

    async def _call(self, row: Row, table: Sequence[int]) -> Call:
        def levels() -> int:
            groups = self._trees.groups().values()
            mine = [each.group for each in groups if each.denomination == row.denomination]
            return self._trees.size(max(mine)).bit_length() + 1 if mine else 1

        spare = GAS_PER_LEVEL * await self._run(levels)
        data = deposit_data(row.denomination, row.identity.commitment)
        return Call(self._contract, table[row.denomination], data, spare)

    async def _check_funds(
        self, rows: Sequence[Row], table: Sequence[int], account: str, limit: int
    ) -> None:
        needed = sum(table[row.denomination] for row in rows) + len(rows) * limit
        has = await self._ledger.balance(account, self._isolations.of(account))
        if has < needed:
            raise InsufficientFunds(f"{in_coins(has)} of {in_coins(needed)}")

    async def _give_up(self, rows: Sequence[Row]) -> None:
        """Give up what was not signed; what the journal has may arrive yet."""
        known = {row.index for row in rows}
        for row in await self._run(self._store.rows):
            planned = row.index in known and row.deposit is Deposit.PLANNED
            if planned and not await self._ledger.knows(self._intent(row)):
                await self._settle(row, Deposit.FAILED)

    async def _settle(self, row: Row, deposit: Deposit) -> None:
        await self._run(lambda: self._store.settle(row.index, deposit))

    def _intent(self, row: Row) -> str:
        return f"deposit-{self._contract.lower()}-{row.index}"

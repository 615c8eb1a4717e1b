"""What the addresses of a wallet hold, each asked for on its own circuits."""

from collections.abc import Sequence
from typing import Final

import attrs

from bitsnode.ledger.wallet import progress
from bitsnode.ledger.wallet.chain import RunInThread, VoucherLedger
from bitsnode.ledger.wallet.history import History
from bitsnode.ledger.wallet.isolations import Isolations
from bitsnode.ledger.wallet.keys import Keys, ViewingKeys
from bitsnode.ledger.wallet.results import Held
from bitsnode.ledger.wallet.scanner import Scanner

ACCOUNT_GAP: Final = 5  # empty accounts in a row after which a restored wallet has no more


@attrs.frozen
class Holdings:
    """Finds accounts, payments and balances on the chain. One call at a time.

    Attributes:
        ledger: of the chain.
        history: of the wallet.
        isolations: of its addresses.
        run: runs blocking work in a thread.
    """

    ledger: VoucherLedger
    history: History
    isolations: Isolations
    run: RunInThread

    async def find_accounts(self, keys: Keys) -> int:
        """Note the accounts beyond those known; return how many were found.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        known = await self.run(self.history.accounts)
        index = last = max(known)
        while index < last + ACCOUNT_GAP:
            index += 1
            address = keys.account(index).address
            if await self.ledger.balance(address, self.isolations.of(address)):
                last = index
        for index in range(max(known) + 1, last + 1):
            self.history.add_account(index, keys.account(index).address)
        return last - max(known)

    async def scan(self, keys: ViewingKeys, on_event: progress.OnEvent) -> int:
        """Look for new payments and return how many were found.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        await self.ledger.sync(self.isolations.of("index"))
        scanner = Scanner(self.history, self.ledger.index, self.run)
        return await scanner.scan(keys, on_event)

    async def balances(
        self, accounts: Sequence[str], on_event: progress.OnEvent
    ) -> tuple[tuple[Held, ...], tuple[Held, ...]]:
        """Return what these accounts hold, and those known payments that still hold something.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        payments = await self.run(self.history.payments)
        held = [Held(address, 0) for address in accounts] + [
            Held(line.stealth_address, 0, line.block, line.transaction_hash) for line in payments
        ]
        asked = []
        for number, line in enumerate(held):
            on_event(progress.AskingBalances(number, len(held)))
            isolation = self.isolations.of(line.address)
            balance = await self.ledger.balance(line.address, isolation)
            asked.append(attrs.evolve(line, balance=balance))
        count = len(accounts)
        return tuple(asked[:count]), tuple(line for line in asked[count:] if line.balance)

"""The wallet as the node uses it."""

import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from bitsnode.ledger.redeem import Prover
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.wallet import progress
from bitsnode.ledger.wallet.chain import RunInThread, VoucherLedger
from bitsnode.ledger.wallet.earnings import Earning, find_earnings, read_sweeps
from bitsnode.ledger.wallet.errors import (
    KeystoreUnusable,
    NoChain,
    WalletLocked,
)
from bitsnode.ledger.wallet.history import History, Withdrawal
from bitsnode.ledger.wallet.holdings import Holdings
from bitsnode.ledger.wallet.isolations import Isolations
from bitsnode.ledger.wallet.keys import ViewingKeys
from bitsnode.ledger.wallet.keystore import DEFAULT_COST, Cost, Keystore
from bitsnode.ledger.wallet.redeeming import Redeeming
from bitsnode.ledger.wallet.results import Addresses, Balance
from bitsnode.ledger.wallet.rules import Risk, parse_destination
from bitsnode.ledger.wallet.vault import Vault
from bitsnode.ledger.wallet.vouchers import Vouchers
from bitsnode.ledger.wallet.withdraw import Request, Withdrawals
from onion.isolation import Isolation

T = TypeVar("T")
KEYSTORE: Final = "keystore"


class Wallet:
    """A wallet: one seed, one keystore, one history for each chain.

    Unlocked it keeps the viewing keys, which find payments; the keys that spend are made from
    the password each time and dropped.

    Args:
        folder: ``HOME/wallet``, made when it is needed.
        ledger: None when no RPC is set; then there are addresses but no balances.
        run: runs blocking work in a thread.
        cost: of guessing the password, for keystores written from now on.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged: the history cannot be used.
        KeystoreUnusable: the disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        ledger: VoucherLedger | None,
        run: RunInThread,
        cost: Cost = DEFAULT_COST,
    ) -> None:
        self._keystore = Keystore(folder / KEYSTORE)
        self._run = run
        self._cost = cost
        self._ledger = ledger
        self._lock = DeferredLock()
        self._viewing: ViewingKeys | None = None
        self._isolations = Isolations()
        chain_id = ledger.deployment.chain_id if ledger else None
        name = f"history-{chain_id}.sqlite" if ledger else "history.sqlite"
        try:
            self._history = History(folder / name, chain_id)
        except (OSError, sqlite3.Error) as error:
            raise KeystoreUnusable from error
        self._vault = Vault(self._keystore, self._history, cost, self._unlocked)

    def close(self) -> None:
        """Forget the viewing keys and close the history."""
        self.lock()
        self._history.close()

    @property
    def exists(self) -> bool:
        """Whether there is a wallet."""
        return self._keystore.exists

    @property
    def locked(self) -> bool:
        """Whether payments cannot be looked for."""
        return self._viewing is None

    # Making and opening it

    async def create(self, password: str, words: int = 12) -> str:
        """Make a wallet and return its words, which alone bring it back; it is unlocked.

        Raises:
            WalletExists: there is one.
            PasswordTooShort, PasswordTooLong: the password does not fit.
            KeystoreUnusable: the disk refuses.
        """
        return await self._alone(lambda: self._vault.create(words, password))

    async def restore(self, mnemonic: str, password: str) -> None:
        """Bring a wallet back from its words; if it is here, only its password is changed.

        Raises:
            InvalidMnemonic: these are no words of a wallet.
            OtherWallet: there is another one here.
            KeystoreDamaged, KeystoreTooNew, KeystoreOpen: there is one that cannot be read.
            PasswordTooShort, PasswordTooLong, KeystoreUnusable: as for `create`.
        """
        await self._alone(lambda: self._vault.restore(mnemonic, password))

    async def unlock(self, password: str) -> None:
        """Keep the viewing keys until `lock`, so that payments can be looked for.

        Raises:
            NoWallet, WrongPassword, KeystoreDamaged, KeystoreTooNew, KeystoreOpen,
            KeystoreUnusable: it cannot be opened.
            HistoryOfAnotherWallet: the history here is another's.
        """
        await self._alone(lambda: self._vault.unlock(password))

    def lock(self) -> None:
        """Forget the viewing keys."""
        self._viewing = None

    async def mnemonic(self, password: str) -> str:
        """Return the words, for writing them down.

        Raises:
            NoWallet, WrongPassword and others: as for `unlock`.
        """
        return await self._alone(lambda: self._vault.mnemonic(password))

    async def change_password(self, old: str, new: str) -> None:
        """Write the keystore anew; a crash leaves one that opens with either password.

        Raises:
            PasswordTooShort, PasswordTooLong: of the new one.
            NoWallet, WrongPassword and others: as for `unlock`.
        """
        await self._alone(lambda: self._vault.change_password(old, new))

    # Addresses and balances

    async def addresses(self) -> Addresses:
        """Return where money can be sent; no password is needed.

        Raises:
            NoWallet: there is none.
            WalletLocked: it was never opened since its history was lost.
        """
        return await self._alone(self._addresses)

    async def new_account(self, password: str) -> str:
        """Add an account and return its address; money in different ones is not linked.

        Raises:
            NoWallet, WrongPassword and others: as for `unlock`.
        """
        return await self._alone(lambda: self._vault.new_account(password))

    async def find_accounts(self, password: str) -> int:
        """Look for accounts beyond those known, after a restore; return how many were found.

        Stops after five in a row that hold nothing.

        Raises:
            NoWallet, WrongPassword and others: as for `unlock`.
            NoChain: no chain is set.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        holdings = self._holdings()
        async with self._lock:
            keys = await self._run(lambda: self._vault.open(password))
            return await holdings.find_accounts(keys)

    async def note_funder(self, address: str) -> None:
        """Remember that an address paid into an account, so that nothing is withdrawn to it.

        Raises:
            InvalidDestination: it is no address.
        """
        checked = parse_destination(address)
        await self._run(lambda: self._history.add_funder(checked))

    async def scan(self, on_event: progress.OnEvent = progress.ignore) -> int:
        """Look for new payments and return how many were found.

        Raises:
            WalletLocked: it is not unlocked.
            NoChain: no chain is set.
        """
        holdings, viewing = self._holdings(), self._viewing
        if viewing is None:
            raise WalletLocked
        async with self._lock:
            return await holdings.scan(viewing, on_event)

    async def balance(self, on_event: progress.OnEvent = progress.ignore) -> Balance:
        """Ask what each address holds, each on its own circuits, after a scan if unlocked.

        Raises:
            NoWallet, WalletLocked: as for `addresses`.
            NoChain: no chain is set.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        holdings = self._holdings()
        addresses = await self.addresses()
        viewing = self._viewing
        async with self._lock:
            if viewing is not None:
                await holdings.scan(viewing, on_event)
            accounts, payments = await holdings.balances(addresses.accounts, on_event)
        return Balance(accounts, payments, viewing is not None)

    # Withdrawing

    async def withdraw(
        self,
        to: str,
        amount: int | None = None,
        *,
        password: str,
        source: str | None = None,
        accept: Collection[Risk] = (),
        on_event: progress.OnEvent = progress.ignore,
    ) -> tuple[Withdrawal, ...]:
        """Send money out; what was cut short before is brought to its end first.

        Args:
            to: an address that has nothing to do with this wallet.
            amount: wei that arrive; None for all there is.
            password: of the keystore.
            source: address of an account or a payment; None for all payments.
            accept: ``merge`` to let payments meet, ``split`` to leave some of one behind.
            on_event: told what goes on.

        Raises:
            WalletError: a rule forbids it, the password is wrong, there is too little, …
            NoChain: no chain is set.
            bitsnode.ledger.errors.LedgerError: the chain does not answer or refuses.
        """
        ledger = self._needed()
        async with self._lock:
            on_event(progress.Opening())
            keys = await self._run(lambda: self._vault.open(password))
            viewing = await self._run(keys.viewing)
            await self._holdings().scan(viewing, on_event)
            request = Request(to, amount, source, frozenset(accept))
            return tuple(await self._withdrawals(ledger).withdraw(request, keys, on_event))

    async def finish(self, on_event: progress.OnEvent = progress.ignore) -> tuple[Withdrawal, ...]:
        """Bring withdrawals that were cut short to their end; to be called at every start.

        Raises:
            NoChain: no chain is set.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        ledger = self._needed()
        async with self._lock:
            return tuple(await self._withdrawals(ledger).finish(on_event))

    # Vouchers

    def vouchers(self, trees: Trees, clock: IReactorTime) -> Vouchers:
        """Return the vouchers of this wallet on its chain.

        Raises:
            NoChain: no chain is set.
        """
        return Vouchers(
            self._history,
            self._vault.open,
            self._needed(),
            trees,
            self._run,
            self._isolations,
            self._lock,
            clock,
        )

    def redeeming(self, vouchers: Vouchers, prover: Prover, clock: IReactorTime) -> Redeeming:
        """Return what spends these vouchers.

        Raises:
            NoChain: no chain is set.
        """
        return Redeeming(
            vouchers,
            self._history,
            self._vault.open,
            self._needed(),
            prover,
            self._run,
            self._isolations,
            clock,
        )

    async def earnings(
        self, vouchers: Vouchers, on_event: progress.OnEvent = progress.ignore
    ) -> list[Earning]:
        """Return what was paid to the meta-address, by vouchers and invoices; scans if unlocked.

        Raises:
            NoChain: no chain is set.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        if self._viewing is not None:
            await self.scan(on_event)
        await vouchers.sync()
        table, index = await vouchers.denominations(), self._needed().index

        def find() -> list[Earning]:
            sweeps = read_sweeps(index)
            return find_earnings(self._history.payments(), vouchers.trees, table, sweeps)

        return await self._alone(find)

    def isolation_of(self, address: str) -> Isolation | None:
        """Return the isolation of an address of this wallet; None of anybody else's."""
        own = {*self._history.accounts().values()}
        own |= {payment.stealth_address for payment in self._history.payments()}
        if address.lower() not in {each.lower() for each in own}:
            return None
        return self._isolations.of(address)

    async def history(self) -> tuple[Withdrawal, ...]:
        """Return all withdrawals, the oldest first."""
        return tuple(await self._run(self._history.withdrawals))

    async def _alone(self, work: Callable[[], T]) -> T:
        async with self._lock:
            return await self._run(work)

    def _addresses(self) -> Addresses:
        self._vault.check_exists()
        meta = self._history.meta_address()
        if meta is None:
            raise WalletLocked
        return Addresses(meta, tuple(self._history.accounts().values()))

    def _unlocked(self, viewing: ViewingKeys) -> None:
        self._viewing = viewing

    def _needed(self) -> VoucherLedger:
        if self._ledger is None:
            raise NoChain
        return self._ledger

    def _holdings(self) -> Holdings:
        return Holdings(self._needed(), self._history, self._isolations, self._run)

    def _withdrawals(self, ledger: VoucherLedger) -> Withdrawals:
        return Withdrawals(self._history, ledger, self._run, self._isolations)

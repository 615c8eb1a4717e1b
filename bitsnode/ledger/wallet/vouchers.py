"""The wallet's vouchers: bought early and in common sets, found again, given out one at a time."""

import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from bitsnode.ledger.trees import Trees
from bitsnode.ledger.wallet import progress
from bitsnode.ledger.wallet.chain import RunInThread, VoucherLedger
from bitsnode.ledger.wallet.deposits import Deposits
from bitsnode.ledger.wallet.errors import (
    NoVoucher,
    TicketUnknown,
    UnknownDenomination,
    UnknownSource,
    VoucherHandedOut,
    VoucherTooYoung,
)
from bitsnode.ledger.wallet.history import History
from bitsnode.ledger.wallet.isolations import Isolations
from bitsnode.ledger.wallet.keys import Keys
from bitsnode.ledger.wallet.voucher_keys import VoucherKeys
from bitsnode.ledger.wallet.voucher_listing import describe
from bitsnode.ledger.wallet.voucher_store import Row, VoucherStore
from bitsnode.ledger.wallet.voucher_values import (
    Deposit,
    Kit,
    Ticket,
    Voucher,
    VoucherState,
    suggest,
)

T = TypeVar("T")
GAP_LIMIT: Final = 50  # unused indices in a row after which a search ends
# Left out after a search that found vouchers nobody knew of here: those just before the history
# was lost may be on their way into the chain.
SKIPPED: Final = 10
RELEASE_SECONDS: Final = 3600  # beyond a deadline: clocks differ, and blocks take time to be final


class Vouchers:
    """Vouchers of one contract.

    Args:
        history: of the wallet.
        open_keys: gives out the keys against the password; blocking.
        ledger: of the chain.
        trees: the groups of the vouchers.
        run: runs blocking work in a thread.
        isolations: of the wallet.
        lock: of the wallet, which does one thing at a time.
        clock: tells the time.
    """

    def __init__(
        self,
        history: History,
        open_keys: Callable[[str], Keys],
        ledger: VoucherLedger,
        trees: Trees,
        run: RunInThread,
        isolations: Isolations,
        lock: DeferredLock,
        clock: IReactorTime,
    ) -> None:
        deployment = ledger.deployment
        self.contract = deployment.address("Vouchers")
        self.store = VoucherStore(history, self.contract)
        self.trees = trees
        self._history = history
        self._chain_id = deployment.chain_id
        self._open_keys = open_keys
        self._ledger = ledger
        self._run = run
        self._isolations = isolations
        self._lock = lock
        self._clock = clock
        self._table: tuple[int, ...] = ()

    async def denominations(self) -> tuple[int, ...]:
        """Return the contract's table: wei of each denomination, rising.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        if not self._table:
            isolation = self._isolations.of("index")
            rows = await self._ledger.call("Vouchers", "denominations", [], isolation)
            self._table = tuple(int(row[1]) for row in rows)
        return self._table

    async def suggest(self, amount: int) -> Kit:
        """Return the standard set that an amount (wei) pays for; see `voucher_values.suggest`.

        Raises:
            TopUpTooSmall: it pays for none.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        return suggest(await self.denominations(), amount)

    async def all(self) -> list[Voucher]:
        """Return all vouchers in the order of their indices; no password is needed.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        await self.sync()
        return await self._described()

    async def sync(self) -> None:
        """Bring the index and the groups up to date.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer, or contradicts itself.
        """
        await self._ledger.sync(self._isolations.of("index"))
        await self._run(self.trees.follow)

    # Buying

    async def top_up(
        self,
        kit: Kit,
        *,
        password: str,
        account: str | None = None,
        on_event: progress.OnEvent = progress.ignore,
    ) -> list[Voucher]:
        """Buy vouchers, each with a transaction of its own; return them as they stand then.

        What was cut short before is brought to its end first.

        Args:
            kit: which; `suggest` names one that others buy, too.
            password: of the keystore.
            account: address of the own account that pays; None for the first.
            on_event: told what goes on.

        Raises:
            WalletError: the password is wrong, the denomination or account is unknown, …
            DepositFailed: the chain refused one; those before it stand.
            bitsnode.ledger.refusals.CommitmentCopied: somebody paid for one, which is yours to
                spend; all others were bought.
            bitsnode.ledger.errors.LedgerError: the chain does not answer or refuses.
        """
        async with self._lock:
            on_event(progress.Opening())
            keys = await self._run(lambda: self._open_keys(password))
            await self._deposits().finish(on_event)
            await self._find(keys)
            table = await self.denominations()
            if any(not 0 <= row < len(table) for row in kit.denominations):
                raise UnknownDenomination
            index, address = await self._run(lambda: self._account(account))
            planned = await self._run(lambda: self._plan(kit, address, self._secrets(keys)))
            deposits = self._deposits()
            await deposits.make(planned, table, keys.account(index), on_event)
            await self.sync()
            mine = {row.index for row in planned}
            return [voucher for voucher in await self._described() if voucher.index in mine]

    async def finish(self, on_event: progress.OnEvent = progress.ignore) -> None:
        """Bring deposits that were cut short to their end; to be called at every start.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        async with self._lock:
            await self._deposits().finish(on_event)

    async def find(self, password: str) -> int:
        """Look for vouchers on the chain, after a restore; return how many were not known here.

        Stops after `GAP_LIMIT` indices in a row that were never used.

        Raises:
            NoWallet, WrongPassword and others: as for `Wallet.unlock`.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        async with self._lock:
            return await self._find(await self._run(lambda: self._open_keys(password)))

    # Giving out

    async def reserve(self, denomination: int, purpose: str) -> Ticket:
        """Give a free voucher to a purpose; asked again for the same purpose, the same one.

        Which one is drawn by lot: an order would tell something about the one that is spent.

        Args:
            denomination: row of the contract's table.
            purpose: a name of who will spend it, such as that of a purchase.

        Raises:
            VoucherTooYoung: those there are were bought after the epoch began.
            NoVoucher: there is none that is free.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        await self.sync()
        while True:
            held = await self._run(lambda: self.store.holder(purpose))
            if held is not None and held.ticket is not None:
                return Ticket(held.ticket, held.index, held.denomination, purpose)
            found = await self._described()
            wanted = [each for each in found if each.denomination == denomination]
            free = [each for each in wanted if each.spendable]
            if not free:
                young = any(
                    each.state in (VoucherState.DEPOSITED, VoucherState.CONFIRMED)
                    for each in wanted
                )
                raise VoucherTooYoung if young else NoVoucher
            index, name = secrets.choice(free).index, secrets.token_hex(16)
            if await self._run(lambda: self.store.reserve(index, name, purpose)):  # noqa: B023
                return Ticket(name, index, denomination, purpose)

    async def release(self, ticket: Ticket) -> None:
        """Take a voucher back that was not spent.

        Raises:
            VoucherHandedOut: a proof of it may still be redeemed.
        """
        until = self._clock.seconds() - RELEASE_SECONDS
        if not await self._run(lambda: self.store.release(ticket.name, until)):
            raise VoucherHandedOut

    async def voucher(self, ticket: Ticket) -> Voucher:
        """Return how the voucher of a ticket stands: its crowd and age, before it is spent.

        Raises:
            TicketUnknown: it is not reserved any more.
        """
        if await self._run(lambda: self.store.held(ticket.name)) is None:
            raise TicketUnknown
        found = await self._described()
        return next(each for each in found if each.index == ticket.index)

    # Inside

    def secrets_of(self, keys: Keys) -> VoucherKeys:
        """Return the secrets of this contract's vouchers."""
        return self._secrets(keys)

    def _secrets(self, keys: Keys) -> VoucherKeys:
        return keys.vouchers(self._chain_id, self.contract)

    def _deposits(self) -> Deposits:
        return Deposits(
            self.store, self._ledger, self.trees, self._run, self._isolations, self.contract
        )

    def _account(self, address: str | None) -> tuple[int, str]:
        accounts = self._history.accounts()
        for index, own in accounts.items():
            if address is None or own.lower() == address.lower():
                return index, own
        raise UnknownSource

    def _plan(self, kit: Kit, account: str, keys: VoucherKeys) -> list[Row]:
        """Draw the next indices, and write them down: from here on they are used."""
        used = [row.index + 1 for row in self.store.rows()]
        first = max([self.store.floor(), *used])
        planned_at = self._clock.seconds()
        planned = [
            Row(keys.identity(index), denomination, account, planned_at=planned_at)
            for index, denomination in enumerate(kit.denominations, first)
        ]
        self.store.plan(planned)
        return planned

    async def _find(self, keys: Keys) -> int:
        await self.sync()
        return await self._run(lambda: self._search(self._secrets(keys)))

    def _search(self, keys: VoucherKeys) -> int:
        known = {row.index for row in self.store.rows()}
        groups = self.trees.groups()
        found, index = [], 0
        last = max(known, default=-1)
        while index <= last + GAP_LIMIT:
            if index not in known:
                identity = keys.identity(index)
                members = self.trees.members(identity.commitment)
                if members:
                    last = max(last, index)
                    denomination = max(groups[each.group].denomination for each in members)
                    found.append(Row(identity, denomination, deposit=Deposit.FOUND))
            index += 1
        if found:
            self.store.raise_floor(last + 1 + SKIPPED)
            self.store.add_found(found)
        return len(found)

    async def _described(self) -> list[Voucher]:
        table = await self.denominations()
        return await self._run(
            lambda: [describe(self.trees, row, table) for row in self.store.rows()]
        )

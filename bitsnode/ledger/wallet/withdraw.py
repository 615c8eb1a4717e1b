"""Withdrawals: planned, written down, then sent one by one, each from its own source.

A withdrawal is in the history before anything is signed, and the ledger's journal has what was
signed before it is sent. So after a crash there are three kinds: the ledger knows the intent, and
it is brought to its end; it does not, so nothing was signed and nothing will be; or it is done.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import attrs

from bitsnode.ledger.errors import TransactionReplaced
from bitsnode.ledger.standing import Call
from bitsnode.ledger.wallet.chain import Ledger, RunInThread, has_part
from bitsnode.ledger.wallet.errors import BalanceTooLow, UnknownSource, WithdrawalFailed
from bitsnode.ledger.wallet.history import History, State, Withdrawal
from bitsnode.ledger.wallet.isolations import Isolations
from bitsnode.ledger.wallet.keys import Keys, KeySigner
from bitsnode.ledger.wallet.progress import AskingBalances, Finishing, OnEvent, Sending, Waiting
from bitsnode.ledger.wallet.rules import (
    Destination,
    Holding,
    Risk,
    check_account_destination,
    check_payment_destination,
    choose,
    parse_destination,
)

T = TypeVar("T")


@attrs.frozen
class Request:
    """What a person asks for.

    Attributes:
        to: where it shall go, as typed.
        amount: wei that shall arrive; None for all there is.
        source: address of an account or of a payment; None for all payments.
        accept: risks accepted in plain words.
    """

    to: str
    amount: int | None
    source: str | None
    accept: frozenset[Risk]


@attrs.frozen
class _Source:
    address: str
    stealth: bool
    signer: Callable[[], KeySigner] = attrs.field(repr=False)  # derives the key when it is needed


class Withdrawals:
    """Takes money out of the wallet.

    Args:
        history: where they are written down.
        ledger: sends them, and knows who has a public part on the chain.
        run: runs blocking work in a thread.
        isolations: of the wallet.
    """

    def __init__(
        self,
        history: History,
        ledger: Ledger,
        run: RunInThread,
        isolations: Isolations,
    ) -> None:
        self._history = history
        self._ledger = ledger
        self._run = run
        self._isolations = isolations

    async def finish(self, on_event: OnEvent) -> list[Withdrawal]:
        """Bring to their end those that were cut short; no key is needed for it."""
        finished = []
        for line in await self._in_thread(self._history.withdrawals, State.PLANNED):
            if await self._ledger.knows(line.intent):
                on_event(Finishing(line.destination))
                with suppress(TransactionReplaced):  # the history says so
                    finished.append(await self._see_through(line))
            else:
                await self._in_thread(self._history.settle, line.intent, State.DROPPED)
        return finished

    async def withdraw(self, request: Request, keys: Keys, on_event: OnEvent) -> list[Withdrawal]:
        """Send what is asked for.

        Raises:
            WalletError: a rule forbids it, or there is too little; nothing was sent.
            WithdrawalFailed: the chain refused one; those before it stand.
        """
        await self.finish(on_event)
        to = await self._in_thread(self._known, parse_destination(request.to))
        sources = await self._in_thread(self._sources, request, keys)
        account = any(not source.stealth for source in sources)
        if account:
            check_account_destination(to)
        else:
            check_payment_destination(to)
        holdings = await self._holdings(sources, to, on_event)
        if account:
            chosen = [_from_account(holdings[0], request.amount)]
        else:
            chosen = choose(holdings, request.amount, request.accept, to.used)
        planned = _plan(to.address, chosen, stealth=not account)
        await self._in_thread(self._history.plan, planned)
        signers = {source.address: source.signer for source in sources}
        return await self._send(planned, signers, on_event)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await self._run(lambda: function(*arguments))

    def _known(self, address: str) -> Destination:
        """Gather what is known of a destination; it asks nobody."""
        own = {*self._history.accounts().values()}
        own |= {payment.stealth_address for payment in self._history.payments()}
        lines = [line for line in self._history.withdrawals() if line.destination == address]
        counted = [line for line in lines if line.state is not State.DROPPED]
        dropped = {line.batch for line in lines if line.state is State.DROPPED}
        return Destination(
            address,
            own=address in own,
            funder=self._history.is_funder(address),
            public=has_part(self._ledger, address),
            used=bool(counted),
            used_for_payments=any(line.stealth for line in counted),
            unfinished=all(line.batch in dropped for line in counted),
        )

    def _sources(self, request: Request, keys: Keys) -> list["_Source"]:
        payments = [
            _Source(
                payment.stealth_address,
                True,
                lambda payment=payment: keys.payment(payment.ephemeral_public_key),  # type: ignore[misc]
            )
            for payment in self._history.payments()
        ]
        if request.source is None:
            return payments
        accounts = [
            _Source(address, False, lambda index=index: keys.account(index))  # type: ignore[misc]
            for index, address in self._history.accounts().items()
        ]
        wanted = request.source.lower()
        found = [source for source in payments + accounts if source.address.lower() == wanted]
        if not found:
            raise UnknownSource
        return found

    async def _holdings(
        self, sources: Sequence["_Source"], to: Destination, on_event: OnEvent
    ) -> list[Holding]:
        holdings = []
        for number, source in enumerate(line.address for line in sources):
            on_event(AskingBalances(number, len(sources)))
            isolation = self._isolations.of(source)
            balance = await self._ledger.balance(source, isolation)
            fee = 0
            if balance:
                # one wei, as what may be sent is not known before the fee is
                quote = await self._ledger.quote(source, Call(to.address, 1), isolation)
                fee = quote.most
            holdings.append(Holding(source, balance, fee))
        return holdings

    async def _send(
        self,
        planned: Sequence[Withdrawal],
        signers: dict[str, Callable[[], KeySigner]],
        on_event: OnEvent,
    ) -> list[Withdrawal]:
        done = []
        for number, line in enumerate(planned, 1):
            on_event(Sending(number, len(planned)))
            signer = await self._in_thread(signers[line.source])
            on_event(Waiting(await self._transfer(line, signer)))
            done.append(await self._see_through(line))
            signer.forget()
            if done[-1].state is State.FAILED:
                raise WithdrawalFailed
        return done

    async def _transfer(self, line: Withdrawal, signer: KeySigner) -> str:
        try:
            sent = await self._ledger.send(
                signer,
                line.intent,
                Call(line.destination, line.amount),
                self._isolations.of(line.source),
                line.fee_limit,
            )
            return sent.transaction_hash
        except Exception:
            # what the journal has may arrive yet and is looked after by `finish`
            if not await self._ledger.knows(line.intent):
                await self._drop(line.batch)
            raise

    async def _drop(self, batch: str) -> None:
        for line in await self._in_thread(self._history.withdrawals, State.PLANNED):
            if line.batch == batch and not await self._ledger.knows(line.intent):
                await self._in_thread(self._history.settle, line.intent, State.DROPPED)

    async def _see_through(self, line: Withdrawal) -> Withdrawal:
        try:
            mined = await self._ledger.wait(line.intent, self._isolations.of(line.source))
        except TransactionReplaced:
            # the same words are in use elsewhere, and what that one sent came first
            await self._in_thread(self._history.settle, line.intent, State.FAILED)
            raise
        result = attrs.evolve(
            line,
            state=State.DONE if mined.succeeded else State.FAILED,
            transaction_hash=mined.transaction_hash,
            block=mined.block,
            fee=mined.fee,
        )
        await self._in_thread(
            self._history.settle,
            line.intent,
            result.state,
            mined.transaction_hash,
            mined.block,
            mined.fee,
        )
        return result


def _from_account(holding: Holding, amount: int | None) -> tuple[Holding, int]:
    value = holding.available if amount is None else amount
    if value <= 0 or value > holding.available:
        raise BalanceTooLow
    return holding, value


def _plan(
    destination: str, chosen: Sequence[tuple[Holding, int]], stealth: bool
) -> list[Withdrawal]:
    batch = secrets.token_hex(16)
    return [
        Withdrawal(
            intent=f"withdraw-{secrets.token_hex(16)}",
            batch=batch,
            source=holding.address,
            stealth=stealth,
            destination=destination,
            amount=value,
            fee_limit=holding.fee,
        )
        for holding, value in chosen
    ]

"""Spending vouchers: a proof is made once, written down, then handed to a relay or sent by oneself.

A proof that somebody has can be redeemed until its deadline. So it is in the history before
anybody gets it, its voucher is not free again before, and the same redemption is never proved
twice. What becomes of it is the chain's to say: the voucher is spent once its nullifier is there.
"""

import secrets
from collections.abc import Callable, Collection
from typing import Any, Final, Literal, TypeAlias

import attrs
from twisted.internet.interfaces import IReactorTime

from bitsnode.ledger.errors import WouldRevert
from bitsnode.ledger.redeem import Prepared, Prover, prepare
from bitsnode.ledger.redeem import Voucher as Spendable
from bitsnode.ledger.redemption import (
    FEE_DIVISOR,
    NOBODY,
    Redemption,
    message_of,
    read_redeem_data,
)
from bitsnode.ledger.refusals import RedemptionExpired, RedemptionFeeTooHigh, VoucherSpent, refusal
from bitsnode.ledger.standing import Call
from bitsnode.ledger.trees_store import Member
from bitsnode.ledger.wallet import progress
from bitsnode.ledger.wallet.chain import RunInThread, VoucherLedger
from bitsnode.ledger.wallet.earnings import Split, divide
from bitsnode.ledger.wallet.errors import (
    RedemptionFailed,
    SelfRelayLinks,
    TicketUnknown,
    UnknownSource,
    VoucherTooYoung,
    WalletLocked,
)
from bitsnode.ledger.wallet.history import History
from bitsnode.ledger.wallet.isolations import Isolations
from bitsnode.ledger.wallet.keys import Keys
from bitsnode.ledger.wallet.voucher_listing import member_of
from bitsnode.ledger.wallet.voucher_store import Row
from bitsnode.ledger.wallet.voucher_values import Ticket
from bitsnode.ledger.wallet.vouchers import Vouchers
from zk.stealth import MetaAddress, generate

Accepted: TypeAlias = Literal["link"]
FEE_ROOM: Final = 2  # times the fee of now, for transactions that have to be replaced
REDEEM_GAS: Final = 420_000  # of one voucher; contracts/snapshots, and a tenth
CASH_OUT_SECONDS: Final = 86_400  # that a cash-out may take
REVEALS: Final = (
    "Cashing out shows that somebody took the value of one voucher out, and when. The money comes"
    " to a fresh address of this wallet; what is done with it later can be linked to that, and"
    " sums and times may link it to the deposit. The shares of treasury and pool are lost."
)


@attrs.frozen
class Submitted:
    """A redemption that is in the chain.

    Attributes:
        message: of the redemption, 32 bytes.
        transaction_hash: hex with 0x; None if somebody else submitted it.
        fee: wei of gas that it cost us.
    """

    message: bytes
    transaction_hash: str | None
    fee: int


@attrs.frozen
class CashOutCost:
    """What cashing a voucher out costs.

    Attributes:
        split: of its value; `split.net` arrives.
        gas: wei at most that the account pays besides, if it sends by itself.
        reveals: what it tells to everybody, for a person.
    """

    split: Split
    gas: int
    reveals: str = REVEALS


class Redeeming:
    """Spends vouchers.

    Args:
        vouchers: which.
        history: of the wallet.
        open_keys: gives out the keys against the password; blocking.
        ledger: of the chain.
        prover: makes proofs.
        run: runs blocking work in a thread.
        isolations: of the wallet.
        clock: tells the time.
    """

    def __init__(
        self,
        vouchers: Vouchers,
        history: History,
        open_keys: Callable[[str], Keys],
        ledger: VoucherLedger,
        prover: Prover,
        run: RunInThread,
        isolations: Isolations,
        clock: IReactorTime,
    ) -> None:
        self._vouchers = vouchers
        self._history = history
        self._open_keys = open_keys
        self._ledger = ledger
        self._prover = prover
        self._run = run
        self._isolations = isolations
        self._clock = clock
        self._chain_id = ledger.deployment.chain_id
        self._contract = vouchers.contract
        self._store = vouchers.store

    # Proving

    async def message(self, ticket: Ticket, redemption: Redemption) -> bytes:
        """Return the message (32 bytes) that a redemption will have.

        Raises:
            TicketUnknown: the voucher is not reserved any more.
            VoucherTooYoung: the voucher is not in the chain.
        """
        row, member = await self._held(ticket)
        return self._message(row, member, redemption)

    async def prepare(
        self,
        ticket: Ticket,
        redemption: Redemption,
        *,
        password: str,
        on_event: progress.OnEvent = progress.ignore,
    ) -> Prepared:
        """Make the proof of a redemption, or return it if it was made before.

        Raises:
            TicketUnknown: the voucher is not reserved any more.
            VoucherTooYoung, bitsnode.ledger.trees.TooYoung: it cannot be spent yet.
            bitsnode.ledger.refusals.VouchersRefused: the contract would refuse; one class per
                cause, a voucher that is spent already among them.
            NoWallet, WrongPassword and others: as for `Wallet.unlock`.
            bitsnode.ledger.errors.LedgerError: the chain does not answer, or the proof is wrong.
        """
        row, member = await self._held(ticket)
        message = self._message(row, member, redemption)
        found = await self.prepared(message)
        if found is not None:
            return found
        await self._check(row, member, redemption)
        on_event(progress.Opening())
        keys = await self._run(lambda: self._open_keys(password))
        _root, path = await self._run(
            lambda: self._vouchers.trees.path(member, row.identity.commitment)
        )
        secret = await self._run(lambda: self._vouchers.secrets_of(keys).secret(row.index))
        on_event(progress.Proving())
        made = await prepare(
            self._prover,
            self._chain_id,
            self._contract,
            redemption,
            [Spendable(secret, member.group, path)],
        )
        if not await self._run(
            lambda: self._store.add_prepared(
                made.message, ticket.name, made.data, redemption.deadline
            )
        ):
            raise TicketUnknown
        return made

    async def prepared(self, message: bytes) -> Prepared | None:
        """Return a redemption whose proof was made before; no password is needed."""
        data = await self._run(lambda: self._store.prepared(message))
        return None if data is None else Prepared(message, *read_redeem_data(data))

    # Sending by oneself

    async def submit(
        self,
        prepared: Prepared,
        *,
        password: str,
        account: str | None = None,
        accept: Collection[Accepted] = (),
        on_event: progress.OnEvent = progress.ignore,
    ) -> Submitted:
        """Send a redemption from an own account, once, and wait until it is in the chain.

        Args:
            prepared: which.
            password: of the keystore.
            account: address of the account that pays the gas; None for the first.
            accept: ``link``, as everybody sees which account spends here.
            on_event: told what goes on.

        Raises:
            SelfRelayLinks: that is not accepted.
            bitsnode.ledger.refusals.VouchersRefused: the contract refuses; one class per cause.
            RedemptionFailed: it is in the chain, and was refused there.
            NoWallet, WrongPassword and others: as for `Wallet.unlock`.
            bitsnode.ledger.errors.LedgerError: the chain does not answer or refuses.
        """
        if "link" not in accept:
            raise SelfRelayLinks
        keys = await self._run(lambda: self._open_keys(password))
        index = await self._run(lambda: self._account(account))
        signer = await self._run(lambda: keys.account(index))
        isolation = self._isolations.of(signer.address)
        intent = f"redeem-{prepared.message.hex()}"
        call = Call(self._contract, 0, prepared.data)
        try:
            limit = 0
            if not await self._ledger.knows(intent):
                quote = await self._ledger.quote(signer.address, call, isolation)
                limit = FEE_ROOM * quote.most
            sent = await self._ledger.send(signer, intent, call, isolation, limit)
            on_event(progress.Waiting(sent.transaction_hash))
            mined = await self._ledger.wait(intent, isolation)
        except WouldRevert as error:
            found = refusal(error.data)
            if isinstance(found, VoucherSpent) and await self._is_done(prepared, isolation):
                return Submitted(prepared.message, None, 0)
            raise found or error from error
        finally:
            signer.forget()
        if mined.succeeded:
            return Submitted(prepared.message, mined.transaction_hash, mined.fee)
        if await self._is_done(prepared, isolation):
            return Submitted(prepared.message, None, mined.fee)
        raise RedemptionFailed

    # Cash-out

    async def cash_out_cost(self, ticket: Ticket, fee: int = 0) -> CashOutCost:
        """Say what cashing a voucher out costs and shows, with a relay's fee (wei) or without.

        Raises:
            TicketUnknown, VoucherTooYoung: as for `message`.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        _row, member = await self._held(ticket)
        table = await self._vouchers.denominations()
        group = (await self._run(self._vouchers.trees.groups))[member.group]
        account = await self._run(lambda: next(iter(self._history.accounts().values())))
        price = await self._ledger.quote(account, Call(account), self._isolations.of(account))
        gas = 0 if fee else REDEEM_GAS * price.max_fee
        return CashOutCost(divide(fee, [(table[group.denomination], group)]), gas)

    async def own_redemption(self, relayer: bytes = NOBODY, fee: int = 0) -> Redemption:
        """Return a redemption to a fresh stealth address of this wallet, for a cash-out.

        Args:
            relayer: who gets the fee, 20 bytes; zeros for whoever submits it.
            fee: wei.

        Raises:
            WalletLocked: the wallet was never opened since its history was lost.
        """
        meta = await self._run(self._history.meta_address)
        if meta is None:
            raise WalletLocked
        payment = generate(MetaAddress.parse(meta), secrets.token_bytes(32))
        return Redemption(
            bytes.fromhex(payment.stealth_address[2:]),
            payment.ephemeral_public_key,
            payment.view_tag,
            secrets.token_bytes(32),
            relayer,
            fee,
            int(self._clock.seconds()) + CASH_OUT_SECONDS,
        )

    # Inside

    async def _held(self, ticket: Ticket) -> tuple[Row, Member]:
        row = await self._run(lambda: self._store.held(ticket.name))
        if row is None:
            raise TicketUnknown
        member = await self._run(lambda: member_of(self._vouchers.trees, row))
        if member is None:
            raise VoucherTooYoung
        return row, member

    def _message(self, row: Row, member: Member, redemption: Redemption) -> bytes:
        groups, nullifiers = [member.group], [row.identity.nullifier]
        return message_of(self._chain_id, self._contract, redemption, groups, nullifiers)

    async def _check(self, row: Row, member: Member, redemption: Redemption) -> None:
        """Refuse what the contract would refuse, before a proof is made."""
        table = await self._vouchers.denominations()
        await self._vouchers.sync()
        messages = await self._run(lambda: self._vouchers.trees.messages(row.identity.nullifier))
        if member.group in messages:
            raise VoucherSpent
        group = (await self._run(self._vouchers.trees.groups))[member.group]
        if redemption.fee > table[group.denomination] // FEE_DIVISOR:
            raise RedemptionFeeTooHigh
        if redemption.deadline <= self._clock.seconds():
            raise RedemptionExpired

    def _account(self, address: str | None) -> int:
        for index, own in self._history.accounts().items():
            if address is None or own.lower() == address.lower():
                return index
        raise UnknownSource

    async def _is_done(self, prepared: Prepared, isolation: Any) -> bool:
        """Whether this very redemption is in the chain, whoever submitted it."""
        for spend in prepared.spends:
            args = [spend.group, spend.nullifier]
            message = await self._ledger.call("Vouchers", "spentBy", args, isolation)
            if bytes(message) != prepared.message:
                return False
        return True

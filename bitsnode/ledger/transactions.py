"""Transactions: each intent is carried out once, whatever crashes, stalls or is reorganised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from eth_hash.auto import keccak
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from bitsnode.ledger import errors, fees
from bitsnode.ledger.answers import MinedReceipt
from bitsnode.ledger.fallback import first_answer
from bitsnode.ledger.fees import Fee
from bitsnode.ledger.journal import FINAL, LOST, Intent, Journal, Signed
from bitsnode.ledger.rpc import Asker, Rpc
from bitsnode.ledger.sending import InThread, Mined, Sent, Signer
from bitsnode.ledger.standing import (
    Call,
    ask_outcome,
    ask_prices,
    ask_standing,
    ask_used_for_good,
    check_funds,
    checksummed,
)
from onion.isolation import Isolation

T = TypeVar("T")
__all__ = ["InThread", "Mined", "Sent", "Signer", "Transactions"]
TRANSACTION_TYPE: Final = 2  # EIP-1559
UNLIMITED: Final = 1 << 256  # wei
POLL_SECONDS: Final = 4.0
STUCK_SECONDS: Final = 120.0  # after which, and
STUCK_BLOCKS: Final = 5  # which, a transaction that is not mined is replaced by a dearer one
# What servers say of a transaction that they have, or whose nonce is used; they have no codes.
_KNOWN: Final = ("already known", "known transaction", "already imported", "already in mempool")
_USED: Final = ("nonce too low", "nonce is too low", "oldnonce", "invalid nonce")


class Transactions:
    """Signs into the journal, sends, sends again, and replaces what is stuck."""

    def __init__(
        self,
        clock: IReactorTime,
        rpcs: Sequence[Rpc],
        journal: Journal,
        chain_id: int,
        in_thread: InThread,
    ) -> None:
        self._clock = clock
        self._rpcs = rpcs
        self._journal = journal
        self._chain_id = chain_id
        self._in_thread = in_thread
        self._locks: defaultdict[str, DeferredLock] = defaultdict(DeferredLock)
        self._signers: dict[str, Signer] = {}

    async def knows(self, intent: str) -> bool:
        """Whether anything was ever signed for an intent."""
        return await self._in_thread(lambda: self._journal.find(intent)) is not None

    async def quote(self, source: str, call: Call, isolation: Isolation) -> Fee:
        """What a transaction may cost now, with room for rising fees.

        Raises:
            WouldRevert: the contract refuses it.
            RpcError: no server can be asked.
        """
        standing = await self._first(lambda asker: ask_standing(asker, source, call), isolation)
        return fees.suggest(standing.gas, standing.prices, UNLIMITED)

    async def send(
        self, signer: Signer, intent: str, call: Call, isolation: Isolation, fee_limit: int
    ) -> Sent:
        """Sign for an intent and send; if that was done before, send the same bytes again.

        Args:
            signer: of the account that pays.
            intent: a name that stands for this one act for ever.
            call: what to do.
            isolation: of the account.
            fee_limit: wei that all the gas may cost, replacements included.

        Raises:
            FeeTooHigh, InsufficientFunds, WouldRevert: nothing was signed.
            IntentChanged: something else was signed under this name.
            TransactionReplaced: the nonce is used by another transaction of the account.
            RpcError: no server can be asked; nothing was signed.
        """
        account = signer.address.lower()
        await self._locks[account].acquire()
        try:
            found = await self._in_thread(lambda: self._journal.find(intent))
            if found is None:
                found = await self._sign_first(signer, intent, call, isolation, fee_limit)
            elif (found.account, found.recipient, found.value, found.data) != (
                account,
                call.to.lower(),
                call.value,
                call.data,
            ):
                raise errors.IntentChanged(intent)
            self._signers[intent] = signer
            return await self._send_again(found, isolation)
        finally:
            self._locks[account].release()

    async def wait(self, intent: str, isolation: Isolation, timeout: float = 600.0) -> Mined:
        """Wait until a transaction for an intent is in the chain, and send again what is not.

        Raises:
            NotMined: not within so many seconds, or nothing was signed for it.
            TransactionReplaced: the nonce is used by another transaction of the account.
            RpcError: no server could be asked all the time.
        """
        until = self._clock.seconds() + timeout
        failure: errors.RpcError | None = None
        while True:
            try:
                mined = await self.look_after(intent, isolation)
                failure = None
            except errors.RpcError as error:
                mined, failure = None, error
            if mined is not None:
                return mined
            if self._clock.seconds() >= until:
                raise failure or errors.NotMined(intent)
            await deferLater(self._clock, POLL_SECONDS)

    async def look_after(self, intent: str, isolation: Isolation) -> Mined | None:
        """One step for an intent: is it mined, or to be sent again, or to be replaced?

        Raises:
            NotMined: nothing was signed for it.
            TransactionReplaced: the nonce is used by another transaction of the account.
            RpcError: no server can be asked.
        """
        found = await self._in_thread(lambda: self._journal.find(intent))
        if found is None:
            raise errors.NotMined(intent)
        await self._locks[found.account].acquire()
        try:
            signed = await self._in_thread(lambda: self._journal.signed(intent))
            receipt = await self._receipt(found, signed, isolation)
            if receipt is None:
                await self._revive(found, signed, isolation)
                return None
            cost = receipt.gas_used * receipt.gas_price
            return Mined(_hex(receipt.transaction), receipt.block, cost, receipt.succeeded)
        finally:
            self._locks[found.account].release()

    async def look_after_account(self, account: str, isolation: Isolation) -> None:
        """One step for all of an account that is not final, in the order of their nonces.

        Raises:
            RpcError: no server can be asked.
        """
        for found in await self._in_thread(lambda: self._journal.pending(account)):
            try:
                await self.look_after(found.intent, isolation)
            except errors.TransactionReplaced:
                continue  # it is noted in the journal

    async def accounts(self) -> list[str]:
        """Accounts that have something to look after."""
        return await self._in_thread(self._journal.accounts)

    # Signing

    async def _sign_first(
        self, signer: Signer, intent: str, call: Call, isolation: Isolation, fee_limit: int
    ) -> Intent:
        account = signer.address.lower()
        source = signer.address
        standing = await self._first(lambda asker: ask_standing(asker, source, call), isolation)
        fee = fees.suggest(standing.gas, standing.prices, fee_limit)
        check_funds(standing, call, fee)
        ours = await self._in_thread(lambda: self._journal.next_nonce(account))
        nonce = max(standing.nonce, ours)
        if standing.nonce < ours:  # the server forgot some, and would let this one wait for them
            for earlier in await self._in_thread(lambda: self._journal.pending(account)):
                await self._send_again(earlier, isolation)
        to = call.to.lower()
        made = Intent(intent, account, nonce, to, call.value, call.data, fee_limit)
        signed = self._sign(signer, made, fee, standing.prices.block)
        await self._in_thread(lambda: self._journal.add(made, signed))
        return made

    def _sign(self, signer: Signer, intent: Intent, fee: Fee, block: int) -> Signed:
        fields: dict[str, Any] = {
            "type": TRANSACTION_TYPE,
            "chainId": self._chain_id,
            "nonce": intent.nonce,
            "value": intent.value,
            "data": _hex(intent.data),
            "gas": fee.gas,
            "maxFeePerGas": fee.max_fee,
            "maxPriorityFeePerGas": fee.tip,
        }
        if intent.recipient:
            fields["to"] = checksummed(intent.recipient)
        raw = bytes(signer.sign_transaction(fields))
        return Signed(keccak(raw), raw, fee, block, self._clock.seconds())

    # Sending

    async def _send_again(self, intent: Intent, isolation: Isolation) -> Sent:
        signed = await self._in_thread(lambda: self._journal.signed(intent.intent))
        newest = signed[-1]
        try:
            refusal = await self._broadcast(intent, signed, isolation)
        except errors.RpcError as error:
            refusal = str(error)  # it is in the journal, and `look_after` sends it again
        return Sent(intent.intent, _hex(newest.hash), intent.nonce, not refusal, refusal)

    async def _broadcast(
        self, intent: Intent, signed: Sequence[Signed], isolation: Isolation
    ) -> str:
        """Send the newest transaction for an intent; returns why the server did not take it."""
        raw = _hex(signed[-1].raw)
        try:
            await self._first(lambda asker: asker.ask("eth_sendRawTransaction", raw), isolation)
        except errors.RpcRefused as refused:
            words = refused.message.lower()
            if any(known in words for known in _KNOWN):
                return ""
            used = any(used in words for used in _USED)
            # a used nonce: by ours, which is mined, or by another; the receipts say which
            if used and await self._receipt(intent, signed, isolation) is not None:
                return ""
            return refused.message or str(refused)
        return ""

    async def _revive(self, intent: Intent, signed: Sequence[Signed], isolation: Isolation) -> None:
        """Send again what is not in the chain, dearer if it seems stuck."""
        newest = signed[-1]
        signer = self._signers.get(intent.intent)
        waited = self._clock.seconds() - newest.signed_at
        if signer is not None and waited >= STUCK_SECONDS:
            prices = await self._first(ask_prices, isolation)
            fee = fees.raised(newest.fee, prices, intent.fee_limit)
            if prices.block - newest.block >= STUCK_BLOCKS and fee is not None:
                replacement = self._sign(signer, intent, fee, prices.block)
                await self._in_thread(lambda: self._journal.replace(intent.intent, replacement))
                signed = [*signed, replacement]
        await self._broadcast(intent, signed, isolation)

    # What became of it

    async def _receipt(
        self, intent: Intent, signed: Sequence[Signed], isolation: Isolation
    ) -> MinedReceipt | None:
        """The receipt of whichever transaction for an intent was mined.

        Raises:
            TransactionReplaced: none of them ever can be.
        """
        hashes = [each.hash for each in signed]
        account, nonce = intent.account, intent.nonce
        found = await self._first(lambda asker: ask_outcome(asker, hashes, account), isolation)
        receipt = found.receipt
        if receipt is not None:
            if receipt.block <= found.final and intent.state != FINAL:
                await self._in_thread(lambda: self._journal.settle(intent.intent, FINAL))
            return receipt
        if found.used > nonce and await self._is_lost(hashes, account, nonce, isolation):
            await self._in_thread(lambda: self._journal.settle(intent.intent, LOST))
            raise errors.TransactionReplaced(intent.intent)
        return None

    async def _is_lost(
        self, hashes: list[bytes], account: str, nonce: int, isolation: Isolation
    ) -> bool:
        """Whether every server says that the nonce went elsewhere, in a block that is final.

        A server that lies here would have a person pay twice. One that cannot tell leaves the
        transaction waiting.
        """
        for rpc in self._rpcs:
            try:
                found = await rpc.read(lambda asker: ask_outcome(asker, hashes, account), isolation)
                used = await rpc.read(lambda asker: ask_used_for_good(asker, account), isolation)
            except errors.RpcError:
                return False
            if found.receipt is not None or used <= nonce:
                return False
        return True

    async def _first(self, work: Callable[[Asker], T], isolation: Isolation) -> T:
        return await first_answer(self._rpcs, lambda rpc: rpc.read(work, isolation))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()

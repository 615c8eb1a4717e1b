"""A relay: submits redemptions of others for a fee, so that buyers need no gas and no address.

What it risks is gas. So it takes only fees that pay for the gas of now, simulates each redemption
before it signs, never spends more than the fee, and takes no voucher for two redemptions at a
time. Who loses the race against another relay pays about 50,000 gas: the contract looks for spent
vouchers first.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from bitsnode.errors import BitsError
from bitsnode.ledger.errors import (
    FeeTooHigh,
    InsufficientFunds,
    NotMined,
    TransactionReplaced,
    WouldRevert,
)
from bitsnode.ledger.fees import Fee
from bitsnode.ledger.redemption import (
    NOBODY,
    Redemption,
    address_text,
    message_of,
    read_redeem_data,
)
from bitsnode.ledger.refusals import VouchersRefused, refusal
from bitsnode.ledger.sending import Mined, Sent, Signer
from bitsnode.ledger.standing import Call
from bitsnode.market.relay_journal import RelayJournal, Submission
from bitsnode.wire.relay_messages import AMOUNT_SIZE, RelayTerms, SubmitRedeem, Submitted
from onion.isolation import Isolation

T = TypeVar("T")
REDEEM_GAS: Final = 420_000  # of one voucher; contracts/snapshots, and a tenth
MORE_GAS: Final = 270_000  # of each further one
FEES_NAMED: Final = 3  # tiers in the terms
QUOTE_SECONDS: Final = 60.0  # for which a price of gas is good
TERMS_SECONDS: Final = 600.0  # for which a fee is taken that was named
LEAST_SECONDS: Final = 120  # that a redemption must have left before its deadline
MAX_FEE: Final = 1 << (8 * AMOUNT_SIZE)


class RelayError(BitsError):
    """The relay does not submit this redemption."""


class OtherRelay(RelayError):
    """This redemption is for another chain, contract or relay."""


class DeadlineNear(RelayError):
    """This redemption has too little time left to get into the chain."""


class RelayFeeTooLow(RelayError):
    """The fee does not pay for the gas; ask for the terms again."""


class VoucherTaken(RelayError):
    """Another redemption of this voucher is on its way."""


class RelayPoor(RelayError):
    """The relay has too little money for gas at the moment."""


class RelayLedger(Protocol):
    """What a relay needs of the chain; `bitsnode.ledger.service.Ledger`."""

    async def quote(self, source: str, call: Call, isolation: Isolation) -> Fee:
        """Simulate, and return what it may cost now."""

    async def send(
        self, signer: Signer, intent: str, call: Call, isolation: Isolation, fee_limit: int
    ) -> Sent:
        """Sign for an intent and send; if that was done before, send the same bytes again."""

    async def knows(self, intent: str) -> bool:
        """Whether anything was ever signed for an intent."""

    async def wait(self, intent: str, isolation: Isolation, timeout: float) -> Mined:
        """Return what became of it, replacing what is stuck; `NotMined` if nothing yet."""

    async def block_number(self, tag: Literal["finalized"], isolation: Isolation) -> int:
        """Return the number of the newest block that is final."""


class Run(Protocol):
    """Carries out a call in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Return what will be the call's result."""


def tiers(cost: int, count: int = FEES_NAMED) -> tuple[int, ...]:
    """Return the least sums of 1, 2 or 5 times a power of ten that are at least a cost (wei)."""
    found: list[int] = []
    power = 1
    while len(found) < count:
        found += [step * power for step in (1, 2, 5) if step * power >= cost]
        power *= 10
    return tuple(found[:count])


def is_tier(fee: int) -> bool:
    """Whether a sum is 1, 2 or 5 times a power of ten."""
    return fee > 0 and tiers(fee, 1) == (fee,)


class Relay:
    """Submits redemptions.

    Attributes:
        address: of its account, 20 bytes.
        isolation: of its account.

    Args:
        ledger: sends.
        key: of the account that pays for gas and gets the fees.
        journal: what was taken.
        chain_id: as in EIP-155.
        vouchers: contract, 20 bytes.
        clock: tells the time.
        run: runs what waits for the disk.
    """

    def __init__(
        self,
        ledger: RelayLedger,
        key: Signer,
        journal: RelayJournal,
        chain_id: int,
        vouchers: bytes,
        clock: IReactorTime,
        run: Run,
    ) -> None:
        self.address = bytes.fromhex(key.address[2:])
        self._ledger = ledger
        self._key = key
        self._journal = journal
        self._chain_id = chain_id
        self._vouchers = vouchers
        self._contract = address_text(vouchers)
        self._clock = clock
        self._run = run
        self.isolation = Isolation.fresh("relay")
        self._lock = DeferredLock()
        self._price = 0  # wei per gas
        self._priced_at = float("-inf")
        self._named: list[tuple[float, int]] = []  # when, and the price per gas then

    async def terms(self) -> RelayTerms:
        """Return for what it submits redemptions of one voucher now.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        fees = tiers(REDEEM_GAS * await self._gas_price())
        now = self._clock.seconds()
        self._named = [each for each in self._named if each[0] > now - TERMS_SECONDS]
        self._named.append((now, self._price))
        named = tuple(fee.to_bytes(AMOUNT_SIZE, "big") for fee in fees if fee < MAX_FEE)
        return RelayTerms(self.address, named, self._chain_id, self._vouchers)

    async def submit(self, request: SubmitRedeem) -> Submitted:
        """Send a redemption to the chain, once; the same again gives the same answer.

        Raises:
            MalformedRedemption: it is none.
            RelayError: it is not taken; one class per reason.
            bitsnode.ledger.refusals.VouchersRefused: the contract refuses it; one class per cause.
            WouldRevert: the contract refuses it for another reason.
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        redemption, spends = read_redeem_data(request.call)
        if (request.chain_id, request.vouchers) != (self._chain_id, self._vouchers):
            raise OtherRelay
        if redemption.relayer not in (self.address, NOBODY):
            raise OtherRelay
        groups, nullifiers = [s.group for s in spends], [s.nullifier for s in spends]
        message = message_of(self._chain_id, self._contract, redemption, groups, nullifiers)
        await self._lock.acquire()
        try:
            known = await self._run(lambda: self._journal.find(message))
            if known is None:
                await self._check(redemption, len(spends), request.call)
                known = Submission(message, request.call, redemption.fee)
                if not await self._run(lambda: self._journal.take(known, spends)):
                    raise VoucherTaken
            # the first that was taken: other proofs of the same redemption are the same to us
            return await self._send(known)
        finally:
            self._lock.release()

    async def tend(self) -> int:
        """See to what is on its way; to be called every minute. Returns how much still is.

        After a restart this is what sends again, and replaces what is stuck.

        Raises:
            bitsnode.ledger.errors.RpcError: the chain does not answer.
        """
        waiting = 0
        for submission in await self._run(self._journal.open):
            intent = _intent(submission.message)
            try:
                await self._send(submission)
                mined = await self._ledger.wait(intent, self.isolation, 0.0)
                final = await self._ledger.block_number("finalized", self.isolation)
            except NotMined:
                waiting += 1
            except TransactionReplaced:
                await self._settle(submission, False)
            except (WouldRevert, VouchersRefused, RelayError):
                continue  # it was never signed, and is dropped
            else:
                if mined.block > final:  # a reorganisation may still take it out
                    waiting += 1
                else:
                    await self._settle(submission, mined.succeeded)
        return waiting

    async def least_price(self) -> int:
        """Return the least wei per gas of now and of the terms that still hold.

        Raises:
            bitsnode.ledger.errors.LedgerError: the chain does not answer.
        """
        now = self._clock.seconds()
        prices = [price for at, price in self._named if at > now - TERMS_SECONDS]
        return min([*prices, await self._gas_price()])

    async def _check(self, redemption: Redemption, count: int, data: bytes) -> None:
        """Refuse what would not pay, or would fail."""
        if redemption.deadline < self._clock.seconds() + LEAST_SECONDS:
            raise DeadlineNear
        least = await self.least_price()
        if redemption.fee < least * (REDEEM_GAS + MORE_GAS * (count - 1)):
            raise RelayFeeTooLow
        try:
            call = Call(self._contract, 0, data)
            await self._ledger.quote(self._key.address, call, self.isolation)
        except WouldRevert as error:
            raise _explained(error) from error

    async def _send(self, submission: Submission) -> Submitted:
        intent = _intent(submission.message)
        call = Call(self._contract, 0, submission.call)
        try:
            sent = await self._ledger.send(
                self._key, intent, call, self.isolation, submission.fee_limit
            )
        except Exception as error:
            if not await self._ledger.knows(intent):
                await self._run(lambda: self._journal.drop(submission.message))
            if isinstance(error, WouldRevert):
                raise _explained(error) from error
            if isinstance(error, FeeTooHigh):
                raise RelayFeeTooLow from error
            if isinstance(error, InsufficientFunds):
                raise RelayPoor from error
            raise
        return Submitted(bytes.fromhex(sent.transaction_hash[2:]))

    async def _settle(self, submission: Submission, redeemed: bool) -> None:
        await self._run(lambda: self._journal.settle(submission.message, redeemed))

    async def _gas_price(self) -> int:
        """Return wei per gas, at most a minute old."""
        now = self._clock.seconds()
        if now > self._priced_at + QUOTE_SECONDS:
            call = Call(self._key.address)
            fee = await self._ledger.quote(self._key.address, call, self.isolation)
            self._price, self._priced_at = fee.max_fee, now
        return self._price


def _intent(message: bytes) -> str:
    return f"relay-{message.hex()}"


def _explained(error: WouldRevert) -> WouldRevert | VouchersRefused:
    return refusal(error.data) or error

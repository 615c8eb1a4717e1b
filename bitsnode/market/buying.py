"""Carrying a purchase from fact to fact: each is written down before the next thing is done.

The order is the whole safety. What was drawn is on the disk before a proof is made of it, the
proof before anybody gets it, and that it is about to be sent before it is sent. All attempts send
the same redemption, whose message names no relay, so the chain takes it once; and a voucher is
given back only when the chain is past the deadline without it.
"""

import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import attrs
import nacl.signing
from twisted.internet.defer import Deferred

from bitsnode.codec.keys import whitening_commitment
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.ledger.redeem import Prepared
from bitsnode.ledger.redemption import NOBODY, Redemption, address_text, message_of
from bitsnode.ledger.wallet.voucher_values import Ticket
from bitsnode.market.collecting import Collecting
from bitsnode.market.errors import OfferError, WrongSecret, WrongWhitening
from bitsnode.market.offer import SignedOffer
from bitsnode.market.offer_record import best_offer, offer_key
from bitsnode.market.purchase import Purchase, Step, Story
from bitsnode.market.purchase_errors import (
    Cancelled,
    NeedsPassword,
    NoOffer,
    NoRelay,
    NotConfirmed,
    OfferChanged,
    PurchaseError,
    TooLateToCancel,
    VoucherTaken,
)
from bitsnode.market.purchase_facts import (
    Cheated,
    Dropped,
    Fact,
    Failed,
    Fraud,
    Lied,
    Opened,
    Proved,
    Reason,
    Released,
    Reserved,
    Seen,
    Sent,
    Settled,
    ShareCame,
)
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.purchase_needs import RelayFound, Tools, pause
from bitsnode.market.purchase_progress import (
    HolderLied,
    InBlock,
    KeyShareCame,
    OnEvent,
    ProofMade,
    Proving,
    RelayFailed,
    Reorganised,
    Submitting,
    Terms,
    Waiting,
)
from bitsnode.market.receipt import Receipt, tag_of
from bitsnode.market.shares import combine, open_whitening
from bitsnode.wire.card import HOUR
from onion.isolation import Isolation
from zk.stealth import DegenerateKeys, InvalidPrivateKey, StealthPayment, generate

REDEEM_SECONDS: Final = 6 * HOUR  # to submit it; rounded up to a whole hour, which shows no clock
LAST_SECONDS: Final = 60  # before the deadline in which nothing is sent any more
RELAY_SECONDS: Final = 180.0  # for one relay to bring it into a block
LOOK_SECONDS: Final = 5.0  # between looks at the chain
RETRY_SECONDS: Final = 30.0  # after the chain, or all relays, failed
RELEASE_SECONDS: Final = 600.0  # between attempts to give a voucher back
RELAYS_WANTED: Final = 2  # whose fee is paid, so that one may fail

Confirm = Callable[[Terms], Awaitable[bool]]


@attrs.frozen
class Consent:
    """What the buyer allows.

    Attributes:
        confirm: shown the terms; what it returns decides.
        password: of the wallet.
        own_relay: if no relay does it, it may be submitted from an account of one's own, which
            shows on the chain who bought something.
    """

    confirm: Confirm
    password: str = attrs.field(repr=False)
    own_relay: bool = False


def payment_of(signed: SignedOffer, reserved: Reserved) -> tuple[Redemption, bytes]:
    """Return the redemption of a purchase, and the public key of its receipt: always the same."""
    payment = generate(signed.offer.meta_address, reserved.ephemeral)
    public_key = bytes(nacl.signing.SigningKey(reserved.receipt_seed).verify_key)
    redemption = Redemption(
        payee=bytes.fromhex(payment.stealth_address.removeprefix("0x")),
        ephemeral_public_key=payment.ephemeral_public_key,
        view_tag=payment.view_tag,
        tag=tag_of(signed.hash, public_key, reserved.salt),
        relayer=NOBODY,  # whoever submits it, so that another one may after the first
        fee=reserved.fee,
        deadline=reserved.deadline,
    )
    return redemption, public_key


class Buying:
    """One purchase under way.

    Args:
        tools: of the node.
        journal: where its facts are.
        name: id of the purchase, 16 bytes.
        purchase: as far as it is written down.
        on_event: told of progress.
        consent: of the buyer; None when it is taken up without them.

    Attributes:
        outcome: fires with the story once the content is opened, or the purchase has failed; then
            a voucher may still wait to be given back.
    """

    def __init__(
        self,
        tools: Tools,
        journal: PurchaseJournal,
        name: bytes,
        purchase: Purchase,
        on_event: OnEvent,
        consent: Consent | None = None,
    ) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._journal = journal
        self._name = name
        self._purchase = purchase
        self._on_event = on_event
        self.consent = consent
        self.outcome: Deferred[Story] = Deferred()
        self.failure: BitsError | None = None
        self._isolation = Isolation.fresh("purchase")
        self._ticket: Ticket | None = None
        self._handed: tuple[Sent, float] | None = None  # what this process sent, and when
        self._collecting: Collecting | None = None
        self._cancelled = False
        self._steps: dict[Step, Callable[[], Coroutine[Any, Any, Fact]]] = {
            Step.RESERVE: self._reserve,
            Step.PROVE: self._prove,
            Step.SUBMIT: self._submit,
            Step.WATCH: self._watch,
            Step.CONFIRM: self._confirm,
            Step.COLLECT: self._collect,
            Step.RELEASE: self._release,
        }

    @property
    def story(self) -> Story:
        """What is known of it."""
        return self._purchase.story

    async def run(self) -> None:
        """Go on until there is nothing to do.

        Raises:
            NeedsPassword: it can go on only with the buyer.
            bitsnode.errors.BitsError: the proof could not be made; it can be taken up again.
        """
        try:
            self._tell_outcome()
            while self._purchase.step is not Step.DONE:
                await self._note(await self._steps[self._purchase.step]())
        finally:
            if self._collecting is not None:
                self._collecting.stop()

    def cancel(self) -> None:
        """Give it up, if nothing was sent.

        Raises:
            TooLateToCancel: it was.
        """
        if self.story.sent or self.story.failed:
            raise TooLateToCancel
        self._cancelled = True

    async def _note(self, fact: Fact) -> None:
        try:
            await self._tools.run(lambda: self._journal.note(self._name, fact))
        except VoucherTaken as error:
            self.failure = error
            fact = Failed(Reason.CANCELLED)
            await self._tools.run(lambda: self._journal.note(self._name, fact))
        self._purchase.feed(fact)
        self._tell(fact)
        self._tell_outcome()

    def _tell(self, fact: Fact) -> None:
        offer = self._offer.offer
        match fact:
            case Seen():
                self._on_event(InBlock(fact.block, final=False))
            case Settled():
                self._on_event(InBlock(fact.block, final=True))
            case Dropped():
                self._on_event(Reorganised())
            case ShareCame():
                count = len(self.story.shares)
                self._on_event(KeyShareCame(fact.index, count, offer.threshold))
            case Lied():
                self._on_event(HolderLied(fact.index, offer.holders[fact.index - 1].onion_key))

    def _tell_outcome(self) -> None:
        story = self.story
        if (story.opened or story.failed or story.cheated) and not self.outcome.called:
            self.outcome.callback(story)

    # What is known

    @property
    def _offer(self) -> SignedOffer:
        if self.story.offer is None:
            raise RuntimeError("a purchase begins with its offer")
        return self.story.offer

    @property
    def _reserved(self) -> Reserved:
        if self.story.reserved is None:
            raise RuntimeError("nothing is reserved yet")
        return self.story.reserved

    def _ticket_of(self, reserved: Reserved) -> Ticket:
        denomination = self._offer.offer.denomination
        return Ticket(reserved.ticket, reserved.voucher, denomination, self._name.hex())

    def _prepared(self) -> Prepared:
        redemption, _public_key = payment_of(self._offer, self._reserved)
        offer, spends = self._offer.offer, self.story.spends
        message = message_of(
            offer.chain_id,
            address_text(offer.vouchers),
            redemption,
            [spend.group for spend in spends],
            [spend.nullifier for spend in spends],
        )
        return Prepared(message, redemption, spends)

    def receipt(self) -> Receipt:
        """Return what proves the purchase."""
        redemption, public_key = payment_of(self._offer, self._reserved)
        return Receipt.of(
            redemption,
            tuple(spend.group for spend in self.story.spends),
            tuple(spend.nullifier for spend in self.story.spends),
            ephemeral_private_key=self._reserved.ephemeral,
            offer_hash=self._offer.hash,
            public_key=public_key,
            salt=self._reserved.salt,
        )

    # Before anything is sent

    async def _reserve(self) -> Fact:
        if self.consent is None:
            return Failed(Reason.NOT_CONFIRMED)
        try:
            return await self._agree(self.consent)
        except BitsError as error:  # nothing was sent; why is what the buyer wants to know
            self.failure = error
            changed = isinstance(error, OfferChanged)
            return Failed(Reason.OFFER_CHANGED if changed else Reason.CANCELLED)

    async def _agree(self, consent: Consent) -> Reserved:
        offer = self._offer.offer
        relays = await self._tools.relays.find(offer.fee_limit, self._isolation)
        if not relays and not (consent.own_relay and self._tools.own_relay):
            raise NoRelay
        ticket = await self._tools.vouchers.reserve(offer.denomination, self._name.hex())
        self._ticket = ticket
        terms = await self._terms(ticket, relays)
        self._on_event(terms)
        if self._cancelled or not await consent.confirm(terms):
            raise NotConfirmed
        await self._check_unchanged()
        return self._drawn(ticket, terms.fee)

    async def _terms(self, ticket: Ticket, relays: list[RelayFound]) -> Terms:
        voucher = await self._tools.vouchers.voucher(ticket)
        signed, now = self._offer, self._clock.seconds()
        fees = sorted(relay.fee for relay in relays)
        fee = fees[min(RELAYS_WANTED, len(fees)) - 1] if fees else 0
        return Terms(
            content=signed.offer.content,
            offer_hash=signed.hash,
            price=signed.offer.price,
            fee=fee,
            valid_until=signed.offer.valid_until,
            crowd=voucher.crowd,
            voucher_blocks=voucher.age,
            voucher_seconds=None if voucher.bought_at is None else now - voucher.bought_at,
            relays=sum(1 for each in fees if each <= fee),
            threshold=signed.offer.threshold,
            holders=len(signed.offer.holders),
        )

    def _drawn(self, ticket: Ticket, fee: int) -> Reserved:
        ephemeral, _payment = draw_payment(self._offer)
        until = int(self._clock.seconds()) + REDEEM_SECONDS
        until += -until % HOUR
        return Reserved(
            ticket=ticket.name,
            voucher=ticket.index,
            ephemeral=ephemeral,
            receipt_seed=secrets.token_bytes(32),
            salt=secrets.token_bytes(32),
            fee=fee,
            # so that the contract itself refuses what the key holders would not honour
            deadline=min(until, self._offer.offer.valid_until),
        )

    async def _check_unchanged(self) -> None:
        """See that the publisher has no newer offer than the one that was shown.

        Raises:
            OfferChanged: there is one, or this one cannot be paid any more.
        """
        signed = self._offer
        offer, now = signed.offer, self._clock.seconds()
        records = await self._tools.records.get_records(offer_key(offer.content), self._isolation)
        try:
            found = best_offer(
                offer.content, offer.publisher, records, self._tools.market, now
            ).signed
        except NoOffer:
            return  # nobody says otherwise, and what is signed is honoured
        except OfferError as error:
            raise OfferChanged from error
        if found.hash != signed.hash and found.offer.valid_from >= offer.valid_from:
            raise OfferChanged

    async def _prove(self) -> Fact:
        failed = self._given_up()
        if failed is not None:
            return failed
        if self.consent is None:
            raise NeedsPassword
        begun = self._clock.seconds()
        self._on_event(Proving())
        redemption, _public_key = payment_of(self._offer, self._reserved)
        ticket = self._ticket_of(self._reserved)
        prepared = await self._tools.proofs.prepare(ticket, redemption, self.consent.password)
        if prepared.redemption != redemption or len(prepared.spends) != 1:
            raise PurchaseError("The wallet proved another payment; this is a bug in bits.")
        self._on_event(ProofMade(self._clock.seconds() - begun))
        return Proved(tuple(spend.encode() for spend in prepared.spends))

    def _given_up(self) -> Failed | None:
        """Why nothing is to be sent, if nothing was sent before."""
        if self._cancelled:
            return Failed(Reason.CANCELLED)
        if not self._in_time():
            return Failed(Reason.EXPIRED)
        return None

    def _in_time(self) -> bool:
        return self._clock.seconds() <= self._reserved.deadline - LAST_SECONDS

    # Sending

    async def _submit(self) -> Fact:
        """Choose who submits it first."""
        while (failed := self._given_up()) is None:
            try:
                await self._check_unchanged()
                relay = await self._choose()
            except OfferChanged as error:
                self.failure = error
                return Failed(Reason.OFFER_CHANGED)
            except BitsError as error:
                await self._wait(str(error), RETRY_SECONDS)
                continue
            if relay is not None:
                return Sent(relay, int(self._clock.seconds()))
            await self._wait(str(NoRelay()), RETRY_SECONDS)
        return failed

    async def _choose(self) -> bytes | None:
        """Return who is to submit it now: a relay not tried yet, oneself, or the one tried first.

        None if there is nobody.
        """
        tried = [sent.relay for sent in self.story.sent]
        found = await self._tools.relays.find(self._reserved.fee, self._isolation)
        for relay in found:
            if relay.onion_key not in tried:
                return relay.onion_key
        if self._may_submit() and (not found or b"" not in tried[-len(found) :]):
            return b""
        return min((relay.onion_key for relay in found), key=_last_in(tried), default=None)

    def _may_submit(self) -> bool:
        return bool(self._tools.own_relay and self.consent and self.consent.own_relay)

    async def _watch(self) -> Fact:
        """Send it, and look for it in the chain; after a while, let another one send it."""
        while True:
            try:
                fact = await self._look()
                if fact is None and self._in_time():
                    fact = await self._push()
            except BitsError as error:
                await self._wait(str(error), RETRY_SECONDS)
                continue
            if fact is not None:
                self._handed = None if isinstance(fact, Seen) else self._handed
                return fact
            await pause(self._clock, LOOK_SECONDS)

    async def _push(self) -> Fact | None:
        """Send it if this process did not; choose another one if that took too long."""
        last, now = self.story.sent[-1], self._clock.seconds()
        if self._handed is None or self._handed[0] is not last:
            self._handed = (last, now)
            if await self._hand_over(last):
                return None
        elif now - self._handed[1] < RELAY_SECONDS:
            return None
        else:
            self._on_event(RelayFailed(last.relay, "It is not in the chain in time."))
        relay = await self._choose()
        if relay is None:
            raise NoRelay
        if relay == last.relay:
            await pause(self._clock, RETRY_SECONDS)
        return Sent(relay, int(self._clock.seconds()))

    async def _hand_over(self, sent: Sent) -> bool:
        """Send it as was written down; whether it was taken."""
        self._on_event(Submitting(sent.relay, len(self.story.sent)))
        prepared = self._prepared()
        try:
            if sent.relay:
                await self._tools.relays.submit(
                    sent.relay, prepared.redemption, prepared.spends, self._isolation
                )
            elif self._tools.own_relay is not None and self.consent is not None:
                await self._tools.own_relay.submit(prepared, self.consent.password)
        except BitsError as error:
            self._on_event(RelayFailed(sent.relay, str(error)))
            return False
        return True

    # The chain

    async def _look(self) -> Fact | None:
        """Return what is new in the chain."""
        chain, deadline = self._tools.chain, self._reserved.deadline
        over = self._clock.seconds() > deadline and await chain.settled_until() > deadline
        (spend,) = self.story.spends
        found, seen = await chain.look(spend.group, spend.nullifier), self.story.seen
        if found is not None and found.message != self._prepared().message:
            return Failed(Reason.SPENT_ELSEWHERE) if found.final else None
        if found is None and over:
            return Failed(Reason.EXPIRED)
        if found is None:
            return Dropped() if seen else None
        if found.final:
            return Settled(found.block, found.transaction)
        if seen is None or (seen.block, seen.transaction) != (found.block, found.transaction):
            return Seen(found.block, found.transaction)
        return None

    async def _confirm(self) -> Fact:
        """Wait until it is final, or gone."""
        while True:
            try:
                fact = await self._look()
            except BitsError as error:
                await self._wait(str(error), RETRY_SECONDS)
                continue
            if fact is not None:
                return fact
            await pause(self._clock, LOOK_SECONDS)

    # The key

    async def _collect(self) -> Fact:
        story, offer = self.story, self._offer.offer
        if len(story.shares) >= offer.threshold:
            return self._open()
        if self._collecting is None:
            receipt = self.receipt()

            async def ask(index: int) -> bytes:
                seed = self._reserved.receipt_seed
                return await self._tools.holders.ask(self._offer, index, receipt, seed)

            settled = {*story.shares, *story.liars}
            self._collecting = Collecting(self._clock, ask, offer, settled, self._on_event)
        return await self._collecting.next(offer.threshold - len(story.shares))

    def _open(self) -> Fact:
        offer, quoted = self._offer.offer, self.story.quoted
        try:
            secret = combine(offer, self.story.shares)
            whitening = open_whitening(secret, offer.sealed_whitening)
        except WrongSecret:
            return Cheated(Fraud.WRONG_SECRET)
        except WrongWhitening:
            return Cheated(Fraud.WRONG_WHITENING)
        if quoted is None or whitening_commitment(whitening) != quoted.whitening_commitment:
            return Cheated(Fraud.WRONG_WHITENING)
        return Opened(secret, whitening)

    # The end

    async def _release(self) -> Fact:
        """Give the voucher back; the wallet refuses while a proof of it may still land."""
        while True:
            try:
                ticket = self._ticket
                if self.story.reserved is not None:
                    ticket = self._ticket_of(self.story.reserved)
                if ticket is None:  # it may have been reserved just before a crash
                    ticket = await self._tools.vouchers.reserve(
                        self._offer.offer.denomination, self._name.hex()
                    )
                await self._tools.vouchers.release(ticket)
            except BitsError as error:
                await self._wait(str(error), RELEASE_SECONDS)
                continue
            return Released()

    async def _wait(self, reason: str, seconds: float) -> None:
        self._on_event(Waiting(reason, seconds))
        await pause(self._clock, seconds)


def draw_payment(signed: SignedOffer) -> tuple[bytes, StealthPayment]:
    """Draw r (32 bytes) and the one-time address that it makes of the creator's."""
    while True:
        ephemeral = secrets.token_bytes(32)
        try:
            return ephemeral, generate(signed.offer.meta_address, ephemeral)
        except (DegenerateKeys, InvalidPrivateKey):
            continue


def content_of(signed: SignedOffer) -> ContentId:
    """Return the name of what an offer sells."""
    return ContentId(signed.offer.content)


def _last_in(tried: list[bytes]) -> Callable[[bytes], int]:
    def last(relay: bytes) -> int:
        return max((place for place, each in enumerate(tried) if each == relay), default=-1)

    return last


def reason_of(failed: Failed) -> BitsError:
    """Return the error that tells a person why a purchase failed."""
    from bitsnode.market import purchase_errors as errors

    return {
        Reason.NOT_CONFIRMED: errors.NotConfirmed,
        Reason.OFFER_CHANGED: OfferChanged,
        Reason.CANCELLED: Cancelled,
        Reason.EXPIRED: errors.PaymentExpired,
        Reason.SPENT_ELSEWHERE: errors.SpentElsewhere,
    }.get(failed.reason, Cancelled)()

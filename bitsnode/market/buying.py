"""Carrying a purchase from fact to fact: each is written down before the next thing is done.

The order is the whole safety. What was drawn is on the disk before a proof is made of it, the
proof before anybody gets it, and that it is about to be sent before it is sent. A voucher is given
back only when nothing was sent, or the chain is past the deadline without it.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from bitsnode.codec.keys import whitening_commitment
from bitsnode.ledger.wallet.errors import NoVoucher, VoucherTooYoung
from bitsnode.ledger.wallet.voucher_values import Ticket
from bitsnode.market.agreeing import Agreeing, Consent
from bitsnode.market.collecting import Collecting
from bitsnode.market.errors import WrongSecret, WrongWhitening
from bitsnode.market.payment import receipt_of, redemption_of
from bitsnode.market.purchase import Purchase, Step, Story
from bitsnode.market.purchase_errors import (
    NeedsPassword,
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
    Seen,
    Settled,
    ShareCame,
)
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.purchase_needs import TROUBLES, Tools, Trouble, pause
from bitsnode.market.purchase_progress import (
    HolderLied,
    InBlock,
    KeyShareCame,
    OnEvent,
    ProofMade,
    Proving,
    Reorganised,
    Waiting,
)
from bitsnode.market.sending import Sending
from bitsnode.market.shares import combine, open_whitening
from onion.isolation import Isolation

RELEASE_SECONDS: Final = 600.0  # between attempts to give a voucher back


class Buying:
    """One purchase under way.

    Args:
        tools: of the node.
        journal: where its facts are.
        name: id of the purchase, 16 bytes.
        purchase: as far as it is written down.
        on_event: told of progress.
        on_known: called once it is known how it ends, when a voucher may still wait to be given
            back.

    Attributes:
        purchase: as far as it is written down.
    """

    def __init__(
        self,
        tools: Tools,
        journal: PurchaseJournal,
        name: bytes,
        purchase: Purchase,
        on_event: OnEvent,
        on_known: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._journal = journal
        self._name = name
        self._on_event = on_event
        self._on_known = on_known
        self.purchase = purchase
        isolation = Isolation.fresh("relay")
        self._agreeing = Agreeing(tools, isolation, on_event)
        self._sending = Sending(tools, purchase.story, isolation, on_event)
        self._ticket: Ticket | None = None
        self._collecting: Collecting | None = None
        self._steps: dict[Step, Callable[[], Coroutine[Any, Any, Fact]]] = {
            Step.RESERVE: self._reserve,
            Step.PROVE: self._prove,
            Step.SUBMIT: self._sending.choose,
            Step.WATCH: self._sending.watch,
            Step.CONFIRM: self._sending.watch,
            Step.COLLECT: self._collect,
            Step.RELEASE: self._release,
        }

    @property
    def story(self) -> Story:
        """What is known of it."""
        return self.purchase.story

    @property
    def failure(self) -> Trouble | None:
        """Why it failed, if that is known better than its facts say."""
        return self._sending.failure

    @property
    def consent(self) -> Consent | None:
        """Of the buyer, if they are there."""
        return self._sending.consent

    @consent.setter
    def consent(self, consent: Consent) -> None:
        self._sending.consent = consent

    async def run(self) -> None:
        """Go on until there is nothing to do.

        Raises:
            NeedsPassword: it can go on only with the buyer.
            bitsnode.errors.BitsError: the proof could not be made; it can be taken up again.
        """
        try:
            while self.purchase.step is not Step.DONE:
                await self._note(await self._steps[self.purchase.step]())
        finally:
            if self._collecting is not None:
                self._collecting.stop()

    def cancel(self) -> None:
        """Give it up, if nothing was sent.

        Raises:
            TooLateToCancel: it was.
        """
        if self.story.sent or self.story.known:
            raise TooLateToCancel
        self._sending.cancelled = True

    async def _note(self, fact: Fact) -> None:
        try:
            await self._tools.run(lambda: self._journal.note(self._name, fact))
        except VoucherTaken as error:
            self._sending.failure = error
            fact = Failed(Reason.CANCELLED)
            await self._tools.run(lambda: self._journal.note(self._name, fact))
        known = self.story.known
        self.purchase.feed(fact)
        self._tell(fact)
        if self.story.known and not known:
            self._on_known()

    def _tell(self, fact: Fact) -> None:
        offer = self.story.signed.offer
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

    # Before anything is sent

    async def _reserve(self) -> Fact:
        consent = self.consent
        if consent is None:  # cut short before the buyer said yes
            return Failed(Reason.NOT_CONFIRMED)
        try:
            self._ticket = await self._reserve_voucher()
            reserved = await self._agreeing.agree(self.story.signed, self._ticket, consent)
        except TROUBLES as error:  # nothing was sent; why is what the buyer wants to know
            self._sending.failure = error
            changed = isinstance(error, OfferChanged)
            return Failed(Reason.OFFER_CHANGED if changed else Reason.CANCELLED)
        return Failed(Reason.CANCELLED) if self._sending.cancelled else reserved

    async def _reserve_voucher(self) -> Ticket:
        """Return the voucher of this purchase: the same one, however often it is asked for."""
        denomination = self.story.signed.offer.denomination
        return await self._tools.vouchers.reserve(denomination, self._name.hex())

    async def _prove(self) -> Fact:
        failed, consent = self._sending.given_up(), self.consent
        if failed is not None:
            return failed
        if consent is None:
            raise NeedsPassword
        begun = self._clock.seconds()
        self._on_event(Proving())
        redemption = redemption_of(self.story.signed, self.story.agreed)
        prepared = await self._tools.proofs.prepare(
            self._ticket_held(), redemption, password=consent.password
        )
        if prepared.redemption != redemption or len(prepared.spends) != 1:
            raise PurchaseError("The wallet proved another payment; this is a bug in bits.")
        self._on_event(ProofMade(self._clock.seconds() - begun))
        if not consent.own_relay:
            self._sending.consent = None  # the password is not needed any more
        return Proved(tuple(spend.encode() for spend in prepared.spends))

    def _ticket_held(self) -> Ticket:
        reserved, denomination = self.story.agreed, self.story.signed.offer.denomination
        return Ticket(reserved.ticket, reserved.voucher, denomination, self._name.hex())

    # The key

    async def _collect(self) -> Fact:
        story, offer = self.story, self.story.signed.offer
        if len(story.shares) >= offer.threshold:
            return self._open()
        if self._collecting is None:
            receipt, seed = receipt_of(story), story.agreed.receipt_seed

            async def ask(index: int) -> bytes:
                return await self._tools.holders.ask(story.signed, index, receipt, seed)

            settled = {*story.shares, *story.liars}
            self._collecting = Collecting(self._clock, ask, offer, settled, self._on_event)
        return await self._collecting.next(offer.threshold - len(story.shares))

    def _open(self) -> Fact:
        offer, quoted = self.story.signed.offer, self.story.quoted
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
                if self.story.reserved is not None:
                    ticket = self._ticket_held()
                else:  # it may have been reserved just before a crash
                    ticket = self._ticket or await self._reserve_voucher()
                await self._tools.vouchers.release(ticket)
            except (NoVoucher, VoucherTooYoung):
                return Released()  # then this purchase has none
            except TROUBLES as error:
                self._on_event(Waiting(str(error), RELEASE_SECONDS))
                await pause(self._clock, RELEASE_SECONDS)
            else:
                return Released()

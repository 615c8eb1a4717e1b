"""Buying for the rest of the node, and the library of what was bought."""

import secrets
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.codec.link import Link
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.market.agreeing import Consent
from bitsnode.market.buying import Buying
from bitsnode.market.library import Bought, InVain, UnderWay, bought_of, in_vain_of, under_way_of
from bitsnode.market.offer_record import best_offer, offer_key
from bitsnode.market.payment import complaint_of
from bitsnode.market.purchase import Purchase, Step, Story
from bitsnode.market.purchase_errors import (
    Cancelled,
    NeedsPassword,
    NotBought,
    NotConfirmed,
    NotPaid,
    OfferChanged,
    PaymentExpired,
    PublisherCheated,
    SpentElsewhere,
    TooLateToCancel,
    UnknownPurchase,
)
from bitsnode.market.purchase_facts import Quoted, Reason
from bitsnode.market.purchase_journal import ID_SIZE, PurchaseJournal
from bitsnode.market.purchase_needs import TROUBLES, Tools, Trouble
from bitsnode.market.purchase_progress import LookingForOffer, OnEvent, TakenUp
from bitsnode.market.purchase_run import PurchaseRun
from onion.isolation import Isolation

_log = Logger()
_ERRORS: Final = {
    Reason.NOT_CONFIRMED: NotConfirmed,
    Reason.OFFER_CHANGED: OfferChanged,
    Reason.CANCELLED: Cancelled,
    Reason.EXPIRED: PaymentExpired,
    Reason.SPENT_ELSEWHERE: SpentElsewhere,
}


class Purchases:
    """All purchases of a node.

    A purchase goes on when whoever asked for it goes away; `stop` ends only this process's part.

    Args:
        tools: of the node.
        journal: of all purchases.
    """

    def __init__(self, tools: Tools, journal: PurchaseJournal) -> None:
        self._tools = tools
        self._journal = journal
        self._running: dict[bytes, PurchaseRun] = {}
        self._locks: dict[bytes, DeferredLock] = {}
        self._starting = DeferredLock()  # so that none is started twice, or from what it was before

    async def take_up(self) -> int:
        """Go on with all that was cut short; return how many there are. At each start, and hourly.

        What needs the buyer's password waits for it; its voucher is given back in time.

        Raises:
            bitsnode.errors.BitsError: the journal cannot be read.
        """
        names = await self._tools.run(lambda: self._journal.purchases(under_way=True))
        for name in names:
            await self._resume(name)
        return len(names)

    async def stop(self) -> None:
        """End all that runs; it is taken up at the next start."""
        for running in list(self._running.values()):
            running.task.cancel()

    async def buy(self, content_id: ContentId, consent: Consent, on_event: OnEvent) -> Bought:
        """Buy a content, or go on with its purchase, or return it if it was bought before.

        Args:
            content_id: what to buy.
            consent: of the buyer, who is asked when the terms are known.
            on_event: told of progress.

        Raises:
            NoOffer, OfferError: there is nothing to pay for.
            PurchaseError: nothing was paid, or the publisher cheated; one class per cause.
            bitsnode.errors.BitsError: a room below failed; nothing is lost, and `buy` goes on.
        """
        lock = self._locks.setdefault(content_id.digest, DeferredLock())
        await lock.acquire()  # two at the same time are one purchase
        try:
            name = await self._find(content_id)
            if name is None:
                running = await self._begin(content_id, consent, on_event)
            else:
                running = await self._resume(name, consent, on_event)
        finally:
            lock.release()
        try:
            story = await running.wait()
        finally:
            running.forget(on_event)
        return _result(running.name, story, running.buying.failure)

    async def cancel(self, content_id: ContentId) -> None:
        """Give the purchase of a content up, of which nothing was sent; its voucher is given back.

        Raises:
            UnknownPurchase: there is none under way.
            TooLateToCancel: the payment may be on its way.
        """
        await self._starting.acquire()
        try:
            name = await self._find(content_id)
            if name is None:
                raise UnknownPurchase
            running = self._running.get(name)
            if running is not None:
                running.buying.cancel()
            else:  # it would stop at once for want of the password if it were not cancelled first
                running = self._start(name, await self._load(name), None, cancelled=True)
        finally:
            self._starting.release()
        if (await running.wait()).failed is None:  # it was just being written down that it is sent
            raise TooLateToCancel

    # The library

    async def library(self) -> list[Bought]:
        """Return what was bought, the oldest first."""
        found = [bought_of(name, story) for name, story in await self._stories() if story.opened]
        return sorted(found, key=lambda bought: bought.bought_at)

    async def under_way(self) -> list[UnderWay]:
        """Return the purchases that are not at their end, and the content they are of."""
        names = await self._tools.run(lambda: self._journal.purchases(under_way=True))
        return [under_way_of(name, await self._load(name)) for name in names]

    async def link(self, content_id: ContentId) -> Link:
        """Return what opens a content that was bought.

        Raises:
            NotBought: it was not.
        """
        for bought in await self.library():
            if bought.content_id == content_id:
                return bought.link
        raise NotBought

    async def in_vain(self) -> list[InVain]:
        """Return the purchases that were paid and whose publisher cheated."""
        return [in_vain_of(story) for _name, story in await self._stories() if story.cheated]

    async def complaint(self, content_id: ContentId, text: str) -> bytes:
        """Return a complaint about a purchase, to be published: it shows what was bought.

        Args:
            content_id: what was bought.
            text: in the buyer's words, at most 1024 bytes of UTF-8.

        Raises:
            NotPaid: nothing was paid for it.
            ComplaintTooLong: the text is.
        """
        paid = [
            story
            for _name, story in await self._stories()
            if story.settled is not None and story.signed.offer.content == content_id.digest
        ]
        if not paid:
            raise NotPaid
        story = max(paid, key=lambda each: each.cheated is not None)
        return complaint_of(story, text, self._tools.clock.seconds())

    # Inside

    async def _load(self, name: bytes) -> Purchase:
        facts = await self._tools.run(lambda: self._journal.facts(name))
        if not facts:
            raise UnknownPurchase
        return Purchase(facts)

    async def _stories(self) -> list[tuple[bytes, Story]]:
        names = await self._tools.run(self._journal.purchases)
        return [(name, (await self._load(name)).story) for name in names]

    async def _find(self, content_id: ContentId) -> bytes | None:
        """Return the purchase of a content that succeeded, or else one that may still."""
        going = None
        for name in await self._tools.run(self._journal.purchases):
            running = self._running.get(name)
            purchase = running.buying.purchase if running else await self._load(name)
            story = purchase.story
            if story.signed.offer.content != content_id.digest:
                continue
            if story.opened is not None:
                return name
            # one that was cut short before the buyer said yes is over
            if not story.known and (running is not None or purchase.step is not Step.RESERVE):
                going = name
        return going

    async def _begin(
        self, content_id: ContentId, consent: Consent, on_event: OnEvent
    ) -> PurchaseRun:
        on_event(LookingForOffer())
        tools, isolation = self._tools, Isolation.fresh("offer")
        content = content_id.digest
        manifest = await tools.manifests.manifest(content_id, isolation)
        records = await tools.records.get_records(offer_key(content), isolation)
        now = tools.clock.seconds()
        found = best_offer(content, manifest.publisher, records, tools.market, now)
        if consent.offer_hash not in (None, found.signed.hash):
            raise OfferChanged
        fact = Quoted(found.signed.data, manifest.whitening_commitment, int(now))
        name = secrets.token_bytes(ID_SIZE)
        await self._starting.acquire()
        try:
            await tools.run(lambda: self._journal.begin(name, fact))
            return self._start(name, Purchase([fact]), consent, on_event)
        finally:
            self._starting.release()

    async def _resume(
        self, name: bytes, consent: Consent | None = None, *listeners: OnEvent
    ) -> PurchaseRun:
        """Return the run of a purchase, which is started if it does not run."""
        await self._starting.acquire()
        try:
            running = self._running.get(name)
            if running is None:
                return self._start(name, await self._load(name), consent, *listeners)
        finally:
            self._starting.release()
        running.listeners += listeners
        if consent is not None and running.buying.consent is None:
            running.buying.consent = consent
        return running

    def _start(
        self,
        name: bytes,
        purchase: Purchase,
        consent: Consent | None,
        *listeners: OnEvent,
        cancelled: bool = False,
    ) -> PurchaseRun:
        running = PurchaseRun(name, listeners)
        running.buying = Buying(
            self._tools, self._journal, name, purchase, running.tell, running.settle
        )
        if consent is not None:
            running.buying.consent = consent
        if cancelled:
            running.buying.cancel()
        if purchase.step not in (Step.RESERVE, Step.DONE):
            running.tell(TakenUp(purchase.step.value))
        self._running[name] = running
        running.task = Deferred.fromCoroutine(running.buying.run())
        running.task.addBoth(self._ended, name, running)
        return running

    def _ended(self, result: object, name: bytes, running: PurchaseRun) -> None:
        if self._running.get(name) is running:
            del self._running[name]
        if isinstance(result, Failure):
            waited = running.fail(result)
            if not waited and not isinstance(result.value, CancelledError | NeedsPassword):
                _log.warn("A purchase cannot go on now: {reason}", reason=_words_of(result))


def _result(name: bytes, story: Story, failure: Trouble | None) -> Bought:
    if story.opened is not None:
        return bought_of(name, story)
    if story.cheated is not None:
        raise PublisherCheated
    if failure is not None:
        raise failure
    raise _reason_of(story)


def _reason_of(story: Story) -> BitsError:
    """Return the error that tells a person why a purchase failed."""
    reason = story.failed.reason if story.failed else Reason.CANCELLED
    return _ERRORS.get(reason, Cancelled)()


def _words_of(failure: Failure) -> str:
    """Return what may be logged of a failure: the text of ours, the kind of all others."""
    error = failure.value
    return str(error) if isinstance(error, TROUBLES) else type(error).__name__

"""Buying for the rest of the node, and the library of what was bought."""

import secrets
from collections.abc import Iterable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.codec.link import Link
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.market.agreeing import Consent
from bitsnode.market.buying import Buying
from bitsnode.market.library import Bought, UnderWay, bought_of, under_way_of
from bitsnode.market.offer_record import best_offer, offer_key
from bitsnode.market.payment import receipt_of
from bitsnode.market.purchase import Purchase, Step, Story
from bitsnode.market.purchase_errors import (
    Cancelled,
    NeedsPassword,
    NotBought,
    NotConfirmed,
    OfferChanged,
    PaymentExpired,
    PublisherCheated,
    SpentElsewhere,
    UnknownPurchase,
)
from bitsnode.market.purchase_facts import Quoted, Reason
from bitsnode.market.purchase_journal import ID_SIZE, PurchaseJournal
from bitsnode.market.purchase_needs import TROUBLES, Tools, Trouble
from bitsnode.market.purchase_progress import Event, LookingForOffer, OnEvent, TakenUp
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
        self._running: dict[bytes, _Run] = {}
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

    async def cancel(self, name: bytes) -> None:
        """Give a purchase up of which nothing was sent; its voucher is given back.

        Raises:
            UnknownPurchase: there is none.
            TooLateToCancel: the payment may be on its way.
        """
        running = await self._resume(name)
        running.buying.cancel()

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

    async def receipt(self, name: bytes) -> bytes:
        """Return the receipt of a purchase as key holders take it; secret to all others.

        Raises:
            UnknownPurchase: there is none, or nothing was paid.
        """
        story = (await self._load(name)).story
        if story.settled is None:
            raise UnknownPurchase
        return receipt_of(story).dump()

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

    async def _begin(self, content_id: ContentId, consent: Consent, on_event: OnEvent) -> "_Run":
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
    ) -> "_Run":
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
        self, name: bytes, purchase: Purchase, consent: Consent | None, *listeners: OnEvent
    ) -> "_Run":
        running = _Run(name, listeners)
        running.buying = Buying(
            self._tools, self._journal, name, purchase, running.tell, running.settle
        )
        if consent is not None:
            running.buying.consent = consent
        if purchase.step not in (Step.RESERVE, Step.DONE):
            running.tell(TakenUp(purchase.step.value))
        self._running[name] = running
        running.task = Deferred.fromCoroutine(running.buying.run())
        running.task.addBoth(self._ended, name, running)
        return running

    def _ended(self, result: object, name: bytes, running: "_Run") -> None:
        if self._running.get(name) is running:
            del self._running[name]
        if isinstance(result, Failure):
            waited = running.fail(result)
            if not waited and not isinstance(result.value, CancelledError | NeedsPassword):
                _log.warn("A purchase cannot go on now: {reason}", reason=_words_of(result))


class _Run:
    """A purchase that runs, and those who wait for it."""

    buying: Buying
    task: "Deferred[None]"

    def __init__(self, name: bytes, listeners: Iterable[OnEvent]) -> None:
        self.name = name
        self.listeners = list(listeners)
        self._waiters: list[Deferred[None]] = []
        self._failed: Failure | None = None

    def tell(self, event: Event) -> None:
        """Tell all who listen; who cannot be told any more is no reason to stop."""
        for listener in list(self.listeners):
            try:
                listener(event)
            except Exception as error:
                _log.warn("Progress is not shown: {kind}", kind=type(error).__name__)
                self.forget(listener)

    def forget(self, listener: OnEvent) -> None:
        """Tell somebody nothing any more."""
        if listener in self.listeners:
            self.listeners.remove(listener)

    async def wait(self) -> Story:
        """Return the story when it is known how it ends.

        Raises:
            bitsnode.errors.BitsError: it cannot go on now.
        """
        if not self.buying.story.known:
            if self._failed is not None:
                self._failed.raiseException()
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            await waiter
        return self.buying.story

    def settle(self) -> None:
        """Tell those who wait that it is known how it ends."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def fail(self, failure: Failure) -> bool:
        """Tell those who wait that it cannot go on; whether there was anybody."""
        self._failed = failure
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.errback(failure)
        return bool(waiters)


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

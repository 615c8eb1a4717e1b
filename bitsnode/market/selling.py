"""Putting published content on sale, and keeping it there.

What is to be done is on the disk before it is begun, so that what a crash cut short is taken up by
`tend`. An offer that was signed can be paid until it ends, whatever is announced later: so offers
are short, are renewed while the content is on sale, and to withdraw or change one takes that long
to be true for everybody.
"""

from typing import Final

import attrs
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.market.custody_price import Payer
from bitsnode.market.entrusting import Terms, entrust, suitable
from bitsnode.market.errors import UnknownDenomination
from bitsnode.market.offer import FEE_DIVISOR, SignedOffer
from bitsnode.market.offer_record import offer_record
from bitsnode.market.purchase_needs import TROUBLES
from bitsnode.market.selling_errors import NotAnnounced, NotOnSale
from bitsnode.market.selling_needs import OnSale, SellingTools
from bitsnode.market.selling_progress import (
    Entrusting,
    HolderFailed,
    InCustody,
    LookingForHolders,
    OfferAnnounced,
    OnEvent,
    ignore,
)
from bitsnode.market.selling_store import MAX_OLDER, Sale, SellingStore
from bitsnode.market.shares import USUAL_HOLDERS
from bitsnode.wire.card import HOUR
from onion.isolation import Isolation
from zk.stealth import MetaAddress

DAY: Final = 24 * HOUR
VALID_SECONDS: Final = 30 * DAY  # of an offer
RENEW_SECONDS: Final = 10 * DAY  # left of it when the next one is made
ANNOUNCE_SECONDS: Final = 12 * HOUR  # between announcements of one offer, for nodes come and go
RETRY_SECONDS: Final = 600.0  # after a sale that could not be tended
CANDIDATES: Final = 2 * USUAL_HOLDERS  # nodes looked for, so that some may say no or fail

_log = Logger()


class Selling:
    """All sales of a node.

    Args:
        tools: of the node.
        store: of the sales.
    """

    def __init__(self, tools: SellingTools, store: SellingStore) -> None:
        self._tools = tools
        self._store = store
        self._lock = DeferredLock()
        self._not_before: dict[bytes, float] = {}  # when to try again what failed, by content

    async def sell(
        self,
        link: Link,
        publisher_seed: bytes,
        payee: MetaAddress,
        price: int,
        on_event: OnEvent = ignore,
    ) -> OnSale:
        """Put a content on sale, or change its price.

        Args:
            link: of the content.
            publisher_seed: of the key that signed its manifest, 32 bytes.
            payee: the creator's meta-address.
            price: wei; one denomination of the contract.
            on_event: told of progress.

        Raises:
            UnknownDenomination: no single voucher is worth that.
            TooFewHolders: too few nodes keep key shares; it is tried again by `tend`.
            NotAnnounced: likewise.
            bitsnode.errors.BitsError: a room below failed; likewise.
        """
        if price not in self._tools.market.denominations:
            raise UnknownDenomination
        content = link.content_id.digest
        await self._lock.acquire()
        try:
            earlier = await self._tools.run(lambda: self._store.find(content))
            sale = Sale(
                content=content,
                secret=link.content_secret,
                whitening=link.whitening,
                publisher_seed=publisher_seed,
                spending_public_key=payee.spending_public_key,
                viewing_public_key=payee.viewing_public_key,
                denomination=self._tools.market.denominations.index(price),
                pending=True,
                withdrawn=False,
                offer=earlier.offer if earlier else b"",
                older=earlier.older if earlier else (),
                sequence=earlier.sequence if earlier else 0,
                announced_at=earlier.announced_at if earlier else 0,
            )
            await self._keep(sale)
            return self._shown(await self._make(sale, on_event))
        finally:
            self._lock.release()

    async def price(self, content_id: ContentId, price: int, on_event: OnEvent = ignore) -> OnSale:
        """Put a content that was published before on sale at another price, or again.

        Args:
            content_id: of it.
            price: wei; one denomination of the contract.
            on_event: told of progress.

        Raises:
            NotOnSale: it was never on sale here.
            bitsnode.errors.BitsError: as in `sell`.
        """
        sale = await self._find(content_id)
        link = Link(content_id, sale.secret, sale.whitening)
        return await self.sell(link, sale.publisher_seed, sale.payee, price, on_event)

    async def withdraw(self, content_id: ContentId) -> OnSale:
        """Make no further offer; what was signed can be paid until it ends.

        Raises:
            NotOnSale: there is none.
        """
        await self._lock.acquire()
        try:
            sale = attrs.evolve(await self._find(content_id), withdrawn=True, pending=False)
            await self._keep(sale)
            return self._shown(sale)
        finally:
            self._lock.release()

    async def offer(self, content_id: ContentId) -> OnSale:
        """Return how the sale of a content stands.

        Raises:
            NotOnSale: there is none.
        """
        return self._shown(await self._find(content_id))

    async def offers(self) -> list[OnSale]:
        """Return how all sales stand."""
        return [self._shown(sale) for sale in await self._tools.run(self._store.all)]

    async def tend(self) -> int:
        """Do what is due: take up, renew, announce again. At each start, and now and then.

        Returns:
            How many sales could not be tended now; the log says why. They wait ten minutes.
        """
        failed = 0
        for found in await self._tools.run(self._store.all):
            if self._not_before.get(found.content, 0.0) > self._tools.clock.seconds():
                continue
            await self._lock.acquire()
            try:
                await self._tend_one(found.content_id)
            except TROUBLES as error:
                failed += 1
                self._not_before[found.content] = self._tools.clock.seconds() + RETRY_SECONDS
                _log.warn("An offer could not be renewed or announced: {reason}", reason=str(error))
            finally:
                self._lock.release()
        return failed

    # Inside

    async def _tend_one(self, content_id: ContentId) -> None:
        sale, now = await self._find(content_id), self._tools.clock.seconds()
        signed = sale.signed
        if sale.withdrawn:
            return
        if sale.pending or signed is None or signed.offer.valid_until - now < RENEW_SECONDS:
            await self._make(sale, ignore)
        elif sale.announced_at + ANNOUNCE_SECONDS <= now:
            await self._announce(sale, signed, ignore)

    async def _make(self, sale: Sale, on_event: OnEvent) -> Sale:
        """Put the key into custody, sign and announce."""
        on_event(LookingForHolders())
        isolation = Isolation.fresh("sale")
        cards = await self._tools.custodians.find_custodians(CANDIDATES, isolation)
        candidates = suitable((card.card for card in cards), self._tools.own_key)
        on_event(Entrusting(len(candidates)))
        entrusted = await entrust(
            self._tools.client,
            self._terms(sale),
            candidates,
            Payer(self._tools.share_bits, self._tools.run),
            on_fault=lambda reason: on_event(HolderFailed(reason)),
        )
        offer = entrusted.signed.offer
        on_event(
            InCustody(
                offer.threshold,
                len(offer.holders),
                len(entrusted.taken),
                len(offer.holders) < USUAL_HOLDERS,
            )
        )
        made = attrs.evolve(
            sale,
            offer=entrusted.signed.data,
            older=self._still_payable(sale),
            pending=False,
            announced_at=0,
        )
        await self._keep(made)
        return await self._announce(made, entrusted.signed, on_event)

    def _terms(self, sale: Sale) -> Terms:
        market, now = self._tools.market, int(self._tools.clock.seconds())
        price = market.denominations[sale.denomination]
        # a whole hour, which shows no clock; and the one before this, so that a later offer of the
        # same hour can begin after it and before now: of all offers, the latest counts
        begins = now - now % HOUR - HOUR
        if sale.signed is not None:
            begins = max(begins, sale.signed.offer.valid_from + 1)
        return Terms(
            content=sale.content,
            chain_id=market.chain_id,
            vouchers=market.vouchers,
            denomination=sale.denomination,
            price=price,
            valid_from=begins,
            valid_until=now - now % HOUR + VALID_SECONDS,
            payee=sale.payee,
            fee_limit=price // FEE_DIVISOR,
            publisher_seed=sale.publisher_seed,
            secret=sale.secret,
            whitening=sale.whitening,
        )

    def _still_payable(self, sale: Sale) -> tuple[bytes, ...]:
        now = self._tools.clock.seconds()
        offers = [each for each in (sale.offer, *sale.older) if each]
        return tuple(each for each in offers if SignedOffer.parse(each).offer.valid_until >= now)[
            :MAX_OLDER
        ]

    async def _announce(self, sale: Sale, signed: SignedOffer, on_event: OnEvent) -> Sale:
        now = self._tools.clock.seconds()
        sequence = max(sale.sequence + 1, int(now) - int(now) % HOUR)
        noted = attrs.evolve(sale, sequence=sequence)
        await self._keep(noted)  # a record of the same sequence would not replace it
        bits = self._tools.record_bits
        record = await self._tools.run(
            lambda: offer_record(signed, sale.publisher_seed, sequence, bits, now)
        )
        (taken,) = await self._tools.records.put_records([record], Isolation.fresh("offer"))
        if not taken:
            raise NotAnnounced
        announced = attrs.evolve(noted, announced_at=int(now))
        await self._keep(announced)
        on_event(OfferAnnounced(taken, signed.offer.valid_until))
        return announced

    async def _find(self, content_id: ContentId) -> Sale:
        sale = await self._tools.run(lambda: self._store.find(content_id.digest))
        if sale is None:
            raise NotOnSale
        return sale

    async def _keep(self, sale: Sale) -> None:
        await self._tools.run(lambda: self._store.put(sale))

    def _shown(self, sale: Sale) -> OnSale:
        signed = sale.signed
        ends = [SignedOffer.parse(each).offer.valid_until for each in self._still_payable(sale)]
        return OnSale(
            content_id=sale.content_id,
            price=signed.offer.price if signed else 0,
            wanted=self._tools.market.denominations[sale.denomination],
            valid_until=signed.offer.valid_until if signed else 0,
            payable_until=max(ends, default=0),
            threshold=signed.offer.threshold if signed else 0,
            holders=len(signed.offer.holders) if signed else 0,
            withdrawn=sale.withdrawn,
            announced=bool(sale.announced_at),
        )

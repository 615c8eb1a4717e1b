"""From an offer to what may be paid: terms, the buyer's word, a voucher, what is drawn."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from bitsnode.ledger.wallet.voucher_values import Ticket
from bitsnode.market.errors import OfferError
from bitsnode.market.offer import SignedOffer
from bitsnode.market.offer_record import best_offer, offer_key
from bitsnode.market.payment import draw_ephemeral
from bitsnode.market.purchase_errors import NoOffer, NoRelay, NotConfirmed, OfferChanged
from bitsnode.market.purchase_facts import Reserved
from bitsnode.market.purchase_needs import TROUBLES, RelayFound, Tools
from bitsnode.market.purchase_progress import OnEvent, Terms
from bitsnode.wire.card import HOUR
from onion.isolation import Isolation

REDEEM_SECONDS: Final = 6 * HOUR  # to submit it; rounded up to a whole hour, which shows no clock
RELAYS_WANTED: Final = 2  # whose fee is paid, so that one may fail

Confirm = Callable[[Terms], Awaitable[bool]]


@attrs.frozen
class Consent:
    """What the buyer allows.

    Attributes:
        confirm: shown the terms; what it returns decides. If nobody is there any more, it should
            return False.
        password: of the wallet.
        own_relay: if no relay does it, it may be submitted from an account of one's own, which
            shows on the chain who bought something.
        offer_hash: of the offer whose terms the buyer was shown before, 32 bytes; a purchase that
            begins now is of this very one or none. None if they see them only in `confirm`.
    """

    confirm: Confirm
    password: str = attrs.field(repr=False)
    own_relay: bool = False
    offer_hash: bytes | None = None


async def find_relays(
    tools: Tools, fee_limit: int, isolation: Isolation, own: bool
) -> list[RelayFound]:
    """Return relays that submit for so many wei; none is no error if one may do it by oneself.

    Raises:
        bitsnode.errors.BitsError: none was found, and only a relay may do it.
    """
    try:
        return await tools.relays.find(fee_limit, isolation)
    except TROUBLES:
        if not own:
            raise
        return []


class Agreeing:
    """Agrees with the buyer on one purchase.

    The DHT, which learns what is wanted, and the relays, which learn what is paid, are asked on
    different circuits: one node may be both.

    Args:
        tools: of the node.
        relays: isolation of what relays are asked.
        on_event: told of the terms.
    """

    def __init__(self, tools: Tools, relays: Isolation, on_event: OnEvent) -> None:
        self._tools = tools
        self._relays = relays
        self._on_event = on_event

    async def agree(self, signed: SignedOffer, ticket: Ticket, consent: Consent) -> Reserved:
        """Ask the buyer, and draw what the payment is made of.

        Args:
            signed: the offer.
            ticket: of a voucher of its price.
            consent: of the buyer.

        Raises:
            NoRelay: nobody would submit it.
            NotConfirmed: the buyer said no.
            OfferChanged: while the buyer was thinking.
            bitsnode.errors.BitsError: a room below failed.
        """
        own = consent.own_relay and self._tools.own_relay is not None
        relays = await find_relays(self._tools, signed.offer.fee_limit, self._relays, own)
        if not relays and not own:
            raise NoRelay
        terms = await self._terms(signed, ticket, relays)
        self._on_event(terms)
        if not await consent.confirm(terms):
            raise NotConfirmed
        await self.check_unchanged(signed)
        return self._drawn(signed, ticket, terms.fee)

    async def check_unchanged(self, signed: SignedOffer) -> None:
        """See that the publisher has no newer offer than the one that was shown.

        Raises:
            OfferChanged: there is one, or this one cannot be paid any more.
            bitsnode.errors.BitsError: nobody could be asked.
        """
        offer, now = signed.offer, self._tools.clock.seconds()
        isolation = Isolation.fresh("offer")
        records = await self._tools.records.get_records(offer_key(offer.content), isolation)
        market = self._tools.market
        try:
            found = best_offer(offer.content, offer.publisher, records, market, now).signed
        except NoOffer:
            return  # nobody says otherwise, and what is signed is honoured
        except OfferError as error:
            raise OfferChanged from error
        if found.hash != signed.hash and found.offer.valid_from >= offer.valid_from:
            raise OfferChanged

    async def _terms(self, signed: SignedOffer, ticket: Ticket, relays: list[RelayFound]) -> Terms:
        voucher = await self._tools.vouchers.voucher(ticket)
        offer, now = signed.offer, self._tools.clock.seconds()
        fees = sorted(relay.fee for relay in relays)
        fee = fees[min(RELAYS_WANTED, len(fees)) - 1] if fees else 0
        return Terms(
            content=offer.content,
            offer_hash=signed.hash,
            price=offer.price,
            fee=fee,
            valid_until=offer.valid_until,
            crowd=voucher.crowd,
            voucher_blocks=voucher.age,
            voucher_seconds=None if voucher.bought_at is None else now - voucher.bought_at,
            relays=sum(1 for each in fees if each <= fee),
            threshold=offer.threshold,
            holders=len(offer.holders),
        )

    def _drawn(self, signed: SignedOffer, ticket: Ticket, fee: int) -> Reserved:
        until = int(self._tools.clock.seconds()) + REDEEM_SECONDS
        until += -until % HOUR
        return Reserved(
            ticket=ticket.name,
            voucher=ticket.index,
            ephemeral=draw_ephemeral(signed),
            receipt_seed=secrets.token_bytes(32),
            salt=secrets.token_bytes(32),
            fee=fee,
            # so that the contract itself refuses what the key holders would not honour
            deadline=min(until, signed.offer.valid_until),
        )

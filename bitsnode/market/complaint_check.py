"""Checking a complaint against the chain and the content's manifest."""

from typing import Protocol

import attrs

from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.ledger.voucher_events import Redeemed
from bitsnode.market.complaint import CheckedComplaint
from bitsnode.market.errors import OtherPublisher
from bitsnode.market.offer import Market
from bitsnode.market.purchase_needs import Manifests
from onion.errors import OnionError
from onion.isolation import Isolation


class Payments(Protocol):
    """Knows all redemptions that are final; see `bitsnode.market.gate.Gate`."""

    async def paid(self, message: bytes) -> tuple[Redeemed, int]:
        """Return a redemption and the time of its block.

        Raises:
            NotFinalYet: it is in no final block.
        """


@attrs.frozen
class Verdict:
    """What a complaint shows that is as it says.

    Attributes:
        content_id: what was bought.
        publisher: Ed25519 key that signed the offer, 32 bytes.
        published: it is the one in the content's manifest; False when no manifest was found, and
            then the offer may be one that a stranger made to speak ill of the content.
        price: wei.
        block: in which it was paid.
        paid_at: time of that block, Unix seconds.
        fraud: the complaint proves that the publisher sold another key than the content's.
        text: in the buyer's words; nothing proves it.
        written: Unix time of the day.
    """

    content_id: ContentId
    publisher: bytes
    published: bool
    price: int
    block: int
    paid_at: int
    fraud: bool
    text: str
    written: int


async def check_complaint(
    data: bytes, market: Market, payments: Payments, manifests: Manifests
) -> Verdict:
    """See what there is to a complaint.

    No server is asked for its payment, which is looked up among all; the DHT is asked for the
    content's manifest.

    Args:
        data: as `bitsnode.market.complaint.write_complaint` made it.
        market: where this node pays.
        payments: all of the chain.
        manifests: finds out whose the content is.

    Raises:
        ComplaintError, OfferError, ReceiptError: it is not what it says; one class per cause.
        NotFinalYet: its payment is in no final block.
        OtherPublisher: its offer is not by the publisher of the content.
        LedgerError: nothing is certain of the chain now.
    """
    checked = CheckedComplaint.parse(data)
    recorded, time = await payments.paid(checked.message(market))
    checked.check_record(recorded, time)
    offer, said = checked.signed.offer, checked.complaint
    try:
        manifest = await manifests.manifest(checked.content_id, Isolation.fresh("complaint"))
    except (BitsError, OnionError):
        publisher = None
    else:
        publisher = manifest.publisher
    if publisher not in (None, offer.publisher):
        raise OtherPublisher
    return Verdict(
        content_id=checked.content_id,
        publisher=offer.publisher,
        published=publisher is not None,
        price=offer.price,
        block=recorded.cursor.block,
        paid_at=time,
        fraud=checked.fraud,
        text=said.text,
        written=said.written,
    )

"""Complaints: what a buyer says in public of a purchase, and anybody can check. Pure.

A complaint holds the offer and the receipt, so it shows which redemption on the chain paid for
which content. It shows neither the deposit nor the buyer's other purchases; with the receipt alone
nobody gets a key share, for those need the receipt key's signature. FORMATS.md in this folder is
the specification.
"""

from collections.abc import Mapping
from typing import Final, Self

import attrs
import nacl.exceptions
import nacl.signing

from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import ContentId, Context
from bitsnode.ledger.voucher_events import Redeemed
from bitsnode.market.errors import (
    BadComplaint,
    ComplaintNotSigned,
    ComplaintTooLong,
    FraudNotShown,
    WrongSecret,
    WrongShare,
)
from bitsnode.market.offer import Market, SignedOffer
from bitsnode.market.receipt import Receipt
from bitsnode.market.shares import SHARE_SIZE, combine
from bitsnode.market.signed import signed_parts
from bitsnode.wire import cbor
from bitsnode.wire.market_messages import MAX_HOLDERS, MAX_RECEIPT, MAX_SIGNED_OFFER
from bitsnode.wire.messages import MAX_TIME
from bitsnode.wire.schema import Bytes, ListOf, Nested, Text, Uint, field, from_list, to_list

COMPLAINT_VERSION: Final = 1
MAX_TEXT: Final = 1024  # bytes of UTF-8
MAX_COMPLAINT: Final = 16 * 1024  # bytes; one of the largest offer and receipt has 15 KiB
DAY: Final = 24 * 3600  # seconds


@attrs.frozen
class ShownShare:
    """A key share that a holder gave, and that is the one of the offer.

    Attributes:
        index: of the holder, from 1.
        share: 16 bytes.
    """

    index: int = field(1, Uint(MAX_HOLDERS, 1))
    share: bytes = field(2, Bytes(SHARE_SIZE, SHARE_SIZE))


@attrs.frozen
class Complaint:
    """What a buyer says of a purchase.

    Attributes:
        version: of this format, 1.
        offer: signed by the publisher, as it was paid.
        receipt: of the payment.
        shares: t of them that are as the offer commits to and make another key than it promises;
            none where the complaint is about something else.
        text: in the buyer's words, at most 1024 bytes of UTF-8.
        written: Unix time of the beginning of a day.
    """

    version: int = field(1, Uint(COMPLAINT_VERSION, COMPLAINT_VERSION))
    offer: bytes = field(2, Bytes(1, MAX_SIGNED_OFFER))
    receipt: bytes = field(3, Bytes(1, MAX_RECEIPT))
    shares: tuple[ShownShare, ...] = field(4, ListOf(Nested(ShownShare), MAX_HOLDERS))
    text: str = field(5, Text(MAX_TEXT))
    written: int = field(6, Uint(MAX_TIME))


def write_complaint(
    signed: SignedOffer,
    receipt: Receipt,
    receipt_seed: bytes,
    text: str,
    now: float,
    shares: Mapping[int, bytes] | None = None,
) -> bytes:
    """Return a complaint, signed by the receipt's key: canonical CBOR, at most `MAX_COMPLAINT`.

    Args:
        signed: the offer that was paid.
        receipt: of the payment.
        receipt_seed: of the receipt's key, 32 bytes.
        text: at most 1024 bytes of UTF-8.
        now: Unix time in seconds.
        shares: by index, if together they make another key than the offer promises. Those that
            make the right key open the content and are not to be shown.

    Raises:
        ComplaintTooLong: the text is.
    """
    if len(text.encode()) > MAX_TEXT:
        raise ComplaintTooLong
    shown = tuple(ShownShare(*each) for each in sorted((shares or {}).items()))
    day = int(now) - int(now) % DAY
    said = Complaint(COMPLAINT_VERSION, signed.data, receipt.dump(), shown, text, day)
    payload = cbor.encode(to_list(said))
    signature = nacl.signing.SigningKey(receipt_seed).sign(Context.COMPLAINT + payload).signature
    return cbor.encode([payload, signature])


@attrs.frozen
class CheckedComplaint:
    """A complaint that is what it says, as far as that can be seen without the chain.

    Attributes:
        complaint: what was said.
        signed: the offer.
        receipt: of its payment.
        fraud: its key shares prove that the publisher sold another key than the content's.
    """

    complaint: Complaint
    signed: SignedOffer
    receipt: Receipt
    fraud: bool

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Check a complaint from outside.

        Raises:
            BadComplaint: it is malformed.
            ComplaintNotSigned: whoever wrote it has not the receipt's key.
            OfferError, ReceiptError: its offer or its receipt is none, or they do not fit.
            FraudNotShown: its key shares prove nothing.
        """
        try:
            payload, signature = signed_parts(data, MAX_COMPLAINT)
            said = from_list(Complaint, cbor.decode(payload, MAX_COMPLAINT))
        except RemoteProtocolError as error:
            raise BadComplaint from error
        receipt = Receipt.parse(said.receipt)
        try:
            key = nacl.signing.VerifyKey(receipt.public_key)
            key.verify(Context.COMPLAINT + payload, signature)
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise ComplaintNotSigned from error
        signed = SignedOffer.parse(said.offer)
        receipt.check_offer(signed)
        return cls(said, signed, receipt, _fraud(said, signed))

    @property
    def content_id(self) -> ContentId:
        """What was bought."""
        return ContentId(self.signed.offer.content)

    def message(self, market: Market) -> bytes:
        """Return under which message the chain recorded the payment, 32 bytes.

        Raises:
            OtherMarket, UnknownDenomination: it was paid elsewhere.
        """
        market.check(self.signed.offer)
        return self.receipt.message(market.chain_id, market.vouchers)

    def check_record(self, recorded: Redeemed, time: int) -> None:
        """See that the chain recorded this payment, and that it pays the offer.

        Args:
            recorded: the event under `message`, from a final block.
            time: of that block, Unix time in seconds.

        Raises:
            ReceiptError: it does not; one class per cause.
        """
        self.receipt.check_record(recorded, time, self.signed.offer)


def _fraud(said: Complaint, signed: SignedOffer) -> bool:
    """Return whether a complaint's key shares show that the publisher cheated."""
    if not said.shares:
        return False
    shares = {each.index: each.share for each in said.shares}
    if len(shares) < len(said.shares):
        raise BadComplaint
    try:
        combine(signed.offer, shares)
    except WrongSecret:
        return True
    except WrongShare as error:
        raise FraudNotShown from error
    raise FraudNotShown

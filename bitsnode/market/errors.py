"""What can go wrong in a sale: one class per failure, one sentence each."""

from bitsnode.errors import BitsError


class MarketError(BitsError):
    """The sale cannot go on."""


# Offers


class OfferError(MarketError):
    """This offer cannot be used."""


class BadOffer(OfferError):
    """This offer is malformed, or its terms contradict one another."""


class OfferNotSigned(OfferError):
    """This offer is not signed by the publisher that it names."""


class OtherContent(OfferError):
    """This offer is for another content."""


class OtherPublisher(OfferError):
    """This offer does not come from the publisher of the content."""


class OtherMarket(OfferError):
    """This offer is for another chain or another contract than this node uses."""


class UnknownDenomination(OfferError):
    """This offer asks for a price that no single voucher has."""


class OfferNotYetValid(OfferError):
    """This offer is not valid yet; check the clock, or come back later."""


class OfferExpired(OfferError):
    """This offer has expired, or ends too soon to be paid; ask for a new one."""


# Keys


class SharesError(MarketError):
    """The content's key cannot be had."""


class WrongShare(SharesError):
    """A key holder sent something else than the share that the offer commits to."""


class WrongSecret(SharesError):
    """The publisher's shares make another key than the offer promises; show the receipt."""


class NotOpened(SharesError):
    """A sealed key share does not open with this key."""


class BadKey(SharesError):
    """A key that a share should be sealed to is none."""


class WrongWhitening(SharesError):
    """The offer's whitening key does not open with the content's key."""


# Receipts


class ReceiptError(MarketError):
    """This receipt does not pay for the offer."""


class BadReceipt(ReceiptError):
    """This receipt is malformed."""


class ForOtherOffer(ReceiptError):
    """This receipt is for another offer."""


class TagNotOpened(ReceiptError):
    """This receipt does not open the tag of its redemption."""


class WrongPayee(ReceiptError):
    """This redemption pays an address that the creator cannot find or does not own."""


class FeeAboveLimit(ReceiptError):
    """This redemption gave a relay more than the offer allows."""


class PaidTooLittle(ReceiptError):
    """This redemption is worth less than the offer's price."""


class OutsideValidity(ReceiptError):
    """This redemption was not made while the offer was valid."""


class OtherRedemption(ReceiptError):
    """The chain's record of this redemption differs from the receipt."""


# Complaints


class ComplaintError(MarketError):
    """This complaint proves nothing."""


class BadComplaint(ComplaintError):
    """This file is no complaint, or is damaged."""


class ComplaintNotSigned(ComplaintError):
    """This complaint is not signed by the key of the receipt that it shows."""


class ComplaintTooLong(ComplaintError):
    """A complaint has at most 1024 bytes of text."""


class FraudNotShown(ComplaintError):
    """The key shares in this complaint do not show that the publisher cheated."""


# What key holders refuse


class BadChallenge(MarketError):
    """The challenge of this request is not one of this node's, or too old."""


class BadRequestSignature(ReceiptError):
    """The request for a key share is not signed by the receipt's key."""


class NotFinalYet(MarketError):
    """This redemption is in no final block that this node knows; try again later."""


class ReceiptUsedTooOften(MarketError):
    """This receipt was answered too often.

    Attributes:
        retry_after: seconds until it may be used again.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


# Custody


class UnknownOffer(MarketError):
    """No key share of this offer is kept here."""


class NotNamed(MarketError):
    """This offer does not name this node as the key holder at this place."""


class CustodyFull(MarketError):
    """This node keeps as many key shares as it may."""


class UnpaidCustody(MarketError):
    """The puzzle that pays for keeping a key share is not solved."""


class TooFewHolders(MarketError):
    """Too few nodes took a share of the content's key."""

    def __init__(self, taken: int, needed: int) -> None:
        super().__init__(
            f"Only {taken} nodes took a share of the content's key, and {needed} are needed;"
            " try again later."
        )
        self.taken = taken
        self.needed = needed

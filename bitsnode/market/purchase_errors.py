"""What can go wrong in a purchase: one class per failure, one sentence each."""

from bitsnode.market.errors import MarketError


class PurchaseError(MarketError):
    """The purchase cannot go on."""


class JournalSealed(PurchaseError):
    """The journal of purchases was sealed with another key than this node has."""


class VoucherTaken(PurchaseError):
    """Another purchase uses this voucher; nothing was paid, so try again."""


class NoOffer(PurchaseError):
    """No valid offer for this content was found; ask its publisher, or try again later."""


class NotConfirmed(PurchaseError):
    """The purchase was not confirmed, and nothing was paid."""


class OfferChanged(PurchaseError):
    """The offer changed since it was shown, so nothing was paid; look at the new one."""


class NoRelay(PurchaseError):
    """No relay takes payments now, and nothing was paid; try again later, or relay by yourself."""


class Cancelled(PurchaseError):
    """The purchase was cancelled, and nothing was paid."""


class TooLateToCancel(PurchaseError):
    """The payment is made or on its way, so the purchase cannot be cancelled any more."""


class PaymentExpired(PurchaseError):
    """No relay carried out the payment in time; nothing was paid, and the voucher is free again."""


class SpentElsewhere(PurchaseError):
    """The voucher was spent for something else, perhaps with a copy of this wallet."""


class PublisherCheated(PurchaseError):
    """The publisher's key does not open the content though it was paid; the receipt proves it."""


class NeedsPassword(PurchaseError):
    """The purchase waits for the wallet's password: buy the same content again to go on."""


class NotBought(PurchaseError):
    """This content is not in the library."""


class UnknownPurchase(PurchaseError):
    """There is no such purchase under way."""


class NotPaid(PurchaseError):
    """Nothing was paid for this content, so there is no receipt."""


# What others do wrong; the purchase goes on by other ways.


class RelayFault(MarketError):
    """A relay did not take the payment."""


class KeyHolderFault(MarketError):
    """A key holder gave no share.

    Attributes:
        retry_after: seconds after which to ask it again; 0 when only time can tell.
    """

    def __init__(self, reason: str = "", retry_after: int = 0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after

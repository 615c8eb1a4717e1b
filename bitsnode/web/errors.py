"""What a visitor's request can come to instead of a page.

Each names the texts of its page (``error.NAME.title`` and ``error.NAME.text``); the docstrings are
for the log and for who reads the code.
"""

from typing import ClassVar

from bitsnode.errors import BitsError


class Refused(BitsError):
    """A request gets a page that says why it cannot be done.

    Attributes:
        status: of the answer (RFC 9110, section 15).
        name: of its texts.
        retry: seconds after which it is worth another try, 0 if it never is.
    """

    status: ClassVar[int] = 400
    name: ClassVar[str] = "bad_request"
    retry: ClassVar[int] = 0


class BadRequest(Refused):
    """This is no request that a browser makes of this shop."""


class BadRange(Refused):
    """The range asked for lies outside."""

    status = 416
    name = "bad_range"


class NotFound(Refused):
    """There is no such page."""

    status = 404
    name = "not_found"


class NotForSale(Refused):
    """The item is not sold any more."""

    status = 404
    name = "not_for_sale"


class NotAllowed(Refused):
    """The page has no such method."""

    status = 405
    name = "not_allowed"


class ForeignOrigin(Refused):
    """Another site sent this request."""

    status = 403
    name = "foreign"


class StaleForm(Refused):
    """The form is not one that this browser got from this shop."""

    status = 403
    name = "stale_form"


class ForeignOrder(Refused):
    """The order is another browser's, or there is none: which of the two is not told."""

    status = 403
    name = "foreign_order"


class NotPaidYet(Refused):
    """The content of an order opens when it is paid."""

    status = 403
    name = "not_paid"


class TooLarge(Refused):
    """More was sent than any form of this shop has."""

    status = 413
    name = "too_large"


class TooMany(Refused):
    """Requests come faster than the shop answers them."""

    status = 429
    name = "too_many"
    retry = 5


class TooManyClaims(Refused):
    """Claim codes are tried faster than a person types them."""

    status = 429
    name = "too_many_claims"
    retry = 60


class Broken(Refused):
    """A bug."""

    status = 500
    name = "broken"


class Busy(Refused):
    """The shop has too much under way."""

    status = 503
    name = "busy"
    retry = 30


class Unavailable(Refused):
    """What the page needs cannot be had at the moment."""

    status = 503
    name = "unavailable"
    retry = 60


class NoInvoice(Refused):
    """No invoice can be made at the moment."""

    status = 503
    name = "no_invoice"
    retry = 120


class PriceTooLow(Refused):
    """The item is too cheap for an invoice."""

    status = 403
    name = "price_too_low"

"""What can go wrong when content is put on sale: one class per failure, one sentence each."""

from bitsnode.market.errors import MarketError


class SellingError(MarketError):
    """The content cannot be put on sale."""


class SalesSealed(SellingError):
    """The list of what is sold was sealed with another key than this node has."""


class NotOnSale(SellingError):
    """This content is not on sale here."""


class NotAnnounced(SellingError):
    """The offer is made, but no node took its record; it is tried again by itself."""

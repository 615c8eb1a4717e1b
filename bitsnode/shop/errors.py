"""What can go wrong in a shop; the first line of each is the sentence that its person sees."""

import errno

from bitsnode.errors import BitsError


class ShopError(BitsError):
    """The shop could not do that."""


class NoShop(ShopError):
    """This node has no shop; make one with 'bitsnode shop create --name NAME'."""


class ShopExists(ShopError):
    """This node has a shop already; 'bitsnode shop edit' changes it."""


class BadShopText(ShopError):
    """A text of the shop is empty, too long, or has characters that cannot be shown."""


class BadItem(ShopError):
    """Something about the item cannot be right."""


class NoSuchItem(ShopError):
    """The shop has no such item."""


class NoSuchBlob(ShopError):
    """The shop has no such picture."""


class TooManyItems(ShopError):
    """The shop is full: it has as many items as a shop can have, withdrawn ones included."""


class ItemInShop(ShopError):
    """This content is in the shop already."""


class ItemWithdrawn(ShopError):
    """This item is not sold any more."""


class NotPrepared(ShopError):
    """The item could not be prepared."""

    @classmethod
    def of(cls, error: OSError) -> "NotPrepared":
        """Return what a refusal of the disk means."""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cause = "the disk is full" if full else error.strerror or "unknown error"
        return cls(f"The item could not be prepared: {cause}.")


class NoSuchOrder(ShopError):
    """The shop has no such order."""


class TooManyOrders(ShopError):
    """The shop can take no further order."""


class WrongClaimCode(ShopError):
    """No order has this claim code; check each character."""


class TooManyClaims(ShopError):
    """Too many claim codes were tried; try again in a moment."""


class ShopDiskError(ShopError):
    """The shop could not write that down."""


class ShopSealed(ShopError):
    """The shop's file does not open with its key; restore both from the same backup."""

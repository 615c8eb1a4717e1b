"""What can be wrong with the stock of a shop: one class per failure."""

import errno

from bitsnode.shop.errors import ShopError


class StockError(ShopError):
    """The stock of the shop cannot be used."""


class NotInStock(StockError):
    """The shop has this content no more: add it again from its file."""


class StockDamaged(StockError):
    """A file in the stock of the shop is damaged: add this content again from its file."""


class StockTooNew(StockError):
    """The stock of the shop was written by a newer version of bits: update bits to use it."""


class StockSourceUnreadable(StockError):
    """The file cannot be read."""


class StockSourceChanged(StockError):
    """The file is not the one that was published: publish it again to sell what it is now."""


class BadStockRange(StockError):
    """The range lies outside of this content."""


class StockDiskError(StockError):
    """The stock of the shop cannot be written."""

    def __init__(self, error: OSError) -> None:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cause = "the disk is full" if full else error.strerror or "unknown error"
        super().__init__(f"The stock of the shop cannot be written: {cause}.")

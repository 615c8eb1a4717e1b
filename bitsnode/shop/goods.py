"""What is sold, out of the stock: whole, in parts, in the clear or as it lies there.

Every method blocks, and so does taking a piece from what it returns.
"""

from collections.abc import Iterator, Sequence

from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.items import Item, Part
from bitsnode.shop.stock import Stock
from bitsnode.shop.stock_errors import BadStockRange


class Goods:
    """The contents of the items.

    Args:
        catalogue: has the links.
        stock: has the ciphertext.
    """

    def __init__(self, catalogue: Catalogue, stock: Stock) -> None:
        self._catalogue = catalogue
        self._stock = stock

    def whole(self, item: Item) -> Part:
        """Return what a download of the item is."""
        return Part(item.media_type, item.bytes, item.width, item.height)

    def parts(self, item: Item) -> Sequence[Part]:
        """Return what can be looked at, in order: the pictures of a set, or the one file."""
        return self._catalogue.parts(item.id) or (self.whole(item),)

    def read(self, item: Item, part: int | None, first: int, last: int) -> Iterator[bytes]:
        """Return plaintext in pieces of at most 1 MiB, each verified before it is given out.

        Args:
            item: of which.
            part: number of one in `parts`, from 0; None for the whole.
            first: byte of it, from 0.
            last: byte of it, included.

        Raises:
            BadStockRange: there is no such part, or no such byte in it.
            NotInStock, StockDamaged: it cannot be had; see `Stock.read`.
            NoSuchItem, ShopSealed: see `Catalogue.link`.
        """
        place = self.whole(item)
        if part is not None:
            parts = self.parts(item)
            if not 0 <= part < len(parts):
                raise BadStockRange
            place = parts[part]
        if not 0 <= first <= last < place.size:
            raise BadStockRange
        secret = self._catalogue.link(item.id).content_secret
        begin = place.offset
        return self._stock.read(item.content_id, secret, begin + first, begin + last)

    def sealed_size(self, item: Item) -> int:
        """Return the bytes of the item's ciphertext.

        Raises:
            NotInStock: it is not here.
        """
        return self._stock.ciphertext_size(item.content_id)

    def sealed(self, item: Item, first: int, last: int) -> Iterator[bytes]:
        """Return ciphertext from one byte to another, both included, in pieces of at most 1 MiB.

        Raises:
            NotInStock, BadStockRange, StockDamaged: see `Stock.ciphertext`.
        """
        return self._stock.ciphertext(item.content_id, first, last)

    def link(self, item: Item) -> str:
        """Return the link that reads the content: a secret of who has paid.

        Raises:
            NoSuchItem, ShopSealed: see `Catalogue.link`.
        """
        return self._catalogue.link(item.id).text

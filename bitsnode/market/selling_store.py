"""What a publisher sells, on the disk: sealed, one entry for each content."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.codec.keys import SECRET_SIZE
from bitsnode.codec.sealing import NotSealed
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import ContentId
from bitsnode.ledger.sealed_database import SealedDatabase
from bitsnode.market.offer import MAX_DENOMINATIONS, SignedOffer
from bitsnode.market.selling_errors import SalesSealed
from bitsnode.wire import cbor
from bitsnode.wire.market_messages import MAX_SIGNED_OFFER
from bitsnode.wire.messages import MAX_TIME
from bitsnode.wire.record import MAX_SEQUENCE
from bitsnode.wire.schema import Bool, Bytes, ListOf, Uint, field, from_list, to_list
from zk.stealth import PUBLIC_KEY_SIZE, MetaAddress

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE sales (
            name BLOB PRIMARY KEY,          -- keyed hash of the content id
            sealed BLOB NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)
MAX_OLDER: Final = 64  # offers that were replaced and may still be paid
MAX_SALE: Final = (MAX_OLDER + 2) * MAX_SIGNED_OFFER  # bytes
_OFFER: Final = Bytes(0, MAX_SIGNED_OFFER)
_KEY: Final = Bytes(32, 32)
_SECRET: Final = Bytes(SECRET_SIZE, SECRET_SIZE)
_POINT: Final = Bytes(PUBLIC_KEY_SIZE, PUBLIC_KEY_SIZE)


@attrs.frozen
class Sale:
    """All that is needed to renew, change or end the offer of one content.

    Attributes:
        content: digest of the content id, 32 bytes.
        secret: content secret, 16 bytes.
        whitening: W, 16 bytes.
        publisher_seed: of the key in the manifest, 32 bytes.
        spending_public_key: of the creator's meta-address, 33 bytes.
        viewing_public_key: likewise.
        denomination: of the price that is wanted, row of the contract's table.
        pending: an offer for that price is still to be made.
        withdrawn: no further offer is to be made, nor announced.
        offer: signed, the one that is announced; empty before the first.
        older: signed, those that were replaced and may still be paid.
        sequence: of the record that was signed last; 0 for none.
        announced_at: Unix time in seconds when nodes last took the record; 0 for never.
    """

    content: bytes = field(1, _KEY)
    secret: bytes = field(2, _SECRET, secret=True)
    whitening: bytes = field(3, _SECRET, secret=True)
    publisher_seed: bytes = field(4, _KEY, secret=True)
    spending_public_key: bytes = field(5, _POINT)
    viewing_public_key: bytes = field(6, _POINT)
    denomination: int = field(7, Uint(MAX_DENOMINATIONS - 1))
    pending: bool = field(8, Bool())
    withdrawn: bool = field(9, Bool())
    offer: bytes = field(10, _OFFER, secret=True)
    older: tuple[bytes, ...] = field(11, ListOf(_OFFER, MAX_OLDER), secret=True)
    sequence: int = field(12, Uint(MAX_SEQUENCE))
    announced_at: int = field(13, Uint(MAX_TIME))

    @property
    def content_id(self) -> ContentId:
        """Its name."""
        return ContentId(self.content)

    @property
    def payee(self) -> MetaAddress:
        """Whom it pays."""
        return MetaAddress(self.spending_public_key, self.viewing_public_key)

    @property
    def signed(self) -> SignedOffer | None:
        """The offer that is announced."""
        return SignedOffer.parse(self.offer) if self.offer else None


class SellingStore:
    """All sales of a home. Each method is one transaction; any thread may call it.

    Args:
        path: of the file.
        key: that seals it, 32 bytes.
        chain_id: on which is paid.

    Attributes:
        database: the file.
        close: closes it.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(self, path: Path, key: bytes, chain_id: int) -> None:
        self._file = SealedDatabase(path, MIGRATIONS, f"sales on chain {chain_id}", key)
        self.database = self._file.database
        self.close = self._file.close

    def put(self, sale: Sale) -> None:
        """Keep a sale instead of what was kept of its content."""
        name = self._file.name(sale.content)
        sealed = self._file.seal(cbor.encode(to_list(sale)))
        with self._file.transaction() as database:
            database.rows("INSERT OR REPLACE INTO sales VALUES (?, ?)", name, sealed)

    def find(self, content: bytes) -> Sale | None:
        """Return the sale of a content id's digest (32 bytes).

        Raises:
            SalesSealed: the key is another, or the entry is damaged.
        """
        query = "SELECT sealed FROM sales WHERE name = ?"
        return next(map(self._open, self._file.select(query, self._file.name(content))), None)

    def all(self) -> list[Sale]:
        """Return all sales.

        Raises:
            SalesSealed: as in `find`.
        """
        query = "SELECT sealed FROM sales ORDER BY name"
        return [self._open(row) for row in self._file.select(query)]

    def _open(self, row: tuple[Any, ...]) -> Sale:
        try:
            return from_list(Sale, cbor.decode(self._file.unseal(row[0]), MAX_SALE))
        except (NotSealed, RemoteProtocolError) as error:
            raise SalesSealed from error

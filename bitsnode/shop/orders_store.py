"""Orders on the disk: ``HOME/shop/orders.db``, sealed, one entry for each."""

import hashlib
import hmac
import threading
from base64 import b32decode, b32encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.codec.sealing import NotSealed, seal, unseal
from bitsnode.errors import RemoteProtocolError
from bitsnode.ledger.database import Database
from bitsnode.shop.errors import ShopSealed, TooManyOrders
from bitsnode.shop.items import ID_LENGTH
from bitsnode.shop.writing import written
from bitsnode.wire import cbor
from bitsnode.wire.messages import MAX_TIME
from bitsnode.wire.schema import Bytes, Text, Uint, field, from_list, to_list

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE orders (
            number INTEGER PRIMARY KEY,     -- in the order in which they came
            name BLOB NOT NULL UNIQUE,      -- keyed hash of the order's id
            claim BLOB NOT NULL UNIQUE,     -- keyed hash of its claim code
            sealed BLOB NOT NULL
        )
        """,
    ),
)
MAX_ORDERS: Final = 200_000  # some 40 MB; an order never ends, since it may be paid late
ID_SIZE: Final = 16  # bytes of an order's id
INVOICE_SIZE: Final = 16  # bytes
_MAX_SEALED: Final = 512  # bytes
_PURPOSE: Final = b"bits/order/v1"
_ID_TEXT: Final = 26  # characters of base32 of an order's id


@attrs.frozen
class Entry:
    """An order as it is sealed.

    Attributes:
        key: of the order, 16 bytes.
        item: id of the item.
        invoice: id of the invoice.
        created: day on which it came, Unix time in seconds.
    """

    key: bytes = field(1, Bytes(ID_SIZE, ID_SIZE), secret=True)
    item: str = field(2, Text(ID_LENGTH))
    invoice: bytes = field(3, Bytes(INVOICE_SIZE, INVOICE_SIZE))
    created: int = field(4, Uint(MAX_TIME))


class OrdersStore:
    """All orders of a shop. Each method is one transaction; any thread may call it.

    Args:
        path: of the file.
        key: that seals it, 32 bytes.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._key = key
        self._lock = threading.Lock()
        self.database = Database(path, MIGRATIONS, "orders")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    def check_room(self) -> None:
        """See that there is room for one order more.

        Raises:
            TooManyOrders: there is none.
        """
        if self._select("SELECT count(*) FROM orders") >= [(MAX_ORDERS,)]:
            raise TooManyOrders

    def add(self, entry: Entry, claim: bytes) -> None:
        """Keep an order with the hash of its claim code.

        Raises:
            ShopDiskError: the disk is full or fails.
        """
        sealed = seal(self._key, cbor.encode(to_list(entry)))
        with self._lock, written(self.database):
            self.database.rows(
                "INSERT INTO orders (name, claim, sealed) VALUES (?, ?, ?)",
                self._name(entry.key),
                claim,
                sealed,
            )

    def find(self, key: bytes) -> Entry | None:
        """Return an order by its id of 16 bytes.

        Raises:
            ShopSealed: the file's key is another, or the entry is damaged.
        """
        name = self._name(key)
        for found, sealed in self._select("SELECT name, sealed FROM orders WHERE name = ?", name):
            if hmac.compare_digest(found, name):
                return self._open(sealed)
        return None

    def claimed(self, claim: bytes) -> Entry | None:
        """Return an order by the hash of its claim code.

        Raises:
            ShopSealed: as in `find`.
        """
        query = "SELECT claim, sealed FROM orders WHERE claim = ?"
        for found, sealed in self._select(query, claim):
            if hmac.compare_digest(found, claim):
                return self._open(sealed)
        return None

    def all(self) -> list[Entry]:
        """Return all orders, newest first.

        Raises:
            ShopSealed: as in `find`.
        """
        rows = self._select("SELECT sealed FROM orders ORDER BY number DESC")
        return [self._open(sealed) for (sealed,) in rows]

    def _name(self, key: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + key, hashlib.sha256)

    def _open(self, sealed: bytes) -> Entry:
        try:
            return from_list(Entry, cbor.decode(unseal(self._key, sealed), _MAX_SEALED))
        except (NotSealed, RemoteProtocolError) as error:
            raise ShopSealed from error

    def _select(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self.database.rows(statement, *values)


def id_text(key: bytes) -> str:
    """Return the id of an order (16 bytes) as text: 26 characters of base32."""
    return b32encode(key).decode("ascii").rstrip("=").lower()


def id_bytes(text: str) -> bytes | None:
    """Return the 16 bytes of an order's id; None for what is none, in its one form."""
    if len(text) != _ID_TEXT or not text.isascii() or text != text.lower():
        return None
    try:
        key = b32decode(text.upper() + "======")
    except ValueError:
        return None
    return key if id_text(key) == text else None

"""Invoices on the disk: sealed, one entry for each."""

import hashlib
import hmac
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bitsnode.codec.sealing import NotSealed, seal, unseal
from bitsnode.errors import RemoteProtocolError
from bitsnode.ledger.database import Database
from bitsnode.market.invoice_errors import InvoicesSealed, InvoicesUnwritable
from bitsnode.market.invoice_record import Record
from bitsnode.wire import cbor
from bitsnode.wire.schema import from_list, to_list

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE invoices (
            name BLOB PRIMARY KEY,          -- keyed hash of the id
            sealed BLOB NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)
MAX_RECORD: Final = 1024  # bytes


class InvoiceStore:
    """All invoices of a shop. Each method is one transaction; any thread may call it.

    Args:
        path: of the file.
        key: that seals it, 32 bytes.
        chain_id: on which is paid.
        factory: of the invoices, 20 bytes.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(self, path: Path, key: bytes, chain_id: int, factory: bytes) -> None:
        self._key = key
        self._lock = threading.Lock()
        owner = f"invoices on chain {chain_id} of {factory.hex()}"
        self.database = Database(path, MIGRATIONS, owner)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    def put(self, record: Record) -> None:
        """Keep an invoice instead of what was kept of it.

        Raises:
            InvoicesUnwritable: the disk refuses.
        """
        sealed = seal(self._key, cbor.encode(to_list(record)))
        name = hmac.digest(self._key, record.id, hashlib.sha256)
        try:
            with self._lock, self.database.transaction():
                self.database.rows("INSERT OR REPLACE INTO invoices VALUES (?, ?)", name, sealed)
        except (OSError, sqlite3.Error) as error:
            raise InvoicesUnwritable from error

    def all(self) -> list[Record]:
        """Return all invoices.

        Raises:
            InvoicesSealed: the key is another, or an entry is damaged.
            sqlite3.Error: the disk refuses.
        """
        with self._lock:
            rows: list[Any] = self.database.rows("SELECT sealed FROM invoices")
        try:
            return [
                from_list(Record, cbor.decode(unseal(self._key, sealed), MAX_RECORD))
                for (sealed,) in rows
            ]
        except (NotSealed, RemoteProtocolError) as error:
            raise InvoicesSealed from error

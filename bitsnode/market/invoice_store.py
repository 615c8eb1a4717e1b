"""Invoices on the disk: sealed, one entry for each; and the counter that they are drawn by."""

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from bitsnode.codec.sealing import NotSealed
from bitsnode.errors import RemoteProtocolError
from bitsnode.ledger.database import Database
from bitsnode.ledger.sealed_database import SealedDatabase
from bitsnode.market.invoice_errors import InvoicesSealed, InvoicesUnwritable
from bitsnode.market.invoice_keys import InvoiceKeys
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
    (
        "CREATE TABLE counter (next INTEGER NOT NULL)",  # one row: the index of the next invoice
        """
        CREATE TABLE unknown (
            start INTEGER PRIMARY KEY       -- from here on, invoices may not be in this file
        )
        """,
    ),
)
MAX_RECORD: Final = 1024  # bytes
FAR: Final = 1 << 62  # a counter that jumps lands somewhere below this, drawn by lot


class InvoiceStore:
    """All invoices of a shop. Each method is one transaction; any thread may call it.

    Args:
        path: of the file.
        key: that seals it, and from which invoices are drawn; 32 bytes.
        chain_id: on which is paid.
        factory: of the invoices, 20 bytes.
        begin: index of the first invoice, if the file has no counter. Where it is not 0, the key
            may have been used before, so that those from 0 on may be unknown.

    Attributes:
        database: the file.
        close: closes it.
        keys: draw its invoices.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(
        self, path: Path, key: bytes, chain_id: int, factory: bytes, begin: int = 0
    ) -> None:
        owner = f"invoices on chain {chain_id} of {factory.hex()}"
        self._file = SealedDatabase(path, MIGRATIONS, owner, key)
        self.database = self._file.database
        self.close = self._file.close
        self.keys = InvoiceKeys(key, chain_id, factory)
        if not self._file.select("SELECT next FROM counter"):
            with self._file.transaction() as database:
                _jump(database, begin)

    def put(self, record: Record) -> None:
        """Keep an invoice instead of what was kept of it.

        Raises:
            InvoicesUnwritable: the disk refuses.
        """
        name = self._file.name(record.id)
        sealed = self._file.seal(cbor.encode(to_list(record)))
        with self._writing() as database:
            database.rows("INSERT OR REPLACE INTO invoices VALUES (?, ?)", name, sealed)

    def all(self) -> list[Record]:
        """Return all invoices.

        Raises:
            InvoicesSealed: the key is another, or an entry is damaged.
            sqlite3.Error: the disk refuses.
        """
        rows: list[Any] = self._file.select("SELECT sealed FROM invoices")
        try:
            return [
                from_list(Record, cbor.decode(self._file.unseal(sealed), MAX_RECORD))
                for (sealed,) in rows
            ]
        except (NotSealed, RemoteProtocolError) as error:
            raise InvoicesSealed from error

    def take(self) -> int:
        """Return the index of a new invoice; when this returns, no other will ever have it.

        Raises:
            InvoicesUnwritable: the disk refuses.
        """
        with self._writing() as database:
            ((index,),) = database.rows("SELECT next FROM counter")
            database.rows("UPDATE counter SET next = next + 1")
        return int(str(index))

    def unknown(self) -> list[int]:
        """Return the indices from which on invoices may be missing here, since a restore."""
        return [start for (start,) in self._file.select("SELECT start FROM unknown ORDER BY start")]

    @contextmanager
    def _writing(self) -> Iterator[Database]:
        try:
            with self._file.transaction() as database:
                yield database
        except (OSError, sqlite3.Error) as error:
            raise InvoicesUnwritable from error


def far_place() -> int:
    """Return where a counter goes on after a jump, drawn by lot; never 0.

    So a second restore of the same backup does not come to the same place either.
    """
    return 1 + secrets.randbelow(FAR - 1)


def jump_ahead(path: Path, owner: str) -> None:
    """Have a file that is older than its shop draw no invoice that may have been drawn since.

    Args:
        path: of the file, which nobody uses.
        owner: as it says itself.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged: the file cannot be used.
        sqlite3.Error: the disk refuses.
    """
    with closing(Database(path, MIGRATIONS, owner)) as database, database.transaction():
        _jump(database, far_place())


def _jump(database: Database, place: int) -> None:
    """Go on from an index, and note from where on invoices may be missing."""
    if place:
        start = "SELECT coalesce(max(next), 0) FROM counter"
        database.rows(f"INSERT OR IGNORE INTO unknown {start}")
    database.rows("DELETE FROM counter")
    database.rows("INSERT INTO counter VALUES (?)", place)

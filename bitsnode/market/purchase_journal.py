"""The journal of purchases: every fact on the disk before anybody else can notice it.

What says who bought what, and every secret, is sealed under a key from outside; without it the
file shows how many purchases there are and how many facts each has.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bitsnode.codec.sealing import NotSealed
from bitsnode.ledger.sealed_database import SealedDatabase
from bitsnode.market.purchase_errors import JournalSealed, VoucherTaken
from bitsnode.market.purchase_facts import (
    Cheated,
    Fact,
    Opened,
    Released,
    Reserved,
    decode_fact,
    encode_fact,
)

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE purchases (
            id BLOB PRIMARY KEY,            -- 16 bytes
            voucher BLOB UNIQUE,            -- keyed hash of the one it uses; NULL for none
            under_way INTEGER NOT NULL      -- 1 while there is something to do
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE facts (
            purchase BLOB NOT NULL REFERENCES purchases,
            number INTEGER NOT NULL,        -- from 0
            sealed BLOB NOT NULL,
            PRIMARY KEY (purchase, number)
        ) WITHOUT ROWID
        """,
    ),
)
ID_SIZE: Final = 16  # bytes
_LAST: Final = (Opened, Released, Cheated)  # facts after which there is nothing to do


class PurchaseJournal:
    """All purchases of a home. Each method is one transaction; any thread may call it.

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
        self._file = SealedDatabase(path, MIGRATIONS, f"purchases on chain {chain_id}", key)
        self.database = self._file.database
        self.close = self._file.close

    def begin(self, purchase: bytes, fact: Fact) -> None:
        """Note a new purchase (id of 16 bytes) with its first fact."""
        with self._file.transaction():
            self.database.rows("INSERT INTO purchases VALUES (?, NULL, 1)", purchase)
            self._insert(purchase, fact)

    def note(self, purchase: bytes, fact: Fact) -> None:
        """Note a further fact.

        Raises:
            VoucherTaken: the voucher that it names is another purchase's; nothing is noted.
        """
        with self._file.transaction():
            self._insert(purchase, fact)
            if isinstance(fact, Reserved):
                self._claim(purchase, fact.voucher)
            if isinstance(fact, Released):
                self.database.rows("UPDATE purchases SET voucher = NULL WHERE id = ?", purchase)
            if isinstance(fact, _LAST):
                self.database.rows("UPDATE purchases SET under_way = 0 WHERE id = ?", purchase)

    def facts(self, purchase: bytes) -> list[Fact]:
        """Return the facts of a purchase in their order.

        Raises:
            JournalSealed: the key is another.
            BadFact: one cannot be read.
        """
        query = "SELECT sealed FROM facts WHERE purchase = ? ORDER BY number"
        rows = self._file.select(query, purchase)
        try:
            return [decode_fact(self._file.unseal(sealed)) for (sealed,) in rows]
        except NotSealed as error:
            raise JournalSealed from error

    def purchases(self, *, under_way: bool = False) -> list[bytes]:
        """Return the ids of all purchases, or of those with something to do."""
        query = "SELECT id FROM purchases WHERE under_way >= ? ORDER BY id"
        return [purchase for (purchase,) in self._file.select(query, int(under_way))]

    def _insert(self, purchase: bytes, fact: Fact) -> None:
        self.database.rows(
            "INSERT INTO facts VALUES (?1, (SELECT count(*) FROM facts WHERE purchase = ?1), ?2)",
            purchase,
            self._file.seal(encode_fact(fact)),
        )

    def _claim(self, purchase: bytes, voucher: int) -> None:
        name = self._file.name(b"voucher" + voucher.to_bytes(4, "big"))
        try:
            self.database.rows("UPDATE purchases SET voucher = ? WHERE id = ?", name, purchase)
        except sqlite3.IntegrityError as error:
            raise VoucherTaken from error

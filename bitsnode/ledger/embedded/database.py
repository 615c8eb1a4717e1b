"""The one SQLite file of a chain: py-evm's keys and values, and our own tables beside them."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from eth.abc import AtomicWriteBatchAPI
from eth.db.atomic import AtomicDBWriteBatch
from eth.db.backends.base import BaseAtomicDB

from bitsnode.ledger.embedded.errors import (
    ChainDamaged,
    ChainIsAnother,
    ChainTooNew,
    ChainUnusable,
)

APPLICATION_ID: Final = 0x62697463  # "bitc": tells our file from any other SQLite file

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        # py-evm's: trie nodes, headers, code. Keys are hashes or short names.
        "CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL)",
        """
        CREATE TABLE transactions (
            hash BLOB PRIMARY KEY,
            block INTEGER NOT NULL,
            position INTEGER NOT NULL,      -- in its block
            raw BLOB NOT NULL,              -- as it was sent (EIP-2718)
            sender BLOB NOT NULL,
            contract BLOB,                  -- address of the contract made, if one was
            status INTEGER NOT NULL,        -- 1 done, 0 failed
            gas_used INTEGER NOT NULL,
            cumulative_gas INTEGER NOT NULL,
            gas_price BLOB NOT NULL         -- wei per gas paid, big-endian
        )
        """,
        "CREATE UNIQUE INDEX transactions_by_block ON transactions (block, position)",
        """
        CREATE TABLE logs (
            block INTEGER NOT NULL,
            position INTEGER NOT NULL,      -- in its block
            transaction_position INTEGER NOT NULL,
            address BLOB NOT NULL,
            topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB,
            data BLOB NOT NULL,
            PRIMARY KEY (block, position)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX logs_by_address ON logs (address, block)",
        "CREATE INDEX logs_by_topic0 ON logs (topic0, block)",
    ),
)


class ChainDatabase(BaseAtomicDB):
    """What py-evm keeps a chain in; every write within `transaction` is on the disk after it.

    For one thread at a time; a thread other than the opener's may use it.

    Raises:
        ChainDamaged: the file is not a sound database of ours.
        ChainTooNew: a newer version wrote it.
        ChainIsAnother: it holds a chain with another chain id.
        ChainUnusable: the system refuses to open or write it.
    """

    def __init__(self, path: Path, chain_id: int) -> None:
        try:
            self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise ChainUnusable(f"The chain's database {path} cannot be opened: {error}.") from None
        self._depth = 0
        try:
            self._prepare(path, chain_id)
        except sqlite3.OperationalError as error:
            self.close()
            raise ChainUnusable(f"The chain's database {path} cannot be used: {error}.") from None
        except sqlite3.DatabaseError:
            self.close()
            raise ChainDamaged(
                f"The chain's database {path} is damaged or not one of bits;"
                " restore it from a backup."
            ) from None
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: Path, chain_id: int) -> None:
        (version,) = self.one("PRAGMA user_version")
        (application,) = self.one("PRAGMA application_id")
        (tables,) = self.one("SELECT count(*) FROM sqlite_master")
        if application != APPLICATION_ID and (tables or version):
            raise ChainDamaged(
                f"The file {path} is a database, but not of a chain of bits; move it away."
            )
        if version > len(MIGRATIONS):
            raise ChainTooNew(
                f"The chain's database {path} was written by a newer version of bits; use that one."
            )
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.execute("PRAGMA synchronous = FULL")
        self.is_new = not version
        if self.is_new:
            return
        if (known := self.meta("chain_id")) != chain_id:
            raise ChainIsAnother(
                f"The directory {path.parent} holds a chain with id {known}, not {chain_id}."
            )

    def create(self, chain_id: int) -> None:
        """Make the tables; within the transaction that writes the genesis block."""
        for statement in MIGRATIONS[0]:
            self._sql.execute(statement)
        self.set_meta("chain_id", chain_id)
        self._sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._sql.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def close(self) -> None:
        """Close the file."""
        self._sql.close()

    def one(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Return the first row of a question, or None."""
        return self._sql.execute(statement, values).fetchone()

    def rows(self, statement: str, values: Sequence[Any] = ()) -> "Iterator[Any]":
        """Return the rows of a question one by one."""
        return self._sql.execute(statement, values)

    def write(self, statement: str, values: Sequence[Any] = ()) -> None:
        """Carry out a statement."""
        self._sql.execute(statement, values)

    def meta(self, name: str) -> int:
        """Return a number kept by name; 0 if none is."""
        row = self.one("SELECT value FROM meta WHERE name = ?", (name,))
        return int(row[0]) if row else 0

    def set_meta(self, name: str, value: int) -> None:
        """Keep a number by name."""
        self.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def __getitem__(self, key: bytes) -> bytes:
        row = self.one("SELECT value FROM state WHERE key = ?", (bytes(key),))
        if row is None:
            raise KeyError(key)
        return bytes(row[0])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.write("INSERT OR REPLACE INTO state VALUES (?, ?)", (bytes(key), bytes(value)))

    def __delitem__(self, key: bytes) -> None:
        self.write("DELETE FROM state WHERE key = ?", (bytes(key),))

    def _exists(self, key: bytes) -> bool:
        return self.one("SELECT 1 FROM state WHERE key = ?", (bytes(key),)) is not None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within are on the disk when this ends, or none is; may be nested."""
        if self._depth == 0:
            self._sql.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self._sql.execute("COMMIT")
        except BaseException:
            if self._depth == 1 and self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise
        finally:
            self._depth -= 1

    @contextmanager
    def atomic_batch(self) -> Iterator[AtomicWriteBatchAPI]:
        """What py-evm writes its batches through."""
        batch: AbstractContextManager[AtomicWriteBatchAPI]
        batch = AtomicDBWriteBatch._commit_unless_raises(self)
        with self.transaction(), batch as writes:
            yield writes

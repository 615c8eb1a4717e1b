"""What a relay has taken to sweep: each invoice once at a time."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.ledger.database import Database

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE sweeps (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            invoice BLOB NOT NULL,          -- address, 20 bytes
            call BLOB NOT NULL,             -- data of the transaction
            fee_limit TEXT NOT NULL,        -- wei, decimal
            open INTEGER NOT NULL           -- 1 until what became of it is known
        )
        """,
        "CREATE UNIQUE INDEX sweeps_open ON sweeps (invoice) WHERE open",
    ),
)


@attrs.frozen
class Sweep:
    """A sweep that was taken.

    Attributes:
        number: of it in the file, from 1; never used again.
        invoice: address, 20 bytes.
        call: data of the transaction.
        fee_limit: wei that sending it may cost.
    """

    number: int
    invoice: bytes
    call: bytes = attrs.field(repr=False)
    fee_limit: int


class SweepJournal:
    """The file; each method is one transaction, and any thread may call it.

    Args:
        path: of the file.
        chain_id: as in EIP-155.
        factory: of the invoices, 20 bytes.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: it cannot be used.
    """

    def __init__(self, path: Path, chain_id: int, factory: bytes) -> None:
        self._lock = threading.Lock()
        self.database = Database(path, MIGRATIONS, f"sweeps on chain {chain_id} of {factory.hex()}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    def take(self, invoice: bytes, call: bytes, fee_limit: int) -> Sweep:
        """Write a sweep down; while one of the same invoice is open, that one is meant."""
        with self._lock, self.database.transaction():
            self.database.rows(
                "INSERT OR IGNORE INTO sweeps (invoice, call, fee_limit, open) VALUES (?, ?, ?, 1)",
                *(invoice, call, str(fee_limit)),
            )
            (found,) = self._select("open AND invoice = ?", invoice)
        return found

    def find(self, invoice: bytes) -> Sweep | None:
        """Return the sweep of an invoice that is open."""
        with self._lock:
            return next(iter(self._select("open AND invoice = ?", invoice)), None)

    def open(self) -> list[Sweep]:
        """Return those of which it is not known what became."""
        with self._lock:
            return self._select("open")

    def settle(self, number: int) -> None:
        """Write down that it is known what became of one."""
        with self._lock, self.database.transaction():
            self.database.rows("UPDATE sweeps SET open = 0 WHERE number = ?", number)

    def _select(self, where: str, *values: object) -> list[Sweep]:
        query = f"SELECT number, invoice, call, fee_limit FROM sweeps WHERE {where}"  # noqa: S608
        rows: list[Any] = self.database.rows(query, *values)
        return [Sweep(number, invoice, call, int(limit)) for number, invoice, call, limit in rows]

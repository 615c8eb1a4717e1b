"""What a relay has taken: each redemption once, and no voucher for two of them at a time."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.ledger.database import Database
from bitsnode.ledger.redemption import Spend

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE submissions (
            message BLOB PRIMARY KEY,       -- 32 bytes
            call BLOB NOT NULL,             -- data of the transaction
            fee_limit TEXT NOT NULL,        -- wei, decimal
            open INTEGER NOT NULL           -- 1 until what became of it is known
        ) WITHOUT ROWID
        """,
        "CREATE INDEX submissions_open ON submissions (message) WHERE open",
        """
        CREATE TABLE vouchers (
            voucher BLOB PRIMARY KEY,       -- group and nullifier, 64 bytes
            message BLOB NOT NULL REFERENCES submissions
        ) WITHOUT ROWID
        """,
        "CREATE INDEX vouchers_by_message ON vouchers (message)",
    ),
)


@attrs.frozen
class Submission:
    """A redemption that was taken.

    Attributes:
        message: 32 bytes.
        call: data of the transaction.
        fee_limit: wei that sending it may cost.
    """

    message: bytes
    call: bytes = attrs.field(repr=False)
    fee_limit: int


class RelayJournal:
    """The file; each method is one transaction, and any thread may call it.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: it cannot be used.
    """

    def __init__(self, path: Path, chain_id: int, vouchers: bytes) -> None:
        self._lock = threading.Lock()
        owner = f"relay on chain {chain_id} for {vouchers.hex()}"
        self.database = Database(path, MIGRATIONS, owner)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    def take(self, submission: Submission, spends: Sequence[Spend]) -> bool:
        """Write a redemption down; False if one of its vouchers is another's. Again is as good."""
        vouchers = [spend.encode()[:64] for spend in spends]
        with self._lock, self.database.transaction():
            for voucher in vouchers:
                query = "SELECT message FROM vouchers WHERE voucher = ?"
                for (other,) in self.database.rows(query, voucher):
                    if other != submission.message:
                        return False
            row = (submission.message, submission.call, str(submission.fee_limit))
            self.database.rows("INSERT OR IGNORE INTO submissions VALUES (?, ?, ?, 1)", *row)
            for voucher in vouchers:
                values = (voucher, submission.message)
                self.database.rows("INSERT OR IGNORE INTO vouchers VALUES (?, ?)", *values)
        return True

    def find(self, message: bytes) -> Submission | None:
        """Return what was taken under a message."""
        found = self._select("message = ?", message)
        return found[0] if found else None

    def open(self) -> list[Submission]:
        """Return those of which it is not known what became."""
        return self._select("open")

    def settle(self, message: bytes, redeemed: bool) -> None:
        """Write down what became of one; vouchers of one that failed may be tried again."""
        with self._lock, self.database.transaction():
            self.database.rows("UPDATE submissions SET open = 0 WHERE message = ?", message)
            if not redeemed:
                self.database.rows("DELETE FROM vouchers WHERE message = ?", message)

    def drop(self, message: bytes) -> None:
        """Forget one for which nothing was signed."""
        with self._lock, self.database.transaction():
            self.database.rows("DELETE FROM vouchers WHERE message = ?", message)
            self.database.rows("DELETE FROM submissions WHERE message = ?", message)

    def _select(self, where: str, *values: object) -> list[Submission]:
        query = f"SELECT message, call, fee_limit FROM submissions WHERE {where}"  # noqa: S608
        with self._lock:
            rows: list[Any] = self.database.rows(query, *values)
        return [Submission(message, call, int(limit)) for message, call, limit in rows]

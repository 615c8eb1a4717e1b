"""What the wallet remembers of one chain: accounts, payments found, withdrawals made.

All of it but withdrawals and funders is found again on the chain, if the file is lost.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.database import Database
from bitsnode.ledger.wallet.errors import HistoryOfAnotherWallet
from bitsnode.ledger.wallet.schema import MIGRATIONS

_WITHDRAWAL: Final = (
    "intent, batch, source, stealth, destination, amount, fee_limit, state, transaction_hash,"
    " block, fee"
)


class State(StrEnum):
    """Where a withdrawal stands."""

    PLANNED = "planned"  # written down before anything is signed
    DONE = "done"  # in the chain
    FAILED = "failed"  # in the chain, and refused by it
    DROPPED = "dropped"  # never signed, and never will be


@attrs.frozen
class Place:
    """How far announcements were looked at.

    Attributes:
        cursor: of the last one.
        transaction: hash of the one that it came in; another one there means another chain.
    """

    cursor: Cursor
    transaction: bytes


@attrs.frozen
class Payment:
    """A payment to the meta-address, as it was announced; what it holds is the chain's to say.

    Attributes:
        stealth_address: checksummed.
        ephemeral_public_key: R, 33 bytes.
        block: in which it was announced.
        log_index: of the announcement, in that block.
        transaction_hash: 0x and 64 hex digits.
    """

    stealth_address: str
    ephemeral_public_key: bytes = attrs.field(repr=False)
    block: int
    log_index: int
    transaction_hash: str


@attrs.frozen
class Withdrawal:
    """One transaction out of the wallet.

    Attributes:
        intent: its name for the ledger, which never signs two of the same name.
        batch: the same for those that were asked for at once.
        source: address of an account or a payment.
        stealth: whether the source is a payment.
        destination: checksummed.
        amount: wei that arrive.
        fee_limit: wei.
        state: see `State`.
        transaction_hash: once it is in the chain.
        block: once it is in the chain.
        fee: wei, once it is in the chain.
    """

    intent: str
    batch: str
    source: str
    stealth: bool
    destination: str
    amount: int
    fee_limit: int
    state: State = State.PLANNED
    transaction_hash: str | None = None
    block: int | None = None
    fee: int | None = None


class History:
    """The database; each method is one transaction, and any thread may call it.

    Args:
        path: of the file.
        chain_id: of the chain that it is about; None where no chain is set.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: it cannot be used.
        sqlite3.Error, OSError: the system refuses.
    """

    def __init__(self, path: Path, chain_id: int | None) -> None:
        self.database = Database(path, MIGRATIONS, f"wallet on chain {chain_id}")
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """All that is done within is kept, or nothing of it."""
        with self._lock, self.database.transaction():
            yield self.database

    # Whose it is

    def claim(self, meta_address: str) -> None:
        """Make this the history of a wallet, if it is nobody's yet.

        Raises:
            HistoryOfAnotherWallet: it is another's.
        """
        with self.transaction() as db:
            db.rows("INSERT OR IGNORE INTO facts VALUES ('meta_address', ?)", meta_address)
            if _meta_address(db) != meta_address:
                raise HistoryOfAnotherWallet

    def meta_address(self) -> str | None:
        """Return whose history it is; None for nobody's."""
        with self.transaction() as db:
            return _meta_address(db)

    # Accounts

    def add_account(self, index: int, address: str) -> None:
        """Remember an account; one that is known already is as good."""
        with self.transaction() as db:
            db.rows("INSERT OR IGNORE INTO accounts VALUES (?, ?)", index, address)

    def accounts(self) -> dict[int, str]:
        """Return the addresses of the accounts by index."""
        with self.transaction() as db:
            rows: list[Any] = db.rows("SELECT * FROM accounts ORDER BY account_index")
        return dict(rows)

    def add_funder(self, address: str) -> None:
        """Remember that this address paid into an account."""
        with self.transaction() as db:
            db.rows("INSERT OR IGNORE INTO funders VALUES (?)", address)

    def is_funder(self, address: str) -> bool:
        """Whether this address is known to have paid into an account."""
        with self.transaction() as db:
            return bool(db.rows("SELECT 1 FROM funders WHERE address = ?", address))

    # Payments

    def place(self) -> Place | None:
        """Return how far announcements were looked at; None before the first."""
        with self.transaction() as db:
            rows: list[Any] = db.rows("SELECT block, log_index, transaction_hash FROM place")
        return Place(Cursor(rows[0][0], rows[0][1]), rows[0][2]) if rows else None

    def add_scanned(self, payments: Iterable[Payment], place: Place) -> None:
        """Remember the payments among some announcements, and how far these went, at once.

        Of two announcements of one address the first counts.
        """
        rows = [attrs.astuple(payment) for payment in payments]
        row = (place.cursor.block, place.cursor.log_index, place.transaction)
        with self.transaction() as db:
            db.many("INSERT OR IGNORE INTO payments VALUES (?, ?, ?, ?, ?)", rows)
            db.rows("INSERT OR REPLACE INTO place VALUES (1, ?, ?, ?)", *row)

    def start_over(self) -> None:
        """Forget all payments and look again from the start, as the chain is another one.

        Those of which something was withdrawn stay: their keys may still be needed.
        """
        with self.transaction() as db:
            db.rows(
                "DELETE FROM payments WHERE stealth_address NOT IN (SELECT source FROM withdrawals)"
            )
            db.rows("DELETE FROM place")

    def payments(self) -> list[Payment]:
        """Return all payments found, in the order of the chain."""
        with self.transaction() as db:
            rows: list[Any] = db.rows("SELECT * FROM payments ORDER BY block, log_index")
        return [Payment(*row) for row in rows]

    # Withdrawals

    def plan(self, withdrawals: Iterable[Withdrawal]) -> None:
        """Write withdrawals down before anything of them is signed."""
        rows = [_as_row(line) for line in withdrawals]
        marks = ", ".join("?" * 11)
        with self.transaction() as db:
            db.many(f"INSERT INTO withdrawals VALUES ({marks})", rows)  # noqa: S608

    def settle(
        self,
        intent: str,
        state: State,
        transaction_hash: str | None = None,
        block: int | None = None,
        fee: int | None = None,
    ) -> None:
        """Write down what became of a withdrawal."""
        with self.transaction() as db:
            db.rows(
                "UPDATE withdrawals SET state = ?, transaction_hash = ?, block = ?, fee = ?"
                " WHERE intent = ?",
                *(state, transaction_hash, block, None if fee is None else str(fee), intent),
            )

    def withdrawals(self, state: State | None = None) -> list[Withdrawal]:
        """Return the withdrawals in a state, or all."""
        with self.transaction() as db:
            rows = db.rows(
                f"SELECT {_WITHDRAWAL} FROM withdrawals"  # noqa: S608
                " WHERE state = coalesce(?, state) ORDER BY rowid",
                state,
            )
        return [_from_row(row) for row in rows]


def _meta_address(db: Database) -> str | None:
    rows = db.rows("SELECT value FROM facts WHERE name = 'meta_address'")
    return str(rows[0][0]) if rows else None


def _as_row(line: Withdrawal) -> tuple[object, ...]:
    # sums as text: SQLite's integers end at 64 bits
    return tuple(
        str(value) if name in ("amount", "fee_limit", "fee") and value is not None else value
        for name, value in attrs.asdict(line).items()
    )


def _from_row(row: tuple[object, ...]) -> Withdrawal:
    intent, batch, source, stealth, destination, amount, limit, state, digest, block, fee = row
    return Withdrawal(
        intent=str(intent),
        batch=str(batch),
        source=str(source),
        stealth=bool(stealth),
        destination=str(destination),
        amount=int(str(amount)),
        fee_limit=int(str(limit)),
        state=State(str(state)),
        transaction_hash=None if digest is None else str(digest),
        block=None if block is None else int(str(block)),
        fee=None if fee is None else int(str(fee)),
    )

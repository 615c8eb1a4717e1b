"""Vouchers in the wallet's history: which indices are used, whose each is, what was handed out."""

from collections.abc import Iterable
from typing import Any, Final

import attrs

from bitsnode.ledger.wallet.history import History
from bitsnode.ledger.wallet.voucher_keys import Identity
from bitsnode.ledger.wallet.voucher_values import Deposit
from zk.field import decode, encode

_ROW: Final = (
    "voucher_index, denomination, commitment, nullifier, account, deposit, planned_at,"
    " transaction_hash, block, ticket, purpose"
)


@attrs.frozen
class Row:
    """A voucher as it is written down.

    Attributes:
        identity: what it shows, and its index.
        denomination: row of the contract's table.
        account: that pays; None if it was found on the chain.
        deposit: see `Deposit`.
        planned_at: Unix time in seconds; None if it was found on the chain.
        transaction_hash: of the deposit.
        block: of the deposit.
        ticket: of who may spend it.
        purpose: for which it was given out.
    """

    identity: Identity
    denomination: int
    account: str | None = None
    deposit: Deposit = Deposit.PLANNED
    planned_at: float | None = None
    transaction_hash: str | None = None
    block: int | None = None
    ticket: str | None = None
    purpose: str | None = None

    @property
    def index(self) -> int:
        """Of its secret."""
        return self.identity.index


class VoucherStore:
    """The vouchers of one contract; each method is one transaction.

    Args:
        history: of the wallet.
        contract: of the vouchers, hex with 0x.
    """

    def __init__(self, history: History, contract: str) -> None:
        self._history = history
        self._contract = contract.lower()

    # Vouchers

    def rows(self) -> list[Row]:
        """Return all vouchers in the order of their indices."""
        query = f"SELECT {_ROW} FROM vouchers WHERE contract = ? ORDER BY voucher_index"  # noqa: S608
        with self._history.transaction() as db:
            found: list[Any] = db.rows(query, self._contract)
        return [_row(line) for line in found]

    def plan(self, rows: Iterable[Row]) -> None:
        """Write vouchers down before anything of them is signed; their indices are used then.

        Raises:
            sqlite3.IntegrityError: an index is used already; nothing is written.
        """
        with self._history.transaction() as db:
            for row in rows:
                self._insert(db, "INSERT", row)

    def add_found(self, rows: Iterable[Row]) -> None:
        """Write down vouchers that were found on the chain; those that are known stay."""
        with self._history.transaction() as db:
            for row in rows:
                self._insert(db, "INSERT OR IGNORE", row)

    def settle(
        self,
        index: int,
        deposit: Deposit,
        transaction_hash: str | None = None,
        block: int | None = None,
    ) -> None:
        """Write down what became of a deposit."""
        with self._history.transaction() as db:
            db.rows(
                "UPDATE vouchers SET deposit = ?, transaction_hash = ?, block = ?"
                " WHERE contract = ? AND voucher_index = ?",
                *(deposit, transaction_hash, block, self._contract, index),
            )

    # Tickets

    def holder(self, purpose: str) -> Row | None:
        """Return the voucher that a purpose has."""
        return self._one("purpose", purpose)

    def held(self, ticket: str) -> Row | None:
        """Return the voucher that a ticket is for."""
        return self._one("ticket", ticket)

    def reserve(self, index: int, ticket: str, purpose: str) -> bool:
        """Give a voucher out, if nobody has it and the purpose has none; whether that was so."""
        with self._history.transaction() as db:
            done = db.rows(
                "UPDATE vouchers SET ticket = ?, purpose = ?"
                " WHERE contract = ? AND voucher_index = ? AND ticket IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM vouchers WHERE contract = ? AND purpose = ?)"
                " RETURNING 1",
                *(ticket, purpose, self._contract, index, self._contract, purpose),
            )
        return bool(done)

    def release(self, ticket: str, now: float) -> bool:
        """Take a voucher back, unless a proof of it may still be redeemed; whether that was so."""
        with self._history.transaction() as db:
            if db.rows("SELECT 1 FROM prepared WHERE ticket = ? AND deadline >= ?", ticket, now):
                return False
            db.rows("UPDATE vouchers SET ticket = NULL, purpose = NULL WHERE ticket = ?", ticket)
        return True

    # Proofs that were handed out

    def add_prepared(self, message: bytes, ticket: str, data: bytes, deadline: int) -> bool:
        """Write a proof down before anybody gets it; False if the ticket is no longer one."""
        with self._history.transaction() as db:
            if not db.rows("SELECT 1 FROM vouchers WHERE ticket = ?", ticket):
                return False
            row = (message, ticket, data, deadline)
            db.rows("INSERT OR REPLACE INTO prepared VALUES (?, ?, ?, ?)", *row)
        return True

    def prepared(self, message: bytes) -> bytes | None:
        """Return the data of the transaction with a message, if its proofs were made."""
        with self._history.transaction() as db:
            rows: list[Any] = db.rows("SELECT data FROM prepared WHERE message = ?", message)
        return rows[0][0] if rows else None

    # What is beyond the rows

    def floor(self) -> int:
        """Return the index below which none is to be used any more."""
        with self._history.transaction() as db:
            rows: list[Any] = db.rows("SELECT value FROM facts WHERE name = ?", self._floor_name)
        return int(rows[0][0]) if rows else 0

    def raise_floor(self, index: int) -> None:
        """Use no index below this one any more."""
        with self._history.transaction() as db:
            db.rows(
                "INSERT INTO facts VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE"
                " SET value = ?2 WHERE CAST(value AS INTEGER) < ?3",
                *(self._floor_name, str(index), index),
            )

    @property
    def _floor_name(self) -> str:
        return f"voucher floor {self._contract}"

    def _one(self, column: str, value: str) -> Row | None:
        query = f"SELECT {_ROW} FROM vouchers WHERE contract = ? AND {column} = ?"  # noqa: S608
        with self._history.transaction() as db:
            rows: list[Any] = db.rows(query, self._contract, value)
        return _row(rows[0]) if rows else None

    def _insert(self, db: Any, verb: str, row: Row) -> None:
        shown = (encode(row.identity.commitment), encode(row.identity.nullifier))
        values = (
            *(self._contract, row.index, row.denomination, *shown),
            *(row.account, row.deposit, row.planned_at, row.transaction_hash, row.block),
            *(row.ticket, row.purpose),
        )
        marks = ", ".join("?" * len(values))
        db.rows(f"{verb} INTO vouchers VALUES ({marks})", *values)


def _row(line: tuple[Any, ...]) -> Row:
    index, denomination, commitment, nullifier, account, deposit, *rest = line
    identity = Identity(index, decode(commitment), decode(nullifier))
    return Row(identity, denomination, account, Deposit(deposit), *rest)

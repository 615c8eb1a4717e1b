"""The journal of transactions: what was signed, on the disk before anybody else sees it."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.ledger.database import Database
from bitsnode.ledger.fees import Fee

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE intents (
            intent TEXT PRIMARY KEY,
            account TEXT NOT NULL,          -- lower-case hex
            nonce INTEGER NOT NULL,
            recipient TEXT NOT NULL,        -- lower-case hex, "" to create a contract
            value TEXT NOT NULL,            -- wei, decimal: it may not fit into 64 bits
            data BLOB NOT NULL,
            fee_limit TEXT NOT NULL,        -- wei
            final INTEGER NOT NULL DEFAULT 0,  -- 1: mined and final, 2: the nonce went elsewhere
            UNIQUE (account, nonce)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE signed (
            hash BLOB PRIMARY KEY,
            intent TEXT NOT NULL REFERENCES intents,
            raw BLOB NOT NULL,
            gas INTEGER NOT NULL,
            max_fee TEXT NOT NULL,          -- wei per gas
            tip TEXT NOT NULL,              -- wei per gas
            block INTEGER NOT NULL,         -- the newest one when it was signed
            signed_at REAL NOT NULL         -- Unix time in seconds
        ) WITHOUT ROWID
        """,
        "CREATE INDEX signed_by_intent ON signed (intent)",
    ),
)
PENDING: Final = 0
FINAL: Final = 1
LOST: Final = 2


@attrs.frozen
class Intent:
    """What an account wanted to do, once.

    Attributes:
        intent: name that the caller gave it.
        account: that signs, lower-case hex with 0x.
        nonce: of all transactions that are signed for it.
        recipient: lower-case hex with 0x; "" creates a contract.
        value: wei.
        data: of the call.
        fee_limit: wei that it may cost.
        state: `PENDING`, `FINAL` or `LOST`.
    """

    intent: str
    account: str
    nonce: int
    recipient: str
    value: int
    data: bytes = attrs.field(repr=False)
    fee_limit: int
    state: int = PENDING


@attrs.frozen
class Signed:
    """One transaction that was signed for an intent.

    Attributes:
        hash: 32 bytes.
        raw: what is sent.
        fee: what it may cost.
        block: number of the newest block when it was signed.
        signed_at: Unix time in seconds.
    """

    hash: bytes
    raw: bytes = attrs.field(repr=False)
    fee: Fee
    block: int
    signed_at: float


class Journal:
    """What was signed, by intent. Each method is one transaction; any thread may call."""

    def __init__(self, path: Path, chain_id: int) -> None:
        self._lock = threading.Lock()
        self.database = Database(path, MIGRATIONS, f"chain {chain_id}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    def find(self, intent: str) -> Intent | None:
        """The intent of that name."""
        rows = self._select("SELECT * FROM intents WHERE intent = ?", intent)
        return _intent(rows[0]) if rows else None

    def signed(self, intent: str) -> list[Signed]:
        """What was signed for an intent, the newest last."""
        rows = self._select(
            """
            SELECT hash, raw, gas, max_fee, tip, block, signed_at FROM signed
            WHERE intent = ? ORDER BY signed_at, block, length(max_fee), max_fee
            """,
            intent,
        )
        return [
            Signed(hash_, raw, Fee(gas, int(most), int(tip)), block, at)
            for hash_, raw, gas, most, tip, block, at in rows
        ]

    def next_nonce(self, account: str) -> int:
        """One more than the highest nonce that was signed; 0 if there is none."""
        rows = self._select("SELECT max(nonce) FROM intents WHERE account = ?", account.lower())
        return 0 if rows[0][0] is None else int(rows[0][0]) + 1

    def pending(self, account: str) -> list[Intent]:
        """Intents of an account that are not final, by nonce."""
        rows = self._select(
            "SELECT * FROM intents WHERE account = ? AND final = 0 ORDER BY nonce", account.lower()
        )
        return [_intent(row) for row in rows]

    def accounts(self) -> list[str]:
        """Accounts that have intents which are not final."""
        rows = self._select("SELECT DISTINCT account FROM intents WHERE final = 0 ORDER BY account")
        return [str(account) for (account,) in rows]

    def add(self, intent: Intent, signed: Signed) -> None:
        """Note a new intent with the first transaction that was signed for it."""
        with self._lock, self.database.transaction():
            self.database.rows(
                "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                intent.intent,
                intent.account,
                intent.nonce,
                intent.recipient,
                str(intent.value),
                intent.data,
                str(intent.fee_limit),
            )
            self._insert(intent.intent, signed)

    def replace(self, intent: str, signed: Signed) -> None:
        """Note a further transaction for an intent."""
        with self._lock, self.database.transaction():
            self._insert(intent, signed)

    def settle(self, intent: str, state: int) -> None:
        """Note what became of an intent for good."""
        with self._lock, self.database.transaction():
            self.database.rows("UPDATE intents SET final = ? WHERE intent = ?", state, intent)

    def _insert(self, intent: str, signed: Signed) -> None:
        fee = signed.fee
        self.database.rows(
            "INSERT INTO signed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            signed.hash,
            intent,
            signed.raw,
            fee.gas,
            str(fee.max_fee),
            str(fee.tip),
            signed.block,
            signed.signed_at,
        )

    def _select(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self.database.rows(statement, *values)


def _intent(row: tuple[Any, ...]) -> Intent:
    intent, account, nonce, recipient, value, data, fee_limit, state = row
    return Intent(intent, account, nonce, recipient, int(value), data, int(fee_limit), state)

"""The tables of the history, version by version."""

from collections.abc import Sequence
from typing import Final

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
# Sums are wei in decimal, as they may be above 64 bits. No table holds a key.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE accounts (account_index INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE)",
        """
        CREATE TABLE payments (
            stealth_address TEXT PRIMARY KEY,
            ephemeral_public_key BLOB NOT NULL,
            block INTEGER NOT NULL,
            log_index INTEGER NOT NULL,
            transaction_hash TEXT NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX payments_by_block ON payments (block, log_index)",
        """
        CREATE TABLE place (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            block INTEGER NOT NULL,
            log_index INTEGER NOT NULL,
            transaction_hash BLOB NOT NULL
        )
        """,
        """
        CREATE TABLE withdrawals (
            intent TEXT PRIMARY KEY,
            batch TEXT NOT NULL,            -- withdrawals asked for at once
            source TEXT NOT NULL,           -- address of an account or a payment
            stealth INTEGER NOT NULL,       -- 1 if the source is a payment
            destination TEXT NOT NULL,
            amount TEXT NOT NULL,           -- wei that arrive
            fee_limit TEXT NOT NULL,        -- wei
            state TEXT NOT NULL,            -- see `bitsnode.ledger.wallet.history.State`
            transaction_hash TEXT,
            block INTEGER,
            fee TEXT                        -- wei
        )
        """,
        "CREATE INDEX withdrawals_by_destination ON withdrawals (destination)",
        "CREATE TABLE funders (address TEXT PRIMARY KEY) WITHOUT ROWID",
    ),
    (
        # The secrets come from the seed and the index; none is here.
        """
        CREATE TABLE vouchers (
            contract TEXT NOT NULL,         -- lower-case hex
            voucher_index INTEGER NOT NULL, -- used once for ever, whatever becomes of the deposit
            denomination INTEGER NOT NULL,  -- row of the contract's table
            commitment BLOB NOT NULL,       -- 32 bytes
            nullifier BLOB NOT NULL,        -- 32 bytes
            account TEXT,                   -- that pays; NULL if it was found on the chain
            deposit TEXT NOT NULL,          -- see `bitsnode.ledger.wallet.voucher_values.Deposit`
            planned_at REAL,                -- Unix time in seconds
            transaction_hash TEXT,
            block INTEGER,
            ticket TEXT UNIQUE,             -- of who may spend it; NULL if nobody has it
            purpose TEXT,                   -- for which it was given out
            PRIMARY KEY (contract, voucher_index),
            UNIQUE (contract, purpose)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE prepared (             -- proofs that were handed out
            message BLOB PRIMARY KEY,       -- 32 bytes
            ticket TEXT NOT NULL,
            data BLOB NOT NULL,             -- of the transaction
            deadline INTEGER NOT NULL       -- Unix time in seconds
        ) WITHOUT ROWID
        """,
        "CREATE INDEX prepared_by_ticket ON prepared (ticket)",
    ),
)

"""The tables of the index, version by version, and how an older file becomes a newer one."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bitsnode.store.errors import IndexDamaged, StoreTooNew

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE shares (
            storage_index BLOB NOT NULL,
            share_index INTEGER NOT NULL,
            whitened_root BLOB NOT NULL,
            size INTEGER NOT NULL,          -- bytes of the file
            charge INTEGER NOT NULL,        -- bytes it counts for, records included
            lease_until INTEGER NOT NULL,   -- Unix time in seconds
            paid INTEGER NOT NULL,          -- 0 or 1
            record_key BLOB,                -- the only key whose records may be attached
            last_read INTEGER NOT NULL DEFAULT 0,
            reads INTEGER NOT NULL DEFAULT 0,
            served_share INTEGER NOT NULL DEFAULT 0,     -- bytes
            served_layer INTEGER NOT NULL DEFAULT 0,     -- bytes
            served_manifest INTEGER NOT NULL DEFAULT 0,  -- bytes
            PRIMARY KEY (storage_index, share_index)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX shares_by_lease ON shares (lease_until)",
        """
        CREATE TABLE records (
            storage_index BLOB NOT NULL,
            share_index INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            slot BLOB NOT NULL,
            sequence INTEGER NOT NULL,
            expires INTEGER NOT NULL,       -- Unix time in seconds
            due INTEGER NOT NULL,           -- when to put it into the DHT again
            data BLOB NOT NULL,             -- the signed record
            PRIMARY KEY (storage_index, share_index, kind, slot),
            FOREIGN KEY (storage_index, share_index)
                REFERENCES shares ON DELETE CASCADE
        )
        """,
        "CREATE INDEX records_by_due ON records (due)",
        "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    ),
)


def connect(path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> sqlite3.Connection:
    """Open the index, made or brought up to date if need be.

    Before an older file is changed, a copy of it is left beside it as ``<name>.v<version>``.
    The connection may be used from any thread, by one at a time.

    Raises:
        StoreTooNew: its version is higher than ours.
        IndexDamaged: it is not a sound database.
        sqlite3.Error: the system refuses to open or write it.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _configure(connection)
        _migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise IndexDamaged from error
    # FULL, because in WAL mode a commit under NORMAL may be lost in a power cut
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {8 << 20}")


def _migrate(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]
) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise StoreTooNew
    if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise IndexDamaged
    if 0 < version < len(migrations):
        copy = sqlite3.connect(path.with_name(f"{path.name}.v{version}"))
        try:
            connection.backup(copy)
        finally:
            copy.close()
    for number in range(version, len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migrations[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

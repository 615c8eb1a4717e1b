"""The groups of vouchers on the disk: leaves, roots, complete subtrees, and what is spent."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.database import Database
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.voucher_events import MemberAdded, Redeemed
from zk.field import decode, encode

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE groups (
            group_number INTEGER PRIMARY KEY,
            denomination INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE members (
            group_number INTEGER NOT NULL REFERENCES groups,
            leaf_index INTEGER NOT NULL,
            commitment BLOB NOT NULL,       -- 32 bytes
            root BLOB NOT NULL,             -- that the tree has with this leaf, 32 bytes
            block INTEGER NOT NULL,
            PRIMARY KEY (group_number, leaf_index)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX members_by_commitment ON members (commitment)",
        "CREATE INDEX members_by_block ON members (group_number, block, leaf_index)",
        """
        CREATE TABLE nodes (                -- of complete subtrees: they never change
            group_number INTEGER NOT NULL,
            level INTEGER NOT NULL,         -- 1 is above the leaves
            node_index INTEGER NOT NULL,
            value BLOB NOT NULL,            -- 32 bytes
            PRIMARY KEY (group_number, level, node_index)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE spends (
            group_number INTEGER NOT NULL,
            nullifier BLOB NOT NULL,        -- 32 bytes
            message BLOB NOT NULL,          -- of the redemption, 32 bytes
            block INTEGER NOT NULL,
            transaction_hash BLOB NOT NULL,
            PRIMARY KEY (nullifier, group_number)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX spends_by_group ON spends (group_number, block)",
        """
        CREATE TABLE places (               -- how far each kind of event was read
            event BLOB PRIMARY KEY,         -- first topic, 32 bytes
            block INTEGER NOT NULL,
            log_index INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)
LAST_BLOCK: Final = (1 << 63) - 1


@attrs.frozen
class Member:
    """One voucher as everybody sees it.

    Attributes:
        group: number.
        index: of the leaf.
        block: of the deposit.
    """

    group: int
    index: int
    block: int


@attrs.frozen
class SpentVoucher:
    """That a voucher was redeemed.

    Attributes:
        group: number.
        message: of the redemption, 32 bytes.
        block: of the redemption.
        transaction: hash, 32 bytes.
    """

    group: int
    message: bytes
    block: int
    transaction: bytes


class TreesStore:
    """The file; each public method is one transaction, and any thread may call it.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: it cannot be used.
    """

    def __init__(self, path: Path, deployment: Deployment) -> None:
        owner = "trees of " + hashlib.sha256(deployment.dump()).hexdigest()
        self.database = Database(path, MIGRATIONS, owner)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written within is kept, or nothing of it."""
        with self._lock, self.database.transaction():
            yield

    # Reading

    def place(self, event: bytes) -> Cursor | None:
        """Return how far a kind of event was read."""
        rows = self._rows("SELECT block, log_index FROM places WHERE event = ?", event)
        return Cursor(*rows[0]) if rows else None

    def groups(self) -> dict[int, int]:
        """Return the denominations of all groups, by the group's number."""
        return dict(self._rows("SELECT group_number, denomination FROM groups"))

    def size(self, group: int, block: int = LAST_BLOCK) -> int:
        """Return how many members a group had at the end of a block."""
        query = "SELECT count(*) FROM members WHERE group_number = ? AND block <= ?"
        return int(self._rows(query, group, block)[0][0])

    def root(self, group: int, size: int) -> int | None:
        """Return the root that the chain said a group had at a size."""
        query = "SELECT root FROM members WHERE group_number = ? AND leaf_index = ?"
        rows = self._rows(query, group, size - 1)
        return decode(rows[0][0]) if rows else None

    def spent_in(self, group: int) -> int:
        """Return how many vouchers of a group are spent."""
        return int(self._rows("SELECT count(*) FROM spends WHERE group_number = ?", group)[0][0])

    def members(self, commitment: int) -> list[Member]:
        """Return where a commitment is, in the order of the chain."""
        query = (
            "SELECT group_number, leaf_index, block FROM members WHERE commitment = ?"
            " ORDER BY block, group_number"
        )
        return [Member(*row) for row in self._rows(query, encode(commitment))]

    def spends(self, nullifier: int) -> list[SpentVoucher]:
        """Return what was redeemed with a nullifier."""
        query = (
            "SELECT group_number, message, block, transaction_hash FROM spends"
            " WHERE nullifier = ? ORDER BY block"
        )
        return [SpentVoucher(*row) for row in self._rows(query, encode(nullifier))]

    # Writing, within a transaction

    def set_place(self, event: bytes, cursor: Cursor) -> None:
        """Write down how far a kind of event was read."""
        row = (event, cursor.block, cursor.log_index)
        self._rows("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", *row)

    def add_group(self, group: int, denomination: int) -> None:
        """Write down a group."""
        self._rows("INSERT OR IGNORE INTO groups VALUES (?, ?)", group, denomination)

    def add_member(self, member: MemberAdded) -> None:
        """Write down a leaf."""
        leaf, root = encode(member.commitment), encode(member.root)
        row = (member.group, member.index, leaf, root, member.cursor.block)
        self._rows("INSERT INTO members VALUES (?, ?, ?, ?, ?)", *row)

    def add_spends(self, redeemed: Redeemed) -> None:
        """Write down what a redemption spent."""
        pairs = zip(redeemed.groups, redeemed.nullifiers, strict=True)
        rest = (redeemed.message, redeemed.cursor.block, redeemed.transaction)
        for group, nullifier in pairs:
            row = (group, encode(nullifier), *rest)
            self._rows("INSERT OR IGNORE INTO spends VALUES (?, ?, ?, ?, ?)", *row)

    def forget(self) -> None:
        """Forget everything, to read it anew."""
        for table in ("spends", "nodes", "members", "groups", "places"):
            self._rows(f"DELETE FROM {table}")  # noqa: S608

    def nodes(self, group: int) -> "GroupNodes":
        """Return the nodes of a group as `zk.lean_imt` keeps them."""
        return GroupNodes(self, group)

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self.database.rows(statement, *values)


@attrs.frozen
class GroupNodes:
    """The complete nodes of one group; see `zk.lean_imt.Nodes`. Leaves are the members."""

    _store: TreesStore
    _group: int

    def append(self, level: int, node: int) -> None:
        """See `zk.lean_imt.Nodes`; leaves are there already."""
        if level:
            self._store._rows(
                "INSERT INTO nodes SELECT ?1, ?2,"
                " (SELECT coalesce(max(node_index) + 1, 0) FROM nodes"
                " WHERE group_number = ?1 AND level = ?2), ?3",
                self._group,
                level,
                encode(node),
            )

    def get(self, level: int, index: int) -> int:
        """See `zk.lean_imt.Nodes`."""
        if level:
            query = (
                "SELECT value FROM nodes WHERE group_number = ? AND level = ? AND node_index = ?"
            )
            rows = self._store._rows(query, self._group, level, index)
        else:
            query = "SELECT commitment FROM members WHERE group_number = ? AND leaf_index = ?"
            rows = self._store._rows(query, self._group, index)
        return decode(rows[0][0])

    def truncate(self, level: int, count: int) -> None:
        """See `zk.lean_imt.Nodes`."""
        if level:
            query = "DELETE FROM nodes WHERE group_number = ? AND level = ? AND node_index >= ?"
        else:
            query = "DELETE FROM members WHERE group_number = ? AND leaf_index >= ?"
        self._store._rows(query, *((self._group, level, count) if level else (self._group, count)))

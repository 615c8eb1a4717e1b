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
from bitsnode.ledger.voucher_events import GroupOpened, MemberAdded, Redeemed
from zk.field import decode, encode

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE groups (
            group_number INTEGER PRIMARY KEY,
            denomination INTEGER NOT NULL,
            treasury_share INTEGER NOT NULL,    -- in 1/10,000
            pool_share INTEGER NOT NULL
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
        CREATE TABLE redemptions (
            message BLOB PRIMARY KEY,       -- 32 bytes
            tag BLOB NOT NULL,              -- 32 bytes
            payee BLOB NOT NULL,            -- 20 bytes
            gross TEXT NOT NULL,            -- wei, decimal
            fee TEXT NOT NULL,              -- wei, decimal
            block INTEGER NOT NULL,
            log_index INTEGER NOT NULL,
            transaction_hash BLOB NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX redemptions_by_payee ON redemptions (payee)",
        """
        CREATE TABLE spends (
            group_number INTEGER NOT NULL,
            nullifier BLOB NOT NULL,        -- 32 bytes
            message BLOB NOT NULL REFERENCES redemptions,
            place INTEGER NOT NULL,         -- among the vouchers of the redemption
            PRIMARY KEY (nullifier, group_number)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX spends_by_group ON spends (group_number)",
        "CREATE INDEX spends_by_message ON spends (message, place)",
        """
        CREATE TABLE places (               -- how far each kind of event was read
            event BLOB PRIMARY KEY,         -- first topic, 32 bytes
            block INTEGER NOT NULL,
            log_index INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)
_REDEMPTION: Final = "message, tag, payee, gross, fee, block, log_index, transaction_hash"
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

    def groups(self) -> dict[int, GroupOpened]:
        """Return all groups by their numbers."""
        rows = self._rows(
            "SELECT denomination, group_number, treasury_share, pool_share FROM groups"
        )
        return {row[1]: GroupOpened(*row) for row in rows}

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

    def messages(self, nullifier: int) -> dict[int, bytes]:
        """Return the messages of the redemptions with a nullifier, by the voucher's group."""
        query = "SELECT group_number, message FROM spends WHERE nullifier = ?"
        return dict(self._rows(query, encode(nullifier)))

    def redemption(self, message: bytes) -> Redeemed | None:
        """Return the redemption with a message."""
        rows = self._rows(f"SELECT {_REDEMPTION} FROM redemptions WHERE message = ?", message)  # noqa: S608
        return self._redeemed(rows[0]) if rows else None

    def payments(self, payee: bytes) -> list[Redeemed]:
        """Return the redemptions that paid an address (20 bytes), in the order of the chain."""
        query = f"SELECT {_REDEMPTION} FROM redemptions WHERE payee = ? ORDER BY block, log_index"  # noqa: S608
        return [self._redeemed(row) for row in self._rows(query, payee)]

    # Writing, within a transaction

    def set_place(self, event: bytes, cursor: Cursor) -> None:
        """Write down how far a kind of event was read."""
        row = (event, cursor.block, cursor.log_index)
        self._rows("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", *row)

    def add_group(self, group: GroupOpened) -> None:
        """Write down a group."""
        row = (group.group, group.denomination, group.treasury_share, group.pool_share)
        self._rows("INSERT OR IGNORE INTO groups VALUES (?, ?, ?, ?)", *row)

    def add_member(self, member: MemberAdded) -> None:
        """Write down a leaf."""
        leaf, root = encode(member.commitment), encode(member.root)
        row = (member.group, member.index, leaf, root, member.cursor.block)
        self._rows("INSERT INTO members VALUES (?, ?, ?, ?, ?)", *row)

    def add_redemption(self, found: Redeemed) -> None:
        """Write down a redemption and what it spent."""
        sums = (str(found.gross), str(found.fee))
        place = (found.cursor.block, found.cursor.log_index, found.transaction)
        row = (found.message, found.tag, found.payee, *sums, *place)
        self._rows("INSERT INTO redemptions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row)
        pairs = zip(found.groups, found.nullifiers, strict=True)
        for at, (group, nullifier) in enumerate(pairs):
            spend = (group, encode(nullifier), found.message, at)
            self._rows("INSERT INTO spends VALUES (?, ?, ?, ?)", *spend)

    def forget(self) -> None:
        """Forget everything, to read it anew."""
        for table in ("spends", "redemptions", "nodes", "members", "groups", "places"):
            self._rows(f"DELETE FROM {table}")  # noqa: S608

    def nodes(self, group: int) -> "GroupNodes":
        """Return the nodes of a group as `zk.lean_imt` keeps them."""
        return GroupNodes(self, group)

    def _redeemed(self, row: tuple[Any, ...]) -> Redeemed:
        message, tag, payee, gross, fee, block, log_index, transaction = row
        query = "SELECT group_number, nullifier FROM spends WHERE message = ? ORDER BY place"
        spends = self._rows(query, message)
        return Redeemed(
            cursor=Cursor(block, log_index),
            transaction=transaction,
            message=message,
            tag=tag,
            payee=payee,
            gross=int(gross),
            fee=int(fee),
            groups=tuple(group for group, _ in spends),
            nullifiers=tuple(decode(nullifier) for _, nullifier in spends),
        )

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

"""The groups of vouchers, kept in step with the index: roots, paths, and what is spent.

Whoever asks a server for the path of one leaf tells it whose voucher is spent next. So all leaves
are read here, from the index that reads all events, and every path is computed.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

import attrs

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.errors import LedgerError, LogIndexError
from bitsnode.ledger.index_store import Reach
from bitsnode.ledger.trees_store import LAST_BLOCK, Member, TreesStore
from bitsnode.ledger.voucher_events import (
    GROUP_OPENED,
    MEMBER_ADDED,
    REDEEMED,
    GroupOpened,
    MemberAdded,
    Redeemed,
    read_group_opened,
    read_member_added,
    read_redeemed,
)
from zk.lean_imt import LeanIMT, LeanIMTError, MerklePath

EPOCH_BLOCKS: Final = 256  # so that many wallets prove against the same root
BATCH: Final = 256  # events in one transaction; about 0.2 s of hashing


class TreesDisagree(LogIndexError):
    """The groups of vouchers do not have the roots that the chain says; they are read anew."""


class TooYoung(LedgerError):
    """This voucher cannot be spent yet: it is younger than the root that all wallets prove with."""


class NoSuchVoucher(LedgerError):
    """This voucher is not in the chain."""


class Events(Protocol):
    """Where events come from; `bitsnode.ledger.index.LogIndex`."""

    @property
    def reach(self) -> Reach:
        """How far it goes."""

    def events(self, contract: str, event: bytes, after: Cursor | None, limit: int) -> list[Log]:
        """Return confirmed events of a contract in order, from behind a cursor."""


@attrs.frozen
class EpochRoot:
    """The root of a group that all wallets prove with now.

    Attributes:
        group: number.
        block: of the epoch.
        size: leaves at the end of that block.
        root: field element.
    """

    group: int
    block: int
    size: int
    root: int


@attrs.frozen
class Crowd:
    """Among how many a voucher hides.

    Attributes:
        unspent: other vouchers in the group at the epoch root, less those of the group that are
            spent. Nobody but their owners can tell which ones are.
        later: of all others, how many were bought after this one: who bought one just before a
            spend is the first that is suspected.
        size: all in the group at the epoch root.
    """

    unspent: int
    later: int
    size: int


class Trees:
    """All groups of the deployment's vouchers, as far as the chain is final.

    Blocking; any thread may call it.

    Args:
        path: of the file.
        deployment: whose vouchers.
        index: has the events.
        epoch_blocks: of an epoch; 1 where nobody has to be waited for.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        deployment: Deployment,
        index: Events,
        epoch_blocks: int = EPOCH_BLOCKS,
    ) -> None:
        self._index = index
        self._epoch_blocks = epoch_blocks
        self._following = Lock()
        self._store = TreesStore(path, deployment)

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def follow(self) -> int:
        """Read the events that are new; return how many members and redemptions there were.

        Raises:
            TreesDisagree: the tree has another root than the chain says; all is forgotten, so that
                the next call begins anew.
            MalformedEvent: a server made one up.
        """
        with self._following:
            return self._follow_members() + self._follow_spends()

    # Reading

    def groups(self) -> dict[int, GroupOpened]:
        """Return all groups of the vouchers by their numbers."""
        return self._store.groups()

    def epoch(self) -> int:
        """Return the newest final block at which an epoch begins."""
        confirmed = self._index.reach.confirmed
        return confirmed - confirmed % self._epoch_blocks

    def size(self, group: int) -> int:
        """Return how many members a group has."""
        return self._store.size(group)

    def epoch_root(self, group: int) -> EpochRoot | None:
        """Return the root that all wallets prove with now; None for a group that had no members."""
        block = self.epoch()
        size = self._store.size(group, block)
        root = self._store.root(group, size)
        return None if root is None else EpochRoot(group, block, size, root)

    def members(self, commitment: int) -> list[Member]:
        """Return where a commitment is; more than one group shows the same commitment twice."""
        return self._store.members(commitment)

    def messages(self, nullifier: int) -> dict[int, bytes]:
        """Return the messages of the redemptions with a nullifier, by the voucher's group."""
        return self._store.messages(nullifier)

    def redemption(self, message: bytes) -> Redeemed | None:
        """Return the redemption with a message (32 bytes), if it is final."""
        return self._store.redemption(message)

    def payments(self, payee: bytes) -> list[Redeemed]:
        """Return the redemptions that paid an address (20 bytes), in the order of the chain."""
        return self._store.payments(payee)

    def crowd(self, member: Member) -> Crowd:
        """Return among how many a voucher hides at the epoch root."""
        size = self._store.size(member.group, self.epoch())
        spent = self._store.spent_in(member.group)
        later = max(0, size - member.index - 1)
        return Crowd(max(0, size - 1 - spent), later, size)

    def path(self, member: Member, commitment: int) -> tuple[EpochRoot, MerklePath]:
        """Return the epoch root of a voucher's group, and the way to it.

        Raises:
            TooYoung: it was bought after the epoch began.
            NoSuchVoucher: the leaf is another's.
            TreesDisagree: what is stored does not lead to the root; all is forgotten.
        """
        found = self.epoch_root(member.group)
        if found is None or member.index >= found.size:
            raise TooYoung
        tree = LeanIMT(self._store.nodes(member.group), found.size)
        if tree.leaf(member.index) != commitment:
            raise NoSuchVoucher
        path = tree.path(member.index)
        if path.root(commitment) != found.root:
            self._forget()
            raise TreesDisagree(f"group {member.group}")
        return found, path

    # Following

    def _follow_members(self) -> int:
        count = 0
        while logs := self._new("Semaphore", MEMBER_ADDED, BATCH):
            try:
                with self._store.transaction():
                    self._add_groups()  # now, so that those of the members are all among them
                    self._add_members([read_member_added(log) for log in logs])
                    self._store.set_place(MEMBER_ADDED, Cursor(logs[-1].block, logs[-1].index))
            except TreesDisagree:
                self._forget()
                raise
            count += len(logs)
        return count

    def _add_groups(self) -> None:
        for log in self._new("Vouchers", GROUP_OPENED, LAST_BLOCK):
            self._store.add_group(read_group_opened(log))

    def _add_members(self, events: Sequence[MemberAdded]) -> None:
        """Add leaves. The last root of each group vouches for all leaves before it."""
        ours = self._store.groups()  # anybody may make groups of their own in Semaphore
        trees: dict[int, LeanIMT] = {}
        last: dict[int, MemberAdded] = {}
        for event in events:
            if event.group not in ours:
                continue
            if event.group not in trees:
                nodes = self._store.nodes(event.group)
                trees[event.group] = LeanIMT(nodes, self._store.size(event.group))
            if event.index != len(trees[event.group]):
                raise TreesDisagree(f"group {event.group}, leaf {event.index}")
            try:
                self._store.add_member(event)
                trees[event.group].append(event.commitment)
            except (LeanIMTError, ValueError) as error:
                raise TreesDisagree(f"group {event.group}, leaf {event.index}") from error
            last[event.group] = event
        for group, event in last.items():
            if trees[group].root() != event.root:
                raise TreesDisagree(f"group {group}, leaf {event.index}")

    def _follow_spends(self) -> int:
        count = 0
        while logs := self._new("Vouchers", REDEEMED, BATCH):
            with self._store.transaction():
                for log in logs:
                    self._store.add_redemption(read_redeemed(log))
                self._store.set_place(REDEEMED, Cursor(logs[-1].block, logs[-1].index))
            count += len(logs)
        return count

    def _new(self, contract: str, event: bytes, limit: int) -> list[Log]:
        return self._index.events(contract, event, self._store.place(event), limit)

    def _forget(self) -> None:
        with self._store.transaction():
            self._store.forget()

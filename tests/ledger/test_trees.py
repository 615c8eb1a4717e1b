"""Trees: the same roots and paths as a tree built at once, whatever the events come in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from bitsnode.ledger import trees as trees_module
from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.errors import LedgerFileForeign
from bitsnode.ledger.index_store import Reach
from bitsnode.ledger.trees import NoSuchVoucher, TooYoung, Trees, TreesDisagree
from bitsnode.ledger.voucher_events import (
    GROUP_OPENED,
    MEMBER_ADDED,
    REDEEMED,
    GroupOpened,
    read_redeemed,
)
from zk.lean_imt import LeanIMT

ZERO = bytes(32)


def word(value: int) -> bytes:
    """A number as the ABI encodes it."""
    return value.to_bytes(32, "big")


class FakeEvents:
    """An index that a test writes, with the roots that the contract would give."""

    def __init__(self) -> None:
        self.logs: list[tuple[str, Log]] = []
        self.confirmed = 0
        self.groups: dict[int, LeanIMT] = {}

    @property
    def reach(self) -> Reach:
        """As `bitsnode.ledger.index` has it."""
        return Reach(self.confirmed, self.confirmed)

    def events(self, contract: str, event: bytes, after: Cursor | None, limit: int) -> list[Log]:
        """As `bitsnode.ledger.index` has it."""
        found = [
            log
            for name, log in self.logs
            if (name, log.topics[0]) == (contract, event)
            and log.block <= self.confirmed
            and (after is None or Cursor(log.block, log.index) > after)
        ]
        return found[:limit]

    def emit(self, contract: str, topics: list[bytes], data: bytes) -> None:
        """Put an event into a block of its own."""
        self.confirmed += 1
        log = Log(self.confirmed, ZERO, 0, word(self.confirmed), bytes(20), tuple(topics), data)
        self.logs.append((contract, log))

    def open(self, group: int, denomination: int = 0) -> None:
        """Open a group of ours."""
        self.groups[group] = LeanIMT()
        topics = [GROUP_OPENED, word(denomination), word(group)]
        self.emit("Vouchers", topics, word(300) + word(200))

    def add(self, group: int, commitment: int, root: int | None = None) -> None:
        """Add a member."""
        tree = self.groups.setdefault(group, LeanIMT())
        index = tree.append(commitment)
        data = word(index) + word(commitment) + word(tree.root() if root is None else root)
        self.emit("Semaphore", [MEMBER_ADDED, word(group)], data)

    def spend(self, group: int, nullifier: int) -> None:
        """Redeem a voucher."""
        data = ZERO + word(10) + word(1) + word(160) + word(224)
        data += word(1) + word(group) + word(1) + word(nullifier)
        self.emit("Vouchers", [REDEEMED, word(nullifier + 1000), ZERO], data)


@pytest.fixture
def events() -> FakeEvents:
    """An empty index."""
    return FakeEvents()


@pytest.fixture
def open_trees(
    tmp_path: Path, events: FakeEvents, deployment: Deployment
) -> Iterator[Callable[..., Trees]]:
    """Open the trees, as often as a test likes."""
    opened = []

    def open_one(epoch_blocks: int = 1) -> Trees:
        opened.append(Trees(tmp_path / "trees.db", deployment, events, epoch_blocks))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def test_every_size_has_the_roots_and_paths_of_a_whole_tree(
    open_trees: Callable[..., Trees], events: FakeEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches of 3, closed and opened in between, each path leads to the chain's root."""
    monkeypatch.setattr(trees_module, "BATCH", 3)
    events.open(7, denomination=2)
    for leaf in range(1, 36):
        events.add(7, leaf * 11)
        if leaf % 5:
            continue
        trees = open_trees()
        assert trees.follow() == 5
        assert trees.groups() == {7: GroupOpened(2, 7, 300, 200)}
        root = trees.epoch_root(7)
        assert root is not None
        assert (root.size, root.root) == (leaf, events.groups[7].root())
        for index in range(leaf):
            (member,) = trees.members((index + 1) * 11)
            assert member.index == index
            found, path = trees.path(member, (index + 1) * 11)
            assert found == root
            assert path == events.groups[7].path(index)
        trees.close()


def test_paths_are_to_the_root_at_the_epoch(
    open_trees: Callable[..., Trees], events: FakeEvents
) -> None:
    """What came after the epoch began is in no path, and cannot be spent yet."""
    events.open(0)  # block 1
    for leaf in range(1, 13):  # blocks 2 to 13
        events.add(0, leaf)
    trees = open_trees(epoch_blocks=4)
    trees.follow()
    assert trees.epoch() == 12
    early, late = trees.members(11)[0], trees.members(12)[0]
    root, path = trees.path(early, 11)
    assert (root.block, root.size, root.root) == (12, 11, events.groups[0].root(11))
    assert path == events.groups[0].path(10, 11)
    with pytest.raises(TooYoung):
        trees.path(late, 12)
    with pytest.raises(NoSuchVoucher):
        trees.path(early, 12)
    assert trees.epoch_root(5) is None


def test_a_crowd_is_others_that_are_unspent(
    open_trees: Callable[..., Trees], events: FakeEvents
) -> None:
    """Spent vouchers and the one itself hide nobody; the later ones are told apart."""
    events.open(0)
    events.open(1, 1)
    for leaf in range(1, 9):
        events.add(0, leaf)
    events.add(1, 99)
    for nullifier in (501, 502):
        events.spend(0, nullifier)
    events.spend(1, 503)
    trees = open_trees()
    trees.follow()
    crowd = trees.crowd(trees.members(3)[0])
    assert (crowd.unspent, crowd.later, crowd.size) == (5, 5, 8)
    assert trees.crowd(trees.members(8)[0]).later == 0
    assert trees.messages(501) == {0: word(1501)}
    assert trees.messages(504) == {}


def test_redemptions_are_found_by_message_and_by_payee(
    open_trees: Callable[..., Trees], events: FakeEvents
) -> None:
    """What comes out is what the event said."""
    events.open(0)
    events.spend(0, 501)
    events.spend(0, 502)
    trees = open_trees()
    trees.follow()
    expected = [read_redeemed(log) for _, log in events.logs[1:]]
    assert trees.payments(bytes(20)) == expected
    assert trees.redemption(word(1502)) == expected[1]
    assert trees.payments(b"\x01" * 20) == []
    assert trees.redemption(word(1)) is None


def test_groups_of_others_in_semaphore_are_nothing_to_us(
    open_trees: Callable[..., Trees], events: FakeEvents
) -> None:
    """Anybody may make groups there, with our commitments in them."""
    events.open(0)
    events.add(44, 5)
    events.add(0, 5)
    trees = open_trees()
    trees.follow()
    assert [member.group for member in trees.members(5)] == [0]


def test_a_group_that_is_opened_later_loses_no_member(
    open_trees: Callable[..., Trees], events: FakeEvents
) -> None:
    """A group and its first member may become final while the members before are read."""
    events.open(0)
    events.add(0, 5)
    trees = open_trees()
    trees.follow()
    events.open(1)
    events.add(1, 6)
    trees.follow()
    assert [member.group for member in trees.members(6)] == [1]


def test_a_root_that_does_not_fit_is_refused_and_all_is_read_anew(
    open_trees: Callable[..., Trees], events: FakeEvents
) -> None:
    """After a lie nothing of it is kept, and the truth is taken."""
    events.open(0)
    events.add(0, 5)
    events.add(0, 6, root=12345)
    trees = open_trees()
    with pytest.raises(TreesDisagree):
        trees.follow()
    assert trees.members(5) == []
    name, log = events.logs[-1]
    events.logs[-1] = (name, attrs.evolve(log, data=log.data[:64] + word(events.groups[0].root())))
    trees.follow()
    assert trees.epoch_root(0) is not None
    assert len(trees.members(6)) == 1


def test_a_leaf_that_is_missing_or_no_leaf_is_refused(
    open_trees: Callable[..., Trees], events: FakeEvents
) -> None:
    """A server cannot leave one out, nor put in what no contract would take."""
    events.open(0)
    events.add(0, 5)
    events.add(0, 6)
    events.add(0, 7)
    del events.logs[2]
    trees = open_trees()
    with pytest.raises(TreesDisagree):
        trees.follow()
    events.logs.clear()
    events.open(0)
    events.emit("Semaphore", [MEMBER_ADDED, word(0)], word(0) + ZERO + word(1))
    with pytest.raises(TreesDisagree):
        trees.follow()
    events.logs[-1] = ("Semaphore", attrs.evolve(events.logs[-1][1], data=word(0) + b"\xff" * 64))
    with pytest.raises(TreesDisagree):
        trees.follow()


def test_the_file_belongs_to_one_deployment(
    tmp_path: Path, open_trees: Callable[..., Trees], events: FakeEvents, deployment: Deployment
) -> None:
    """Trees of other contracts are not mixed in."""
    open_trees().close()
    with pytest.raises(LedgerFileForeign):
        Trees(tmp_path / "trees.db", attrs.evolve(deployment, chain_id=5), events)

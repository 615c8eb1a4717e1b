"""LeanIMT: the trees of @zk-kit/lean-imt, every earlier size, going back, and what is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zk.lean_imt
from zk.field import ORDER, NotInField
from zk.lean_imt import (
    MAX_DEPTH,
    InvalidLeaf,
    LeanIMT,
    MerklePath,
    NoSuchLeaf,
    NoSuchSize,
    PackedNodes,
    TreeFull,
)
from zk.poseidon import hash_pair


def by_definition(leaves: list[int]) -> int:
    """The root, level by level."""
    while len(leaves) > 1:
        leaves = [
            hash_pair(*leaves[at : at + 2]) if at + 1 < len(leaves) else leaves[at]
            for at in range(0, len(leaves), 2)
        ]
    return leaves[0]


def grown(size: int) -> LeanIMT:
    """A tree of small leaves."""
    tree = LeanIMT()
    for number in range(size):
        assert tree.append(number + 1) == number
    return tree


def test_roots_and_paths_are_those_of_the_js_library(lean_imt_vectors: dict[str, Any]) -> None:
    """Every size from 1 to 40 has the root and the paths that JS has; asked of the last tree."""
    leaves = [int(leaf) for leaf in lean_imt_vectors["leaves"]]
    tree = LeanIMT()
    for leaf in leaves:
        tree.append(leaf)
    for line in lean_imt_vectors["trees"]:
        root = int(line["root"])
        assert tree.root(line["size"]) == root
        for expected in line["paths"]:
            path = tree.path(expected["place"], line["size"])
            assert path == MerklePath(expected["index"], tuple(map(int, expected["siblings"])))
            assert path.root(leaves[expected["place"]]) == root


@settings(max_examples=20)
@given(st.data())
def test_any_past_size(data: st.DataObject) -> None:
    """The root and any path of any earlier size lead to what the definition says."""
    tree = grown(data.draw(st.integers(1, 70)))
    size = data.draw(st.integers(1, len(tree)))
    index = data.draw(st.integers(0, size - 1))
    root = by_definition(list(range(1, size + 1)))
    assert tree.root(size) == root
    assert tree.path(index, size).root(tree.leaf(index)) == root


@settings(max_examples=20)
@given(st.integers(1, 70), st.data())
def test_going_back_and_on_is_as_never_gone(size: int, data: st.DataObject) -> None:
    """After a reorganisation the tree is the one that has only the leaves that stayed."""
    tree = grown(size)
    kept = data.draw(st.integers(0, size))
    tree.truncate(kept)
    assert len(tree) == kept
    for leaf in range(1000, 1000 + size - kept):
        tree.append(leaf)
    expected = [*range(1, kept + 1), *range(1000, 1000 + size - kept)]
    assert tree.root() == by_definition(expected)


def test_a_leaf_costs_one_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,024 leaves cost 1,023 hashes, a root or path of any size ten at most."""
    count = 0

    def counted(left: int, right: int) -> int:
        nonlocal count
        count += 1
        return (left + 31 * right) % ORDER

    monkeypatch.setattr(zk.lean_imt, "hash_pair", counted)
    tree = grown(1024)
    assert count == 1023
    for size in (1, 2, 511, 513, 1023, 1024):
        count = 0
        tree.path(size // 2, size)
        assert count <= 10


def test_nodes_kept_elsewhere_are_enough() -> None:
    """A tree goes on from its stored nodes and its size."""
    nodes = PackedNodes()
    tree = LeanIMT(nodes)
    for leaf in range(1, 12):
        tree.append(leaf)
    again = LeanIMT(PackedNodes(nodes.levels), 11)
    assert again.root() == tree.root()
    assert again.append(12) == tree.append(12)
    assert again.root() == tree.root() == by_definition(list(range(1, 13)))
    assert sum(map(len, nodes.levels)) == 32 * (12 + 6 + 3 + 1)


def test_what_is_no_leaf() -> None:
    """Zero, and whatever is not a field element, do not enter, and leave the tree as it was."""
    tree = grown(3)
    with pytest.raises(InvalidLeaf):
        tree.append(0)
    for leaf in (-1, ORDER):
        with pytest.raises(NotInField):
            tree.append(leaf)
    assert tree.root() == by_definition([1, 2, 3])


def test_full_tree() -> None:
    """A group ends at 2**20 leaves."""
    tree = LeanIMT(PackedNodes(), 1 << MAX_DEPTH)
    with pytest.raises(TreeFull):
        tree.append(1)


def test_what_was_never_there() -> None:
    """Sizes and leaves that the tree never had are refused."""
    tree = grown(5)
    for size in (-1, 6):
        with pytest.raises(NoSuchSize):
            tree.root(size)
    with pytest.raises(NoSuchSize):
        tree.root(0)
    with pytest.raises(NoSuchSize):
        tree.truncate(6)
    for index, size in ((5, None), (-1, None), (3, 3)):
        with pytest.raises(NoSuchLeaf):
            tree.path(index, size)
    with pytest.raises(NoSuchLeaf):
        tree.leaf(5)


def test_paths_that_do_not_fit() -> None:
    """A path has at most 20 siblings, all of them elements, and an index among them."""
    for index, siblings in ((0, (1,) * 21), (2, (1,)), (1, ())):
        with pytest.raises(NoSuchLeaf):
            MerklePath(index, siblings)
    with pytest.raises(NotInField):
        MerklePath(0, (ORDER,))
    with pytest.raises(ValueError, match="index"):
        MerklePath(-1, ())

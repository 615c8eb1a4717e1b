"""LeanIMT, the incremental Merkle tree of Semaphore groups, at any size that it ever had.

A node is Poseidon(left, right), or its left child alone while it has no right one; the depth grows
with the tree, and there are no zero leaves. Source: "LeanIMT: An optimized Incremental Merkle
Tree" (PSE, 2024), and ``@zk-kit/lean-imt``, ``LeanIMT.sol``, which give the same roots.

Only nodes whose leaves are all there are stored: they never change. So a leaf costs one hash on
average, a stored node is written once, and from the same nodes come the root and the paths of
every earlier size, each by at most one hash per level. Going back, as after a reorganisation,
forgets nodes and computes none.
"""

from collections.abc import Iterable
from typing import Final, Protocol

import attrs

from zk.field import SIZE, decode, element, encode
from zk.poseidon import hash_pair

MAX_DEPTH: Final = 20  # of the circuit; a deeper tree would have no proofs
CAPACITY: Final = 1 << MAX_DEPTH  # leaves


class LeanIMTError(Exception):
    """Something is wrong with a tree of commitments."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").splitlines()[0]


class TreeFull(LeanIMTError):
    """The tree of commitments is full."""


class InvalidLeaf(LeanIMTError, ValueError):
    """Zero cannot be a member's commitment."""


class NoSuchSize(LeanIMTError, ValueError):
    """The tree of commitments never had this size."""


class NoSuchLeaf(LeanIMTError, ValueError):
    """The tree of commitments of this size has no such leaf."""


class Nodes(Protocol):
    """Where complete nodes are kept: node i of a level spans 2**level leaves from i * 2**level.

    Nodes of a level come and go at its end only.
    """

    def append(self, level: int, node: int) -> None:
        """Put a node behind the last of its level."""

    def get(self, level: int, index: int) -> int:
        """Return a node that was put there."""

    def truncate(self, level: int, count: int) -> None:
        """Keep the first `count` nodes of a level."""


class PackedNodes:
    """Nodes in memory: 32 bytes each, 64 for each leaf in all.

    Args:
        levels: as they were, from the leaves up; see `levels`.
    """

    def __init__(self, levels: Iterable[bytes] = ()) -> None:
        self._levels = [bytearray(level) for level in levels]

    @property
    def levels(self) -> list[bytes]:
        """The nodes of each level, from the leaves up, one after another."""
        return [bytes(level) for level in self._levels]

    def append(self, level: int, node: int) -> None:
        """See `Nodes`."""
        if level == len(self._levels):
            self._levels.append(bytearray())
        self._levels[level] += encode(node)

    def get(self, level: int, index: int) -> int:
        """See `Nodes`."""
        return decode(bytes(self._levels[level][SIZE * index : SIZE * (index + 1)]))

    def truncate(self, level: int, count: int) -> None:
        """See `Nodes`."""
        if level < len(self._levels):
            del self._levels[level][SIZE * count :]


@attrs.frozen
class MerklePath:
    """How a leaf leads to a root.

    Attributes:
        index: of the leaf among the siblings that exist: bit k says that sibling k is on the left.
        siblings: from the leaf up; levels at which the node has none are left out.
    """

    index: int = attrs.field(validator=attrs.validators.ge(0))
    siblings: tuple[int, ...]

    def __attrs_post_init__(self) -> None:
        """Check that it fits the circuit."""
        if len(self.siblings) > MAX_DEPTH or self.index >> len(self.siblings):
            raise NoSuchLeaf
        for sibling in self.siblings:
            element(sibling)

    def root(self, leaf: int) -> int:
        """Return the root that a leaf has by this path."""
        node = element(leaf)
        for place, sibling in enumerate(self.siblings):
            left_first = not self.index >> place & 1
            node = hash_pair(node, sibling) if left_first else hash_pair(sibling, node)
        return node


class LeanIMT:
    """A group's tree.

    Args:
        nodes: where its nodes are kept.
        size: how many leaves they were made of.
    """

    def __init__(self, nodes: Nodes | None = None, size: int = 0) -> None:
        self._nodes = PackedNodes() if nodes is None else nodes
        self._size = size

    def __len__(self) -> int:
        return self._size

    def append(self, leaf: int) -> int:
        """Add a leaf and return its index; the cost is one hash on average, 20 at most.

        Raises:
            TreeFull: there are 2**20 leaves.
            InvalidLeaf: it is 0.
            NotInField: it is not a field element.
        """
        if self._size == CAPACITY:
            raise TreeFull
        if element(leaf) == 0:
            raise InvalidLeaf
        index, level, node = self._size, 0, leaf
        self._nodes.append(0, node)
        while index >> level & 1:  # a right child is there, so their parent is complete
            node = hash_pair(self._nodes.get(level, (index >> level) - 1), node)
            level += 1
            self._nodes.append(level, node)
        self._size += 1
        return index

    def leaf(self, index: int) -> int:
        """Return a leaf.

        Raises:
            NoSuchLeaf: there is none.
        """
        self._check_index(index, self._size)
        return self._nodes.get(0, index)

    def truncate(self, size: int) -> None:
        """Go back to a smaller size.

        Raises:
            NoSuchSize: it is negative or larger than the tree.
        """
        self._check_size(size)
        for level in range(MAX_DEPTH + 1):
            self._nodes.truncate(level, size >> level)
        self._size = size

    def root(self, size: int | None = None) -> int:
        """Return the root at a size, the present one if None.

        Raises:
            NoSuchSize: the tree never had it, or it is 0: an empty tree has no root.
        """
        size = self._size if size is None else size
        self._check_size(size)
        if size == 0:
            raise NoSuchSize
        return self._edge(size)[-1]

    def path(self, index: int, size: int | None = None) -> MerklePath:
        """Return the path of a leaf at a size, the present one if None.

        Raises:
            NoSuchSize: the tree never had that size.
            NoSuchLeaf: it had no such leaf then.
        """
        size = self._size if size is None else size
        self._check_size(size)
        self._check_index(index, size)
        edge = self._edge(size)
        sides, siblings = 0, []
        for level in range(len(edge) - 1):
            beside = index >> level ^ 1
            if (beside + 1) << level <= size:
                siblings.append(self._nodes.get(level, beside))
            elif beside << level < size:
                siblings.append(edge[level])
            else:
                continue
            sides |= (index >> level & 1) << (len(siblings) - 1)
        return MerklePath(sides, tuple(siblings))

    def _edge(self, size: int) -> list[int]:
        """Return the last node of every level, from the leaf to the root.

        A node at the edge is complete, or is made of a complete left child and an edge node, or
        has one child only and is that child.
        """
        depth = (size - 1).bit_length()
        edge = [self._nodes.get(0, size - 1)]
        for level in range(1, depth + 1):
            last = (size - 1) >> level
            if (last + 1) << level <= size:
                edge.append(self._nodes.get(level, last))
            elif (size - 1) >> (level - 1) & 1:
                edge.append(hash_pair(self._nodes.get(level - 1, 2 * last), edge[-1]))
            else:
                edge.append(edge[-1])
        return edge

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= self._size:
            raise NoSuchSize

    @staticmethod
    def _check_index(index: int, size: int) -> None:
        if not 0 <= index < size:
            raise NoSuchLeaf

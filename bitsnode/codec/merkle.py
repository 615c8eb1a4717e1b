"""Merkle trees of RFC 6962 §2.1 over SHA-256, in two levels.

A *block root* covers one block by leaves of 256 bytes, so that an audit can ask for one leaf; a
*share root* covers the block roots of a share in order. A block is thus checked as soon as it is
there, and a share of any length needs 32 bytes in the manifest.
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import Final

from bitsnode.codec.errors import DamagedBlock

LEAF_SIZE: Final = 256  # bytes of a leaf of a block; the last may be shorter
ROOT_SIZE: Final = 32  # bytes

# RFC 6962 §2.1: different first bytes, so that no leaf can be passed off as a node
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_LEAF_HASH: Final = hashlib.sha256(_LEAF)
_NODE_HASH: Final = hashlib.sha256(_NODE)
_LEAVES: Final = struct.Struct(f"{LEAF_SIZE}s").iter_unpack

Buffer = bytes | bytearray | memoryview


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """Return the 32-byte Merkle tree hash of the leaves; that of none is SHA-256 of nothing."""
    return _fold([hashlib.sha256(_LEAF + leaf).digest() for leaf in leaves])


def block_root(block: Buffer) -> bytes:
    """Return the 32-byte root of one block, cut into leaves of `LEAF_SIZE` bytes."""
    # Most of the time goes into making hash objects: copying one that has seen the prefix is
    # the fastest way found in pure Python, 64 MiB in about 0.3 s.
    start, level = _LEAF_HASH.copy, []
    data = bytes(block)
    whole = len(data) - len(data) % LEAF_SIZE
    for (leaf,) in _LEAVES(memoryview(data)[:whole]):
        leaf_hash = start()
        leaf_hash.update(leaf)
        level.append(leaf_hash.digest())
    if whole < len(data):
        level.append(hashlib.sha256(_LEAF + data[whole:]).digest())
    return _fold(level)


def check_block(block: Buffer, root: bytes) -> None:
    """Check a block against its root.

    Raises:
        DamagedBlock: it has another root.
    """
    if block_root(block) != root:
        raise DamagedBlock


def _fold(level: list[bytes]) -> bytes:
    """Hash pairs until one is left; an odd last one moves up, which is the RFC's split."""
    if not level:
        return hashlib.sha256().digest()
    start = _NODE_HASH.copy
    while len(level) > 1:
        pairs, above = iter(level), []
        for left, right in zip(pairs, pairs, strict=False):
            node = start()
            node.update(left + right)
            above.append(node.digest())
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]

"""Merkle trees against the published vectors and against the RFC's recursive definition."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.codec.errors import DamagedBlock
from bitsnode.codec.merkle import LEAF_SIZE, block_root, check_block, tree_root

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/codec_merkle.json").read_text())


def recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word: MTH(D[n]) split at the largest power of two below n."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    halves = recursive_root(leaves[:k]) + recursive_root(leaves[k:])
    return hashlib.sha256(b"\x01" + halves).digest()


@pytest.mark.parametrize("count", range(9))
def test_roots_of_certificate_transparency(count: int) -> None:
    """The reference tests of Certificate Transparency give the same roots."""
    leaves = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
    assert tree_root(leaves[:count]).hex() == VECTORS["roots"][count]


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_equals_the_recursive_definition(leaves: list[bytes]) -> None:
    """Folding level by level is the RFC's tree for every number of leaves."""
    assert tree_root(leaves) == recursive_root(leaves)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 513, 5 * 256, 104858])
def test_block_root_cuts_leaves_of_256_bytes(size: int) -> None:
    """A block's root is that of its 256-byte leaves, the last one short; views are fine too."""
    block = bytes(number % 251 for number in range(size))
    leaves = [block[at : at + LEAF_SIZE] for at in range(0, size, LEAF_SIZE)]
    assert block_root(block) == recursive_root(leaves)
    assert block_root(memoryview(block)) == block_root(block)


def test_check_block_raises_on_a_flipped_bit() -> None:
    """A block with one bit changed does not pass for the original."""
    block = bytearray(1000)
    root = block_root(block)
    check_block(block, root)
    block[999] ^= 1
    with pytest.raises(DamagedBlock):
        check_block(block, root)

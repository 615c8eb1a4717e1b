"""The puzzle that pays for a share."""

import hashlib
import struct

import attrs
import pytest

from bitsnode.codec.errors import UnpaidShare
from bitsnode.codec.share_puzzle import SharePuzzle, check, solve

PUZZLE = SharePuzzle(b"h" * 32, b"s" * 32, 3, b"r" * 32, size=1, bits=8)


def solved(puzzle: SharePuzzle) -> bytes:
    """Solve as a service would, slice by slice."""
    start = 0
    while (nonce := solve(puzzle, start, 100)) is None:
        start += 100
    return nonce


def test_a_solution_found_in_slices_passes() -> None:
    """What `solve` finds, `check` accepts, and the formula is the documented one."""
    nonce = solved(PUZZLE)
    check(PUZZLE, nonce)
    proof = hashlib.sha256(
        b"bits/share-puzzle/v1" + b"h" * 32 + b"s" * 32 + struct.pack(">H", 3) + b"r" * 32 + nonce
    ).digest()
    assert int.from_bytes(proof, "big") < 2**256 // 2**8


@pytest.mark.parametrize(
    "change",
    [{"onion_key": b"x" * 32}, {"storage_index": b"x" * 32}, {"index": 4}, {"size": 200 << 20}],
)
def test_a_solution_serves_one_share_at_one_holder(change: dict[str, object]) -> None:
    """A nonce solved for one share fails for another holder, content, index or larger size."""
    nonces = [nonce for at in range(0, 4096) if (nonce := solve(PUZZLE, at, 1))]
    assert nonces
    other = attrs.evolve(PUZZLE, **change)
    failed = 0
    for nonce in nonces:
        try:
            check(other, nonce)
        except UnpaidShare:
            failed += 1
    assert failed >= len(nonces) - 2  # by luck one in 256 serves twice


@pytest.mark.parametrize("nonce", [b"", bytes(15), bytes(17)])
def test_a_nonce_of_another_size_is_refused(nonce: bytes) -> None:
    """Only nonces of 16 bytes count, even when no work is asked."""
    with pytest.raises(UnpaidShare):
        check(attrs.evolve(PUZZLE, bits=0), nonce)


@pytest.mark.parametrize(
    ("size", "mib"), [(0, 1), (1, 1), (1 << 20, 1), ((1 << 20) + 1, 2), (5 << 20, 5)]
)
def test_the_price_grows_with_the_size(size: int, mib: int) -> None:
    """The bound is divided by the MiB begun."""
    assert attrs.evolve(PUZZLE, size=size).bound == 2**256 // (2**8 * mib)


def test_no_bits_is_free() -> None:
    """With difficulty 0 the first nonce will do."""
    assert solve(attrs.evolve(PUZZLE, bits=0)) == bytes(16)

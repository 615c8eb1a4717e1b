"""Members: the same commitments and nullifiers as in JS, and secrets that are none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk.babyjubjub import BASE, SUBGROUP, A, D, multiply_base
from zk.circuit import Witness
from zk.field import ORDER
from zk.lean_imt import LeanIMT, MerklePath
from zk.semaphore import (
    InvalidSecret,
    NotUint256,
    commitment,
    nullifier,
    secret_from_seed,
    signal_hash,
)


def test_members_are_those_of_the_js_package(semaphore_vectors: dict[str, Any]) -> None:
    """The same scalar has the same public key and commitment."""
    for member in semaphore_vectors["members"]:
        secret = int(member["secretScalar"])
        assert multiply_base(secret) == tuple(map(int, member["publicKey"]))
        assert commitment(secret) == int(member["commitment"])


def test_proofs_show_our_root_and_nullifier(
    semaphore_vectors: dict[str, Any], secrets: list[int], group: LeanIMT
) -> None:
    """Root and nullifier that the circuit computed are those computed here, for edges of scope."""
    assert group.root() == int(semaphore_vectors["root"])
    for line in semaphore_vectors["proofs"][:-1]:
        shown = line["proof"]
        assert int(shown["merkleTreeRoot"]) == group.root()
        assert int(shown["nullifier"]) == nullifier(secrets[line["place"]], int(shown["scope"]))


def test_group_of_one(semaphore_vectors: dict[str, Any], secrets: list[int]) -> None:
    """The root of a single member is its commitment."""
    single = semaphore_vectors["proofs"][-1]
    assert int(single["proof"]["merkleTreeRoot"]) == commitment(secrets[single["place"]])


@given(st.integers(1, SUBGROUP - 1))
def test_public_keys_are_on_the_curve(secret: int) -> None:
    """Every multiple of the base point satisfies the curve's equation."""
    x, y = multiply_base(secret)
    assert (A * x * x + y * y - 1 - D * x * x * y * y) % ORDER == 0


def test_base_point() -> None:
    """It has the order it should have."""
    assert multiply_base(1) == BASE
    assert multiply_base(SUBGROUP) == (0, 1)
    assert multiply_base(SUBGROUP + 1) == BASE


@pytest.mark.parametrize("secret", [0, -1, SUBGROUP, SUBGROUP + 1])
def test_what_is_no_secret(secret: int) -> None:
    """Zero, which all know, and a second name of a scalar are refused everywhere."""
    for make in (
        lambda: commitment(secret),
        lambda: nullifier(secret, 1),
        lambda: Witness(secret, MerklePath(0, ()), 1, 1),
    ):
        with pytest.raises(InvalidSecret):
            make()


@given(st.binary(min_size=64, max_size=64))
def test_seeds_give_secrets(seed: bytes) -> None:
    """Any 64 bytes are a secret."""
    assert 0 < secret_from_seed(seed) < SUBGROUP


def test_short_seed() -> None:
    """Fewer would be biased, so they are refused."""
    for size in (0, 32, 63, 65):
        with pytest.raises(InvalidSecret):
            secret_from_seed(bytes(size))


def test_signals_are_words() -> None:
    """Message and scope are uint256; their hashes have 31 bytes."""
    for value in (-1, 2**256):
        with pytest.raises(NotUint256):
            signal_hash(value)
    assert signal_hash(2**256 - 1) < 2**248 < ORDER


def test_witness_shows_nothing() -> None:
    """What is printed of a witness has neither secret nor place nor message."""
    witness = Witness(123456789, MerklePath(1, (987654321,)), 192837465, 5)
    assert repr(witness) == "Witness(scope=5)"

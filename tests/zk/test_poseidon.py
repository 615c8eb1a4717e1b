"""Poseidon: the vectors of circomlibjs, the paper's plain rounds, and what is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zk.field import ORDER, NotInField, decode, element, encode
from zk.poseidon import hash_pair
from zk.poseidon_parameters import FULL_ROUNDS, PARTIAL_ROUNDS, WIDTH, drawn

elements = st.integers(0, ORDER - 1) | st.sampled_from([0, 1, ORDER - 1])


def plain(left: int, right: int) -> int:
    """Poseidon as the paper defines it, round by round and with full matrices."""
    constants, matrix = drawn()
    state = [0, left, right]
    for number in range(FULL_ROUNDS + PARTIAL_ROUNDS):
        state = [(a + b) % ORDER for a, b in zip(state, constants[number], strict=True)]
        full = not FULL_ROUNDS // 2 <= number < FULL_ROUNDS // 2 + PARTIAL_ROUNDS
        state = [pow(x, 5, ORDER) if full or place == 0 else x for place, x in enumerate(state)]
        state = [sum(row[k] * state[k] for k in range(WIDTH)) % ORDER for row in matrix]
    return state[0]


def test_vectors(poseidon_vectors: list[dict[str, Any]]) -> None:
    """It gives what circomlibjs gives, at the edges of the field too."""
    assert len(poseidon_vectors) == 100
    for vector in poseidon_vectors:
        assert hash_pair(*map(int, vector["inputs"])) == int(vector["output"])


@settings(max_examples=30)
@given(elements, elements)
def test_sparse_rounds_are_the_plain_ones(left: int, right: int) -> None:
    """The rearranged partial rounds change nothing."""
    assert hash_pair(left, right) == plain(left, right)


@pytest.mark.parametrize("number", [-1, ORDER, ORDER + 1, 2**256])
def test_nothing_is_reduced(number: int) -> None:
    """A number that is not below the order is refused, wherever it stands."""
    for inputs in ((number, 1), (1, number)):
        with pytest.raises(NotInField):
            hash_pair(*inputs)
    with pytest.raises(NotInField):
        element(number)


@given(elements)
def test_elements_have_one_name(number: int) -> None:
    """An element is 32 bytes, which are no other element's, and no other bytes are it."""
    data = encode(number)
    assert len(data) == 32
    assert decode(data) == number
    for other in (data[1:], data + b"\0", b"\0" + data, b"\xff" * 32):
        with pytest.raises(NotInField):
            decode(other)

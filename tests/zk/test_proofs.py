"""Proofs: those of snarkjs are accepted, and whatever differs from them is refused."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.zk.conftest import from_js
from zk.bn254 import NotOnCurve
from zk.field import ORDER
from zk.lean_imt import MAX_DEPTH
from zk.proof import (
    BASE_ORDER,
    PROOF_SIZE,
    InvalidProof,
    MalformedProof,
    SemaphoreProof,
    WrongDepth,
)
from zk.semaphore import MAX_UINT256
from zk.verification import verify

FIXTURE = Path(__file__).parents[2] / "contracts/test/fixtures/redemptions.json"


def test_proofs_of_snarkjs(js_proofs: list[SemaphoreProof]) -> None:
    """Proofs by the JS packages are accepted, with messages and scopes from 0 to 2**256 - 1."""
    assert len(js_proofs) == 5
    for proof in js_proofs:
        verify(proof)


def test_proofs_of_the_contracts_tests() -> None:
    """So are the proofs with which the contracts are tested."""
    fixture = json.loads(FIXTURE.read_text())
    count = 0
    for name in ("relayed", "pair", "twice"):
        case = fixture[name]
        points = [int(point, 16) for point in case["points"]]
        for root, nullifier in zip(case["roots"], case["nullifiers"], strict=True):
            words = (int(word, 16) for word in (root, nullifier, case["message"], fixture["scope"]))
            verify(SemaphoreProof(*words, tuple(points[:8])))
            del points[:8]
            count += 1
    assert count == 5


@pytest.mark.parametrize("field", ["root", "nullifier", "message", "scope"])
def test_tampered_signal(js_proofs: list[SemaphoreProof], field: str) -> None:
    """A proof is of its four signals and no others."""
    for proof in js_proofs[1:3]:
        changed = getattr(proof, field) ^ 1
        with pytest.raises(InvalidProof):
            verify(attrs.evolve(proof, **{field: changed}))


def test_replay(js_proofs: list[SemaphoreProof]) -> None:
    """The points of one proof do not prove the signals of another."""
    first, second = js_proofs[:2]
    with pytest.raises(InvalidProof):
        verify(attrs.evolve(first, points=second.points))
    with pytest.raises(InvalidProof):
        verify(attrs.evolve(first, message=second.message))


def test_value_plus_order(js_proofs: list[SemaphoreProof]) -> None:
    """A second name of a number would be a second spend; none is accepted."""
    proof = js_proofs[0]
    for field in ("root", "nullifier"):
        with pytest.raises(MalformedProof):
            attrs.evolve(proof, **{field: getattr(proof, field) + ORDER})
    for place in range(8):
        points = list(proof.points)
        points[place] += BASE_ORDER
        with pytest.raises(MalformedProof):
            attrs.evolve(proof, points=tuple(points))


@pytest.mark.parametrize(
    "change",
    [
        {"root": 0},
        {"root": -1},
        {"nullifier": ORDER},
        {"nullifier": -1},
        {"message": MAX_UINT256 + 1},
        {"message": -1},
        {"scope": MAX_UINT256 + 1},
        {"scope": True},
        {"root": 1.5},
        {"points": ()},
        {"points": (1,) * 7},
        {"points": (1,) * 9},
        {"points": (BASE_ORDER,) * 8},
    ],
)
def test_out_of_range(js_proofs: list[SemaphoreProof], change: dict[str, Any]) -> None:
    """Root 0, which too long a path proves for all, and what is out of range is no proof."""
    with pytest.raises(MalformedProof):
        attrs.evolve(js_proofs[0], **change)


def test_wrong_depth(semaphore_vectors: dict[str, Any], js_proofs: list[SemaphoreProof]) -> None:
    """A proof of the circuit of depth 16 says so, and does not verify if it says otherwise."""
    shallow = semaphore_vectors["shallow"]["proof"]
    with pytest.raises(WrongDepth):
        from_js(shallow)
    for depth in (0, 19, 21, 32):
        with pytest.raises(WrongDepth):
            attrs.evolve(js_proofs[0], depth=depth)
    lying = from_js({**shallow, "merkleTreeDepth": MAX_DEPTH})
    twin = next(proof for proof in js_proofs if proof.nullifier == lying.nullifier)
    assert (twin.root, twin.message, twin.scope) == (lying.root, lying.message, lying.scope)
    with pytest.raises(InvalidProof):
        verify(lying)


def test_points_not_on_their_curves(js_proofs: list[SemaphoreProof]) -> None:
    """Each coordinate that is changed takes its point off the curve."""
    for place in range(8):
        points = list(js_proofs[0].points)
        points[place] ^= 1
        with pytest.raises(NotOnCurve):
            verify(attrs.evolve(js_proofs[0], points=tuple(points)))


def test_point_at_infinity(js_proofs: list[SemaphoreProof]) -> None:
    """Zeros, which the chain reads as infinity, are no part of a proof."""
    for places in ((0, 1), (2, 3, 4, 5), (6, 7), range(8)):
        points = [
            0 if place in places else point for place, point in enumerate(js_proofs[0].points)
        ]
        with pytest.raises(NotOnCurve):
            verify(attrs.evolve(js_proofs[0], points=tuple(points)))


def test_swapped_points(js_proofs: list[SemaphoreProof]) -> None:
    """A and C swapped, a negated point, and B with its parts swapped are refused."""
    a_x, a_y, b_x_i, b_x_r, b_y_i, b_y_r, c_x, c_y = js_proofs[0].points
    b = (b_x_i, b_x_r, b_y_i, b_y_r)
    for points in (
        (c_x, c_y, *b, a_x, a_y),
        (a_x, BASE_ORDER - a_y, *b, c_x, c_y),
        (a_x, a_y, b_x_r, b_x_i, b_y_r, b_y_i, c_x, c_y),
        (a_x, a_y, *b, a_x, a_y),
    ):
        with pytest.raises(InvalidProof):
            verify(attrs.evolve(js_proofs[0], points=points))


def test_others_can_change_the_points(js_proofs: list[SemaphoreProof]) -> None:
    """(-A, -B, C) proves what (A, B, C) does: that is why nothing is keyed by the points."""
    a_x, a_y, b_x_i, b_x_r, b_y_i, b_y_r, c_x, c_y = js_proofs[0].points
    negated = [BASE_ORDER - y for y in (a_y, b_y_i, b_y_r)]
    points = (a_x, negated[0], b_x_i, b_x_r, *negated[1:], c_x, c_y)
    verify(attrs.evolve(js_proofs[0], points=points))


def test_point_outside_the_subgroup(js_proofs: list[SemaphoreProof]) -> None:
    """A point that is on the curve of G2 and not in its subgroup is refused, and breaks nothing."""
    stray = outside_subgroup()
    a_x, a_y, *_, c_x, c_y = js_proofs[0].points
    with pytest.raises(InvalidProof):
        verify(attrs.evolve(js_proofs[0], points=(a_x, a_y, *stray, c_x, c_y)))


def outside_subgroup() -> tuple[int, int, int, int]:
    """A point of the twist; nearly none of them is in the subgroup, whose cofactor is 2**254."""
    p = BASE_ORDER

    def times(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
        return (
            (left[0] * right[0] - left[1] * right[1]) % p,
            (left[0] * right[1] + left[1] * right[0]) % p,
        )

    scale = pow(82, -1, p)
    for start in range(1, 100):
        x = (start, 1)
        cube = times(times(x, x), x)
        a, b = (cube[0] + 27 * scale) % p, (cube[1] - 3 * scale) % p
        # a square root in the quadratic extension, p = 3 mod 4, by the norm
        norm = pow(a * a + b * b, (p + 1) // 4, p)
        if norm * norm % p != (a * a + b * b) % p:
            continue
        for sign in (norm, -norm):
            half = (a + sign) * pow(2, -1, p) % p
            real = pow(half, (p + 1) // 4, p)
            if real and real * real % p == half:
                imaginary = b * pow(2 * real, -1, p) % p
                assert times((real, imaginary), (real, imaginary)) == (a, b)
                return x[1], x[0], imaginary, real
    raise AssertionError("no point found")


def test_encoding(js_proofs: list[SemaphoreProof]) -> None:
    """A proof is 384 bytes, and none of another size is read."""
    for proof in js_proofs:
        data = proof.encode()
        assert len(data) == PROOF_SIZE == 384
        assert SemaphoreProof.decode(data) == proof
        for other in (data[:-1], data + b"\0", b""):
            with pytest.raises(MalformedProof):
                SemaphoreProof.decode(other)


@given(st.binary(min_size=PROOF_SIZE, max_size=PROOF_SIZE))
def test_any_bytes(data: bytes) -> None:
    """Whatever comes over a wire is a proof that is refused, or no proof; nothing else happens."""
    with pytest.raises(InvalidProof):
        verify(SemaphoreProof.decode(data))

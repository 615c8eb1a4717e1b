"""The same witnesses and proofs in Python and in Semaphore's own JS packages, live."""

import attrs
import pytest

from bitsnode.ledger.prover.child import Proving
from tests.zk import oracle
from tests.zk.conftest import from_js
from zk.circuit import Witness
from zk.lean_imt import LeanIMT
from zk.proof import InvalidProof, SemaphoreProof
from zk.semaphore import MAX_UINT256
from zk.verification import verify

pytestmark = pytest.mark.skipif(oracle.missing() is not None, reason=str(oracle.missing()))


@pytest.fixture
def ours(proving: Proving, secrets: list[int], group: LeanIMT) -> list[SemaphoreProof]:
    """Our proofs, for members and sizes of all kinds."""
    cases = [(0, 1, 0, 0), (3, 11, 1, MAX_UINT256), (10, 11, MAX_UINT256, 1), (4, 6, 7, 8)]
    proofs = []
    for place, size, message, scope in cases:
        witness = Witness(secrets[place], group.path(place, size), message, scope)
        proofs.append(witness.proves(proving.points(proving.witness(witness))))
    return proofs


def test_snarkjs_accepts_ours_and_refuses_what_is_changed(ours: list[SemaphoreProof]) -> None:
    """Each of our proofs is valid there, and for no other signal, root, depth or points."""
    changed = [
        attrs.evolve(ours[1], message=2),
        attrs.evolve(ours[1], scope=2),
        attrs.evolve(ours[1], nullifier=ours[1].nullifier ^ 1),
        attrs.evolve(ours[1], root=ours[0].root),
        attrs.evolve(ours[1], points=ours[2].points),
    ]
    depth = {**oracle.to_js(ours[1]), "merkleTreeDepth": 19}
    answer = oracle.ask([*map(oracle.to_js, ours + changed), depth])
    assert answer["valid"] == [True] * len(ours) + [False] * (len(changed) + 1)
    for proof in ours:
        verify(proof)
    for proof in changed:
        with pytest.raises(InvalidProof):
            verify(proof)


def test_we_accept_snarkjs(ours: list[SemaphoreProof], secrets: list[int], group: LeanIMT) -> None:
    """A proof made there now is valid here, and shows the root and nullifier that ours shows."""
    members = [f"bits member {number}" for number in range(len(secrets))]
    work = {"members": members, "place": 3, "message": "1", "scope": str(MAX_UINT256), "rounds": 1}
    proof = from_js(oracle.ask([], work)["proof"])
    verify(proof)
    assert attrs.evolve(proof, points=ours[1].points) == ours[1]

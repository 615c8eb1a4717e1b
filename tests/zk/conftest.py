"""What the tests of proofs share: Semaphore's own vectors, and a way to make proofs here."""

import json
from pathlib import Path
from typing import Any

import pytest

from bitsnode.ledger.prover.child import Proving
from bitsnode.ledger.prover.service import CIRCUITS
from zk.circuit import SHA256
from zk.lean_imt import LeanIMT
from zk.proof import SemaphoreProof

VECTORS = Path(__file__).parents[1] / "vectors"
ROOT = Path(__file__).parents[2]


def _file(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS / f"zk_{name}.json").read_text())
    assert {"source", "generator", "checked_by"} <= set(content)
    return content


@pytest.fixture(scope="session")
def poseidon_vectors() -> list[dict[str, Any]]:
    """Inputs and outputs of circomlibjs."""
    vectors: list[dict[str, Any]] = _file("poseidon")["vectors"]
    return vectors


@pytest.fixture(scope="session")
def lean_imt_vectors() -> dict[str, Any]:
    """Trees of @zk-kit/lean-imt."""
    return _file("lean_imt")


@pytest.fixture(scope="session")
def semaphore_vectors() -> dict[str, Any]:
    """Members, a group and proofs of the JS packages."""
    return _file("semaphore")


def from_js(proof: dict[str, Any]) -> SemaphoreProof:
    """Read a proof as the JS packages give it."""
    return SemaphoreProof(
        int(proof["merkleTreeRoot"]),
        int(proof["nullifier"]),
        int(proof["message"]),
        int(proof["scope"]),
        tuple(map(int, proof["points"])),
        proof["merkleTreeDepth"],
    )


@pytest.fixture(scope="session")
def js_proofs(semaphore_vectors: dict[str, Any]) -> list[SemaphoreProof]:
    """Valid proofs by snarkjs."""
    return [from_js(line["proof"]) for line in semaphore_vectors["proofs"]]


@pytest.fixture(scope="session")
def secrets(semaphore_vectors: dict[str, Any]) -> list[int]:
    """Secrets of the group's members."""
    return [int(member["secretScalar"]) for member in semaphore_vectors["members"]]


@pytest.fixture(scope="session")
def group(semaphore_vectors: dict[str, Any]) -> LeanIMT:
    """The group's tree."""
    tree = LeanIMT()
    for member in semaphore_vectors["members"]:
        tree.append(int(member["commitment"]))
    return tree


@pytest.fixture(scope="session")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Proving:
    """Circuit and proving key, in this process."""
    if not all((CIRCUITS / name).exists() for name in SHA256):
        pytest.fail("the circuit is missing; run bin/setup")
    return Proving(CIRCUITS, tmp_path_factory.mktemp("cache"))

"""The deployment file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.errors import BitsError
from bitsnode.ledger.deployment import (
    CONTRACTS,
    MAX_DEPLOYMENT_FILE,
    Deployed,
    Deployment,
    DeploymentDamaged,
    DeploymentTooNew,
    DeploymentTooOld,
    DeploymentUnreadable,
)

DEPLOYMENT = Deployment(
    31337,
    {
        name: Deployed("0x" + f"{number + 1:040x}", 7 + number, "0x" + "ab" * 32)
        for number, name in enumerate(CONTRACTS)
    },
)


def changed(**values: Any) -> bytes:
    """Return the file of `DEPLOYMENT` with some values replaced."""
    return json.dumps(json.loads(DEPLOYMENT.dump()) | values).encode()


def all_at(contract: dict[str, Any]) -> dict[str, Any]:
    """Return the same contract under every name."""
    return {name: contract for name in CONTRACTS}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """A file says what the deployment said, and where its logs begin."""
    path = tmp_path / "new" / "deployment.json"
    DEPLOYMENT.save(path)
    assert Deployment.load(path) == DEPLOYMENT
    assert DEPLOYMENT.start_block == 7


def test_saving_the_same_again_changes_nothing(tmp_path: Path) -> None:
    """The file is not even replaced."""
    path = tmp_path / "deployment.json"
    DEPLOYMENT.save(path)
    before = path.stat()
    DEPLOYMENT.save(path)
    assert path.stat().st_ino == before.st_ino


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The sentence says which file, and why."""
    with pytest.raises(DeploymentUnreadable, match=r"nothing.json cannot be read: No such file"):
        Deployment.load(tmp_path / "nothing.json")


def test_a_later_version_is_refused() -> None:
    """It may mean something else."""
    with pytest.raises(DeploymentTooNew):
        Deployment.parse(changed(version=3))


def test_an_earlier_version_is_named_so() -> None:
    """Its deployment lacks a contract, and to deploy again adds it."""
    with pytest.raises(DeploymentTooOld, match="run bin/deploy again"):
        Deployment.parse(changed(version=1))


@pytest.mark.parametrize(
    "values",
    [
        {"chain_id": "1"},
        {"chain_id": True},
        {"chain_id": -1},
        {"chain_id": 1 << 64},
        {"version": None},
        {"contracts": {}},
        {"contracts": []},
        {"contracts": all_at({"address": "0x12", "block": 1, "code_hash": "0x" + 64 * "1"})},
        {"contracts": all_at({"address": 1, "block": 1, "code_hash": 2})},
    ],
)
def test_a_damaged_file_is_refused(values: dict[str, Any]) -> None:
    """Nothing that is not exactly a deployment becomes one."""
    with pytest.raises(DeploymentDamaged):
        Deployment.parse(changed(**values))


def test_a_file_that_is_too_large_is_refused() -> None:
    """Size comes before parsing."""
    with pytest.raises(DeploymentDamaged):
        Deployment.parse(DEPLOYMENT.dump() + b" " * MAX_DEPLOYMENT_FILE)


@given(st.binary(max_size=300) | st.integers(0, 2000).map(lambda cut: DEPLOYMENT.dump()[:-cut]))
def test_garbage_is_a_bits_error(data: bytes) -> None:
    """Whatever the bytes are, they are a deployment or a clear refusal."""
    try:
        Deployment.parse(data)
    except BitsError:
        return
    assert json.loads(data)["version"] == 2

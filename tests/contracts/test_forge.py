"""The contracts' own tests, which forge runs."""

import subprocess
from pathlib import Path

import pytest


def run(command: list[str], project: Path, environment: dict[str, str]) -> None:
    """Run a command in contracts/, and fail with all that it said."""
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.timeout(900)  # the first run compiles for half a minute, or more beside others
def test_forge_tests_pass_and_gas_is_as_committed(
    project: Path, tools: dict[str, str], forge: str
) -> None:
    """Unit, fuzz and invariant tests pass, and gas is what snapshots/ says."""
    # Only compares: a changed number is committed by running `forge test` by hand.
    environment = {**tools, "FORGE_SNAPSHOT_CHECK": "true", "FORGE_SNAPSHOT_EMIT": "false"}
    run([forge, "test"], project, environment)


def test_solidity_is_formatted(project: Path, tools: dict[str, str], forge: str) -> None:
    """`forge fmt` has nothing to change."""
    run([forge, "fmt", "--check"], project, tools)

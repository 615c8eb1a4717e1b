"""What the tests of contracts/ share."""

import os
import platform
import shutil
import sys
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[2] / "contracts"


@pytest.fixture(scope="session")
def project() -> Path:
    """The Foundry project, with its npm packages."""
    if not (CONTRACTS / "node_modules").is_dir():
        pytest.fail("contracts/node_modules is missing; run bin/setup --test")
    return CONTRACTS


@pytest.fixture(scope="session")
def tools(project: Path) -> dict[str, str]:
    """An environment whose PATH begins with the locked npm packages' and this Python's commands."""
    places = [project / "node_modules" / ".bin", Path(sys.prefix) / "bin"]
    path = os.pathsep.join([*map(str, places), os.environ["PATH"]])
    return {**os.environ, "PATH": path}


@pytest.fixture(scope="session")
def forge(tools: dict[str, str]) -> str:
    """Path of forge; npm has it for Linux on x86-64 only, others bring their own."""
    found = shutil.which("forge", path=tools["PATH"])
    if found is None:
        if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
            pytest.fail("forge is missing; run bin/setup --test")
        pytest.skip("no Foundry here: https://getfoundry.sh")
    return found

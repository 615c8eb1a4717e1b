"""What slither says about the contracts."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements-slither.txt"


@pytest.fixture(scope="module")
def slither() -> Path:
    """Slither in an environment of its own: it needs another web3 than we do."""
    venv = ROOT / "build" / "slither"
    stamp = venv / ".installed"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "--require-hashes", "-r", LOCK]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted)
    return venv / "bin" / "slither"


@pytest.mark.slow
@pytest.mark.timeout(900)  # may install first, and compiles
def test_slither_finds_nothing(
    slither: Path, project: Path, tools: dict[str, str], forge: str, tmp_path: Path
) -> None:
    """Nothing but the exceptions that are explained where they are made."""
    # On a copy: it cleans and rebuilds, which would disturb a forge at work beside it.
    for name in ("foundry.toml", "solc.mjs", "slither.config.json"):
        shutil.copy(project / name, tmp_path / name)
    shutil.copytree(project / "src", tmp_path / "src")
    os.symlink(project / "node_modules", tmp_path / "node_modules")
    path = os.pathsep.join([str(slither.parent), tools["PATH"]])
    done = subprocess.run(
        [slither, "."], cwd=tmp_path, env={**tools, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "0 result(s) found" in done.stderr, done.stderr

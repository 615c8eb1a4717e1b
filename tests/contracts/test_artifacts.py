"""The committed artifacts are what the sources compile to."""

import json
import subprocess
import tomllib
from pathlib import Path

LARGEST = 300_000  # bytes of a file in the repository


def test_artifacts_are_what_the_sources_compile_to(
    project: Path, tools: dict[str, str], tmp_path: Path
) -> None:
    """Recompiling with the locked compiler gives the same files, byte for byte."""
    done = subprocess.run(
        ["node", "build.mjs", str(tmp_path)], cwd=project, env=tools, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    fresh = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    committed = {file.name: file.read_bytes() for file in (project / "artifacts").iterdir()}
    assert sorted(fresh) == sorted(committed)
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert not stale, f"run `node contracts/build.mjs` and commit: {stale}"
    assert max(map(len, committed.values())) < LARGEST


def test_forge_compiles_with_the_settings_of_the_artifacts(project: Path) -> None:
    """What forge tests is what is deployed: settings.json and foundry.toml say the same."""
    settings = json.loads((project / "settings.json").read_text())
    profile = tomllib.loads((project / "foundry.toml").read_text())["profile"]["default"]
    assert settings == {
        "evmVersion": profile["evm_version"],
        "metadata": {
            "appendCBOR": profile["cbor_metadata"],
            "bytecodeHash": profile["bytecode_hash"],
        },
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "viaIR": profile["via_ir"],
    }


def test_lock_file_names_no_host(project: Path) -> None:
    """Packages are found wherever npm is configured to look, and known by their hashes."""
    packages = json.loads((project / "package-lock.json").read_text())["packages"]
    for path, package in packages.items():
        assert "resolved" not in package, path
        assert path == "" or package["integrity"].startswith("sha512-"), path


def test_dependencies_are_exact(project: Path) -> None:
    """package.json names versions, not ranges."""
    package = json.loads((project / "package.json").read_text())
    for versions in (package["dependencies"], package["optionalDependencies"]):
        assert all(version.replace(".", "").isdigit() for version in versions.values())

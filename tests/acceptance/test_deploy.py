"""bin/deploy on a fresh anvil, as an operator runs it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cli_net import CliLocalnet, run

ANVIL = Path("contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil")


@pytest.fixture
def rpc(tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh anvil."""
    anvil = str(ANVIL) if ANVIL.exists() else shutil.which("anvil")
    assert anvil, "anvil is missing; run bin/setup --test"
    command = [anvil, "--port", "0", "--ipc", str(tmp_path / "anvil.ipc")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or []:
                if "Listening on" in line:
                    break
            yield "http://" + line.split()[-1]
        finally:
            process.terminate()


def deploy(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run bin/deploy."""
    return subprocess.run(
        ["bin/deploy", *arguments, "--json"], capture_output=True, text=True, check=False
    )


def test_a_second_run_changes_nothing(rpc: str, tmp_path: Path) -> None:
    """The contracts are there after the first run; the check says who administers them."""
    path = tmp_path / "deployment.json"
    first = deploy("--rpc-url", rpc, "--file", str(path))
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["changed"] is True
    assert "The timelock is the only admin." in first.stderr
    written = path.read_bytes()
    second = deploy("--rpc-url", rpc, "--file", str(path))
    assert json.loads(second.stdout)["changed"] is False
    assert "was put at" not in second.stderr
    assert path.read_bytes() == written
    # a file of an older bits knows no invoices: to deploy again adds what is missing
    old = json.loads(written) | {"version": 1}
    del old["contracts"]["InvoiceFactory"]
    path.write_text(json.dumps(old))
    assert deploy("--rpc-url", rpc, "--file", str(path)).returncode == 0
    assert path.read_bytes() == written
    path.unlink()  # the chain alone tells the same, with the blocks in which the contracts began
    assert deploy("--rpc-url", rpc, "--file", str(path)).returncode == 0
    assert path.read_bytes() == written
    socket = f"unix:{tmp_path / 'anvil.ipc'}"
    check = deploy("--rpc-url", socket, "--file", str(path), "--check")
    assert check.returncode == 0, check.stderr


def test_a_foreign_deployment_is_refused(rpc: str, tmp_path: Path) -> None:
    """A file for another chain, or with other code, does not pass the check."""
    path = tmp_path / "deployment.json"
    assert deploy("--rpc-url", rpc, "--file", str(path)).returncode == 0
    found = json.loads(path.read_text())
    for change, sentence in (
        ({"chain_id": 1}, "is for chain 1, but this is chain 31337"),
        ({"contracts": swapped(found["contracts"])}, "The chain has other code at"),
    ):
        path.write_text(json.dumps(found | change))
        check = deploy("--rpc-url", rpc, "--file", str(path), "--check")
        assert check.returncode == 1
        assert sentence in check.stderr
        assert "Traceback" not in check.stderr


def swapped(contracts: dict) -> dict:
    """Two contracts in each other's place."""
    return contracts | {
        "Vouchers": contracts["Semaphore"] | {"code_hash": contracts["Vouchers"]["code_hash"]}
    }


def test_an_rpc_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """Nobody sees a traceback."""
    done = deploy("--rpc-url", f"unix:{tmp_path / 'nothing.ipc'}", "--file", str(tmp_path / "x"))
    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0
    assert "did not answer" in done.stderr


@pytest.mark.tor
@pytest.mark.timeout(600)
def test_a_chain_far_away_is_reached_through_tor(whole_net: CliLocalnet) -> None:
    """The contracts of the localnet are checked over the onion service of its chain."""
    chain = run("localnet", "status", "--dir", whole_net.directory).result["chain"]
    done = deploy(
        *("--rpc-url", chain["rpc"], "--file", chain["deployment"], "--check"),
        *("--network", "local", "--localnet", str(whole_net.directory)),
    )
    assert done.returncode == 0, done.stderr
    assert "The timelock is the only admin." in done.stderr
    assert "100%" in done.stderr or "is ready" in done.stderr  # tor's own words

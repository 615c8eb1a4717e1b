"""The chain of a localnet and the wallet of a node, with nothing but the commands and cast."""

import json
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from bitsnode.cli.ipc import ChainAnswered, ChainNotRunning, ask_chain
from bitsnode.ledger.local_key import LocalKey
from tests.acceptance.cli_net import CliLocalnet, CliNode, run, wait_for

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]

COIN = 10**18  # wei
CAST = Path("contracts/node_modules/@foundry-rs/cast-linux-amd64/bin/cast")
FAR_AWAY = "0x00000000000000000000000000000000DeaDBeef"
LOADED = 30  # transactions before the chain is killed
PRICE = 2 * 10**9  # wei per gas


@pytest.fixture
def secret(tmp_path: Path) -> list[str]:
    """The option with a password."""
    path = tmp_path / "password"
    path.write_text("correct horse battery\n")
    path.chmod(0o600)
    return ["--password-file", str(path)]


def chain_of(net: CliLocalnet) -> dict[str, Any]:
    """What ``localnet status`` says of the chain."""
    done = run("localnet", "status", "--dir", net.directory)
    assert done.status == 0, done.stderr
    chain: dict[str, Any] = done.result["chain"]
    return chain


def chain_pid(net: CliLocalnet) -> int:
    """Return the chain's process id."""
    pattern = f"bitsnode --home {net.directory}/chain"
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=True)
    (pid,) = found.stdout.split()
    return int(pid)


def test_the_localnet_shows_its_chain(whole_net: CliLocalnet) -> None:
    """Chain id, height and addresses are shown, and cast gets an answer at the endpoint printed."""
    chain = chain_of(whole_net)
    assert chain["chain_id"] == 13_370_042
    assert len(chain["contracts"]) == 10
    assert chain["rpc"].endswith(".onion")
    assert CAST.exists() or shutil.which("cast"), "cast is missing; run bin/setup --test"
    cast = str(CAST) if CAST.exists() else "cast"
    done = subprocess.run(
        [cast, "block-number", "--rpc-url", chain["socket"]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) >= chain["height"] >= 9
    assert whole_net.nodes[3].status()["chain"]["chain_id"] == 13_370_042


def test_c6_a_chain_killed_under_load_keeps_what_it_acknowledged(whole_net: CliLocalnet) -> None:
    """After kill -9 and `localnet up`, every transaction that was acknowledged is in the chain."""
    directory = whole_net.directory / "chain"
    acknowledged: list[str] = []
    payer = LocalKey(os.urandom(32))
    ask_chain(directory, "bits_fund", [payer.address, hex(10 * COIN)])

    def pay() -> None:
        for nonce in range(10 * LOADED):
            fields = {"to": FAR_AWAY, "value": 1, "nonce": nonce, "gas": 21_000}
            fields |= {"chainId": 13_370_042, "maxFeePerGas": PRICE, "maxPriorityFeePerGas": 0}
            raw = "0x" + payer.sign_transaction(fields).hex()
            try:
                acknowledged.append(ask_chain(directory, "eth_sendRawTransaction", [raw]))
            except (ChainNotRunning, ChainAnswered):
                return

    load = threading.Thread(target=pay)
    load.start()
    wait_for(lambda: len(acknowledged) >= LOADED or not load.is_alive())
    os.kill(chain_pid(whole_net), signal.SIGKILL)
    load.join()
    assert LOADED <= len(acknowledged) < 10 * LOADED
    before = chain_of(whole_net)
    assert before["state"] == "stopped"
    whole_net.revive()
    for transaction in acknowledged:
        receipt = ask_chain(directory, "eth_getTransactionReceipt", [transaction])
        assert receipt["status"] == "0x1"
    assert chain_of(whole_net)["contracts"] == before_contracts(directory)
    assert chain_of(whole_net)["rpc"] == before["rpc"]


def before_contracts(directory: Path) -> dict[str, str]:
    """The addresses of the deployment file."""
    found = json.loads((directory / "deployment.json").read_text())
    return {name: contract["address"] for name, contract in found["contracts"].items()}


def fund(net: CliLocalnet, address: str, coins: str) -> None:
    """Give an address money of the faucet."""
    done = run("chain", "fund", address, coins, "--dir", net.directory / "chain")
    assert done.status == 0, done.stderr


def test_a_wallet_from_its_making_to_its_return(whole_net: CliLocalnet, secret: list[str]) -> None:
    """It is made, funded, asked and emptied through tor, and comes back from its words."""
    node, other = whole_net.nodes[1], whole_net.nodes[2]
    made = node.ok("wallet", "create", "--words", "24", *secret)
    assert len(made["mnemonic"].split()) == 24
    (account,) = made["accounts"]
    fund(whole_net, account, "2.5")
    assert node.ok("wallet", "balance")["total"] == 5 * COIN // 2
    done = node.ok("wallet", "withdraw", FAR_AWAY, "1", "--from", account, *secret)
    (withdrawal,) = done["withdrawals"]
    assert withdrawal["amount"] == COIN
    left = node.ok("wallet", "balance")["total"]
    assert left == 3 * COIN // 2 - withdrawal["fee"]

    words = Path(secret[1]).with_name("words")
    words.write_text(made["mnemonic"] + "\n")
    words.chmod(0o600)
    back = other.ok("wallet", "restore", "--words-file", str(words), *secret)
    assert back["accounts"] == [account]
    assert back["meta_address"] == made["meta_address"]
    assert other.ok("wallet", "balance", *secret)["total"] == left
    for home in (node.home, other.home):
        logged = "".join(path.read_text() for path in (home / "log").iterdir())
        assert made["mnemonic"] not in logged
        assert account not in logged


def refused(node: CliNode, *arguments: str) -> str:
    """Run a command that must fail, and return its one sentence."""
    done = node.run(*arguments)
    assert done.status == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("bitsnode: ")]
    assert "Traceback" not in done.stderr
    return sentence


def test_what_goes_wrong_is_one_sentence(
    whole_net: CliLocalnet, secret: list[str], tmp_path: Path
) -> None:
    """A wrong password, no funds, one's own address, no wallet, a second one: each is explained."""
    node = whole_net.nodes[4]
    assert "no wallet here yet" in refused(node, "wallet", "address")
    account = node.ok("wallet", "create", *secret)["accounts"][0]
    assert "not overwritten" in refused(node, "wallet", "create", *secret)
    wrong = tmp_path / "wrong"
    wrong.write_text("incorrect horse\n")
    wrong.chmod(0o600)
    sentence = refused(node, "wallet", "balance", "--password-file", str(wrong))
    assert "password is wrong" in sentence
    wrong.chmod(0o644)
    assert "chmod 600" in refused(node, "wallet", "balance", "--password-file", str(wrong))
    withdraw = ["wallet", "withdraw", FAR_AWAY, "1", "--from", account, *secret]
    assert "this sum and its fee" in refused(node, *withdraw)
    own = ["wallet", "withdraw", account, "--all", "--from", account, *secret]
    assert "belongs to this wallet" in refused(node, *own)
    assert "number of coins" in refused(node, "wallet", "withdraw", FAR_AWAY, "1.5x", *secret)

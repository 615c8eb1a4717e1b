"""A node is lost, and comes back: from its backup, and from the words of its wallet alone."""

import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli_net import BITSNODE, CliLocalnet, CliNode, run, sha256

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]


def private(path: Path, text: str) -> Path:
    """Write a secret to a file of its own."""
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


def fund(net: CliLocalnet, node: CliNode) -> None:
    """Give the wallet of a node a coin."""
    account = node.ok("wallet", "address")["accounts"][0]
    done = run("chain", "fund", account, "1", "--dir", net.directory / "chain")
    assert done.status == 0, done.stderr


def sell(node: CliNode, work: Path) -> str:
    """Put a work on sale; return its name."""
    work.write_bytes(secrets.token_bytes(300_000))
    content: str = node.ok("publish", work, "--price", "0.01")["content_id"]
    return content


def vouchers(node: CliNode, *options: str | Path) -> list[tuple[int, int, str]]:
    """Return index, worth and state of each voucher."""
    found = node.ok("wallet", "vouchers", *options)["vouchers"]
    return [(each["index"], each["amount"], each["state"]) for each in found]


def earned(node: CliNode, *secret: str | Path) -> list[Any]:
    """Return what was paid to a node, by block."""
    rows: list[Any] = node.ok("earnings", *secret)["rows"]
    return rows


def test_a_lost_node_is_back(whole_net: CliLocalnet, tmp_path: Path) -> None:
    """All of it with the backup; with the words alone, what the chain knows."""
    net, other = whole_net, whole_net.nodes[6]
    secret = ("--password-file", private(tmp_path / "password", "correct horse battery"))
    fresh = ("--password-file", private(tmp_path / "new-password", "another password"))
    if other.run("wallet", "address").status:
        other.ok("wallet", "create", *secret)
    fund(net, other)
    backup, output = tmp_path / "backup", tmp_path / "output"

    with net.newcomer("lost") as node:
        created = node.ok("wallet", "create", *secret)
        words = private(tmp_path / "words", created["mnemonic"])
        fund(net, node)
        for worth in ("0.01", "0.02"):
            node.ok("wallet", "topup", worth, "--exact", *secret)
        sold, bought = sell(node, tmp_path / "sold"), sell(other, tmp_path / "bought")
        node.ok("buy", bought, "--yes", *secret)
        other.ok("wallet", "topup", "0.01", "--exact", *secret)
        other.ok("buy", sold, "--yes", *secret)
        owned, income = vouchers(node), earned(node, *secret)
        assert [state for _index, _amount, state in owned].count("spent") == 1
        assert len(income) == 1
        onion = node.status()["peer_onion"]
        made = node.ok("backup", backup, *secret)
        assert made["bytes"] == backup.stat().st_size
        assert node.run("backup", backup, *secret).status == 1
    shutil.rmtree(node.home)

    home = net.directory / "restored"
    options = ("--words-file", words, *fresh)
    done = run("--home", home, "restore", backup, *options)
    assert done.status == 0, done.stderr
    with net.newcomer("restored") as node:
        assert node.status()["peer_onion"] == onion
        assert [each["content_id"] for each in node.ok("library")["bought"]] == [bought]
        node.ok("get", bought, "-o", output)
        assert sha256(output) == sha256(tmp_path / "bought")
        assert vouchers(node) == owned
        assert node.run("earnings", *secret).status == 1  # the old password
        assert earned(node, *fresh) == income
        assert [each["content_id"] for each in node.ok("offer", "list")["offers"]] == [sold]
        # what was bought is not paid again, and no voucher is bought at an index that was used
        node.ok("buy", bought, "--yes", *fresh)
        assert vouchers(node) == owned
        more = node.ok("wallet", "topup", "0.01", "--exact", *fresh)["vouchers"]
        assert {each["index"] for each in more}.isdisjoint(index for index, *_rest in owned)
        owned = vouchers(node)
    shutil.rmtree(home)

    with net.newcomer("words") as node:
        node.ok("wallet", "restore", *options)
        assert vouchers(node, "--find", *fresh) == owned
        assert earned(node, *fresh) == income
        assert node.ok("library")["bought"] == []
        command = [*BITSNODE, "--home", str(node.home), "library"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "come back from a backup only" in told

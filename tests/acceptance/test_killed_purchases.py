"""Purchases whose node is killed at each step: all end opened, and paid once."""

import json
import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli_net import BITSNODE, CliLocalnet, CliNode, run, sha256

pytestmark = [pytest.mark.tor, pytest.mark.timeout(900)]

# progress events after which the buyer's node is killed, one purchase each
STEPS = ("terms", "proof_made", "in_block")


def buy_and_kill(node: CliNode, content: str, secret: list[str], event: str) -> bool:
    """Begin a purchase and kill -9 the node after an event; return whether that came."""
    pid = node.status()["pid"]
    command = [*BITSNODE, "--home", str(node.home), "buy", content, "--yes", "--json", *secret]
    buying = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with buying:
        for line in buying.stdout or []:
            if json.loads(line).get("event") == event:
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def offers(net: CliLocalnet, secret: list[str], folder: Path, count: int) -> list[dict[str, Any]]:
    """Put works on sale."""
    creator = net.nodes[0]
    if creator.run("wallet", "address").status:  # an earlier test may have made one
        creator.ok("wallet", "create", *secret)
    sales = []
    for number in range(count):
        work = folder / f"work{number}"
        work.write_bytes(secrets.token_bytes(200_000))
        sales.append(creator.ok("publish", work, "--price", "0.01") | {"file": work})
    return sales


def killed_at_each_step(net: CliLocalnet, folder: Path, steps: list[str]) -> None:
    """Buy one work for each step, killed there, and see how each ended."""
    password = folder / "password"
    password.write_text("correct horse battery\n")
    password.chmod(0o600)
    secret = ["--password-file", str(password)]
    sales = offers(net, secret, folder, len(steps))
    before = len(net.nodes[0].ok("earnings", *secret)["rows"])
    name = f"buyer-of-{len(steps)}"
    with net.newcomer(name, "--storage", "0") as buyer:
        account = buyer.ok("wallet", "create", *secret)["accounts"][0]
        done = run("chain", "fund", account, "5", "--dir", net.directory / "chain")
        assert done.status == 0, done.stderr
        for _ in steps:
            buyer.ok("wallet", "topup", "0.01", "--exact", *secret)
    for sale, step in zip(sales, steps, strict=True):
        with net.newcomer(name, "--storage", "0") as buyer:
            assert buy_and_kill(buyer, sale["content_id"], secret, step)
    with net.newcomer(name, "--storage", "0") as buyer:
        for sale in sales:
            buyer.ok("buy", sale["content_id"], "--yes", *secret)
            output = folder / "bought"
            buyer.ok("get", sale["content_id"], "-o", output)
            assert sha256(output) == sha256(sale["file"])
        vouchers = buyer.ok("wallet", "vouchers")["vouchers"]
        assert [voucher["state"] for voucher in vouchers] == ["spent"] * len(steps)
        assert len(buyer.ok("library")["bought"]) == len(steps)
    earned = net.nodes[0].ok("earnings", *secret)
    assert len(earned["rows"]) == before + len(steps)


def test_c6_purchases_killed_at_each_step_end_opened_and_paid_once(
    net: CliLocalnet, tmp_path: Path
) -> None:
    """Three purchases: killed when the terms are known, when it is proved, when it is paid."""
    net.revive()
    killed_at_each_step(net, tmp_path, list(STEPS))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_c6_ten_purchases_killed_end_opened_and_paid_once(net: CliLocalnet, tmp_path: Path) -> None:
    """Ten purchases, killed after each kind of event in turn."""
    net.revive()
    steps = [*STEPS, "looking_for_offer", "proving", "submitting", "key_share_came"]
    killed_at_each_step(net, tmp_path, [steps[number % len(steps)] for number in range(10)])

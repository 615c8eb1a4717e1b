"""Selling and buying with nothing but the commands, over real tors and the localnet's chain."""

import secrets
from pathlib import Path

import pytest

from tests.acceptance.cli_net import CliLocalnet, CliNode, run, sha256

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]

COIN = 10**18  # wei
PRICE = COIN // 20


@pytest.fixture
def secret(tmp_path: Path) -> list[str]:
    """The option with a password."""
    path = tmp_path / "password"
    path.write_text("correct horse battery\n")
    path.chmod(0o600)
    return ["--password-file", str(path)]


def wallet(net: CliLocalnet, node: CliNode, secret: list[str], coins: str = "") -> None:
    """Make a wallet, unless an earlier test did, and give it money."""
    if node.run("wallet", "address").status:
        node.ok("wallet", "create", *secret)
    account = node.ok("wallet", "address")["accounts"][0]
    if coins:
        done = run("chain", "fund", account, coins, "--dir", net.directory / "chain")
        assert done.status == 0, done.stderr


def refused(node: CliNode, *arguments: str | Path) -> str:
    """Run a command that must fail, and return what it says."""
    done = node.run(*arguments)
    assert done.status == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def spent(node: CliNode) -> int:
    """Return how many vouchers of a wallet are spent."""
    states = [each["state"] for each in node.ok("wallet", "vouchers")["vouchers"]]
    return states.count("spent")


def test_a_work_is_bought_while_its_creator_is_away(
    whole_net: CliLocalnet, secret: list[str], tmp_path: Path
) -> None:
    """The buyer opens it by t of m key holders; the creator comes back and finds 95 percent."""
    creator, buyer = whole_net.nodes[5], whole_net.nodes[6]
    work, output = tmp_path / "work", tmp_path / "bought"
    work.write_bytes(secrets.token_bytes(2_500_000))
    wallet(whole_net, creator, secret)
    sale = creator.ok("publish", work, "--price", "0.05")
    assert (sale["price"], sale["announced"]) == (PRICE, True)
    assert 2 <= sale["threshold"] < sale["holders"]
    wallet(whole_net, buyer, secret, "1")
    buyer.ok("wallet", "topup", "0.2", *secret)
    spent_before = spent(buyer)  # by earlier tests
    creator.kill()

    done = buyer.ok("buy", sale["content_id"], "--yes", *secret)
    assert (done["price"], done["liars"]) == (PRICE, [])
    buyer.ok("get", sale["content_id"], "-o", output)
    assert sha256(output) == sha256(work)
    assert spent(buyer) == spent_before + 1
    # asked for again, it is not paid again
    again = buyer.ok("buy", sale["content_id"], "--yes", *secret)
    assert again["block"] == done["block"]
    assert spent(buyer) == spent_before + 1
    library = [each["content_id"] for each in buyer.ok("library")["bought"]]
    assert library.count(sale["content_id"]) == 1

    # what the buyer says of it is checked by somebody else
    said, other = tmp_path / "said", whole_net.nodes[1]
    buyer.ok("library", "receipt", sale["content_id"], "-o", said, "--text", "Not my taste.")
    checked = other.ok("receipt", "check", said)
    assert (checked["content_id"], checked["price"]) == (sale["content_id"], PRICE)
    assert (checked["text"], checked["fraud"], checked["published"]) == (
        "Not my taste.",
        False,
        True,
    )
    assert "cannot be cancelled" in refused(buyer, "library", "cancel", sale["content_id"])

    whole_net.revive()
    found = creator.ok("earnings", *secret)
    row = dict(zip(found["header"], found["rows"][-1], strict=True))
    rest = PRICE - int(row["relay_fee_wei"])
    assert int(row["gross_wei"]) == PRICE
    assert int(row["treasury_wei"]) == rest * 3 // 100
    assert int(row["pool_wei"]) == rest * 2 // 100
    assert found["net"] == rest - rest * 3 // 100 - rest * 2 // 100
    assert creator.ok("offer")["offers"][0]["content_id"] == sale["content_id"]
    assert creator.ok("offer", "price", sale["content_id"], "0.1")["price"] == 2 * PRICE
    assert creator.ok("offer", "withdraw", sale["content_id"])["withdrawn"]
    assert creator.ok("offer", "list")["offers"][0]["withdrawn"]


def test_a_voucher_is_cashed_out(whole_net: CliLocalnet, secret: list[str]) -> None:
    """A real proof turns it back into money; before, it is said what that costs and shows."""
    node = whole_net.nodes[7]
    wallet(whole_net, node, secret, "1")
    node.ok("wallet", "topup", "0.02", "--exact", *secret)
    told = node.ok("wallet", "cash-out", "0.02", *secret)
    assert (told["done"], told["net"]) == (False, COIN // 50 * 95 // 100)
    done = node.ok("wallet", "cash-out", "0.02", "--accept", *secret)
    assert done["done"]
    balance = node.ok("wallet", "balance", *secret)
    assert [payment["balance"] for payment in balance["payments"]] == [told["net"]]
    assert node.ok("wallet", "vouchers")["vouchers"][-1]["state"] == "spent"


def test_what_cannot_be_bought_or_sold_is_explained(
    whole_net: CliLocalnet, secret: list[str], tmp_path: Path
) -> None:
    """A price that is no denomination, a content that is free, no voucher: one sentence each."""
    node = whole_net.nodes[3]
    wallet(whole_net, node, secret)
    work = tmp_path / "work"
    work.write_bytes(b"a work")
    assert "0.02, 0.05, 0.1" in refused(node, "publish", work, "--price", "0.03")
    free = node.ok("publish", work, "--free")["content_id"]
    assert "bitsnode: " in refused(node, "buy", free, "--yes", *secret)
    sale = node.ok("publish", work, "--price", "0.01")["content_id"]
    other = whole_net.nodes[0]
    wallet(whole_net, other, secret)
    assert "voucher" in refused(other, "buy", sale, "--yes", *secret)
    assert "bitsnode: " in refused(other, "get", sale, "-o", tmp_path / "out")
    assert other.ok("library")["bought"] == []

"""A voucher in two copies of one wallet: it pays once, and the other copy is told why not twice."""

from pathlib import Path

import pytest

from tests.acceptance.cli_net import CliLocalnet, run
from tests.acceptance.test_buying import refused, wallet
from tests.acceptance.test_killed_purchases import buy_and_kill

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]


def private(path: Path, text: str) -> Path:
    """A file with a secret."""
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def test_a1_a_voucher_spent_twice_is_refused_and_explained(
    whole_net: CliLocalnet, tmp_path: Path
) -> None:
    """The copy proved its payment first and came too late: nothing is bought, one sentence."""
    secret = ["--password-file", str(private(tmp_path / "password", "correct horse battery"))]
    creator = whole_net.nodes[2]
    wallet(whole_net, creator, secret)
    sales = []
    for number in range(2):
        work = tmp_path / f"work{number}"
        work.write_bytes(bytes([number]) * 1000)
        sales.append(creator.ok("publish", work, "--price", "0.01")["content_id"])
    with whole_net.newcomer("owner", "--storage", "0") as owner:
        made = owner.ok("wallet", "create", *secret)
        done = run(
            "chain", "fund", made["accounts"][0], "1", "--dir", whole_net.directory / "chain"
        )
        assert done.status == 0, done.stderr
        owner.ok("wallet", "topup", "0.01", "--exact", *secret)
        with whole_net.newcomer("copy", "--storage", "0") as copy:
            words = private(tmp_path / "words", made["mnemonic"])
            copy.ok("wallet", "restore", "--words-file", words, *secret)
            assert copy.ok("wallet", "vouchers", "--find", *secret)["found"] == 1
            assert buy_and_kill(copy, sales[1], secret, "proof_made")
        owner.ok("buy", sales[0], "--yes", *secret)
    with whole_net.newcomer("copy", "--storage", "0") as copy:
        told = refused(copy, "buy", sales[1], "--yes", *secret)
        assert "spent for something else, perhaps with a copy of this wallet" in told
        assert len(told.splitlines()) == 1
        assert copy.ok("library")["bought"] == []
        assert "voucher" in refused(copy, "buy", sales[1], "--yes", *secret)

"""``offer``, ``library`` and ``receipt`` as a person uses them, with a node that answers."""

import json
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bitsnode.cli import remote
from bitsnode.cli.app import cli

CONTENT = "bafy" + "a" * 55
SALE = {
    "content_id": CONTENT,
    "price": 10**16,
    "wanted": 10**16,
    "payable_until": 1_800_000_000,
    "threshold": 3,
    "holders": 11,
    "withdrawn": False,
    "announced": True,
}
VERDICT = {
    "content_id": CONTENT,
    "price": 10**16,
    "block": 7,
    "paid_at": 1_800_000_000,
    "fraud": False,
    "published": False,
    "text": "dull\x1b[2J",
    "written": 1_799_971_200,
}
ANSWERS: dict[str, dict[str, Any]] = {
    "offers": {"offers": [SALE]},
    "offer-price": SALE,
    "offer-withdraw": SALE | {"withdrawn": True},
    "library": {"bought": [], "under_way": [], "in_vain": [SALE]},
    "purchase-cancel": {"content_id": CONTENT, "cancelled": True},
    "complain": {"content_id": CONTENT, "complaint": "00ff"},
    "complaint-check": VERDICT,
}
Bits = Callable[..., Result]


@pytest.fixture
def asked() -> list[tuple[str, Mapping[str, object]]]:
    """What the node was asked, in order."""
    return []


@pytest.fixture
def bits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: list[tuple[str, Mapping[str, object]]],
) -> Bits:
    """Runs a command against a node that has an answer to each."""

    def call(_home: Path, command: str, arguments: Mapping[str, object], _event: object) -> Any:
        asked.append((command, arguments))
        return ANSWERS[command]

    monkeypatch.setattr(remote, "call", call)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(cli, ["--home", str(tmp_path), *map(str, arguments)])

    return run


def test_offer_alone_lists(bits: Bits) -> None:
    """As does 'offer list', with --json wherever a person puts it."""
    assert bits("offer").output == bits("offer", "list").output == f"  {CONTENT}  0.01\n"
    for arguments in (
        ["offer", "--json"],
        ["offer", "list", "--json"],
        ["offer", "--json", "list"],
    ):
        assert json.loads(bits(*arguments).output)["offers"] == [SALE]


def test_a_price_is_changed(bits: Bits, asked: list[tuple[str, Mapping[str, object]]]) -> None:
    """In coins; a link is as good as a name; and it is said until when old offers can be paid."""
    done = bits("offer", "price", f"bits:{CONTENT}#secret", "0.01")
    assert "On sale for 0.01 coins" in done.output
    assert "2027-01-15" in done.output
    assert asked == [("offer-price", {"content_id": CONTENT, "price": 10**16})]
    refused = bits("offer", "price", CONTENT, "free")
    assert refused.exit_code == 1
    assert "number of coins above zero" in refused.output
    assert len(asked) == 1


def test_an_offer_is_withdrawn(bits: Bits) -> None:
    """With the plain word that what was signed can still be paid."""
    assert "can be paid until 2027-01-15" in bits("offer", "withdraw", CONTENT).output


def test_library_alone_lists_what_was_paid_in_vain(bits: Bits) -> None:
    """With what to do about it."""
    assert "library receipt" in bits("library").output
    assert bits("library", "cancel", CONTENT).output == "Cancelled; nothing was paid.\n"


def test_a_complaint_is_written_once_and_privately(bits: Bits, tmp_path: Path) -> None:
    """Nobody else can read it before it is given away, and no file is lost to it."""
    file = tmp_path / "said"
    done = bits("library", "receipt", CONTENT, "-o", file, "--text", "Dull.")
    assert done.exit_code == 0
    assert "learns which payment" in done.output
    assert file.read_bytes() == b"\x00\xff"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = bits("library", "receipt", CONTENT, "-o", file)
    assert again.exit_code == 1
    assert "cannot be written: File exists." in again.output


def test_a_complaint_is_checked(bits: Bits, tmp_path: Path) -> None:
    """What is proved and what is not is told apart, and a terminal is left alone."""
    file = tmp_path / "said"
    file.write_bytes(b"\x00\xff")
    done = bits("receipt", "check", file)
    assert "paid 0.01 coins in block 7, on 2027-01-15" in done.output
    assert "what is said of it is not" in done.output
    assert "a stranger's" in done.output
    assert "\x1b" not in done.output
    assert bits("receipt", "check", tmp_path / "none").exit_code == 1
    file.write_bytes(bytes(20_000))
    large = bits("receipt", "check", file)
    assert large.exit_code == 1
    assert "no complaint" in large.output

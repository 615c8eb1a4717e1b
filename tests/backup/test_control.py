"""The command ``backup`` of a running node."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from bitsnode.api.app import BadArguments
from bitsnode.backup import errors
from bitsnode.backup.errors import BackupExists, BackupUnderWay, NoWalletToSeal
from bitsnode.backup_control import BackupControl
from bitsnode.errors import BitsError
from bitsnode.ledger.wallet.errors import WrongPassword
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import FileChain, at_once
from tests.backup.conftest import CHEAP, NOW, PASSWORD, WORDS, bring_back


@pytest.fixture
def wallet(tmp_path: Path, chain: FileChain) -> Iterator[Wallet]:
    """A wallet in a home of its own."""
    wallet = Wallet(tmp_path / "house" / "wallet", chain, at_once, CHEAP)
    yield wallet
    wallet.close()


@pytest.fixture
def control(tmp_path: Path, wallet: Wallet) -> BackupControl:
    """The command on that home."""
    return BackupControl(tmp_path / "house", lambda: wallet, at_once, lambda: NOW)


def ask(control: BackupControl, **arguments: object) -> Mapping[str, Any]:
    """Carry the command out."""
    results: list[Any] = []
    running = control.commands()["backup"](arguments, lambda _event: None)
    Deferred.fromCoroutine(running).addBoth(results.append)  # type: ignore[arg-type]
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    found: Mapping[str, Any] = result
    return found


def test_a_backup_is_made_under_the_wallets_words(
    control: BackupControl, wallet: Wallet, tmp_path: Path
) -> None:
    """They open it on another day."""
    Deferred.fromCoroutine(wallet.restore(WORDS, PASSWORD))
    made = ask(control, path=str(tmp_path / "backup"), password=PASSWORD)
    assert made["bytes"] == (tmp_path / "backup").stat().st_size
    assert bring_back(tmp_path / "new", tmp_path / "backup").files == tuple(made["files"])


def test_a_node_without_a_wallet_says_so(control: BackupControl, tmp_path: Path) -> None:
    """There is nothing that it could be sealed with."""
    with pytest.raises(NoWalletToSeal):
        ask(control, path=str(tmp_path / "backup"), password=PASSWORD)
    assert not (tmp_path / "backup").exists()


def test_a_wrong_password_writes_nothing(
    control: BackupControl, wallet: Wallet, tmp_path: Path
) -> None:
    """As for all that the wallet is opened for."""
    Deferred.fromCoroutine(wallet.restore(WORDS, PASSWORD))
    with pytest.raises(WrongPassword):
        ask(control, path=str(tmp_path / "backup"), password="not this one")
    assert not (tmp_path / "backup").exists()


def test_one_backup_is_made_at_a_time(
    control: BackupControl, wallet: Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would use one folder for their copies; whose caller hung up still runs."""
    Deferred.fromCoroutine(wallet.restore(WORDS, PASSWORD))
    refused: list[BaseException] = []

    def slow(*_arguments: object) -> None:
        with pytest.raises(BackupUnderWay) as caught:
            ask(control, path=str(tmp_path / "second"), password=PASSWORD)
        refused.append(caught.value)
        raise BackupExists

    monkeypatch.setattr("bitsnode.backup_control.make", slow)
    for _ in range(2):  # and the first one's end, however it ends, makes room for the next
        with pytest.raises(BackupExists):
            ask(control, path=str(tmp_path / "first"), password=PASSWORD)
    assert len(refused) == 2


@pytest.mark.parametrize("path", ["", "relative", "/a\0b", 7, "/" + "a" * 5000, "/\ud800"])
def test_a_path_that_is_none_is_refused(control: BackupControl, path: object) -> None:
    """The command line makes it absolute; what else comes is a mistake."""
    with pytest.raises(BadArguments):
        ask(control, path=path, password=PASSWORD)


def test_every_failure_has_a_sentence_for_people() -> None:
    """It ends like one, and nobody has to look a class up."""
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    assert len(classes) > 10
    for each in classes:
        if issubclass(each, BitsError) and each is not BitsError:
            assert str(each()).endswith(".")

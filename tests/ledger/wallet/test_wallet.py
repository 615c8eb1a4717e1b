"""The wallet as the node uses it, on a chain in a file."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitsnode.ledger.errors import LedgerFileDamaged, LedgerFileForeign, LedgerFileTooNew
from bitsnode.ledger.wallet import progress
from bitsnode.ledger.wallet.errors import (
    HistoryOfAnotherWallet,
    InvalidMnemonic,
    KeystoreDamaged,
    NoChain,
    NoWallet,
    OtherWallet,
    PasswordTooShort,
    WalletExists,
    WalletLocked,
    WrongPassword,
)
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import CHAIN_ID, ETHER, FileChain, at_once
from zk.stealth import MetaAddress, public_key

PASSWORD = "correct horse"
JUNK = "test test test test test test test test test test test junk"
Do = Callable[[Any], Any]
OpenWallet = Callable[..., Wallet]


def meta_of(do: Do, wallet: Wallet) -> MetaAddress:
    """Return the meta-address of a wallet."""
    return MetaAddress.parse(do(wallet.addresses()).meta_address)


def test_create_gives_words_that_restore_everything(do: Do, open_wallet: OpenWallet) -> None:
    """Words are the whole wallet: another home has the same addresses from them."""
    wallet = open_wallet()
    assert not wallet.exists
    words = do(wallet.create(PASSWORD, 24))
    assert len(words.split()) == 24
    assert wallet.exists
    assert not wallet.locked
    assert do(wallet.mnemonic(PASSWORD)) == words
    other = open_wallet("other")
    do(other.restore(words, "another password"))
    assert do(other.addresses()) == do(wallet.addresses())


def test_create_and_restore_never_replace_a_wallet(do: Do, open_wallet: OpenWallet) -> None:
    """What is there stays, and still opens with its password."""
    wallet = open_wallet()
    words = do(wallet.create(PASSWORD))
    with pytest.raises(WalletExists):
        do(wallet.create(PASSWORD))
    with pytest.raises(OtherWallet):
        do(wallet.restore(JUNK, PASSWORD))
    assert do(wallet.mnemonic(PASSWORD)) == words


def test_words_help_when_the_password_is_forgotten(do: Do, open_wallet: OpenWallet) -> None:
    """Restoring the wallet that is there gives it the new password."""
    wallet = open_wallet()
    words = do(wallet.create(PASSWORD))
    do(wallet.restore(words, "a new password"))
    assert do(wallet.mnemonic("a new password")) == words
    with pytest.raises(WrongPassword):
        do(wallet.unlock(PASSWORD))


def test_restore_over_a_damaged_keystore_refuses(
    do: Do, open_wallet: OpenWallet, tmp_path: Path
) -> None:
    """Nobody can tell whose it was, so it is for the person to move it away."""
    do(open_wallet().create(PASSWORD))
    path = tmp_path / "home" / "wallet" / "keystore"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KeystoreDamaged):
        do(open_wallet().restore(JUNK, PASSWORD))
    path.rename(path.with_name("moved"))
    with pytest.raises(HistoryOfAnotherWallet):
        do(open_wallet().restore(JUNK, PASSWORD))
    assert not path.exists()


def test_change_password(do: Do, wallet: Wallet) -> None:
    """The old one opens no more; a bad new one changes nothing."""
    with pytest.raises(PasswordTooShort):
        do(wallet.change_password(PASSWORD, "short"))
    with pytest.raises(WrongPassword):
        do(wallet.change_password("wrong password", "another password"))
    words = do(wallet.mnemonic(PASSWORD))
    do(wallet.change_password(PASSWORD, "another password"))
    assert do(wallet.mnemonic("another password")) == words
    with pytest.raises(WrongPassword):
        do(wallet.mnemonic(PASSWORD))


def test_without_a_wallet_everything_says_so(do: Do, open_wallet: OpenWallet) -> None:
    """One sentence, whatever is asked, and no file is made."""
    wallet = open_wallet()
    for asked in (wallet.addresses(), wallet.balance(), wallet.unlock(PASSWORD)):
        with pytest.raises(NoWallet):
            do(asked)
    with pytest.raises(NoWallet):
        do(wallet.withdraw("0x" + "11" * 20, password=PASSWORD))
    with pytest.raises(InvalidMnemonic):
        do(wallet.restore("no such words", PASSWORD))
    assert not wallet.exists


def test_without_a_chain_there_are_addresses_only(do: Do, tmp_path: Path) -> None:
    """A node without an RPC can still show where to pay."""
    wallet = Wallet(tmp_path / "wallet", None, at_once)
    do(wallet.create(PASSWORD))
    assert do(wallet.addresses()).meta_address.startswith("st:eth:0x")
    for asked in (wallet.balance(), wallet.scan(), wallet.finish()):
        with pytest.raises(NoChain):
            do(asked)
    wallet.close()


def test_accounts_and_payments_are_counted(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """Balances come from the chain, each over circuits of its own, which stay the same."""
    account = do(wallet.addresses()).accounts[0]
    chain.give(account, 3 * ETHER)
    first = chain.pay(meta_of(do, wallet), b"\1" * 32, ETHER)
    chain.pay(MetaAddress(public_key(b"\5" * 32), public_key(b"\6" * 32)), b"\2" * 32, ETHER)
    second = chain.pay(meta_of(do, wallet), b"\3" * 32, 2 * ETHER)
    events: list[progress.Event] = []
    balance = do(wallet.balance(events.append))
    assert [held.address for held in balance.payments] == [first, second]
    assert balance.total == 6 * ETHER
    assert balance.scanned
    assert any(isinstance(event, progress.Scanning) and event.found == 2 for event in events)
    do(wallet.balance())
    isolations = dict(chain.asked)
    assert all(isolations[address] == isolation for address, isolation in chain.asked)
    assert len(set(isolations.values())) == 4  # with the one for all events


def test_locked_wallets_show_what_they_know(
    do: Do, chain: FileChain, wallet: Wallet, open_wallet: OpenWallet
) -> None:
    """Without the password nothing new is found, and that is said."""
    meta = meta_of(do, wallet)
    chain.pay(meta, b"\1" * 32, ETHER)
    do(wallet.scan())
    chain.pay(meta, b"\2" * 32, ETHER)
    wallet.close()
    again = open_wallet()
    assert again.locked
    balance = do(again.balance())
    assert (balance.total, balance.scanned) == (ETHER, False)
    with pytest.raises(WalletLocked):
        do(again.scan())
    do(again.unlock(PASSWORD))
    assert do(again.balance()).total == 2 * ETHER
    again.lock()
    do(again.withdraw("0x" + "aa" * 20, password=PASSWORD, accept=["merge"]))
    do(again.new_account(PASSWORD))
    assert again.locked
    with pytest.raises(WalletLocked):
        do(again.scan())


def test_scans_go_on_where_they_stood(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """Nothing is looked at twice, and hostile announcements stop nothing."""
    meta = meta_of(do, wallet)
    for number in range(1, 4):
        chain.pay(meta, bytes([number]) * 32, ETHER)
    chain.announce("0x" + "22" * 20, b"\2" * 33, b"")
    chain.announce("0x" + "22" * 20, b"", b"\0" * 100)
    assert do(wallet.scan()) == 3
    seen: list[progress.Event] = []
    assert do(wallet.scan(seen.append)) == 0
    assert seen == []
    chain.pay(meta, b"\7" * 32, ETHER)
    assert do(wallet.scan(seen.append)) == 1
    assert seen == [progress.Scanning(block=6, announcements=1, found=1)]


def test_many_announcements_are_scanned_in_batches(
    do: Do, chain: FileChain, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of a batch and the first of the next are both looked at."""
    monkeypatch.setattr("bitsnode.ledger.wallet.scanner.BATCH", 3)
    for number in range(1, 8):
        chain.pay(meta_of(do, wallet), bytes([number]) * 32, ETHER)
    assert do(wallet.scan()) == 7


def test_a_reorganised_chain_is_scanned_anew(do: Do, chain: FileChain, wallet: Wallet) -> None:
    """A payment that vanished is forgotten, one that came instead is found."""
    meta = meta_of(do, wallet)
    first = chain.pay(meta, b"\1" * 32, ETHER)
    chain.pay(meta, b"\2" * 32, ETHER)
    do(wallet.scan())
    chain.reorganise(2)
    third = chain.pay(meta, b"\3" * 32, ETHER)
    events: list[progress.Event] = []
    do(wallet.scan(events.append))
    assert events[0] == progress.StartingOver()
    assert [held.address for held in do(wallet.balance()).payments] == [first, third]


def test_the_first_announcement_of_an_address_counts(
    do: Do, chain: FileChain, wallet: Wallet
) -> None:
    """Announcing a payment once more changes nothing of it."""
    meta = meta_of(do, wallet)
    chain.pay(meta, b"\1" * 32, ETHER)
    do(wallet.scan())
    chain.pay(meta, b"\1" * 32, ETHER)
    (held,) = do(wallet.balance()).payments
    assert (held.block, held.balance) == (1, 2 * ETHER)


def test_isolations_are_those_of_our_own_addresses(
    do: Do, chain: FileChain, wallet: Wallet
) -> None:
    """The ledger looks after an account over the circuits that it was used over before."""
    payment = chain.pay(meta_of(do, wallet), b"\1" * 32, ETHER)
    do(wallet.balance())
    used = dict(chain.asked)
    assert wallet.isolation_of(payment.lower()) == used[payment]
    assert wallet.isolation_of("0x" + "11" * 20) is None


def test_history_is_found_again_from_the_chain(
    do: Do, chain: FileChain, wallet: Wallet, open_wallet: OpenWallet, tmp_path: Path
) -> None:
    """A lost history costs a scan, and no payment."""
    chain.pay(meta_of(do, wallet), b"\1" * 32, ETHER)
    do(wallet.scan())
    wallet.close()
    for path in (tmp_path / "home" / "wallet").glob("history*"):
        path.unlink()
    again = open_wallet()
    with pytest.raises(WalletLocked):
        do(again.addresses())
    do(again.unlock(PASSWORD))
    assert do(again.balance()).total == ETHER


def test_foreign_damaged_and_newer_histories_are_refused(
    do: Do, chain: FileChain, wallet: Wallet, open_wallet: OpenWallet, tmp_path: Path
) -> None:
    """One sentence each, and the file stays as it is."""
    wallet.close()
    folder = tmp_path / "home" / "wallet"
    path = folder / f"history-{CHAIN_ID}.sqlite"
    shutil.copy(path, folder / "history-1.sqlite")
    chain.chain_id = 1
    with pytest.raises(LedgerFileForeign):
        Wallet(folder, chain, at_once)
    chain.chain_id = CHAIN_ID
    newer = open_wallet("newer")
    newer._history.database.rows("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(LedgerFileTooNew):
        open_wallet("newer")
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(LedgerFileDamaged):
        open_wallet()


def test_accounts_of_a_restored_wallet_are_found(
    do: Do, chain: FileChain, wallet: Wallet, open_wallet: OpenWallet
) -> None:
    """A gap of empty accounts does not hide the money behind it."""
    addresses = [do(wallet.new_account(PASSWORD)) for _ in range(4)]
    chain.give(addresses[-1], ETHER)
    other = open_wallet("other")
    do(other.restore(do(wallet.mnemonic(PASSWORD)), PASSWORD))
    assert len(do(other.addresses()).accounts) == 1
    assert do(other.find_accounts(PASSWORD)) == 4
    assert do(other.addresses()) == do(wallet.addresses())
    assert do(other.balance()).total == ETHER

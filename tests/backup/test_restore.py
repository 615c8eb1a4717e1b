"""A home, its backup, and a new home."""

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bitsnode.backup import making
from bitsnode.backup import restore as restoring
from bitsnode.backup.errors import (
    BackupDamaged,
    BackupExists,
    BackupTooNew,
    BackupUnreadable,
    BackupUnwritable,
    FilesBusy,
    FileUnsound,
    HomeNotEmpty,
    NotABackup,
    RestoreFinished,
    WrongWords,
)
from bitsnode.backup.making import Made, make
from bitsnode.config import LOCAL
from bitsnode.errors import BitsError
from bitsnode.home import HomeInUse, HomeLock
from bitsnode.identity import NodeIdentity
from bitsnode.ledger.journal import Journal
from bitsnode.ledger.wallet.errors import InvalidMnemonic, PasswordTooShort
from bitsnode.ledger.wallet.history import History
from bitsnode.ledger.wallet.keystore import Keystore, unseal
from bitsnode.ledger.wallet.mnemonic import entropy_of
from bitsnode.ledger.wallet.testing import CHAIN_ID
from bitsnode.market.custody import CustodyStore
from bitsnode.market.hot_key import open_hot_key
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.selling_store import SellingStore
from bitsnode.market.testing import MARKET
from bitsnode.shop.catalogue import Catalogue
from onion.keys import load_or_create_seed
from tests.backup.conftest import (
    CHAIN,
    CHEAP,
    FACT,
    HOUR,
    NEW_PASSWORD,
    NOW,
    OFFER,
    OTHER_WORDS,
    PASSWORD,
    PURCHASE,
    SALE,
    SEED,
    WORDS,
    bring_back,
    tree,
)

ROOT = Path(__file__).parents[2]


def private(folder: Path) -> bool:
    """Whether nobody else may read anything below a folder."""
    paths = [folder, *folder.rglob("*")]
    return not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths)


def test_everything_that_cannot_be_had_again_is_back(
    home: Path, made: Made, tmp_path: Path
) -> None:
    """Keys, purchases, sales, promises, what was signed: read by the rooms that wrote them."""
    new = tmp_path / "new"
    done = bring_back(new, made.path)
    assert done.made_at == NOW
    assert done.kept == ()
    assert set(done.files) == set(made.files)
    for path in ("keys/onion.seed", "keys/signing.seed", "keys/sealing.seed", "deny.txt"):
        assert (new / path).read_bytes() == (home / path).read_bytes()
    assert (new / "config.toml").read_text() == 'storage = "5MB"\n'
    market, seed = new / "market", load_or_create_seed(new / "market" / "journal.seed")
    purchases = PurchaseJournal(market / "purchases.db", seed, CHAIN)
    assert purchases.facts(PURCHASE) == [FACT]
    sales = SellingStore(market / "sales.db", seed, CHAIN)
    (sale,) = sales.all()
    assert (sale.secret, sale.offer) == (SALE.secret, SALE.offer)
    custody = CustodyStore(market / "custody.db", MARKET)
    assert custody.get(OFFER.hash).signed == OFFER
    journal = Journal(new / "ledger" / "journal.db", CHAIN)
    assert [each.raw for each in journal.signed("withdraw 1")] == [b"raw"]
    for store in (purchases, sales, custody, journal):
        store.close()
    relay = open_hot_key(market / "relay.key").address
    assert relay == open_hot_key(home / "market" / "relay.key").address
    shop = Catalogue(new / "shop" / "shop.db", bytes(32))
    assert shop.profile().name == "A shop"
    shop.close()
    assert {path.name for path in (new / "shop").iterdir()} == {"shop.db", "later.db", "keys"}
    left = {"keys", "wallet", "ledger", "market", "shop", "node.lock", "config.toml", "deny.txt"}
    assert {path.name for path in new.iterdir()} == left
    assert private(new / "keys")
    assert private(new / "market")


def test_the_wallet_is_back_under_the_new_password(home: Path, made: Made, tmp_path: Path) -> None:
    """The old password is of no use, and whom money came from is remembered."""
    new = tmp_path / "new"
    bring_back(new, made.path)
    keystore = Keystore(new / "wallet" / "keystore")
    assert unseal(keystore.read(), NEW_PASSWORD) == entropy_of(WORDS)
    (path,) = (new / "wallet").glob("history-*.sqlite")
    history = History(path, CHAIN_ID)
    assert history.is_funder("0x" + "11" * 20)
    history.close()


def test_what_is_only_in_the_write_ahead_log_is_in_the_backup(
    home: Path, made: Made, tmp_path: Path
) -> None:
    """The files of a node that runs are behind their logs; the copy is not."""
    assert (home / "market" / "purchases.db-wal").stat().st_size > 0
    new = tmp_path / "new"
    bring_back(new, made.path)
    assert not list(new.rglob("*-wal"))
    with sqlite3.connect(new / "market" / "purchases.db") as database:
        assert database.execute("SELECT count(*) FROM facts").fetchall() == [(1,)]
    database.close()


def test_a_backup_leaves_nothing_else(home: Path, made: Made, tmp_path: Path) -> None:
    """One private file that shows nothing, no copy in the home, no draft beside."""
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert made.size == made.path.stat().st_size
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith("chain")} == {
        "home",
        "backup",
    }
    assert not (home / making.COPIES).exists()
    data = made.path.read_bytes()
    for canary in ((home / "keys" / "onion.seed").read_bytes(), b"SQLite", b"config", b"storage"):
        assert canary not in data


def test_all_files_are_of_one_moment(home: Path, tmp_path: Path) -> None:
    """While one database is written, no other is copied; it is waited for, and not for ever."""
    writer = sqlite3.connect(home / "market" / "sales.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bitsnode.backup.databases.WAIT_SECONDS", 0.01)
        with pytest.raises(FilesBusy):
            make(home, SEED, tmp_path / "backup", NOW)
    writer.execute("ROLLBACK")
    writer.close()
    make(home, SEED, tmp_path / "backup", NOW)


def test_while_copies_are_made_nobody_writes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even to those that were copied already: else a voucher could be reserved in one only."""
    refused = []
    whole = making.databases.copy

    def copy(source: Path, target: Path) -> None:
        whole(source, target)
        for path in home.rglob("*.db"):
            if path.with_name(f"{path.name}-wal").exists():
                other = sqlite3.connect(path, 0.0, isolation_level=None)
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")
                other.close()
                refused.append(path.name)

    monkeypatch.setattr(making.databases, "copy", copy)
    make(home, SEED, tmp_path / "backup", NOW)
    assert {"purchases.db", "sales.db", "custody.db", "journal.db"} <= set(refused)


def test_a_backup_replaces_no_file(home: Path, tmp_path: Path) -> None:
    """Neither a file, nor what a link leads to."""
    target, link = tmp_path / "precious", tmp_path / "link"
    target.write_text("precious")
    link.symlink_to(tmp_path / "nowhere")
    for path in (target, link):
        with pytest.raises(BackupExists):
            make(home, SEED, path, NOW)
    assert target.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_database_is_not_backed_up_in_silence(home: Path, tmp_path: Path) -> None:
    """Better no backup, said aloud, than one that is of no use on the day it is needed."""
    (home / "market" / "broken").write_bytes(b"")
    path = home / "wallet" / "history-99.sqlite"
    path.write_bytes(b"SQLite format 3\0" + bytes(2000))
    with pytest.raises(FileUnsound):
        make(home, SEED, tmp_path / "backup", NOW)
    assert not (tmp_path / "backup").exists()


def nothing_left(tmp_path: Path, new: Path) -> bool:
    """Whether a restore that failed left nothing."""
    return not new.exists() and not list(tmp_path.rglob(restoring.UNPACKED))


@pytest.mark.parametrize(
    ("words", "error"), [(OTHER_WORDS, WrongWords), ("test " * 12, InvalidMnemonic)]
)
def test_wrong_words_leave_nothing(
    made: Made, tmp_path: Path, words: str, error: type[BitsError]
) -> None:
    """Those of another wallet, and those of none."""
    with pytest.raises(error):
        bring_back(tmp_path / "new", made.path, words)
    assert nothing_left(tmp_path, tmp_path / "new")


def test_a_bad_password_leaves_nothing(made: Made, tmp_path: Path) -> None:
    """It is refused before anything is opened."""
    with pytest.raises(PasswordTooShort):
        restoring.restore(tmp_path / "new", made.path, WORDS, "short", NOW, CHEAP)
    assert nothing_left(tmp_path, tmp_path / "new")


def test_c1_damage_leaves_nothing(made: Made, tmp_path: Path) -> None:
    """Cut in the middle, at its end, or one bit flipped in each tenth of the file."""
    data, broken, new = made.path.read_bytes(), tmp_path / "broken", tmp_path / "new"
    changed = [data[: len(data) // 2], data[:-1], data + b"\0"]
    for part in range(10):
        flipped = bytearray(data)
        flipped[57 + part * (len(data) - 57) // 10] ^= 0x10
        changed.append(bytes(flipped))
    for each in changed:
        broken.write_bytes(each)
        with pytest.raises(BackupDamaged):
            bring_back(new, broken)
        assert nothing_left(tmp_path, new)


def test_what_is_no_backup_leaves_nothing(made: Made, tmp_path: Path) -> None:
    """Another file, a newer backup, none at all, a folder."""
    new, other = tmp_path / "new", tmp_path / "other"
    other.write_bytes(b"a letter")
    with pytest.raises(NotABackup):
        bring_back(new, other)
    data = bytearray(made.path.read_bytes())
    data[8] = 2
    other.write_bytes(data)
    with pytest.raises(BackupTooNew):
        bring_back(new, other)
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BackupUnreadable):
            bring_back(new, path)
    assert nothing_left(tmp_path, new)


def test_a_database_of_a_newer_bits_is_refused(home: Path, tmp_path: Path) -> None:
    """It would be refused by its room anyway, when there is no way back any more."""
    with sqlite3.connect(home / "market" / "sales.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making.databases, "check", lambda *_: None)  # a newer one made it
        made = make(home, SEED, tmp_path / "backup", NOW)
    with pytest.raises(BackupTooNew):
        bring_back(tmp_path / "new", made.path)
    assert nothing_left(tmp_path, tmp_path / "new")


@pytest.mark.parametrize("name", ["keys/onion.seed", "wallet/keystore", "market/custody.db-wal"])
def test_a_home_in_use_is_left_as_it_is(made: Made, tmp_path: Path, name: str) -> None:
    """Keys, a wallet, or only the log of a database that was there."""
    new = tmp_path / "new"
    (new / name).parent.mkdir(mode=0o700, parents=True)
    new.chmod(0o700)
    (new / name).write_bytes(b"mine")
    before = tree(new)
    with pytest.raises(HomeNotEmpty):
        bring_back(new, made.path)
    assert {path: data for path, data in tree(new).items() if path != "node.lock"} == before


def test_a_home_whose_node_runs_is_refused(made: Made, tmp_path: Path) -> None:
    """The lock is held while it is restored, too."""
    new = tmp_path / "new"
    running = HomeLock(new)
    with pytest.raises(HomeInUse):
        bring_back(new, made.path)
    running.release()
    bring_back(new, made.path)


def test_settings_of_the_new_home_stay(made: Made, tmp_path: Path) -> None:
    """What a person set up on this machine is not overruled by the old one."""
    new = tmp_path / "new"
    new.mkdir(mode=0o700)
    (new / "config.toml").write_text('network = "local"\n')
    done = bring_back(new, made.path)
    assert done.kept == ("config.toml",)
    assert (new / "config.toml").read_text() == 'network = "local"\n'
    assert (new / "deny.txt").exists()


def test_c7_a_full_disk_leaves_nothing(home: Path, made: Made, tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for it: the system refuses at some byte, in a process of its own."""
    program = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from bitsnode.backup.making import make\nfrom tests.backup.conftest import *\n"
        "home, backup, new = map(Path, sys.argv[1:])\n"
        "for limit in (200, 5_000, 30_000, 120_000):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
        "    works = [lambda: make(home, SEED, new / 'x', NOW), lambda: bring_back(new, backup)]\n"
        "    for work in works[: 1 if limit == 120_000 else 2]:\n"
        "        try: work()\n"
        "        except Exception as error: print(type(error).__name__, error)\n"
    )
    new = tmp_path / "new"
    new.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, [home, made.path, new])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.splitlines()
    assert len(said) == 7
    assert said[1] == "HomeUnwritable The home cannot be written: the disk is full."
    assert said[6] == "BackupUnwritable The backup cannot be written: the disk is full."
    for sentence in said:
        assert sentence.startswith(("BackupUnwritable The", "HomeUnwritable The"))
    assert [path.name for path in new.iterdir()] == ["node.lock"]


def test_c7_a_disk_that_fails_at_the_last_moment_leaves_nothing(
    home: Path, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it cannot be said that everything is on the disk, nothing is."""

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BackupUnwritable, match="Input/output error"):
        make(home, SEED, tmp_path / "other", NOW)
    with pytest.raises(BitsError):
        bring_back(tmp_path / "new", made.path)
    assert not (tmp_path / "other").exists()
    assert not list(tmp_path.glob(".*"))
    assert nothing_left(tmp_path, tmp_path / "new")


def test_a_restore_that_was_cut_short_is_finished_by_the_next_start(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once everything is unpacked and on the disk, it is restored, whatever happens."""
    new = tmp_path / "new"

    def stop(_home: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_move_in", stop)
        with pytest.raises(KeyboardInterrupt):
            bring_back(new, made.path)
    assert {path.name for path in new.iterdir()} == {restoring.COMPLETE, "node.lock"}
    lock = HomeLock(new)
    with pytest.raises(RestoreFinished):
        restoring.complete(new)
    assert (new / "keys" / "onion.seed").exists()
    restoring.complete(new)  # and from then on there is nothing to do
    lock.release()
    with pytest.raises(HomeNotEmpty):
        bring_back(new, made.path)


def test_d4_a_node_that_is_back_speaks_after_all_it_has_said(
    home: Path, made: Made, tmp_path: Path
) -> None:
    """Cards and offers that the old home showed after the backup are followed, not repeated."""
    old = NodeIdentity(home / "keys", LOCAL, 3)
    said = [old.renew(NOW + 60 * number).card.sequence for number in range(40)]
    later = NOW + 50 * 24 * HOUR
    new = tmp_path / "new"
    bring_back(new, made.path, now=later)
    back = NodeIdentity(new / "keys", LOCAL, 3)
    assert back.renew(later).card.sequence > max(said)
    seed = load_or_create_seed(new / "market" / "journal.seed")
    sales = SellingStore(new / "market" / "sales.db", seed, CHAIN)
    (sale,) = sales.all()
    sales.close()
    # within one hour a record's sequence is that of the hour and one more each time
    assert sale.sequence > later - later % HOUR + 1000
    assert sale.announced_at == 0  # so that it is announced at once


def test_restored_twice_from_the_same_backup_it_still_speaks_later(
    made: Made, tmp_path: Path
) -> None:
    """The second life begins after all that the first one said."""
    first = tmp_path / "first"
    bring_back(first, made.path)
    identity = NodeIdentity(first / "keys", LOCAL, 3)
    said = [identity.renew(NOW).card.sequence for _ in range(20)]
    second = tmp_path / "second"
    bring_back(second, made.path, now=NOW + 24 * HOUR)
    assert NodeIdentity(second / "keys", LOCAL, 3).renew(NOW).card.sequence > max(said)


def test_the_old_password_is_nowhere(home: Path, made: Made, tmp_path: Path) -> None:
    """M1: neither password nor words are in the backup's inside or the new home."""
    new = tmp_path / "new"
    bring_back(new, made.path)
    for data in tree(new).values():
        for canary in (PASSWORD.encode(), NEW_PASSWORD.encode(), entropy_of(WORDS), SEED):
            assert canary not in data


@pytest.fixture
def cheap_copy(made: Made, tmp_path: Path) -> Callable[[], Path]:
    """Return a copy of the backup in a folder of its own."""

    def copy() -> Path:
        folder = tmp_path / "stick"
        folder.mkdir(exist_ok=True)
        return Path(shutil.copy(made.path, folder / "copy"))

    return copy


def test_the_backup_itself_is_left_as_it_is(cheap_copy: Callable[[], Path], tmp_path: Path) -> None:
    """From a stick that may not be written, and used again."""
    copied = cheap_copy()
    before = copied.read_bytes()
    copied.chmod(0o400)
    bring_back(tmp_path / "new", copied)
    assert copied.read_bytes() == before

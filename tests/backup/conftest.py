"""A home with something of everything in it, and backups of it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from bitsnode.backup.making import Made, make
from bitsnode.backup.restore import Restored, restore
from bitsnode.config import LOCAL
from bitsnode.identity import NodeIdentity
from bitsnode.ledger import database
from bitsnode.ledger.fees import Fee
from bitsnode.ledger.journal import Intent, Journal, Signed
from bitsnode.ledger.wallet.keys import Keys
from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost
from bitsnode.ledger.wallet.mnemonic import entropy_of
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import FileChain, at_once
from bitsnode.market.custody import CustodyStore, Kept
from bitsnode.market.hot_key import open_hot_key
from bitsnode.market.purchase_facts import Quoted
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.relay_journal import RelayJournal
from bitsnode.market.selling_store import Sale, SellingStore
from bitsnode.market.testing import MARKET, make_offer, sign
from bitsnode.shop.catalogue import Catalogue
from bitsnode.shop.items import Profile
from onion.keys import load_or_create_seed
from onion.sockets import private_directory

CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
WORDS = "test test test test test test test test test test test junk"  # Foundry's and Hardhat's
OTHER_WORDS = "abandon " * 11 + "about"  # BIP-39's first test vector
PASSWORD, NEW_PASSWORD = "correct horse", "battery staple"
SEED = Keys.from_entropy(entropy_of(WORDS)).seed
NOW = 1_800_000_123
HOUR = 3600
CHAIN = MARKET.chain_id
OFFER = sign(make_offer()[0])
SALE = Sale(
    content=OFFER.offer.content,
    secret=b"s" * 16,
    whitening=b"w" * 16,
    publisher_seed=b"p" * 32,
    spending_public_key=b"\x02" + b"k" * 32,
    viewing_public_key=b"\x03" + b"v" * 32,
    denomination=0,
    pending=False,
    withdrawn=False,
    offer=OFFER.data,
    older=(),
    sequence=7,
    announced_at=NOW - 100,
)
PURCHASE = b"purchase-no-one!"
FACT = Quoted(OFFER.data, b"c" * 32, NOW - 50)


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill leaves what was written to the system, so tests need not wait for disks."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")


def furnish(home: Path, chain: FileChain) -> Callable[[], None]:
    """Put something of everything into a home, all databases in use; returns what closes them."""
    stack = ExitStack()
    market, key = home / "market", home / "market" / "journal.seed"
    identity = NodeIdentity(home / "keys", LOCAL, 3)
    Deferred.fromCoroutine(identity.solve(at_once))
    identity.renew(NOW)
    wallet = Wallet(home / "wallet", chain, at_once, CHEAP)
    stack.callback(wallet.close)
    Deferred.fromCoroutine(wallet.restore(WORDS, PASSWORD))
    Deferred.fromCoroutine(wallet.note_funder("0x" + "11" * 20))
    ledger = Journal(home / "ledger" / "journal.db", CHAIN)
    stack.callback(ledger.close)
    intent = Intent("withdraw 1", "0x" + "22" * 20, 4, "0x" + "33" * 20, 10**18, b"", 10**15)
    ledger.add(intent, Signed(b"h" * 32, b"raw", Fee(21_000, 7, 1), 9, float(NOW)))
    market.mkdir(mode=0o700)
    seed = load_or_create_seed(key)
    purchases = PurchaseJournal(market / "purchases.db", seed, CHAIN)
    stack.callback(purchases.close)
    purchases.begin(PURCHASE, FACT)
    sales = SellingStore(market / "sales.db", seed, CHAIN)
    stack.callback(sales.close)
    sales.put(SALE)
    custody = CustodyStore(market / "custody.db", MARKET)
    stack.callback(custody.close)
    custody.put(Kept(OFFER, 1, bytes(64)))
    relay = RelayJournal(market / "relay.db", CHAIN, MARKET.vouchers)
    stack.callback(relay.close)
    open_hot_key(market / "relay.key")
    shop = Catalogue(home / "shop" / "shop.db", bytes(32))
    stack.callback(shop.close)
    shop.set_profile(Profile("A shop", "of things", ""))
    load_or_create_seed(private_directory(home / "shop" / "keys") / "onion.seed")
    with closing(sqlite3.connect(home / "shop" / "later.db")) as later:  # of a room to come
        later.execute("CREATE TABLE facts (value TEXT)")
    (home / "shop" / "stock").mkdir()
    (home / "shop" / "stock" / "work").write_bytes(b"what is sold, which is big")
    (home / "config.toml").write_text('storage = "5MB"\n')
    (home / "deny.txt").write_text("bafynone\n")
    for name in ("tor", "store", "staging", "log"):  # what a backup leaves out
        (home / name).mkdir()
        (home / name / "file.db").write_bytes(b"of no use elsewhere")
    return stack.close


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[FileChain]:
    """A chain with nothing on it."""
    chain = FileChain(tmp_path / "chain.sqlite")
    yield chain
    chain.close()


@pytest.fixture
def home(tmp_path: Path, chain: FileChain) -> Iterator[Path]:
    """A home in use, whose last writes are in write-ahead logs."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    close = furnish(home, chain)
    yield home
    close()


@pytest.fixture
def made(home: Path, tmp_path: Path) -> Made:
    """A backup of that home."""
    return make(home, SEED, tmp_path / "backup", NOW)


def bring_back(home: Path, backup: Path, words: str = WORDS, now: float = NOW) -> Restored:
    """Restore with a password that is cheap to try."""
    return restore(home, backup, words, NEW_PASSWORD, now, CHEAP)


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

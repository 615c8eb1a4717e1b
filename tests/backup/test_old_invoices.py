"""Invoices issued after the backup: the restored shop issues none of them again."""

from contextlib import closing
from pathlib import Path

from bitsnode.backup.making import make
from bitsnode.ledger.wallet.testing import FileChain
from bitsnode.market.invoice_store import InvoiceStore
from onion.keys import load_or_create_seed
from tests.backup.conftest import CHAIN, NOW, SEED, bring_back

FACTORY = b"\xfa" * 20


def opened(home: Path) -> InvoiceStore:
    """Open the invoices of a home."""
    key = load_or_create_seed(home / "shop" / "keys" / "invoices.seed")
    return InvoiceStore(home / "shop" / "invoices.db", key, CHAIN, FACTORY)


def test_the_counter_jumps_and_the_seed_is_the_same(
    home: Path, chain: FileChain, tmp_path: Path
) -> None:
    """Two homes from one backup draw other invoices than the first home, and than each other."""
    used, backup = [], tmp_path / "old"
    with closing(opened(home)) as store:
        used += [store.take() for _ in range(3)]
        make(home, SEED, backup, NOW)
        used += [store.take() for _ in range(2)]
        keys = store.keys
    for name in ("one", "two"):
        bring_back(tmp_path / name, backup)
        with closing(opened(tmp_path / name)) as store:
            assert store.keys == keys
            assert store.unknown() == [3]  # from where on the search begins
            used += [store.take() for _ in range(2)]
    assert len(set(used)) == len(used) == 9

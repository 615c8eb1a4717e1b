"""What a node that is back must not say or use again, as an old backup knows no better.

Everything here is done to the files of a backup before they come into their place.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs

from bitsnode.backup.errors import FileUnsound
from bitsnode.identity import raise_card_sequence
from bitsnode.ledger.wallet.history import History
from bitsnode.ledger.wallet.voucher_store import VoucherStore
from bitsnode.ledger.wallet.vouchers import SKIPPED
from bitsnode.market.invoice_store import jump_ahead
from bitsnode.market.selling_store import SellingStore
from bitsnode.wire.card import HOUR
from onion.keys import load_or_create_seed

_NONE: Final = "None"  # owner of a history that is of no chain


def go_ahead(folder: Path, now: float) -> None:
    """Bring the files of a backup beyond all that may have been said and used since it was made.

    Args:
        folder: with the files, laid out as a home.
        now: Unix time in seconds.

    Raises:
        BitsError: a file cannot be read.
        sqlite3.Error, OSError: the system refuses.
    """
    hour = int(now) - int(now) % HOUR
    _card(folder / "keys" / "card.json", hour)
    _sales(folder / "market", hour)
    for path in sorted((folder / "wallet").glob("history*.sqlite")):
        _vouchers(path)
    _invoices(folder / "shop" / "invoices.db")


def _card(path: Path, hour: int) -> None:
    """Have the next card follow every card that was shown.

    A sequence rises by one with each start and each day, so it stays far below the hours since
    1970, by which it is set here. That an identity came back, and in which hour, can be seen.
    """
    if path.exists():
        raise_card_sequence(path, hour // HOUR)


def _sales(folder: Path, hour: int) -> None:
    """Have the next record of each offer replace all that were announced.

    A record's sequence is the hour's time at least, and one more with each announcement: that of
    the next hour is above all before it.
    """
    path = folder / "sales.db"
    if not path.exists():
        return
    key = load_or_create_seed(folder / "journal.seed")
    with closing(SellingStore(path, key, _chain_of(path) or 0)) as store:
        for sale in store.all():
            sequence = max(sale.sequence, hour + HOUR)
            store.put(attrs.evolve(sale, sequence=sequence, announced_at=0))


def _vouchers(path: Path) -> None:
    """Leave out the next indices of vouchers.

    Those in the chain are found before any is bought; these may be on their way into it.
    """
    with closing(History(path, _chain_of(path))) as history:
        with history.transaction() as database:
            rows = database.rows("SELECT DISTINCT contract FROM vouchers")
        for (contract,) in rows:
            store = VoucherStore(history, str(contract))
            used = [row.index + 1 for row in store.rows()]
            store.raise_floor(max([store.floor(), *used]) + SKIPPED)


def _invoices(path: Path) -> None:
    """Leave out the indices of invoices that may have been issued since.

    How many they are nobody knows, so the counter goes on from a place drawn by lot.
    """
    if path.exists():
        jump_ahead(path, _owner_of(path))


def _chain_of(path: Path) -> int | None:
    """Return the chain that a file says it is about, in the words in which its room wrote it."""
    said = _owner_of(path).rpartition(" ")[2]
    if said == _NONE:
        return None
    if not said.isdecimal():
        raise FileUnsound(f"The database {path.name} does not say of which chain it is.")
    return int(said)


def _owner_of(path: Path) -> str:
    """Return whose a file says it is; "" if it does not."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name FROM owner").fetchall()
    return str(rows[0][0]) if rows else ""

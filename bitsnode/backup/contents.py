"""What is in a backup: one table, a line for each kind of file.

In it is what cannot be had again: keys, what was bought and sold, what was promised to others.
Not in it: tor's own files, shares of others (``store/``), what chain and network give again (the
index of events, ``dht.sqlite``, ``index.sqlite``), work that is not done (``staging/``,
``partial/``), sockets, logs, and a shop's stock, which is as big as what is sold and is with its
owner. The keystore is not in it either: the words that open the backup are the wallet.
"""

import re
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final

import attrs

from bitsnode.backup.errors import UnknownContents
from bitsnode.ledger import journal
from bitsnode.ledger.wallet import schema as wallet
from bitsnode.market import (
    custody,
    invoice_store,
    purchase_journal,
    relay_journal,
    selling_store,
)
from bitsnode.shop import catalogue_rows, orders_store

KIB: Final = 1 << 10  # bytes
MIB: Final = 1 << 20  # bytes
GIB: Final = 1 << 30  # bytes

MAX_FILES: Final = 1000
MAX_TOTAL: Final = 4 * GIB  # of all files together; custody's is the biggest, some 100 MiB
MAX_PATH: Final = 200  # bytes

# Only names that mean the same on every file system: no "..", no root, no NUL, no hidden file.
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?", re.ASCII)


class Kind(Enum):
    """How a file is copied and looked at."""

    FILE = "file"  # written by rename, so that it is whole at any moment
    DATABASE = "database"  # SQLite, in use


@attrs.frozen
class Kept:
    """One kind of file.

    Attributes:
        pattern: relative to the home; ``*`` stands for a part of one name.
        kind: see `Kind`.
        limit: most bytes of one.
        version: highest ``user_version`` that this bits can read; 0 for what is no database, and
            for databases whose room alone knows it: it refuses a newer one when it opens it.
    """

    pattern: str
    kind: Kind
    limit: int
    version: int = 0

    def fits(self, path: str) -> bool:
        """Whether a path is of this kind."""
        names, patterns = path.split("/"), self.pattern.split("/")
        return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))


def _file(pattern: str, limit: int) -> Kept:
    return Kept(pattern, Kind.FILE, limit)


def _database(pattern: str, version: int) -> Kept:
    return Kept(pattern, Kind.DATABASE, GIB, version)


# The order is that of the backup. To keep one more thing, add a line.
CONTENTS: Final = (
    _file("config.toml", MIB),
    _file("deny.txt", 64 * MIB),
    _file("deployment.json", MIB),
    _file("keys/*.seed", KIB),
    _file("keys/card.json", KIB),
    _database("wallet/history*.sqlite", len(wallet.MIGRATIONS)),
    _database("ledger/journal.db", len(journal.MIGRATIONS)),
    _file("market/journal.seed", KIB),
    _file("market/relay.key", KIB),
    _database("market/purchases.db", len(purchase_journal.MIGRATIONS)),
    _database("market/sales.db", len(selling_store.MIGRATIONS)),
    _database("market/custody.db", len(custody.MIGRATIONS)),
    _database("market/relay.db", len(relay_journal.MIGRATIONS)),
    _file("shop/keys/*.seed", KIB),
    _database("shop/shop.db", len(catalogue_rows.MIGRATIONS)),
    _database("shop/orders.db", len(orders_store.MIGRATIONS)),
    _database("shop/invoices.db", len(invoice_store.MIGRATIONS)),
    _database("shop/*.db", 0),  # what else a shop writes down
)
# Settings are this machine's as much as the node's: those that a new home has already are kept.
SETTINGS: Final = ("config.toml", "deny.txt", "deployment.json")


def folders() -> tuple[str, ...]:
    """Return the home's folders that a backup has a part in, in the order of the table."""
    found = [kept.pattern.split("/")[0] for kept in CONTENTS if "/" in kept.pattern]
    return tuple(dict.fromkeys(found))


def kept_as(path: str) -> Kept:
    """Return what kind of file a path names.

    Raises:
        UnknownContents: none that a backup holds.
    """
    names = path.split("/")
    if len(path) <= MAX_PATH and all(map(_NAME.fullmatch, names)):
        for kept in CONTENTS:
            if kept.fits(path):
                return kept  # of two lines that fit, the first
    raise UnknownContents

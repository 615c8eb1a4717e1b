"""Writing the shop's databases: all of it or nothing, and a sentence when the disk refuses."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from bitsnode.ledger.database import Database
from bitsnode.shop.errors import ShopDiskError


@contextmanager
def written(database: Database) -> Iterator[None]:
    """Keep all that is done within, or nothing of it.

    Raises:
        ShopDiskError: the disk is full or fails.
    """
    try:
        with database.transaction():
            yield
    except sqlite3.OperationalError as error:
        raise ShopDiskError(f"The shop could not write that down: {error}.") from error

"""A SQLite file whose entries are sealed under a key from outside.

Without the key it shows how many entries there are and how long each is. Any thread may call.
"""

import hashlib
import hmac
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitsnode.codec.sealing import seal, unseal
from bitsnode.ledger.database import Database


class SealedDatabase:
    """A `Database` for one thread at a time, and the key that seals its entries.

    Args:
        path: of the file.
        migrations: as for `Database`.
        owner: likewise.
        key: that seals the entries, 32 bytes.

    Attributes:
        database: the file.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(
        self, path: Path, migrations: Sequence[Sequence[str]], owner: str, key: bytes
    ) -> None:
        self._key = key
        self._lock = threading.Lock()
        self.database = Database(path, migrations, owner)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """All that is done within is kept, or nothing of it; no other thread comes between."""
        with self._lock, self.database.transaction():
            yield self.database

    def select(self, statement: str, *values: object) -> list[Any]:
        """Return what one statement selects."""
        with self._lock:
            return self.database.rows(statement, *values)

    def name(self, secret: bytes) -> bytes:
        """Return what stands in the file for something that it must not show, 32 bytes."""
        return hmac.digest(self._key, secret, hashlib.sha256)

    def seal(self, data: bytes) -> bytes:
        """Return an entry sealed."""
        return seal(self._key, data)

    def unseal(self, sealed: bytes) -> bytes:
        """Return what `seal` was given.

        Raises:
            bitsnode.codec.sealing.NotSealed: the key is another, or the entry is damaged.
        """
        return unseal(self._key, sealed)

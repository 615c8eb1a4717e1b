"""Small pictures in ``shop.db``, each once, by names that say nothing.

A name is a hash under a key that was drawn when the file was made. So the same picture has another
name in another shop, and nobody can ask a shop whether it has a picture that they know.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

from bitsnode.ledger.database import Database
from bitsnode.shop.errors import NoSuchBlob
from bitsnode.shop.items import Blob

NAME_LENGTH: Final = 26  # characters of base32


class Blobs:
    """The pictures. Whoever calls sees to it that only one thread does, and to the transaction.

    Args:
        database: has the tables ``blobs`` and ``naming``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key = self._naming_key()

    def keep(self, blob: Blob | None) -> str:
        """Keep a picture and return its name; "" for none."""
        if blob is None:
            return ""
        digest = hmac.digest(self._key, blob.data, hashlib.sha256)
        name = base64.b32encode(digest).decode("ascii").lower()[:NAME_LENGTH]
        self._database.rows(
            "INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", name, blob.media_type, blob.data
        )
        return name

    def find(self, name: str) -> Blob:
        """Return a picture by its name.

        Raises:
            NoSuchBlob: there is none.
        """
        rows = self._database.rows("SELECT media_type, data FROM blobs WHERE name = ?", name)
        for media_type, data in rows:
            if isinstance(media_type, str) and isinstance(data, bytes):
                return Blob(media_type, data)
        raise NoSuchBlob

    def _naming_key(self) -> bytes:
        with self._database.transaction():
            for (key,) in self._database.rows("SELECT key FROM naming"):
                if isinstance(key, bytes):
                    return key
            fresh = secrets.token_bytes(32)
            self._database.rows("INSERT INTO naming VALUES (?)", fresh)
            return fresh

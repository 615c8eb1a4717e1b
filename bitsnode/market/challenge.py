"""Challenges without memory: a holder recognises its own by a key that nobody else has. Pure."""

import hmac
import secrets
import struct
from typing import Final

from bitsnode.ids import Context
from bitsnode.market.errors import BadChallenge

LIFETIME: Final = 300  # seconds


class Challenges:
    """Makes and recognises challenges; those from before a restart are void."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)

    def make(self, offer_hash: bytes, now: float) -> tuple[bytes, int]:
        """Return a challenge (32 bytes) for an offer, and when it expires (Unix time)."""
        expires = int(now) + LIFETIME
        return self._of(offer_hash, expires), expires

    def check(self, challenge: bytes, offer_hash: bytes, expires: int, now: float) -> None:
        """See that a challenge is ours, for this offer, and has not expired.

        Raises:
            BadChallenge: it is not, or has.
        """
        if not now <= expires <= now + LIFETIME:
            raise BadChallenge
        if not hmac.compare_digest(challenge, self._of(offer_hash, expires)):
            raise BadChallenge

    def _of(self, offer_hash: bytes, expires: int) -> bytes:
        text = Context.KEY_CHALLENGE + offer_hash + struct.pack(">Q", expires)
        return hmac.digest(self._key, text, "sha256")

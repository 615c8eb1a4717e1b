"""Claim codes: what opens a paid order in another browser. Pure.

25 characters of Crockford's base32 (https://www.crockford.com/base32.html), 125 random bits: to
guess one is hopeless however many are tried. It is shown once and kept as a keyed hash only.
"""

import hashlib
import hmac
import secrets
from typing import Final

from bitsnode.shop.errors import WrongClaimCode

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUPS: Final = 5
GROUP: Final = 5  # characters
LENGTH: Final = GROUPS * GROUP
MAX_TYPED: Final = 100  # characters of what somebody typed
_ALIKE: Final = str.maketrans("OIL", "011", " -\u2010\u2011\u2013\t\r\n")
_PURPOSE: Final = b"bits/claim-code/v1"


def fresh_code() -> str:
    """Return a new code, such as ``7K3QX-…``, five groups of five characters."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(code[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def code_hash(key: bytes, typed: str) -> bytes:
    """Return the 32 bytes by which a code is kept: HMAC-SHA256 under a key of the shop.

    Who types may use small letters, leave out or add spaces and hyphens, and mistake O for 0 and I
    or L for 1. As the key is secret, how long a search for the hash takes says nothing of a code.

    Raises:
        WrongClaimCode: nothing of that form was ever given out.
    """
    code = typed[: MAX_TYPED + 1].upper().translate(_ALIKE)
    if len(typed) > MAX_TYPED or len(code) != LENGTH or not set(code) <= set(ALPHABET):
        raise WrongClaimCode
    return hmac.digest(key, _PURPOSE + code.encode("ascii"), hashlib.sha256)

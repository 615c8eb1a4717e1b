"""Key shares sealed to one reader: HPKE (RFC 9180), base mode, one shot. Pure.

`cryptography` 50 has no associated data in its public interface; offer and index are in HPKE's
``info``, which binds them as well.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from bitsnode.ids import Context
from bitsnode.market.errors import BadKey, NotOpened

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def seal_for_custody(custody_key: bytes, offer_hash: bytes, index: int, share: bytes) -> bytes:
    """Return a share (16 bytes) sealed to a holder's custody key (32 bytes), 64 bytes.

    Raises:
        BadKey: the key is a point of small order.
    """
    return _seal(Context.CUSTODY, custody_key, offer_hash, index, share)


def open_for_custody(key: X25519PrivateKey, offer_hash: bytes, index: int, sealed: bytes) -> bytes:
    """Return the share that was sealed to our custody key.

    Raises:
        NotOpened: it was sealed to another key, for another offer or place, or changed.
    """
    return _open(Context.CUSTODY, key, offer_hash, index, sealed)


def seal_for_buyer(public_key: bytes, offer_hash: bytes, index: int, share: bytes) -> bytes:
    """Return a share sealed to the key of a request (32 bytes), 64 bytes.

    Raises:
        BadKey: the key is a point of small order.
    """
    return _seal(Context.KEY_SHARE, public_key, offer_hash, index, share)


def open_for_buyer(key: X25519PrivateKey, offer_hash: bytes, index: int, sealed: bytes) -> bytes:
    """Return the share that was sealed to the key of our request.

    Raises:
        NotOpened: as in `open_for_custody`.
    """
    return _open(Context.KEY_SHARE, key, offer_hash, index, sealed)


def _seal(purpose: bytes, key: bytes, offer_hash: bytes, index: int, share: bytes) -> bytes:
    info = purpose + offer_hash + bytes([index])
    try:
        return _SUITE.encrypt(share, X25519PublicKey.from_public_bytes(key), info)
    except ValueError as error:  # RFC 9180 §7.1.4: the shared secret is all zeros
        raise BadKey from error


def _open(
    purpose: bytes, key: X25519PrivateKey, offer_hash: bytes, index: int, sealed: bytes
) -> bytes:
    try:
        return _SUITE.decrypt(sealed, key, purpose + offer_hash + bytes([index]))
    except (InvalidTag, ValueError) as error:
        raise NotOpened from error

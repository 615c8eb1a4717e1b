"""Sealing of small values: ChaCha20-Poly1305 under a derived key, nonce in front.

Nonces of 12 random bytes are safe here: one key seals a handful of values, far below 2^32.
"""

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bitsnode.codec.errors import CodecError

NONCE_SIZE: Final = 12  # bytes
OVERHEAD: Final = NONCE_SIZE + 16  # bytes that sealing adds


class NotSealed(CodecError):
    """A sealed value does not open with this key."""


def seal(key: bytes, plain: bytes) -> bytes:
    """Return nonce ‖ ciphertext ‖ tag, `OVERHEAD` bytes longer than the plaintext."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, plain, None)


def unseal(key: bytes, sealed: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        NotSealed: too short, another key, or changed.
    """
    if len(sealed) < OVERHEAD:
        raise NotSealed
    try:
        return ChaCha20Poly1305(key).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], None)
    except InvalidTag as error:
        raise NotSealed from error

"""Every key that is derived, all by HKDF-SHA256 (RFC 5869) without salt, one context each.

From a content id comes what may find and check; from the link's secrets what may read.

A content id opens the manifest and the DHT records. It leads to `storage_index` and to the
record key by separate derivations, so that a holder who knows the first cannot find the second,
nor a DHT storer the other way round.
"""

import struct
from typing import Final

import nacl.signing
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bitsnode.ids import Context, sha256

KEY_SIZE: Final = 32  # bytes of every derived key
SECRET_SIZE: Final = 16  # bytes of a content secret and of a whitening key W


def derive(secret: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256 of a secret, without salt."""
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=info).derive(secret)


def manifest_key(digest: bytes) -> bytes:
    """Return the key that seals the manifest of a content id's digest (32 bytes)."""
    return derive(digest, Context.MANIFEST_KEY)


def storage_index(digest: bytes) -> bytes:
    """Return the 32 bytes under which holders file the shares of a content id's digest."""
    return derive(digest, Context.STORAGE_INDEX)


def record_seed(digest: bytes) -> bytes:
    """Return the Ed25519 seed that signs the DHT records of a content id's digest."""
    return derive(digest, Context.RECORD_SEED)


def record_public_key(digest: bytes) -> bytes:
    """Return the 32-byte Ed25519 public key under whose hash the DHT records live."""
    return bytes(nacl.signing.SigningKey(record_seed(digest)).verify_key)


def slot_seed(publisher_seed: bytes, digest: bytes, kind: int, about: bytes = b"") -> bytes:
    """Return the Ed25519 seed of the slot key of one of a publisher's records.

    A slot belongs to the publisher, for the records' own key is known to every reader.

    Args:
        publisher_seed: 32 bytes.
        digest: of the content id, 32 bytes.
        kind: of the record, see `bitsnode.wire.record.RecordKind`.
        about: the holder's onion key for a provider record, else empty.
    """
    return derive(publisher_seed, Context.SLOT_SEED + digest + bytes([kind]) + about)


def record_seal_key(digest: bytes) -> bytes:
    """Return the key that seals the values of the DHT records of a content id's digest."""
    return derive(digest, Context.RECORD_SEAL)


def chunk_key(content_secret: bytes) -> bytes:
    """Return the key that encrypts the chunks, of a content secret of 16 bytes."""
    return derive(content_secret, Context.CHUNK_KEY)


def whitening_key(whitening: bytes, onion_key: bytes, index: int) -> bytes:
    """Return the key that whitens share ``index`` for one holder.

    Args:
        whitening: W, 16 bytes.
        onion_key: of the holder, 32 bytes.
        index: of the share, 0 to 255.
    """
    return derive(whitening, Context.WHITENING + onion_key + struct.pack(">H", index))


def whitening_commitment(whitening: bytes) -> bytes:
    """Return the 32 bytes by which a manifest names its W without showing it."""
    return sha256(Context.WHITENING_COMMITMENT, whitening)

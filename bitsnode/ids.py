"""Names of things: contexts for hashing, content ids, points of the keyspace."""

import base64
import hashlib
from typing import Final, Self

import attrs

from bitsnode.errors import BitsError

DIGEST_SIZE: Final = 32  # bytes of a SHA-256 digest
ID_BITS: Final = 256  # bits of a point in the keyspace


class Context:
    """Every domain-separation string of the formats, each used for one purpose only.

    As prefix of a hash or of a signed message, or as HKDF ``info``. To change a format is to
    add a constant here with a higher version, never to reuse one.
    """

    CARD_PUZZLE: Final = b"bits/card-puzzle/v1"
    NODE_ID: Final = b"bits/node-id/v1"
    CARD: Final = b"bits/node-card/v1"
    RECORD: Final = b"bits/record/v2"
    RECORD_KEY: Final = b"bits/record-key/v1"
    RECORD_PUZZLE: Final = b"bits/record-puzzle/v2"
    RECORD_SLOT: Final = b"bits/record-slot/v1"
    SLOT_SIGNATURE: Final = b"bits/record-slot-signature/v1"
    SHARE_PUZZLE: Final = b"bits/share-puzzle/v1"
    CHUNK_KEY: Final = b"bits/chunk-key/v1"
    CHUNK: Final = b"bits/chunk/v1"
    MANIFEST: Final = b"bits/manifest/v1"
    MANIFEST_KEY: Final = b"bits/manifest-key/v1"
    STORAGE_INDEX: Final = b"bits/storage-index/v1"
    RECORD_SEED: Final = b"bits/record-seed/v1"
    RECORD_SEAL: Final = b"bits/record-seal/v1"
    PLACEMENT: Final = b"bits/placement/v1"
    SLOT_SEED: Final = b"bits/slot-seed/v1"
    WHITENING: Final = b"bits/whitening/v1"
    WHITENING_COMMITMENT: Final = b"bits/whitening-commitment/v1"
    OFFER: Final = b"bits/offer/v1"
    OFFER_WHITENING: Final = b"bits/offer-whitening/v1"
    CONTENT_SECRET_COMMITMENT: Final = b"bits/content-secret-commitment/v1"
    KEY_SHARE_COMMITMENT: Final = b"bits/key-share-commitment/v1"
    KEY_CHALLENGE: Final = b"bits/key-challenge/v1"
    KEY_REQUEST: Final = b"bits/key-request/v1"
    KEY_SHARE: Final = b"bits/key-share/v1"
    CUSTODY: Final = b"bits/custody/v1"
    CUSTODY_PUZZLE: Final = b"bits/custody-puzzle/v1"
    COMPLAINT: Final = b"bits/complaint/v1"
    BACKUP: Final = b"bits/backup/v1"
    INVOICE: Final = b"bits/invoice/v1"


def sha256(*parts: bytes) -> bytes:
    """Return the 32-byte SHA-256 digest of the parts joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def leading_zero_bits(digest: bytes) -> int:
    """Return how many of the first bits of ``digest`` are zero."""
    return len(digest) * 8 - int.from_bytes(digest, "big").bit_length()


def distance(a: bytes, b: bytes) -> int:
    """Return the XOR distance of two 32-byte points (Kademlia, §2.1)."""
    return int.from_bytes(a, "big") ^ int.from_bytes(b, "big")


class BadContentId(BitsError):
    """This is not a content id: one begins with "bafy" and has 59 characters."""


# CIDv1, codec dag-cbor, multihash sha2-256 of 32 bytes (https://github.com/multiformats/cid)
_CID_PREFIX: Final = bytes([0x01, 0x71, 0x12, 0x20])
_CID_LENGTH: Final = 59  # characters: "b" and the base32 of 36 bytes


@attrs.frozen
class ContentId:
    """The name of a content: SHA-256 of its manifest's plain form, shown as a CIDv1.

    Attributes:
        digest: 32 bytes.
    """

    digest: bytes = attrs.field(validator=attrs.validators.instance_of(bytes))

    def __attrs_post_init__(self) -> None:
        """Check the size."""
        if len(self.digest) != DIGEST_SIZE:
            raise BadContentId

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            BadContentId: not the one canonical text of a sha2-256 dag-cbor CIDv1.
        """
        if len(text) != _CID_LENGTH or not text.startswith("b") or text != text.lower():
            raise BadContentId
        try:
            raw = base64.b32decode(text[1:].upper() + "======")
        except ValueError as error:
            raise BadContentId from error
        if raw[:4] != _CID_PREFIX:
            raise BadContentId
        found = cls(raw[4:])
        if str(found) != text:  # the last character has unused bits: only zero ones are canonical
            raise BadContentId
        return found

    def __str__(self) -> str:
        """Return ``bafy…``, 59 characters."""
        text = base64.b32encode(_CID_PREFIX + self.digest).decode().rstrip("=").lower()
        return "b" + text

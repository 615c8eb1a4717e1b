"""The messages of the market: key shares and who may have them. See `bitsnode.wire.messages`."""

from typing import ClassVar, Final

import attrs

from bitsnode.ids import DIGEST_SIZE
from bitsnode.wire.messages import MAX_TIME, Done
from bitsnode.wire.schema import Bytes, Uint, field

MAX_SIGNED_OFFER: Final = 8 * 1024  # bytes; one with 32 key holders has about 3.5 KiB
MAX_RECEIPT: Final = 4 * 1024  # bytes; one of 8 vouchers has about 1 KiB
MAX_HOLDERS: Final = 32  # of a content's key
SEALED_SHARE_SIZE: Final = 64  # bytes: a key share of 16 bytes under HPKE (RFC 9180)
CHALLENGE_SIZE: Final = 32  # bytes
NONCE_SIZE: Final = 16  # bytes

_DIGEST: Final = Bytes(DIGEST_SIZE, DIGEST_SIZE)
_INDEX: Final = Uint(MAX_HOLDERS, 1)
_SEALED: Final = Bytes(SEALED_SHARE_SIZE, SEALED_SHARE_SIZE)
_CHALLENGE: Final = Bytes(CHALLENGE_SIZE, CHALLENGE_SIZE)


@attrs.frozen
class PutKeyShare:
    """Ask a key holder to keep its share of a content's key.

    The reply `Done` is a promise: the share is on the disk.

    Attributes:
        offer: the signed offer that names the holder and commits to its share.
        index: of the holder in the offer, from 1.
        sealed: the share, sealed to the holder's custody key, 64 bytes.
        nonce: solves the custody puzzle, 16 bytes.
    """

    TYPE: ClassVar[int] = 48
    REPLY: ClassVar[type] = Done
    offer: bytes = field(1, Bytes(1, MAX_SIGNED_OFFER))
    index: int = field(2, _INDEX)
    sealed: bytes = field(3, _SEALED, secret=True)
    nonce: bytes = field(4, Bytes(NONCE_SIZE, NONCE_SIZE))


@attrs.frozen
class Challenge:
    """What a request for a key share has to sign.

    Attributes:
        challenge: 32 bytes that only this holder can make.
        expires: Unix time in seconds until which it is taken.
    """

    challenge: bytes = field(1, _CHALLENGE)
    expires: int = field(2, Uint(MAX_TIME))


@attrs.frozen
class AskChallenge:
    """Ask a key holder for a challenge.

    Attributes:
        offer_hash: of the offer that was paid, 32 bytes.
    """

    TYPE: ClassVar[int] = 49
    REPLY: ClassVar[type] = Challenge
    offer_hash: bytes = field(1, _DIGEST)


@attrs.frozen
class KeyShare:
    """A share of a content's key.

    Attributes:
        index: of the holder in the offer, from 1.
        sealed: the share, sealed to the key of the request, 64 bytes.
    """

    index: int = field(1, _INDEX)
    sealed: bytes = field(2, _SEALED, secret=True)


@attrs.frozen
class RequestKey:
    """Ask a key holder for its share, with the receipt of a payment.

    Attributes:
        receipt: canonical CBOR of a receipt; it tells who knows it what was bought.
        public_key: X25519 key made for this request, 32 bytes.
        challenge: of this holder, 32 bytes.
        expires: of the challenge.
        signature: by the receipt's key, 64 bytes; PROTOCOL.md says over what.
    """

    TYPE: ClassVar[int] = 50
    REPLY: ClassVar[type] = KeyShare
    receipt: bytes = field(1, Bytes(1, MAX_RECEIPT), secret=True)
    public_key: bytes = field(2, Bytes(32, 32))
    challenge: bytes = field(3, _CHALLENGE)
    expires: int = field(4, Uint(MAX_TIME))
    signature: bytes = field(5, Bytes(64, 64))

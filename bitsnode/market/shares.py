"""A content secret in t-of-m shares, each with a commitment, and the secret from honest ones. Pure.

The shares are Shamir's, as PyCryptodome makes them over GF(2^128). They alone show nobody who
lies; the commitments in the offer do.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from Crypto.Protocol.SecretSharing import Shamir
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bitsnode.codec.keys import SECRET_SIZE, derive
from bitsnode.ids import Context, sha256
from bitsnode.market.errors import WrongSecret, WrongShare, WrongWhitening
from bitsnode.market.offer import Offer

SHARE_SIZE: Final = 16  # bytes
USUAL_HOLDERS: Final = 11  # 3 of 11: 99.94% when each node answers 7 times in 10
_NONCE: Final = bytes(12)  # each key seals one plaintext


def threshold(holders: int) -> int:
    """Return t for m key holders, 1 to 32.

    A quarter of them, rounded up: 3 of 11 where the network allows it. From four holders on at
    least two, so that no single one can read what it keeps; below that, availability wins.
    """
    return max(2 if holders >= 4 else 1, -(-holders // 4))


def share_commitment(index: int, share: bytes) -> bytes:
    """Return the 32 bytes by which an offer names a share (16 bytes) without showing it."""
    return sha256(Context.KEY_SHARE_COMMITMENT, bytes([index]), share)


def secret_commitment(secret: bytes) -> bytes:
    """Return the 32 bytes by which an offer names its content secret (16 bytes)."""
    return sha256(Context.CONTENT_SECRET_COMMITMENT, secret)


def split(secret: bytes, needed: int, holders: int) -> tuple[bytes, ...]:
    """Return the shares 1 to m of a secret (16 bytes), of which any t make it again."""
    return tuple(
        bytes(share) for _index, share in Shamir.split(needed, holders, secret, ssss=False)
    )


def check_share(offer: Offer, index: int, share: bytes) -> None:
    """See that a share is the one that the offer commits to.

    Raises:
        WrongShare: it is not, or the offer has no such share.
    """
    if not 1 <= index <= len(offer.holders) or len(share) != SHARE_SIZE:
        raise WrongShare
    if share_commitment(index, share) != offer.holders[index - 1].commitment:
        raise WrongShare


def liars(offer: Offer, came: Mapping[int, bytes]) -> Sequence[int]:
    """Return the indexes of those shares that are not what the offer commits to."""
    found = []
    for index, share in came.items():
        try:
            check_share(offer, index, share)
        except WrongShare:
            found.append(index)
    return found


def combine(offer: Offer, came: Mapping[int, bytes]) -> bytes:
    """Return the content secret from any t honest shares of those that came.

    Args:
        offer: names them.
        came: shares by index, lying ones among them.

    Raises:
        WrongShare: fewer than t are honest.
        WrongSecret: they are as committed and yet make another secret: the publisher's fault.
    """
    bad = liars(offer, came)
    honest = [(index, share) for index, share in came.items() if index not in bad]
    if len(honest) < offer.threshold:
        raise WrongShare(f"Only {len(honest)} of {offer.threshold} key shares are good.")
    secret = bytes(Shamir.combine(honest[: offer.threshold], ssss=False))
    if secret_commitment(secret) != offer.secret_commitment:
        raise WrongSecret
    return secret


def seal_whitening(secret: bytes, whitening: bytes) -> bytes:
    """Return W (16 bytes) for those who have the content secret, 32 bytes."""
    return ChaCha20Poly1305(derive(secret, Context.OFFER_WHITENING)).encrypt(
        _NONCE, whitening, None
    )


def open_whitening(secret: bytes, sealed: bytes) -> bytes:
    """Return W from an offer's `sealed_whitening`.

    Raises:
        WrongWhitening: it was sealed with another secret, or changed.
    """
    try:
        found = ChaCha20Poly1305(derive(secret, Context.OFFER_WHITENING)).decrypt(
            _NONCE, sealed, None
        )
    except InvalidTag as error:
        raise WrongWhitening from error
    if len(found) != SECRET_SIZE:
        raise WrongWhitening
    return found

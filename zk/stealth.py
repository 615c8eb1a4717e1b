"""Stealth addresses of ERC-5564, scheme 1 (secp256k1 with view tags).

A payee publishes a meta-address: a spending key K = kG and a viewing key V = vG. A payer draws
an ephemeral key R = rG; h = keccak256(rV), taken over the compressed point, is their shared
secret, as rV = vR. The payment goes to the Ethereum address of K + hG, and R is announced with
the first byte of h, the view tag, by which the payee skips 255 of 256 announcements that are not
theirs. Only k + h spends it.

Sources: ERC-5564 (https://eips.ethereum.org/EIPS/eip-5564) and the address format of EIP-55.
Points are 33 bytes compressed, scalars 32 bytes big-endian.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol, Self, TypeVar

import attrs
from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

SCHEME_ID: Final = 1  # ERC-5564, "secp256k1 with view tags"
PUBLIC_KEY_SIZE: Final = 33  # bytes, compressed
PRIVATE_KEY_SIZE: Final = 32  # bytes
ADDRESS_SIZE: Final = 20  # bytes
URI_PREFIX: Final = "st:eth:0x"
URI_LENGTH: Final = len(URI_PREFIX) + 4 * PUBLIC_KEY_SIZE


class StealthError(Exception):
    """Something is wrong with a stealth address."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").splitlines()[0]


class InvalidPublicKey(StealthError, ValueError):
    """This is not a compressed public key on the curve secp256k1."""


class InvalidPrivateKey(StealthError, ValueError):
    """This is not a private key of the curve secp256k1."""


class InvalidMetaAddress(StealthError, ValueError):
    """This is not a stealth meta-address: it must be st:eth:0x and 132 lower-case hex digits."""


class DegenerateKeys(StealthError, ValueError):
    """These keys cancel each other out and make no address."""


class NotPaidToUs(StealthError):
    """This announcement is of a payment to somebody else."""


def _public(data: bytes) -> PublicKey:
    # coincurve takes uncompressed and hybrid points too, so the size comes first
    if len(data) != PUBLIC_KEY_SIZE:
        raise InvalidPublicKey
    try:
        return PublicKey(data)
    except ValueError:
        raise InvalidPublicKey from None


def _private(data: bytes) -> PrivateKey:
    # coincurve pads short scalars, so the size comes first
    if len(data) != PRIVATE_KEY_SIZE:
        raise InvalidPrivateKey
    try:
        return PrivateKey(data)
    except ValueError:
        raise InvalidPrivateKey from None


def _shared(point: PublicKey, scalar: bytes) -> bytes:
    return keccak(point.multiply(scalar).format())


def _add_base(point: PublicKey, scalar: bytes) -> PublicKey:
    try:
        return point.add(scalar)
    except ValueError:  # the scalar is 0 or too large, or the sum is the point at infinity
        raise DegenerateKeys from None


def _address(point: PublicKey) -> bytes:
    return keccak(point.format(compressed=False)[1:])[-ADDRESS_SIZE:]


def checksum_address(address: bytes) -> str:
    """Return the text of a 20-byte address, its letters in the case that EIP-55 wants."""
    digits = address.hex()
    marks = keccak(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if mark >= "8" else digit for digit, mark in zip(digits, marks, strict=False)
    )


def public_key(private_key: bytes) -> bytes:
    """Return the public key (33 bytes) of a private key (32 bytes).

    Raises:
        InvalidPrivateKey: wrong size, zero, or not below the order of the curve.
    """
    return _private(private_key).public_key.format()


def address_of(private_key: bytes) -> str:
    """Return the checksummed address that a private key (32 bytes) spends from.

    Raises:
        InvalidPrivateKey: wrong size, zero, or not below the order of the curve.
    """
    return checksum_address(_address(_private(private_key).public_key))


def _check_point(_instance: object, _field: object, data: bytes) -> None:
    _public(data)


@attrs.frozen
class MetaAddress:
    """What a payee publishes; anybody can make stealth addresses of theirs with it.

    Attributes:
        spending_public_key: K, 33 bytes.
        viewing_public_key: V, 33 bytes.

    Raises:
        InvalidPublicKey: one of them is not a point of the curve.
    """

    spending_public_key: bytes = attrs.field(validator=_check_point)
    viewing_public_key: bytes = attrs.field(validator=_check_point)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``st:eth:0x…``: only the one spelling that ``str()`` gives.

        Raises:
            InvalidMetaAddress: another prefix, length or spelling, or keys that are no points.
        """
        if len(text) != URI_LENGTH or not text.startswith(URI_PREFIX):
            raise InvalidMetaAddress
        try:
            keys = bytes.fromhex(text[len(URI_PREFIX) :])
            meta = cls(keys[:PUBLIC_KEY_SIZE], keys[PUBLIC_KEY_SIZE:])
        except ValueError:  # InvalidPublicKey is one too
            raise InvalidMetaAddress from None
        if str(meta) != text:
            raise InvalidMetaAddress
        return meta

    def __str__(self) -> str:
        return f"{URI_PREFIX}{bytes(self).hex()}"

    def __bytes__(self) -> bytes:
        """Return both keys, 66 bytes, as the registry of ERC-6538 stores them."""
        return self.spending_public_key + self.viewing_public_key


@attrs.frozen
class StealthPayment:
    """Where to pay, and what to announce.

    Attributes:
        stealth_address: checksummed.
        ephemeral_public_key: R, 33 bytes.
        view_tag: 0 to 255; the first byte of the announcement's metadata.
    """

    stealth_address: str
    ephemeral_public_key: bytes
    view_tag: int


def generate(meta: MetaAddress, ephemeral_private_key: bytes) -> StealthPayment:
    """Make the address for one payment.

    Args:
        meta: of the payee.
        ephemeral_private_key: r, 32 bytes; fresh and secret for each payment: whoever knows it
            can link the payment to the payee.

    Raises:
        InvalidPrivateKey: r is no private key.
        DegenerateKeys: the keys cancel out; draw another r.
    """
    ephemeral = _private(ephemeral_private_key)
    secret = _shared(_public(meta.viewing_public_key), ephemeral.secret)
    point = _add_base(_public(meta.spending_public_key), secret)
    return StealthPayment(
        checksum_address(_address(point)), ephemeral.public_key.format(), secret[0]
    )


def stealth_private_key(
    spending_private_key: bytes, viewing_private_key: bytes, ephemeral_public_key: bytes
) -> bytes:
    """Return the private key (32 bytes) of a payment's stealth address.

    Never let it leave the process: together with the shared secret, which the payer knows, it
    yields the spending key of every other payment.

    Raises:
        InvalidPrivateKey: a private key is none.
        InvalidPublicKey: R is no point of the curve.
        DegenerateKeys: the keys cancel out.
    """
    secret = _shared(_public(ephemeral_public_key), _private(viewing_private_key).secret)
    try:
        return _private(spending_private_key).add(secret).secret
    except InvalidPrivateKey:
        raise
    except ValueError:
        raise DegenerateKeys from None


class Announced(Protocol):
    """The fields of an ERC-5564 announcement that a scan looks at."""

    @property
    def scheme_id(self) -> int:
        """Which scheme it was made by."""

    @property
    def stealth_address(self) -> str:
        """``0x`` and 40 hex digits."""

    @property
    def ephemeral_public_key(self) -> bytes:
        """What the announcer says R is: any bytes."""

    @property
    def metadata(self) -> bytes:
        """What the announcer says: any bytes, the view tag first."""


A = TypeVar("A", bound=Announced)


def scan(
    viewing_private_key: bytes, spending_public_key: bytes, announcements: Iterable[A]
) -> Iterator[A]:
    """Yield those announcements that are of payments to us, in their order.

    What is malformed is not ours: nothing an announcer writes raises. One multiplication for
    each announcement; the rest only for those whose view tag fits.

    Raises:
        InvalidPrivateKey: v is no private key; on the first step.
        InvalidPublicKey: K is no point of the curve; on the first step.
    """
    viewing = _private(viewing_private_key).secret
    spending = _public(spending_public_key)
    for announcement in announcements:
        if _is_ours(viewing, spending, announcement):
            yield announcement


def _is_ours(viewing: bytes, spending: PublicKey, announcement: Announced) -> bool:
    metadata, ephemeral = announcement.metadata, announcement.ephemeral_public_key
    if announcement.scheme_id != SCHEME_ID or not metadata or len(ephemeral) != PUBLIC_KEY_SIZE:
        return False
    try:
        secret = keccak(PublicKey(ephemeral).multiply(viewing).format())
        if secret[0] != metadata[0]:
            return False
        address = _address(spending.add(secret)).hex()
    except ValueError:
        return False
    return announcement.stealth_address.lower() == f"0x{address}"


def check(viewing_private_key: bytes, spending_public_key: bytes, announcement: Announced) -> None:
    """Make sure that one announcement is of a payment to us.

    Raises:
        NotPaidToUs: it is not, or it is malformed.
        InvalidPrivateKey: v is no private key.
        InvalidPublicKey: K is no point of the curve.
    """
    for _ours in scan(viewing_private_key, spending_public_key, [announcement]):
        return
    raise NotPaidToUs

"""The checked form of a v3 onion address."""

import attrs
from nacl.bindings import crypto_core_ed25519_is_valid_point
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3

from onion.errors import AddressError

PUBLIC_KEY_SIZE = 32  # bytes; rend-spec-v3 [ONIONADDRESS]
LABEL_SIZE = 56  # characters of base32 before ".onion"
SUFFIX = ".onion"


def _check_key(_instance: object, _field: object, key: bytes) -> None:
    if not isinstance(key, bytes) or len(key) != PUBLIC_KEY_SIZE:
        raise AddressError(f"a public key has {PUBLIC_KEY_SIZE} bytes")
    # rend-spec-v3 has clients refuse keys with a torsion component: several such keys answer
    # for one service. libsodium also refuses points that are not canonical or of small order.
    if not crypto_core_ed25519_is_valid_point(key):
        raise AddressError("its public key is not a point of the Ed25519 group")


@attrs.frozen(order=True, repr=False)
class OnionAddress:
    """A v3 onion address whose key, checksum and version have been checked.

    Attributes:
        public_key: Ed25519 public key of the service, 32 bytes.

    Raises:
        AddressError: the key has a wrong size or is not a point of the prime-order group.
    """

    public_key: bytes = attrs.field(validator=_check_key)

    @classmethod
    def parse(cls, text: str) -> "OnionAddress":
        """Read an address of 56 characters, with or without ".onion", in any case.

        Raises:
            AddressError: wrong length, alphabet, checksum, version or key.
        """
        label = text.lower().removesuffix(SUFFIX)
        if len(label) != LABEL_SIZE or not label.isascii():
            raise AddressError(f"an address has {LABEL_SIZE} characters before {SUFFIX}")
        try:
            key = HiddenServiceDescriptorV3.identity_key_from_address(label)
        except ValueError as error:
            raise AddressError("its characters or its checksum are wrong") from error
        address = cls(key)
        # stem does not look at the version byte; writing the address anew settles that.
        if address.host != label + SUFFIX:
            raise AddressError("it is not a version 3 address")
        return address

    @classmethod
    def from_public_key(cls, key: bytes) -> "OnionAddress":
        """The address of the service with this Ed25519 public key, 32 bytes.

        Raises:
            AddressError: not a usable Ed25519 public key.
        """
        return cls(key)

    @property
    def host(self) -> str:
        """The host name: 56 lower-case base32 characters and ".onion"."""
        return str(HiddenServiceDescriptorV3.address_from_identity_key(self.public_key))

    def __str__(self) -> str:
        return self.host

    def __repr__(self) -> str:
        return f"OnionAddress({self.host!r})"

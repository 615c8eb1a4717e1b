"""An account whose private key is in memory: for deploying, and for chains of one's own."""

from collections.abc import Mapping
from typing import Any

import attrs

from bitsnode.errors import BitsError


class BadKey(BitsError):
    """This is not a private key: 32 bytes, neither zero nor too large."""


@attrs.frozen
class LocalKey:
    """Signs transactions.

    Args:
        key: of secp256k1, 32 bytes.

    Raises:
        BadKey: it is not one.
    """

    _key: bytes = attrs.field(repr=False)
    address: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Find the address, which checks the key."""
        from eth_keys.datatypes import PrivateKey
        from eth_utils.exceptions import ValidationError

        try:
            address = PrivateKey(self._key).public_key.to_checksum_address()
        except (ValidationError, ValueError) as error:
            raise BadKey from error
        object.__setattr__(self, "address", address)

    def sign_transaction(self, fields: Mapping[str, Any]) -> bytes:
        """Return the signed transaction (EIP-1559 where it has such fees), ready to be sent."""
        from eth_account import Account

        return bytes(Account.sign_transaction(dict(fields), self._key).raw_transaction)

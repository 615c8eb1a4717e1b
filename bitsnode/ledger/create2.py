"""Addresses that are known before a contract is there: CREATE2 (EIP-1014), by a known proxy.

The deterministic deployment proxy is found at the same address on nearly every EVM chain
(https://github.com/Arachnid/deterministic-deployment-proxy), and in the first block of a chain of
our own.
"""

import hashlib
from typing import Final

PROXY: Final = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
PROXY_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)


def salt_of(name: str) -> bytes:
    """Return the salt, 32 bytes, of a contract of bits: two with the same code stay two."""
    return hashlib.sha256(b"bits/deploy/v1/" + name.encode()).digest()


def create2_address(salt: bytes, init_code: bytes) -> str:
    """Return where the proxy creates a contract, checksummed."""
    from eth_utils.address import to_checksum_address
    from eth_utils.crypto import keccak

    packed = b"\xff" + bytes.fromhex(PROXY[2:]) + salt + keccak(init_code)
    return str(to_checksum_address(keccak(packed)[12:]))

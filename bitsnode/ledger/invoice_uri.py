"""What a wallet reads from a QR code: a request for a plain transfer, as text. Pure.

ERC-681 (https://eips.ethereum.org/EIPS/eip-681): the scheme, the address, "@" and the chain, and
the sum in wei. Nothing else is in it: no name, no memo, no data.
"""

from zk.stealth import checksum_address


def payment_uri(address: str, chain_id: int, value: int) -> str:
    """Return the text for a transfer.

    Args:
        address: 20 bytes in hex with 0x; written with the checksum of EIP-55.
        chain_id: as in EIP-155; decimal in the text.
        value: wei; decimal in the text, as not every wallet reads the ERC's exponents.
    """
    checked = checksum_address(bytes.fromhex(address.removeprefix("0x")))
    return f"ethereum:{checked}@{chain_id}?value={value}"

"""ERC-5564 announcements, read strictly from logs. Pure."""

from typing import Final

import attrs

from bitsnode.ledger.answers import Log

# keccak256("Announcement(uint256,address,address,bytes,bytes)"); ERC-5564
ANNOUNCEMENT: Final = bytes.fromhex(
    "5f0eab8057630ba7676c49b4f21a0231414e79474595be8e4c432fbf6bf0f4e7"
)
KEY_SIZE: Final = 33  # bytes of a compressed secp256k1 point
MAX_METADATA: Final = 1024  # bytes; the first one is the view tag
MAX_SCHEME: Final = 1 << 63
WORD: Final = 32  # bytes of the ABI encoding
_KEY_AT: Final = 2 * WORD  # behind the two offsets
_METADATA_AT: Final = _KEY_AT + WORD + 2 * WORD  # behind the key's length and its padded bytes


@attrs.frozen(order=True)
class Cursor:
    """A place in the chain: block number, and number of the log in the block."""

    block: int
    log_index: int


@attrs.frozen
class Announcement:
    """Somebody says that a stealth address was paid.

    Attributes:
        cursor: where in the chain.
        transaction: hash, 32 bytes.
        scheme_id: 1 for secp256k1 with view tags.
        stealth_address: 20 bytes in hex with 0x, lower-case.
        caller: who says so, 20 bytes in hex with 0x, lower-case.
        ephemeral_public_key: 33 bytes, beginning with 2 or 3; not checked to be on the curve.
        metadata: 1 to `MAX_METADATA` bytes, the first being the view tag.
    """

    cursor: Cursor
    transaction: bytes
    scheme_id: int
    stealth_address: str
    caller: str
    ephemeral_public_key: bytes
    metadata: bytes = attrs.field(repr=False)


def read_announcement(log: Log) -> Announcement | None:
    """The announcement that a log of the announcer is; None if it is none that can be used.

    Anybody may announce anything, so a malformed one is nothing to fail at.
    """
    if len(log.topics) != 4 or log.topics[0] != ANNOUNCEMENT:
        return None
    scheme_id = int.from_bytes(log.topics[1], "big")
    stealth, caller = (_address(topic) for topic in log.topics[2:])
    parts = _parts(log.data)
    if stealth is None or caller is None or parts is None or scheme_id >= MAX_SCHEME:
        return None
    key, metadata = parts
    cursor = Cursor(log.block, log.index)
    return Announcement(cursor, log.transaction, scheme_id, stealth, caller, key, metadata)


def _address(topic: bytes) -> str | None:
    return None if any(topic[:12]) else "0x" + topic[12:].hex()


def _parts(data: bytes) -> tuple[bytes, bytes] | None:
    """Key and metadata, if they are encoded as the ABI specification has contracts do it."""
    if len(data) < _METADATA_AT + 2 * WORD:
        return None
    words = [int.from_bytes(data[at : at + WORD], "big") for at in (0, WORD, _KEY_AT, _METADATA_AT)]
    key_at, metadata_at, key_size, metadata_size = words
    if (key_at, metadata_at, key_size) != (_KEY_AT, _METADATA_AT, KEY_SIZE):
        return None
    if not 1 <= metadata_size <= MAX_METADATA:
        return None
    key_end = _KEY_AT + WORD + KEY_SIZE
    metadata_end = _METADATA_AT + WORD + metadata_size
    padded_end = _METADATA_AT + WORD + -(-metadata_size // WORD) * WORD
    if len(data) != padded_end or any(data[key_end:_METADATA_AT]) or any(data[metadata_end:]):
        return None
    key = data[_KEY_AT + WORD : key_end]
    return (key, data[_METADATA_AT + WORD : metadata_end]) if key[0] in (2, 3) else None

"""The bloom filter of a block's logs: whether they can be, or surely are, from a contract. Pure.

Source: Yellow Paper section 4.4.1; each address and topic sets three of 2048 bits.
"""

from collections.abc import Iterable
from typing import Final

from eth_hash.auto import keccak

from bitsnode.ledger.answers import BLOOM_SIZE

BITS: Final = 8 * BLOOM_SIZE
BITS_PER_ITEM: Final = 3
CHANCE_LIMIT: Final = 1e-6  # above this chance of being mistaken a filter proves nothing


def bloom_of(items: Iterable[bytes]) -> bytes:
    """The filter, 256 bytes, of addresses (20 bytes) and topics (32 bytes)."""
    value = 0
    for item in items:
        value |= _mask(item)
    return value.to_bytes(BLOOM_SIZE, "big")


def may_hold(bloom: bytes, item: bytes) -> bool:
    """Whether a log with this address or topic can be in the block; False is certain."""
    mask = _mask(item)
    return int.from_bytes(bloom, "big") & mask == mask


def surely_holds(bloom: bytes, address: bytes, topics: Iterable[bytes]) -> bool:
    """Whether the filter shows a log of this address with one of these first topics.

    A full filter matches by chance, so it counts only while that chance is below `CHANCE_LIMIT`.
    """
    if not may_hold(bloom, address):
        return False
    candidates = list(topics)
    fill = int.from_bytes(bloom, "big").bit_count() / BITS
    chance = fill ** (2 * BITS_PER_ITEM) * len(candidates)
    return chance < CHANCE_LIMIT and any(may_hold(bloom, topic) for topic in candidates)


def _mask(item: bytes) -> int:
    digest = keccak(item)
    mask = 0
    for start in range(0, 2 * BITS_PER_ITEM, 2):
        mask |= 1 << (int.from_bytes(digest[start : start + 2], "big") % BITS)
    return mask

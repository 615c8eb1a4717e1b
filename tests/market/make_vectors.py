"""Writes tests/vectors/market_formats.json: run it only to add a vector, never to change one.

python tests/market/make_vectors.py
"""

import json
from pathlib import Path
from typing import Any

import attrs

from bitsnode.market.complaint import write_complaint
from bitsnode.market.receipt import KeyQuestion
from bitsnode.market.sealing import seal_for_buyer, seal_for_custody
from bitsnode.market.shares import share_commitment
from bitsnode.market.testing import (
    CHAIN_ID,
    NOW,
    PUBLISHER_SEED,
    SECRET,
    VOUCHERS,
    WHITENING,
    buy,
    custody_key,
    holders_of,
    make_offer,
    sign,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "market_formats.json"
SLOPE = bytes(range(32, 48))  # the coefficient of x: shares are SECRET + SLOPE * x
POLYNOMIAL = (1 << 128) | 0x87


def share(index: int) -> bytes:
    """Share of an index, by FORMATS.md: carry-less, without PyCryptodome."""
    product, factor = 0, int.from_bytes(SLOPE, "big")
    for bit in range(index.bit_length()):
        if index >> bit & 1:
            product ^= factor << bit
    for bit in range(product.bit_length() - 1, 127, -1):
        if product >> bit & 1:
            product ^= POLYNOMIAL << (bit - 128)
    return (product ^ int.from_bytes(SECRET, "big")).to_bytes(16, "big")


def main() -> None:
    """Write the file."""
    shares = tuple(share(index) for index in range(1, 6))
    offer, _drawn = make_offer(2, 5)
    signed = sign(attrs.evolve(offer, holders=holders_of(shares)))
    purchase = buy(signed)
    question = KeyQuestion(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, NOW, purchase.receipt.dump())
    vectors: dict[str, Any] = {
        "source": "made for bits: there is no other implementation yet",
        "generator": "tests/market/make_vectors.py",
        "checked_by": (
            "tests/market/test_vectors.py: shares by arithmetic of its own, hashes by hashlib,"
            " signatures by cryptography 50, HPKE by its parts of RFC 9180, messages by eth_abi"
        ),
        "publisher_seed": PUBLISHER_SEED.hex(),
        "secret": SECRET.hex(),
        "whitening": WHITENING.hex(),
        "shares": [each.hex() for each in shares],
        "commitments": [share_commitment(i, each).hex() for i, each in enumerate(shares, 1)],
        "offer": {"data": signed.data.hex(), "hash": signed.hash.hex()},
        "receipt": {
            "data": purchase.receipt.dump().hex(),
            "tag": purchase.receipt.tag.hex(),
            "message": purchase.receipt.message(CHAIN_ID, VOUCHERS).hex(),
        },
        "question": {
            "receipt_seed": purchase.seed.hex(),
            "expires": NOW,
            "signature": question.sign(purchase.seed).hex(),
        },
    }
    made = write_complaint(signed, purchase.receipt, purchase.seed, "Not my taste.", NOW)
    vectors["complaint"] = {"data": made.hex()}
    public = custody_key(1).public_key().public_bytes_raw()
    vectors["sealed"] = {
        "private_key": custody_key(1).private_bytes_raw().hex(),
        "index": 1,
        "custody": seal_for_custody(public, signed.hash, 1, shares[0]).hex(),
        "key_share": seal_for_buyer(public, signed.hash, 1, shares[0]).hex(),
    }
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()

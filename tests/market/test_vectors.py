"""The bytes of offers and receipts are written down, and other code than ours agrees with them."""

import hashlib
import hmac
import json
from itertools import combinations
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from eth_abi.abi import encode
from eth_hash.auto import keccak

from bitsnode.market.complaint import CheckedComplaint
from bitsnode.market.offer import SignedOffer
from bitsnode.market.receipt import KeyQuestion, Receipt
from bitsnode.market.sealing import open_for_buyer, open_for_custody
from bitsnode.market.shares import combine
from bitsnode.market.testing import CHAIN_ID, VOUCHERS
from bitsnode.wire import cbor

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "market_formats.json").read_text())
OFFER = bytes.fromhex(VECTORS["offer"]["data"])
RECEIPT = bytes.fromhex(VECTORS["receipt"]["data"])
SECRET = bytes.fromhex(VECTORS["secret"])
SHARES = [bytes.fromhex(each) for each in VECTORS["shares"]]


def test_an_offer_has_exactly_these_bytes() -> None:
    """It parses; fields, name, commitments and signature are those of FORMATS.md."""
    signed = SignedOffer.parse(OFFER)
    payload, signature = cbor.decode(OFFER, 1 << 13)
    fields = cbor.decode(payload, 1 << 13)
    assert len(fields) == 17
    assert signed.hash.hex() == VECTORS["offer"]["hash"]
    assert signed.hash == hashlib.sha256(b"bits/offer/v1" + payload).digest()
    assert int.from_bytes(fields[6], "big") == signed.offer.price == 10**15
    Ed25519PublicKey.from_public_bytes(fields[2]).verify(signature, b"bits/offer/v1" + payload)
    for index, (share, holder) in enumerate(zip(SHARES, fields[12], strict=True), 1):
        text = b"bits/key-share-commitment/v1" + bytes([index]) + share
        assert hashlib.sha256(text).digest() == holder[2]
        assert holder[2].hex() == VECTORS["commitments"][index - 1]
    text = b"bits/content-secret-commitment/v1" + SECRET
    assert hashlib.sha256(text).digest() == fields[13]
    key = HKDF(SHA256(), 32, None, b"bits/offer-whitening/v1").derive(SECRET)
    assert ChaCha20Poly1305(key).decrypt(bytes(12), fields[14], None).hex() == VECTORS["whitening"]


def test_shares_made_by_other_arithmetic_make_the_secret() -> None:
    """Those on record were computed by the polynomial of FORMATS.md, not by PyCryptodome."""
    offer = SignedOffer.parse(OFFER).offer
    for chosen in combinations(range(1, 6), 2):
        assert combine(offer, {index: SHARES[index - 1] for index in chosen}) == SECRET


def test_a_receipt_has_exactly_these_bytes() -> None:
    """It parses, comes back the same, and its tag and message are what the ABI says."""
    receipt = Receipt.parse(RECEIPT)
    assert receipt.dump() == RECEIPT
    parts = [receipt.offer_hash, receipt.public_key, receipt.salt]
    assert keccak(encode(["bytes32"] * 3, parts)) == receipt.tag
    assert receipt.tag.hex() == VECTORS["receipt"]["tag"]
    fields = (
        "0x" + receipt.payee.hex(),
        receipt.ephemeral_public_key[0],
        receipt.ephemeral_public_key[1:],
        bytes([receipt.view_tag]),
        receipt.tag,
        "0x" + receipt.relayer.hex(),
        receipt.fee,
        receipt.deadline,
    )
    struct = "(address,uint8,bytes32,bytes1,bytes32,address,uint96,uint64)"
    message = keccak(
        encode(
            ["uint256", "address", struct, "uint256[]", "uint256[]"],
            [CHAIN_ID, "0x" + VOUCHERS.hex(), fields, receipt.groups, receipt.nullifiers],
        )
    )
    assert message.hex() == VECTORS["receipt"]["message"]
    assert receipt.message(CHAIN_ID, VOUCHERS) == message


def test_a_complaint_has_exactly_these_bytes() -> None:
    """Offer, receipt, words and day in FORMATS.md's order, signed by the receipt's key."""
    data = bytes.fromhex(VECTORS["complaint"]["data"])
    assert CheckedComplaint.parse(data).complaint.text == "Not my taste."
    payload, signature = cbor.decode(data, 1 << 14)
    version, offer, receipt, shares, text, written = cbor.decode(payload, 1 << 14)
    assert (version, shares, text, written % 86_400) == (1, [], "Not my taste.", 0)
    assert offer == OFFER
    assert receipt == RECEIPT
    key = Ed25519PublicKey.from_public_bytes(Receipt.parse(receipt).public_key)
    key.verify(signature, b"bits/complaint/v1" + payload)


def test_a_question_has_exactly_this_signature() -> None:
    """Ed25519 by the receipt's key over the text of PROTOCOL.md §10."""
    vector = VECTORS["question"]
    seed, expires = bytes.fromhex(vector["receipt_seed"]), vector["expires"]
    text = (
        b"bits/key-request/v1"
        + b"\x01" * 32
        + b"\x02" * 32
        + b"\x03" * 32
        + expires.to_bytes(8, "big")
        + hashlib.sha256(RECEIPT).digest()
    )
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text)
    assert signature.hex() == vector["signature"]
    question = KeyQuestion(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, expires, RECEIPT)
    question.check(Receipt.parse(RECEIPT).public_key, signature)


def extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    """LabeledExtract of RFC 9180 §4."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")


def expand(suite: bytes, key: bytes, label: bytes, info: bytes, size: int) -> bytes:
    """LabeledExpand of RFC 9180 §4."""
    text = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return HKDFExpand(SHA256(), size, text).derive(key)


def hpke_open(private_key: bytes, info: bytes, sealed: bytes) -> bytes:
    """Open in base mode, as RFC 9180 §§4.1, 5.1 and 6.1 have it."""
    key = X25519PrivateKey.from_private_bytes(private_key)
    shared = key.exchange(X25519PublicKey.from_public_bytes(sealed[:32]))
    kem = b"KEM" + b"\x00\x20"
    context = sealed[:32] + key.public_key().public_bytes_raw()
    secret = expand(kem, extract(kem, b"", b"eae_prk", shared), b"shared_secret", context, 32)
    suite = b"HPKE" + b"\x00\x20\x00\x01\x00\x03"
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"")
    context += extract(suite, b"", b"info_hash", info)
    schedule = extract(suite, secret, b"secret", b"")
    nonce = expand(suite, schedule, b"base_nonce", context, 12)
    reader = ChaCha20Poly1305(expand(suite, schedule, b"key", context, 32))
    return reader.decrypt(nonce, sealed[32:], b"")


def test_sealed_shares_open_by_the_parts_of_rfc_9180() -> None:
    """With the info of PROTOCOL.md §10, without cryptography's HPKE; and ours opens them, too."""
    vector = VECTORS["sealed"]
    key = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["private_key"]))
    name, index = bytes.fromhex(VECTORS["offer"]["hash"]), vector["index"]
    for context, field, opened in (
        (b"bits/custody/v1", "custody", open_for_custody),
        (b"bits/key-share/v1", "key_share", open_for_buyer),
    ):
        sealed = bytes.fromhex(vector[field])
        info = context + name + bytes([index])
        assert hpke_open(key.private_bytes_raw(), info, sealed) == SHARES[0]
        assert opened(key, name, index, sealed) == SHARES[0]

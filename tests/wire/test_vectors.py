"""The bytes of every message are written down: a change of format cannot pass unnoticed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bitsnode.wire import cbor, market_messages, messages, relay_messages, warm_messages
from bitsnode.wire.card import SignedCard
from bitsnode.wire.envelope import Envelope, Kind, from_body, to_frame
from bitsnode.wire.record import SignedRecord
from bitsnode.wire.registry import REQUESTS
from bitsnode.wire.schema import from_map, to_map

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "wire_messages.json").read_text())


def read(value: Any) -> Any:
    """Return a field from its form in JSON."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return tuple(read(item) for item in value) if isinstance(value, list) else value


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda vector: vector["class"])
def test_a_message_has_exactly_these_bytes(vector: dict[str, Any]) -> None:
    """Every message is encoded to the bytes on record, and decoded from them."""
    modules = (messages, market_messages, relay_messages, warm_messages)
    cls = next(found for module in modules if (found := getattr(module, vector["class"], None)))
    message = cls(**{name: read(value) for name, value in vector["fields"].items()})
    frame = bytes.fromhex(vector["frame"])
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    envelope = from_body(frame[4:])
    assert from_map(cls, envelope.body) == message
    assert to_frame(attrs.evolve(envelope, body=to_map(message))) == frame
    kinds = {"Hello": Kind.HELLO, "Failure": Kind.FAILURE}
    other = Kind.REQUEST if hasattr(cls, "TYPE") else Kind.REPLY
    assert envelope.kind == kinds.get(vector["class"], other)
    assert envelope.type == getattr(cls, "TYPE", 0)


def test_every_message_has_a_vector() -> None:
    """A new message class needs a vector before this passes."""
    known = {cls.__name__ for request in REQUESTS for cls in (request, request.REPLY)}
    known |= {"Hello", "Failure"}
    assert {vector["class"] for vector in VECTORS["messages"]} == known
    defined = {
        name
        for module in (messages, market_messages, relay_messages, warm_messages)
        for name, cls in vars(module).items()
        if attrs.has(cls) and cls.__module__ == module.__name__
    }
    assert defined == known


def test_the_header_says_how_they_were_made() -> None:
    """Home-made vectors name their maker and what checked them, and hold nothing unknown."""
    assert VECTORS.keys() == {
        "source",
        "generator",
        "checked_by",
        "messages",
        "card",
        "record",
    }


def signed(vector: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return the payload and the signature of a signed object."""
    payload, signature = cbor.decode(bytes.fromhex(vector["data"]), 1 << 16)
    return payload, signature


def test_a_card_has_exactly_these_bytes() -> None:
    """The card on record parses, and its parts check out by other code than ours."""
    vector = VECTORS["card"]
    found = SignedCard.parse(
        bytes.fromhex(vector["data"]), network="local", puzzle_bits=8, now=1_799_999_000
    )
    fields = {name: read(value) for name, value in vector["fields"].items()}
    assert attrs.asdict(found.card) == fields
    payload, signature = signed(vector)
    key = Ed25519PublicKey.from_public_bytes(fields["onion_key"])
    key.verify(signature, b"bits/node-card/v1" + payload)
    proof = hashlib.sha256(b"bits/card-puzzle/v1" + fields["onion_key"] + fields["nonce"]).digest()
    assert proof[0] == 0
    node_id = hashlib.sha256(b"bits/node-id/v1" + proof).hexdigest()
    assert found.card.node_id.hex() == vector["node_id"] == node_id


def test_a_record_has_exactly_these_bytes() -> None:
    """The record on record parses, and its parts check out by other code than ours."""
    vector = VECTORS["record"]
    found = SignedRecord.parse(bytes.fromhex(vector["data"]), puzzle_bits=4, now=1_799_999_000)
    fields = {name: read(value) for name, value in vector["fields"].items()}
    assert attrs.asdict(found.record) == fields
    payload, signature, owned = cbor.decode(bytes.fromhex(vector["data"]), 1 << 16)
    key = Ed25519PublicKey.from_public_bytes(fields["public_key"])
    key.verify(signature, b"bits/record/v2" + payload)
    owner = Ed25519PublicKey.from_public_bytes(fields["slot_key"])
    owner.verify(owned, b"bits/record-slot-signature/v1" + payload)
    slot = hashlib.sha256(b"bits/record-slot/v1" + fields["slot_key"]).hexdigest()[:32]
    assert found.record.slot.hex() == vector["slot"] == slot
    dht_key = hashlib.sha256(b"bits/record-key/v1" + fields["public_key"]).hexdigest()
    assert found.record.key.hex() == vector["key"] == dht_key
    proof = hashlib.sha256(
        b"bits/record-puzzle/v2"
        + fields["public_key"]
        + fields["slot_key"]
        + bytes([fields["kind"]])
        + fields["sequence"].to_bytes(8, "big")
        + fields["expires"].to_bytes(8, "big")
        + hashlib.sha256(fields["value"]).digest()
        + hashlib.sha256(fields["salt"]).digest()
        + fields["nonce"]
    ).digest()
    assert proof[0] < 16


def test_envelopes_differ_by_kind() -> None:
    """The same body in another envelope is another frame."""
    frames = {
        to_frame(Envelope(Kind.HELLO, {})),
        to_frame(Envelope(Kind.REQUEST, {}, 1, 1)),
        to_frame(Envelope(Kind.REPLY, {}, 1)),
        to_frame(Envelope(Kind.FAILURE, {}, 1)),
    }
    assert len(frames) == 4

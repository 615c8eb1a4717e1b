"""Writes tests/vectors/wire_messages.json: run it only to add a message, never to change one.

python tests/wire/make_vectors.py
"""

import json
from pathlib import Path
from typing import Any

import attrs

from bitsnode.wire.card import NodeCard, SignedCard, solve_puzzle
from bitsnode.wire.envelope import Envelope, Kind, to_frame
from bitsnode.wire.market_messages import (
    AskChallenge,
    Challenge,
    KeyShare,
    PutKeyShare,
    RequestKey,
)
from bitsnode.wire.messages import (
    Allocate,
    Allocated,
    AskTerms,
    AttachRecords,
    Commit,
    Contacts,
    Data,
    Done,
    Failure,
    FailureCode,
    FindNode,
    FindValue,
    Hello,
    Part,
    Ping,
    PutData,
    PutRecord,
    ReadShare,
    Records,
    Terms,
)
from bitsnode.wire.record import Record, RecordKind, SignedRecord, record_key
from bitsnode.wire.relay_messages import (
    LEAST_CALL,
    SWEEP_CALL,
    AskRelay,
    RelayTerms,
    SubmitRedeem,
    SubmitSweep,
    Submitted,
)
from bitsnode.wire.schema import to_map
from bitsnode.wire.warm_messages import AskIndex, IndexPage, Pulled, PullRecords, Seek, Sought
from onion.keys import OnionKey

VECTORS = Path(__file__).parent.parent / "vectors" / "wire_messages.json"
CARD_SEED = bytes(range(32))
RECORD_SEED = bytes(range(32, 64))
SLOT_SEED = bytes(range(64, 96))
EXPIRES = 1_800_000_000  # seconds, a multiple of an hour
CARD_BITS = 8
RECORD_BITS = 4


def sample_card() -> SignedCard:
    """The card of a fixed seed."""
    key = OnionKey(CARD_SEED)
    nonce = solve_puzzle(key.public_key, CARD_BITS, 0, 1 << 16)
    assert nonce is not None
    card = NodeCard(1, "local", key.public_key, bytes(32), b"\x01" * 32, 3, nonce, 7, EXPIRES)
    return SignedCard.sign(card, key.sign)


def sample_record() -> SignedRecord:
    """The record of a fixed seed."""
    public = OnionKey(RECORD_SEED).public_key
    owner = OnionKey(SLOT_SEED).public_key
    record = Record(2, RecordKind.PROVIDER, public, owner, 9, EXPIRES, b"sealed", bytes(16), b"")
    return SignedRecord.sign(record.solved(RECORD_BITS), RECORD_SEED, SLOT_SEED)


def samples() -> list[Any]:
    """One message of each class, and of two what may be left out."""
    card, record = sample_card().data, sample_record().data
    digest, upload = bytes(range(100, 132)), bytes(range(200, 216))
    return [
        Hello((1,), "local", card),
        Hello((1, 2), "local", None),
        Failure(FailureCode.BUSY, 5),
        Ping(),
        Done(),
        FindNode(digest),
        Contacts((card,)),
        FindValue(digest),
        Records((record,), (card,)),
        PutRecord(record),
        AskTerms(),
        Terms(4, 1 << 28, 62 * 86400),
        Allocate(digest, 3, 2, 104_860, 17, 600, bytes(32), EXPIRES, bytes(16)),
        Allocated(upload, False, EXPIRES),
        PutData(upload, Part.SHARE, 262_144, b"whitened"),
        Commit(upload, (record,)),
        AttachRecords(digest, 3, (record,)),
        ReadShare(digest, 3, Part.MANIFEST, 0, 262_144),
        Data(b"sealed manifest", 15),
        PutKeyShare(b"signed offer", 3, b"\x03" * 64, b"\x0b" * 16),
        AskChallenge(digest),
        Challenge(b"\x04" * 32, EXPIRES),
        RequestKey(b"receipt", b"\x05" * 32, b"\x04" * 32, EXPIRES, b"\x06" * 64),
        KeyShare(3, b"\x07" * 64),
        AskRelay(),
        RelayTerms(b"\x08" * 20, (bytes(11) + b"\x05",), 13370042, b"\x09" * 20),
        SubmitRedeem(13370042, b"\x09" * 20, bytes(LEAST_CALL)),
        Submitted(b"\x0a" * 32),
        SubmitSweep(13370042, b"\x0b" * 20, bytes(SWEEP_CALL)),
        Seek(digest, 3),
        Sought((record,)),
        AskIndex(b"\x0c" * 8, 7),
        IndexPage(b"\x0c" * 8, (b"\x0d" * 10,), 8, True),
        PullRecords((b"\x0e" * 8,)),
        Pulled((record,)),
    ]


def envelope(message: Any) -> Envelope:
    """The message in the envelope it travels in, with the id 5."""
    if isinstance(message, Hello):
        return Envelope(Kind.HELLO, to_map(message))
    if isinstance(message, Failure):
        return Envelope(Kind.FAILURE, to_map(message), 5)
    if hasattr(message, "TYPE"):
        return Envelope(Kind.REQUEST, to_map(message), 5, message.TYPE)
    return Envelope(Kind.REPLY, to_map(message), 5)


def plain(value: Any) -> Any:
    """A field in JSON: bytes as hexadecimal digits in an object."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def main() -> None:
    """Write the file."""
    card, record = sample_card(), sample_record()
    vectors = {
        "source": "made for bits: there is no other implementation yet",
        "generator": "tests/wire/make_vectors.py",
        "checked_by": (
            "pycddl 0.6.4 against bitsnode/wire/messages.cddl; signatures and hashes by"
            " cryptography 50, which is not what makes them"
        ),
        "messages": [
            {
                "class": type(message).__name__,
                "fields": {k: plain(v) for k, v in attrs.asdict(message, recurse=False).items()},
                "frame": to_frame(envelope(message)).hex(),
            }
            for message in samples()
        ],
        "card": {
            "seed": CARD_SEED.hex(),
            "puzzle_bits": CARD_BITS,
            "fields": {k: plain(v) for k, v in attrs.asdict(card.card).items()},
            "data": card.data.hex(),
            "node_id": card.card.node_id.hex(),
        },
        "record": {
            "seed": RECORD_SEED.hex(),
            "puzzle_bits": RECORD_BITS,
            "fields": {k: plain(v) for k, v in attrs.asdict(record.record).items()},
            "data": record.data.hex(),
            "key": record_key(record.record.public_key).hex(),
            "slot_seed": SLOT_SEED.hex(),
            "slot": record.record.slot.hex(),
        },
    }
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()

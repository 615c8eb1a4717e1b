"""A storer keeps only records that are paid for, timely and signed by their key."""

from typing import Any

import attrs
import nacl.signing
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import Context, leading_zero_bits
from bitsnode.wire import cbor
from bitsnode.wire import record as record_module
from bitsnode.wire.card import HOUR, MAX_SKEW
from bitsnode.wire.record import (
    MAX_RECORD,
    MAX_RECORD_LIFETIME,
    MAX_SEQUENCE,
    MAX_VALUE,
    BadRecord,
    Record,
    RecordKind,
    SignedRecord,
    record_key,
)
from bitsnode.wire.schema import to_map
from onion.keys import OnionKey

NOW = 500_000 * HOUR
BITS = 4
KEY = OnionKey(b"r" * 32)
OWNER = OnionKey(b"s" * 32)
ORDER = 2**252 + 27742317777372353535851937790883648493  # L of RFC 8032 §5.1
BASE = bytes([0x58]) + bytes([0x66] * 31)  # B of RFC 8032 §5.1, encoded
IDENTITY = bytes([1]) + bytes(31)

RECORD = Record(
    version=2,
    kind=RecordKind.PROVIDER,
    public_key=KEY.public_key,
    slot_key=OWNER.public_key,
    sequence=5,
    expires=NOW + 24 * HOUR,
    value=b"sealed",
    nonce=bytes(16),
    salt=b"",
).solved(BITS)
SIGNED = SignedRecord.sign(RECORD, KEY.seed, OWNER.seed)


def parse(data: bytes) -> SignedRecord:
    """Check a record now."""
    return SignedRecord.parse(data, puzzle_bits=BITS, now=NOW)


def changed(**changes: Any) -> bytes:
    """The record with changes, paid for and signed again."""
    record = attrs.evolve(RECORD, **changes).solved(BITS)
    return SignedRecord.sign(record, KEY.seed, OWNER.seed).data


def both(payload: bytes, signature: bytes | None = None, owned: bytes | None = None) -> bytes:
    """A record of these bytes, with the signatures of its keys unless others are given."""
    signature = KEY.sign(Context.RECORD + payload) if signature is None else signature
    owned = OWNER.sign(Context.SLOT_SIGNATURE + payload) if owned is None else owned
    return cbor.encode([payload, signature, owned])


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts the signatures that are checked."""
    found: list[str] = []
    verify = nacl.signing.VerifyKey.verify

    def counted(*args: Any, **options: Any) -> bytes:
        found.append("verify")
        return verify(*args, **options)

    monkeypatch.setattr(record_module.nacl.signing.VerifyKey, "verify", counted)
    return found


def test_a_record_in_order_is_taken(steps: list[str]) -> None:
    """It comes back as it was signed, under the key of its public key."""
    assert parse(SIGNED.data) == SIGNED
    assert steps == ["verify", "verify"]
    assert SIGNED.record.key == record_key(KEY.public_key)


def test_the_largest_record_fits() -> None:
    """Every field at its largest, a signed record stays within its limit."""
    data = changed(value=bytes(MAX_VALUE), sequence=MAX_SEQUENCE, kind=RecordKind.PLACEMENT)
    assert len(data) <= MAX_RECORD
    assert parse(data).record.sequence == MAX_SEQUENCE


@pytest.mark.parametrize(
    "changes",
    [
        {"slot_key": OnionKey(b"t" * 32).public_key},
        {"salt": b"salt"},
        {"sequence": 6},
        {"expires": RECORD.expires + HOUR},
        {"value": b"other"},
        {"kind": RecordKind.PLACEMENT},
        {"public_key": OnionKey(b"o" * 32).public_key},
    ],
)
def test_d6_a_proof_pays_for_one_value_only(steps: list[str], changes: dict[str, Any]) -> None:
    """A nonce is of no use for another value, and that is found before any signature."""
    for number in range(100):  # a nonce that pays for the one and, as it happens, not the other
        paid = attrs.evolve(RECORD, nonce=bytes(15) + bytes([number])).solved(BITS)
        other = attrs.evolve(paid, **changes)
        if leading_zero_bits(other.proof()) < BITS:
            break
    data = SignedRecord.sign(other, KEY.seed, OWNER.seed).data
    with pytest.raises(BadRecord, match="puzzle"):
        parse(data)
    assert steps == []


@pytest.mark.parametrize(
    "expires",
    [NOW, NOW - HOUR, NOW + HOUR + 1, NOW + MAX_RECORD_LIFETIME + MAX_SKEW + HOUR],
)
def test_d4_an_untimely_record_is_refused(expires: int) -> None:
    """Expired, too far ahead, or not in whole hours."""
    with pytest.raises(BadRecord, match="expired or comes from a wrong clock"):
        parse(changed(expires=expires))


def test_d4_a_sequence_from_the_far_future_is_refused() -> None:
    """No sequence can be set that nobody could ever replace by a higher one."""
    body = {**to_map(RECORD), 5: 1 << 63}
    payload = cbor.encode(body)
    with pytest.raises(RemoteProtocolError):
        parse(both(payload))


def test_d4_a_signature_of_another_key_or_purpose_is_refused() -> None:
    """The key that names the record signs it, under the record's own context."""
    payload = cbor.encode(to_map(RECORD))
    for signature in (
        OnionKey(b"o" * 32).sign(Context.RECORD + payload),
        KEY.sign(payload),
        KEY.sign(Context.CARD + payload),
        bytes(64),
        b"",
    ):
        with pytest.raises(BadRecord, match="not signed"):
            parse(both(payload, signature))


def test_d4_a_slot_of_another_key_is_refused() -> None:
    """Who knows the content id, and with it the record's key, cannot write in another's slot."""
    payload = cbor.encode(to_map(RECORD))
    for owned in (KEY.sign(Context.SLOT_SIGNATURE + payload), OWNER.sign(Context.RECORD + payload)):
        with pytest.raises(BadRecord, match="not signed"):
            parse(both(payload, owned=owned))
    assert parse(both(payload)).record == RECORD


def test_a_feed_is_its_owners_alone() -> None:
    """A feed's slot key is its public key; other kinds have no salt."""
    feed = attrs.evolve(RECORD, kind=RecordKind.FEED, slot_key=KEY.public_key, salt=b"shop")
    feed = feed.solved(BITS)
    found = parse(SignedRecord.sign(feed, KEY.seed, KEY.seed).data)
    assert found.record.key == record_key(KEY.public_key, b"shop") != record_key(KEY.public_key)
    with pytest.raises(BadRecord, match="slot that is not its owner's"):
        parse(changed(kind=RecordKind.FEED))
    with pytest.raises(BadRecord, match="salt"):
        parse(changed(salt=b"shop"))


def test_d4_a_malleable_signature_is_refused() -> None:
    """S + L must not pass as a second signature of the same record."""
    payload, signature, owned = cbor.decode(SIGNED.data, MAX_RECORD)
    s = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(BadRecord, match="not signed"):
        parse(both(payload, signature[:32] + s.to_bytes(32, "little"), owned))
    s = int.from_bytes(owned[32:], "little") + ORDER
    with pytest.raises(BadRecord, match="not signed"):
        parse(both(payload, signature, owned[:32] + s.to_bytes(32, "little")))


def test_d4_a_small_order_key_is_refused() -> None:
    """With the identity as key, R = B and S = 1 verify for any message in laxer code."""
    record = attrs.evolve(RECORD, public_key=IDENTITY).solved(BITS)
    payload = cbor.encode(to_map(record))
    signature = BASE + (1).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(IDENTITY).verify(signature, Context.RECORD + payload)
    with pytest.raises(BadRecord, match="not signed"):
        parse(both(payload, signature))
    payload = cbor.encode(to_map(attrs.evolve(RECORD, slot_key=IDENTITY).solved(BITS)))
    with pytest.raises(BadRecord, match="not signed"):
        parse(both(payload, owned=signature))


@given(st.integers(0, len(SIGNED.data) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused(position: int, change: int) -> None:
    """No byte of a signed record can be changed."""
    data = bytearray(SIGNED.data)
    data[position] ^= change
    with pytest.raises(RemoteProtocolError):
        parse(bytes(data))


@given(st.binary(max_size=600))
def test_p2_garbage_raises_one_error(data: bytes) -> None:
    """Whatever comes instead of a record is the sender's fault."""
    with pytest.raises(RemoteProtocolError):
        parse(data)

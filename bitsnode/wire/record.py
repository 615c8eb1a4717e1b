"""DHT records: small signed values that their storers cannot read.

Provider, placement and offer records live under the hash of a public key that is derived from the
content id and signed by it: a storer refuses forgeries without learning the content id. Whoever
knows the content id can sign one, so each has a slot key of its owner's as well, which signs too:
nobody else can replace it. A feed's head is signed by the key of its owner alone.
"""

import struct
from typing import Final, Self

import attrs
import nacl.exceptions
import nacl.signing

from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import Context, leading_zero_bits, sha256
from bitsnode.wire import cbor
from bitsnode.wire.card import HOUR, MAX_SKEW
from bitsnode.wire.schema import Bytes, Uint, field, from_map, to_map

RECORD_VERSION: Final = 2
MAX_VALUE: Final = 20 * 1024  # bytes; a placement of 256 holders has about 17 KiB
MAX_RECORD: Final = MAX_VALUE + 512  # bytes of a signed record
SLOT_SIZE: Final = 16  # bytes
MAX_SALT: Final = 32  # bytes
MAX_RECORD_LIFETIME: Final = 62 * 24 * HOUR  # seconds; a lease's longest term
MAX_SEQUENCE: Final = (1 << 53) - 1


class RecordKind:
    """Values of `Record.kind`."""

    PROVIDER: Final = 1
    PLACEMENT: Final = 2
    OFFER: Final = 3
    FEED: Final = 4


class BadRecord(RemoteProtocolError):
    """A DHT record is malformed, expired, unpaid or not signed by its key."""


def record_key(public_key: bytes, salt: bytes = b"") -> bytes:
    """Return the 32-byte DHT key under which records of a public key (32 bytes) live.

    Args:
        public_key: 32 bytes.
        salt: of a feed, at most `MAX_SALT` bytes; empty for all other kinds.
    """
    return sha256(Context.RECORD_KEY, public_key, salt)


def slot_of(slot_key: bytes) -> bytes:
    """Return the 16-byte slot that belongs to a slot key (32 bytes)."""
    return sha256(Context.RECORD_SLOT, slot_key)[:SLOT_SIZE]


@attrs.frozen
class Record:
    """One value of one slot.

    Attributes:
        version: of this format, 2.
        kind: of `RecordKind`.
        public_key: Ed25519 key derived from the content id, 32 bytes; of a feed its owner's.
        slot_key: Ed25519 key of whoever may replace this record, 32 bytes; it tells a storer
            nothing. Of a feed it is the public key.
        sequence: within one slot a higher one replaces a lower one.
        expires: Unix time in seconds, a multiple of an hour.
        value: sealed for those who know the content id.
        nonce: solution of the record's puzzle, 16 bytes.
        salt: which of its owner's feeds it heads, at most `MAX_SALT` bytes; else empty.
    """

    version: int = field(1, Uint(RECORD_VERSION, RECORD_VERSION))
    kind: int = field(2, Uint(RecordKind.FEED, RecordKind.PROVIDER))
    public_key: bytes = field(3, Bytes(32, 32))
    slot_key: bytes = field(4, Bytes(32, 32))
    sequence: int = field(5, Uint(MAX_SEQUENCE))
    expires: int = field(6, Uint(1 << 40))
    value: bytes = field(7, Bytes(1, MAX_VALUE))
    nonce: bytes = field(8, Bytes(16, 16))
    salt: bytes = field(9, Bytes(0, MAX_SALT))

    @property
    def key(self) -> bytes:
        """The 32-byte DHT key it lives under."""
        return record_key(self.public_key, self.salt)

    @property
    def slot(self) -> bytes:
        """Which of several values of its key and kind this is, 16 bytes."""
        return slot_of(self.slot_key)

    @property
    def work(self) -> int:
        """How many leading zero bits its proof has: what its owner spent on it."""
        return leading_zero_bits(self.proof())

    def proof(self) -> bytes:
        """Return the 32-byte proof of work of this very value."""
        return sha256(
            Context.RECORD_PUZZLE,
            self.public_key,
            self.slot_key,
            struct.pack(">BQQ", self.kind, self.sequence, self.expires),
            sha256(self.value),
            sha256(self.salt),
            self.nonce,
        )

    def solved(self, bits: int) -> "Record":
        """Return the record with a nonce whose proof has ``bits`` leading zero bits."""
        counter, record = 0, self
        while leading_zero_bits(record.proof()) < bits:
            record = attrs.evolve(self, nonce=struct.pack(">QQ", 0, counter))
            counter += 1
        return record


@attrs.frozen
class SignedRecord:
    """A record that was checked, and the very bytes that were signed.

    Attributes:
        record: the parsed record.
        data: canonical CBOR of ``[record bytes, signature, slot key's signature]``, at most
            `MAX_RECORD` bytes.
    """

    record: Record
    data: bytes = attrs.field(repr=False)

    @classmethod
    def sign(cls, record: Record, seed: bytes, slot_seed: bytes) -> Self:
        """Sign a record with the 32-byte seeds whose public keys it names."""
        payload = cbor.encode(to_map(record))
        signature = _sign(seed, Context.RECORD + payload)
        owned = _sign(slot_seed, Context.SLOT_SIGNATURE + payload)
        return cls(record, cbor.encode([payload, signature, owned]))

    @classmethod
    def parse(cls, data: bytes, *, puzzle_bits: int, now: float) -> Self:
        """Check a record from outside: size, form, puzzle, time, and at last the signatures.

        Raises:
            RemoteProtocolError: `BadRecord`, or what the parts raise.
        """
        outer = cbor.decode(data, MAX_RECORD)
        if type(outer) is not list or [type(part) for part in outer] != [bytes] * 3:
            raise BadRecord
        payload, signature, owned = outer
        record = from_map(Record, cbor.decode(payload, MAX_RECORD))
        if leading_zero_bits(record.proof()) < puzzle_bits:
            raise BadRecord("A record does not solve its puzzle.")
        latest = now + MAX_RECORD_LIFETIME + MAX_SKEW
        if record.expires % HOUR or not now < record.expires <= latest:
            raise BadRecord("A record has expired or comes from a wrong clock.")
        if record.kind == RecordKind.FEED:
            if record.slot_key != record.public_key:
                raise BadRecord("A feed's head is in a slot that is not its owner's.")
        elif record.salt:
            raise BadRecord("A record that heads no feed has a salt.")
        _verify(record.public_key, Context.RECORD + payload, signature)
        _verify(record.slot_key, Context.SLOT_SIGNATURE + payload, owned)
        return cls(record, data)


def _sign(seed: bytes, message: bytes) -> bytes:
    return bytes(nacl.signing.SigningKey(seed).sign(message).signature)


def _verify(key: bytes, message: bytes, signature: bytes) -> None:
    try:
        nacl.signing.VerifyKey(key).verify(message, signature)
    except (nacl.exceptions.CryptoError, ValueError) as error:
        raise BadRecord("A record is not signed by its keys.") from error

"""The records that let readers find the holders."""

from typing import Final

import nacl.signing

from bitsnode.codec.keys import record_public_key, record_seed, slot_seed
from bitsnode.codec.placement import (
    Placed,
    Provider,
    seal_placement,
    seal_provider,
)
from bitsnode.content.journal import Stored
from bitsnode.wire.card import HOUR
from bitsnode.wire.record import (
    MAX_RECORD_LIFETIME,
    RECORD_VERSION,
    Record,
    RecordKind,
    SignedRecord,
)

FIRST: Final = 1  # sequence of the first placement of a content


def expiry(lease_until: int, now: float) -> int:
    """Return when a record ends: with the lease, rounded down so that it shows no clock."""
    latest = min(lease_until, int(now) + MAX_RECORD_LIFETIME)
    return latest - latest % HOUR


def provider_record(
    digest: bytes,
    stored: Stored,
    publisher_seed: bytes,
    sequence: int,
    bits: int,
    now: float,
) -> SignedRecord:
    """Return the record that names one holder.

    Args:
        digest: of the content id.
        stored: the share and its holder.
        publisher_seed: from which its slot key comes, 32 bytes.
        sequence: higher than that of any version before.
        bits: of the record puzzle.
        now: Unix time in seconds.
    """
    value = seal_provider(digest, Provider(stored.onion_key, stored.index))
    owner = slot_seed(publisher_seed, digest, RecordKind.PROVIDER, stored.onion_key)
    ends = expiry(stored.lease_until, now)
    return _sign(digest, RecordKind.PROVIDER, owner, sequence, ends, value, bits)


def placement_record(
    digest: bytes,
    stored: tuple[Stored, ...],
    publisher_seed: bytes,
    sequence: int,
    bits: int,
    now: float,
) -> SignedRecord:
    """Return the record that names all holders; it ends with the last lease."""
    lines = tuple(Placed(line.index, line.onion_key, line.whitened_root) for line in stored)
    value = seal_placement(digest, lines, publisher_seed)
    ends = expiry(max(line.lease_until for line in stored), now)
    owner = slot_seed(publisher_seed, digest, RecordKind.PLACEMENT)
    return _sign(digest, RecordKind.PLACEMENT, owner, sequence, ends, value, bits)


def _sign(
    digest: bytes, kind: int, owner: bytes, sequence: int, ends: int, value: bytes, bits: int
) -> SignedRecord:
    record = Record(
        version=RECORD_VERSION,
        kind=kind,
        public_key=record_public_key(digest),
        slot_key=bytes(nacl.signing.SigningKey(owner).verify_key),
        sequence=sequence,
        expires=ends,
        value=value,
        nonce=bytes(16),
        salt=b"",
    )
    return SignedRecord.sign(record.solved(bits), record_seed(digest), owner)

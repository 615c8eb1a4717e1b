"""The DHT records that a holder puts out again for as long as it keeps the share."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from bitsnode.errors import RemoteProtocolError
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode
from bitsnode.wire.record import SignedRecord

MOST_RECORDS: Final = 8  # of one share; a provider and a placement record are usual
# Storers keep a record until it expires, but storers come and go: half a day is well below the
# day after which Kademlia (§2.5) expects a republish.
REPUBLISH: Final = 12 * 3600  # seconds, a quarter more or less
RETRY: Final = 600  # seconds after which a record that nobody took is due again

Slots = Mapping[tuple[int, bytes], tuple[int, int]]  # (kind, slot) -> (sequence, bytes)


def due_after(now: float) -> int:
    """Return when a record is put again that is in the DHT now, in Unix seconds.

    Drawn by lot: one publish gives the same records to all its holders at the same time, who would
    put them again together for ever.
    """
    return int(now) + REPUBLISH * 3 // 4 + secrets.randbelow(REPUBLISH // 2)


def parse_records(data: Sequence[bytes], *, bits: int, now: float) -> list[SignedRecord]:
    """Check records from outside: each one's form, puzzle and signature, and one key for all.

    Raises:
        Refused: MALFORMED.
    """
    try:
        records = [SignedRecord.parse(item, puzzle_bits=bits, now=now) for item in data]
    except RemoteProtocolError as error:
        raise Refused(FailureCode.MALFORMED) from error
    if len({signed.record.public_key for signed in records}) > 1:
        raise Refused(FailureCode.MALFORMED)
    return records


def key_of(known: bytes | None, records: Sequence[SignedRecord]) -> bytes | None:
    """Return the one public key (32 bytes) whose records may be attached to a share.

    The first records fix it: whoever knows where a share lies must not be able to make its
    holder spread records of their own.

    Raises:
        Refused: REFUSED, if these are of another key.
    """
    if not records:
        return known
    found = records[0].record.public_key
    if known not in (None, found):
        raise Refused(FailureCode.REFUSED)
    return found


def growth(known: Slots, records: Sequence[SignedRecord]) -> int:
    """Return how many bytes more a share's records have once these are among them.

    Raises:
        Refused: STALE, if a higher sequence of a slot is known; FULL, if they are too many.
    """
    sizes = {slot: size for slot, (_, size) in known.items()}
    for signed in records:
        slot = (signed.record.kind, signed.record.slot)
        if slot in known and known[slot][0] > signed.record.sequence:
            raise Refused(FailureCode.STALE)
        sizes[slot] = len(signed.data)
    if len(sizes) > MOST_RECORDS:
        raise Refused(FailureCode.FULL)
    return sum(sizes.values()) - sum(size for _, size in known.values())

"""The index of a group: all records whose keys are in it, or the dearest of them. Pure.

What is here was checked by `SignedRecord.parse`. Each record that is taken gets a number, so that
neighbours can ask what came since they last asked. When all is full, work done for the size
decides: who wants to push others out has to pay more than they did, byte for byte.
"""

import bisect
import hashlib
import heapq
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from bitsnode.dht.records import RIVAL, Slot, equivocates, prolongs
from bitsnode.warm.places import Place
from bitsnode.wire import cbor
from bitsnode.wire.record import MAX_RECORD, Record, RecordKind, SignedRecord
from bitsnode.wire.schema import from_map
from bitsnode.wire.warm_messages import MAX_NUMBER, MAX_PAGE, SHORT_ID

SLOTS: Final = {  # records of one kind under one key; a placement names all providers anyway
    RecordKind.PROVIDER: 16,
    RecordKind.PLACEMENT: 8,
    RecordKind.OFFER: 8,
    RecordKind.FEED: 2,
}
SMALLEST: Final = 128  # bytes that a record is reckoned to have at least
WORTH_STEP: Final = 8  # of worth, for twice the work or half the size
MOST_WORTH: Final = 255
MAX_REFUSED: Final = 16_384  # short ids remembered of records that were not taken


def short_id(data: bytes) -> bytes:
    """Return what tells a signed record from others, 8 bytes."""
    return hashlib.sha256(data).digest()[:SHORT_ID]


def worth_of(work: int, size: int) -> int:
    """Return the worth of a record, 0 to 255: its work for its size.

    Args:
        work: leading zero bits of its proof.
        size: bytes of the signed record.
    """
    paid = WORTH_STEP * work - math.floor(WORTH_STEP * math.log2(max(1.0, size / SMALLEST)))
    return min(MOST_WORTH, max(0, paid))


def reread(data: bytes) -> SignedRecord:
    """Return the record of bytes that were checked before."""
    payload: bytes = cbor.decode(data, MAX_RECORD)[0]
    return SignedRecord(from_map(Record, cbor.decode(payload, MAX_RECORD)), data)


@attrs.frozen
class _Kept:
    """One record. Only its bytes are kept, which is a third of what the parsed form takes."""

    key: bytes
    slot: Slot
    sequence: int
    expires: int
    worth: int
    number: int
    data: bytes = attrs.field(repr=False)


class GroupIndex:
    """Records of one part of the keyspace, in memory.

    Args:
        most: bytes of all records.
        below: returns a random integer from 0 up to, but not, its argument.
    """

    def __init__(self, most: int, below: Callable[[int], int] = secrets.randbelow) -> None:
        self._most = most
        self._below = below
        self._place = Place(0, 0)
        self._keys: dict[bytes, dict[Slot, _Kept]] = {}
        self._ids: dict[bytes, _Kept] = {}
        self._numbers: list[tuple[int, bytes]] = []  # ascending; some are gone from `_ids`
        self._cheapest: list[tuple[int, int, bytes]] = []  # a heap of worth, expires, short id
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._last = 0
        self._size = 0
        self._changed: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def size(self) -> int:
        """Bytes of all records."""
        return self._size

    @property
    def place(self) -> Place:
        """The part of the keyspace it is of."""
        return self._place

    def keep_only(self, place: Place) -> None:
        """Be the index of this part of the keyspace, and drop what is outside of it."""
        self._place = place
        self._refused.clear()
        for short, kept in list(self._ids.items()):
            if not place.holds(kept.key):
                self._drop(short)

    def put(self, signed: SignedRecord, now: float) -> bool:
        """Take a checked record; returns whether it was taken, and was not there yet."""
        return self._take(signed, short_id(signed.data), now)

    def restore(self, signed: SignedRecord, now: float) -> None:
        """Take a record up that was saved: what has not changed is not saved again."""
        short = short_id(signed.data)
        if self._take(signed, short, now) or short in self._ids:
            self._changed.discard(short)
        else:
            self._changed.add(short)  # it goes from the file too

    def has(self, short: bytes) -> bool:
        """Return whether the record of a short id is here."""
        return short in self._ids

    def lacks(self, key_byte: int, worth: int, short: bytes) -> bool:
        """Return whether a record that somebody names is worth asking for.

        Args:
            key_byte: first byte of its key.
            worth: as claimed.
            short: its short id.
        """
        if short in self._ids or short in self._refused:
            return False
        bits = min(8, self._place.bits)
        if key_byte >> (8 - bits) != self._place.prefix >> (self._place.bits - bits):
            return False
        return self._size < self._most - MAX_RECORD or worth > self._least_worth()

    def get(self, key: bytes, now: float) -> list[SignedRecord]:
        """Return every record of a key that has not expired."""
        slots = self._keys.get(key, {})
        return [reread(kept.data) for kept in slots.values() if now < kept.expires]

    def more(self, key: bytes, count: int, now: float) -> list[bytes]:
        """Return up to ``count`` signed records of a key: feeds first, then each kind in turn."""
        waiting: dict[int, list[_Kept]] = {}
        for (kind, _), kept in self._keys.get(key, {}).items():
            if now < kept.expires:
                waiting.setdefault(kind, []).append(kept)
        found = waiting.pop(RecordKind.FEED, [])
        while waiting and len(found) < count:
            for kind in sorted(waiting, reverse=True):
                records = waiting[kind]
                found.append(records.pop(self._below(len(records))))
                if not records:
                    del waiting[kind]
        return [kept.data for kept in found[:count]]

    def page(self, after: int) -> tuple[tuple[bytes, ...], int, bool]:
        """Return entries after a number, the number to ask after next, and whether more follow."""
        if after == MAX_NUMBER:
            return (), self._last, False
        entries: list[bytes] = []
        last = after
        for at in range(bisect.bisect_left(self._numbers, (after + 1, b"")), len(self._numbers)):
            if len(entries) == MAX_PAGE:
                return tuple(entries), last, True
            number, short = self._numbers[at]
            kept = self._ids.get(short)
            if kept is not None and kept.number == number:
                entries.append(bytes((kept.key[0], kept.worth)) + short)
            last = number
        return tuple(entries), max(last, self._last), False

    def pull(self, ids: Iterable[bytes], most: int) -> list[bytes]:
        """Return the signed records of short ids, as many as have ``most`` bytes together."""
        found: list[bytes] = []
        for short in ids:
            kept = self._ids.get(short)
            if kept is not None:
                most -= len(kept.data)
                if most < 0:
                    break
                found.append(kept.data)
        return found

    def take_changes(self) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        """Return what came, as short ids and signed records, and the short ids of what went."""
        changed, self._changed = self._changed, set()
        kept = [(short, self._ids[short].data) for short in changed if short in self._ids]
        return kept, [short for short in changed if short not in self._ids]

    def expire(self, now: float) -> None:
        """Drop what has expired."""
        for short, kept in list(self._ids.items()):
            if kept.expires <= now:
                self._drop(short)

    def _take(self, signed: SignedRecord, short: bytes, now: float) -> bool:
        record = signed.record
        if short in self._ids or not self._place.holds(record.key) or record.expires <= now:
            return False
        taken = self._put(signed, short, now)
        if not taken:
            self._refused[short] = None
            if len(self._refused) > MAX_REFUSED:
                self._refused.popitem(last=False)
        return taken

    def _put(self, signed: SignedRecord, short: bytes, now: float) -> bool:
        record = signed.record
        slot: Slot = (record.kind, record.slot)
        slots = self._keys.get(record.key, {})
        old = slots.get(slot)
        if old is not None and now < old.expires:
            before = reread(old.data)
            if equivocates(before, signed):
                # both are kept, as proof
                slot = (record.kind, record.slot + RIVAL)
                old = slots.get(slot)
                if old is not None and old.sequence >= record.sequence:
                    return False
            elif record.sequence <= old.sequence and not prolongs(before, signed):
                return False
        worth = worth_of(record.work, len(signed.data))
        if not self._gives_way(slots, slot, worth):
            return False
        if not self._make_room(len(signed.data) - (len(old.data) if old else 0), worth):
            return False
        if old is not None and short_id(old.data) in self._ids:
            self._drop(short_id(old.data))
        self._set(signed, slot, short, worth)
        return True

    def _gives_way(self, slots: dict[Slot, _Kept], own: Slot, worth: int) -> bool:
        """Make a place free for a record of a kind, if the kind is full and this one is dearer."""
        rest = [kept for slot, kept in slots.items() if slot[0] == own[0] and slot != own]
        if len(rest) < SLOTS[own[0]]:
            return True
        cheapest = min(rest, key=lambda kept: kept.worth)
        if cheapest.worth >= worth:
            return False
        self._drop(short_id(cheapest.data))
        return True

    def _least_worth(self) -> int:
        while self._cheapest and self._cheapest[0][2] not in self._ids:
            heapq.heappop(self._cheapest)
        return self._cheapest[0][0] if self._cheapest else 0

    def _make_room(self, size: int, worth: int) -> bool:
        while self._size + size > self._most:
            if not self._ids or self._least_worth() >= worth:
                return False
            self._drop(self._cheapest[0][2])
        return True

    def _set(self, signed: SignedRecord, slot: Slot, short: bytes, worth: int) -> None:
        record = signed.record
        self._last += 1
        kept = _Kept(
            record.key, slot, record.sequence, record.expires, worth, self._last, signed.data
        )
        self._keys.setdefault(record.key, {})[slot] = kept
        self._ids[short] = kept
        self._numbers.append((self._last, short))
        heapq.heappush(self._cheapest, (worth, record.expires, short))
        self._size += len(signed.data)
        self._refused.pop(short, None)
        self._changed.add(short)
        if len(self._numbers) > 2 * len(self._ids) + MAX_PAGE:
            self._compact()

    def _drop(self, short: bytes) -> None:
        kept = self._ids.pop(short)
        self._changed.add(short)
        self._size -= len(kept.data)
        slots = self._keys[kept.key]
        del slots[kept.slot]
        if not slots:
            del self._keys[kept.key]

    def _compact(self) -> None:
        live = {kept.number for kept in self._ids.values()}
        self._numbers = [pair for pair in self._numbers if pair[0] in live]
        self._cheapest = [(k.worth, k.expires, short) for short, k in self._ids.items()]
        heapq.heapify(self._cheapest)

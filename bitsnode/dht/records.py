"""The records this node keeps for others: slots, caps, and what may replace what.

Everything here was checked by `SignedRecord.parse`. A storer cannot tell a true record from one
that another reader of the same content signed with the derived key, in a slot of their own. So
where places are few, work decides: to keep one record out somebody must spend more than its
owner did, for every place of its kind. Readers check what is inside.
"""

import bisect
import secrets
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from bitsnode.ids import distance
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode
from bitsnode.wire.record import MAX_RECORD, RecordKind, SignedRecord

MAX_BYTES: Final = 16 << 20  # bytes of all records, kept in memory: about 40,000 providers

Slot: TypeAlias = tuple[int, bytes]  # kind, slot
Place: TypeAlias = tuple[bytes, int, bytes]  # key, kind, slot


@attrs.frozen
class Cap:
    """How much of one kind may live under one key.

    Attributes:
        slots: number of records.
        size: bytes of them all.
    """

    slots: int
    size: int


# Each kind has its own cap, so that a flood of small provider records cannot keep out the
# placement or the offer, nor the other way round. A feed has one slot, and one for a proof.
CAPS: Final = {
    RecordKind.PROVIDER: Cap(60, 60 * 1024),
    RecordKind.PLACEMENT: Cap(8, 8 * MAX_RECORD),
    RecordKind.OFFER: Cap(8, 8 * MAX_RECORD),
    RecordKind.FEED: Cap(2, 2 * MAX_RECORD),
}
RIVAL: Final = b"rival"  # added to a feed's slot: where the second value of a sequence is kept


@attrs.frozen
class Changes:
    """What to write down: places as (key, kind, slot) that changed since the last time.

    Attributes:
        kept: places with new or replaced records.
        dropped: places that are empty now.
    """

    kept: tuple[tuple[Place, SignedRecord], ...]
    dropped: tuple[Place, ...]


class RecordTable:
    """Records by key and slot, in memory.

    Args:
        own_id: our node id, 32 bytes; when all is full, keys near it are preferred.
        most: bytes of all records together.
    """

    def __init__(self, own_id: bytes, most: int = MAX_BYTES) -> None:
        self._own_id = own_id
        self._most = most
        self._keys: dict[bytes, dict[Slot, SignedRecord]] = {}
        self._by_distance: list[tuple[int, bytes]] = []
        self._size = 0
        self._changed: set[Place] = set()

    @property
    def size(self) -> int:
        """Bytes of all records."""
        return self._size

    def __len__(self) -> int:
        return sum(len(slots) for slots in self._keys.values())

    def recentre(self, own_id: bytes) -> None:
        """Prefer the keys near another node id from now on."""
        self._own_id = own_id
        self._by_distance = sorted((distance(key, own_id), key) for key in self._keys)

    def put(self, signed: SignedRecord, now: float) -> None:
        """Keep a checked record; the very record that is kept already changes nothing.

        Raises:
            Refused: STALE when the slot holds the same or a higher sequence, FULL when the key
                or the table has no room for it.
        """
        record = signed.record
        slots = self._keys.get(record.key, {})
        old = slots.get((record.kind, record.slot))
        if old is not None and now < old.record.expires:
            if old.data == signed.data:
                return
            if equivocates(old, signed):
                self._keep_rival(signed, now)
                return
            # of two records of one sequence the first stays: no one may waver between them
            if record.sequence <= old.record.sequence and not prolongs(old, signed):
                raise Refused(FailureCode.STALE)
        self._place(signed, (record.kind, record.slot), old)

    def _keep_rival(self, signed: SignedRecord, now: float) -> None:
        """Keep the second value that an owner signed under one sequence, as proof."""
        slot = (signed.record.kind, signed.record.slot + RIVAL)
        old = self._keys.get(signed.record.key, {}).get(slot)
        if old is None or old.record.expires <= now or old.record.sequence < signed.record.sequence:
            self._place(signed, slot, old)

    def _place(self, signed: SignedRecord, slot: Slot, old: SignedRecord | None) -> None:
        victim = self._give_way(self._keys.get(signed.record.key, {}), signed, slot)
        if victim is not None:
            self._drop(signed.record.key, victim)
        self._make_room(len(signed.data) - (len(old.data) if old else 0), signed.record.key)
        self._set(signed, slot)

    def get(self, key: bytes, now: float) -> list[SignedRecord]:
        """Return every record of a key that has not expired."""
        slots = self._keys.get(key, {})
        return [signed for signed in slots.values() if now < signed.record.expires]

    def sample(
        self, key: bytes, count: int, now: float, below: Callable[[int], int] = secrets.randbelow
    ) -> list[SignedRecord]:
        """Return up to ``count`` records of a key, of each kind in turn, drawn at random.

        Feeds come first. Storers draw differently, so who asks several of them sees more.
        """
        waiting: dict[int, list[SignedRecord]] = {}
        for signed in self.get(key, now):
            waiting.setdefault(signed.record.kind, []).append(signed)
        found: list[SignedRecord] = waiting.pop(RecordKind.FEED, [])
        while waiting and len(found) < count:
            for kind in sorted(waiting, reverse=True):
                records = waiting[kind]
                found.append(records.pop(below(len(records))))
                if not records:
                    del waiting[kind]
        return found[:count]

    def nearest_keys(self, count: int) -> list[bytes]:
        """Return up to ``count`` of the keys that there are records of, the nearest to us first."""
        return [key for _, key in self._by_distance[:count]]

    def expire(self, now: float) -> None:
        """Drop what has expired."""
        for key, slots in list(self._keys.items()):
            for slot, signed in list(slots.items()):
                if signed.record.expires <= now:
                    self._drop(key, slot)

    def take_changes(self) -> Changes:
        """Return what changed since the last call."""
        kept, dropped = [], []
        for key, kind, slot in sorted(self._changed):
            signed = self._keys.get(key, {}).get((kind, slot))
            if signed is None:
                dropped.append((key, kind, slot))
            else:
                kept.append(((key, kind, slot), signed))
        self._changed.clear()
        return Changes(tuple(kept), tuple(dropped))

    def take_back(self, changes: Changes) -> None:
        """Count changes as not written down after all."""
        self._changed.update(place for place, _ in changes.kept)
        self._changed.update(changes.dropped)

    def everything(self) -> list[tuple[Place, SignedRecord]]:
        """Return all records, with their places."""
        return [
            ((key, *slot), signed)
            for key, slots in self._keys.items()
            for slot, signed in slots.items()
        ]

    @staticmethod
    def _give_way(slots: dict[Slot, SignedRecord], signed: SignedRecord, own: Slot) -> Slot | None:
        """Return the slot that has to give way to a record, if its kind is full.

        Raises:
            Refused: FULL, when no record cost less work, or one gone would not suffice.
        """
        cap = CAPS[signed.record.kind]
        rest = {slot: one for slot, one in slots.items() if slot[0] == own[0] and slot != own}
        size = sum(len(one.data) for one in rest.values()) + len(signed.data)
        if len(rest) < cap.slots and size <= cap.size:
            return None
        victim = min(rest, key=lambda slot: rest[slot].record.work, default=None)
        if victim is None or rest[victim].record.work >= signed.record.work:
            raise Refused(FailureCode.FULL)
        if size - len(rest[victim].data) > cap.size:
            raise Refused(FailureCode.FULL)
        return victim

    def _make_room(self, more: int, key: bytes) -> None:
        """Drop the keys farthest from us, if they are farther than this one and that suffices."""
        own = distance(key, self._own_id)
        victims = []
        lacking = self._size + more - self._most
        for far, other in reversed(self._by_distance):
            if lacking <= 0:
                break
            if far <= own:
                raise Refused(FailureCode.FULL)
            victims.append(other)
            lacking -= sum(len(signed.data) for signed in self._keys[other].values())
        if lacking > 0:
            raise Refused(FailureCode.FULL)
        for victim in victims:
            for slot in list(self._keys[victim]):
                self._drop(victim, slot)

    def _set(self, signed: SignedRecord, slot: Slot) -> None:
        key = signed.record.key
        if key not in self._keys:
            self._keys[key] = {}
            bisect.insort(self._by_distance, (distance(key, self._own_id), key))
        old = self._keys[key].get(slot)
        self._keys[key][slot] = signed
        self._size += len(signed.data) - (len(old.data) if old else 0)
        self._changed.add((key, *slot))

    def _drop(self, key: bytes, slot: Slot) -> None:
        self._size -= len(self._keys[key].pop(slot).data)
        self._changed.add((key, *slot))
        if not self._keys[key]:
            del self._keys[key]
            place = bisect.bisect_left(self._by_distance, (distance(key, self._own_id), key))
            del self._by_distance[place]


def equivocates(one: SignedRecord, other: SignedRecord) -> bool:
    """Return whether an owner signed two values of a feed under one sequence."""
    a, b = one.record, other.record
    same = (a.kind, a.public_key, a.salt) == (b.kind, b.public_key, b.salt)
    return same and a.kind == RecordKind.FEED and a.sequence == b.sequence and a.value != b.value


def prolongs(old: SignedRecord, new: SignedRecord) -> bool:
    """Return whether a record is the same as another, and only expires later."""
    a, b = old.record, new.record
    return a.sequence == b.sequence and a.value == b.value and a.expires < b.expires

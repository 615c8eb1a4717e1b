"""The records this node keeps for others: slots, caps, and what may replace what.

Everything here was checked by `SignedRecord.parse`. A storer cannot tell a true record from one
that another reader of the same content signed with the derived key: the caps bound the damage,
and readers check what is inside.
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


@attrs.frozen
class Cap:
    """How much of one kind may live under one key.

    Attributes:
        slots: number of records.
        size: bytes of them all.
    """

    slots: int
    size: int


# 68 slots a key in all. Each kind has its own cap, so that a flood of small provider records
# cannot keep out the placement or the offer, nor the other way round.
CAPS: Final = {
    RecordKind.PROVIDER: Cap(60, 60 * 1024),
    RecordKind.PLACEMENT: Cap(4, 4 * MAX_RECORD),
    RecordKind.OFFER: Cap(4, 4 * MAX_RECORD),
}


@attrs.frozen
class Changes:
    """What to write down: slots as (key, kind, slot) that changed since the last time.

    Attributes:
        kept: new or replaced records.
        dropped: slots that are gone.
    """

    kept: tuple[SignedRecord, ...]
    dropped: tuple[tuple[bytes, int, bytes], ...]


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
        self._changed: set[tuple[bytes, int, bytes]] = set()

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
            # of two records of one sequence the first stays: no one may waver between them
            if record.sequence <= old.record.sequence:
                raise Refused(FailureCode.STALE)
        self._check_cap(slots, signed, old)
        self._make_room(len(signed.data) - (len(old.data) if old else 0), record.key)
        self._set(signed)

    def get(self, key: bytes, now: float) -> list[SignedRecord]:
        """Return every record of a key that has not expired."""
        slots = self._keys.get(key, {})
        return [signed for signed in slots.values() if now < signed.record.expires]

    def sample(
        self, key: bytes, count: int, now: float, below: Callable[[int], int] = secrets.randbelow
    ) -> list[SignedRecord]:
        """Return up to ``count`` records of a key: providers last, drawn at random.

        Storers draw differently, so who asks several of them sees more than ``count``.
        """
        providers = self.get(key, now)
        found = [s for s in providers if s.record.kind != RecordKind.PROVIDER][:count]
        providers = [s for s in providers if s.record.kind == RecordKind.PROVIDER]
        while providers and len(found) < count:
            found.append(providers.pop(below(len(providers))))
        return found

    def expire(self, now: float) -> None:
        """Drop what has expired."""
        for key, slots in list(self._keys.items()):
            for slot, signed in list(slots.items()):
                if signed.record.expires <= now:
                    self._drop(key, slot)

    def take_changes(self) -> Changes:
        """Return what changed since the last call."""
        kept, dropped = [], []
        for key, kind, slot in self._changed:
            signed = self._keys.get(key, {}).get((kind, slot))
            if signed is None:
                dropped.append((key, kind, slot))
            else:
                kept.append(signed)
        self._changed.clear()
        return Changes(tuple(kept), tuple(dropped))

    def take_back(self, changes: Changes) -> None:
        """Count changes as not written down after all."""
        self._changed.update((s.record.key, s.record.kind, s.record.slot) for s in changes.kept)
        self._changed.update(changes.dropped)

    def everything(self) -> list[SignedRecord]:
        """Return all records."""
        return [signed for slots in self._keys.values() for signed in slots.values()]

    def _check_cap(
        self, slots: dict[Slot, SignedRecord], signed: SignedRecord, old: SignedRecord | None
    ) -> None:
        cap = CAPS[signed.record.kind]
        rest = [
            len(other.data)
            for (kind, _), other in slots.items()
            if kind == signed.record.kind and other is not old
        ]
        if len(rest) + 1 > cap.slots or sum(rest) + len(signed.data) > cap.size:
            raise Refused(FailureCode.FULL)

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

    def _set(self, signed: SignedRecord) -> None:
        record = signed.record
        key = record.key
        if key not in self._keys:
            self._keys[key] = {}
            bisect.insort(self._by_distance, (distance(key, self._own_id), key))
        old = self._keys[key].get((record.kind, record.slot))
        self._keys[key][record.kind, record.slot] = signed
        self._size += len(signed.data) - (len(old.data) if old else 0)
        self._changed.add((key, record.kind, record.slot))

    def _drop(self, key: bytes, slot: Slot) -> None:
        self._size -= len(self._keys[key].pop(slot).data)
        self._changed.add((key, *slot))
        if not self._keys[key]:
            del self._keys[key]
            place = bisect.bisect_left(self._by_distance, (distance(key, self._own_id), key))
            del self._by_distance[place]

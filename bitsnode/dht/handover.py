"""Hands records on to nodes that come to live near their keys (Kademlia, §2.5).

Those that kept a record leave one after the other, most of them within hours; whoever published it
puts it again only twice a day, and may be gone as well. So the nodes nearest to its key give it to
each newcomer that is one of the k nearest. Nothing secret passes: it could have asked.
"""

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from bitsnode.dht.records import RecordTable
from bitsnode.dht.routing import Contact, RoutingTable
from bitsnode.errors import BitsError
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import K
from bitsnode.wire.record import SignedRecord

HANDERS: Final = 3  # nodes nearest to a key that hand it on: one of them may be about to leave
SETTLED: Final = (30.0, 180.0)  # seconds before a newcomer is given anything; many leave at once
AGAIN_SECONDS: Final = 3600.0  # before a node that was away is given anything again
MAX_WAITING: Final = 64  # newcomers that are remembered
MAX_KEYS: Final = 1024  # of ours, the nearest to us, that are looked through for one newcomer
MAX_GIVEN: Final = 256  # records that one newcomer is given
_STEPS: Final = 1024  # of a random time

Put = Callable[[SignedCard, SignedRecord], Awaitable[None]]


class Handover:
    """Newcomers, and what they are given.

    Args:
        table: whom we know.
        records: what we keep.
        put: asks a node to keep a record; raises BitsError.
        now: returns the Unix time in seconds.
    """

    def __init__(
        self,
        table: RoutingTable,
        records: RecordTable,
        put: Put,
        now: Callable[[], float],
    ) -> None:
        self._table = table
        self._records = records
        self._put = put
        self._now = now
        self._waiting: OrderedDict[bytes, float] = OrderedDict()  # onion key, not before
        self._given: OrderedDict[bytes, float] = OrderedDict()  # onion key, when

    @property
    def waiting(self) -> bool:
        """Whether there is a newcomer to give to."""
        return bool(self._waiting)

    def came(self, contact: Contact) -> None:
        """Take note of a node that was dialled, and is new or was away."""
        key, now = contact.card.card.onion_key, self._now()
        if key in self._waiting or now < self._given.get(key, -AGAIN_SECONDS) + AGAIN_SECONDS:
            return
        least, most = SETTLED
        self._waiting[key] = now + least + (most - least) * secrets.randbelow(_STEPS) / _STEPS
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    async def give(self) -> None:
        """Give one newcomer its records, if one has waited for long enough."""
        now = self._now()
        due = next((key for key, when in self._waiting.items() if when <= now), None)
        if due is None:
            return
        del self._waiting[due]
        contact = self._table.get(due)
        if contact is None or not contact.alive:
            return
        self._given[due] = now
        if len(self._given) > 4 * MAX_WAITING:
            self._given.popitem(last=False)
        for record in self.due_to(contact.card)[:MAX_GIVEN]:
            try:
                await self._put(contact.card, record)
            except Refused:
                continue  # it has a newer one, or no room
            except BitsError:
                return

    def due_to(self, newcomer: SignedCard) -> list[SignedRecord]:
        """Return our records that a newcomer should have and that are ours to give.

        They are those of keys that we are among the `HANDERS` nearest to, as far as we know, and
        the newcomer among the k nearest.
        """
        now = self._now()
        ours, theirs = int.from_bytes(self._table.own_id, "big"), newcomer.card.point
        others = [
            contact.point
            for contact in self._table.live(now)
            if contact.card.card.onion_key != newcomer.card.onion_key
        ]
        found: list[SignedRecord] = []
        for key in self._records.nearest_keys(MAX_KEYS):
            at = int.from_bytes(key, "big")
            places = K - 1 if ours ^ at < theirs ^ at else K  # one may be ours
            if _fewer_nearer(HANDERS, others, at, ours) and _fewer_nearer(
                places, others, at, theirs
            ):
                found += self._records.get(key, now)
        return found


def _fewer_nearer(count: int, others: list[int], at: int, point: int) -> bool:
    """Return whether fewer than so many others are as near to a key as a point is."""
    gap, nearer = point ^ at, 0
    for other in others:
        if other ^ at <= gap:
            nearer += 1
            if nearer == count:  # most often after few of them: we keep more than is ours to give
                return False
    return True

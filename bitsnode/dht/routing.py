"""The routing table: which nodes are known to answer, sorted by distance (Kademlia, §2.2, §4.1).

A card enters only through `RoutingTable.answered`, that is after its onion address was dialled
and the same key answered: nobody can put a third node, or one that is not there, into it.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from bitsnode.ids import ID_BITS, distance
from bitsnode.wire.card import SignedCard
from bitsnode.wire.messages import K

FAILURES: Final = 3  # failures in a row after which a contact is dead
CHECK_SECONDS: Final = 900.0  # after which a silent contact is asked whether it is there
MAX_CHECK_SECONDS: Final = 4 * 3600.0  # that time for a contact known for eight hours and more
CHECK_BACKOFF: Final = 7  # doublings of that time, at most, while a contact fails: 32 hours
SIBLINGS: Final = (
    2 * K
)  # nearest to us that are kept, whatever bucket they are in (S/Kademlia, §4.2)
MAX_NONCES: Final = 4096  # onion addresses whose first nonce is remembered


@attrs.frozen
class Contact:
    """A node that answered once.

    Attributes:
        card: its newest card.
        seen: Unix time in seconds of its last answer.
        tried: Unix time in seconds of the last attempt, whatever came of it.
        failures: attempts since then that failed.
        since: Unix time in seconds of its first answer.
        point: its node id as an integer; kept, because every answer sorts by it.
        expires: of the card.
        due: Unix time in seconds at which to ask whether it is there. A contact known for long
            is asked less often: the longer a node has been up the longer it will stay
            (Stutzbach and Rejaie, "Understanding Churn", 2006).
    """

    card: SignedCard
    seen: float
    tried: float
    failures: int = 0
    since: float = attrs.field()
    point: int = attrs.field(init=False, repr=False)
    expires: int = attrs.field(init=False, repr=False)
    due: float = attrs.field(init=False, repr=False)

    @since.default
    def _since(self) -> float:
        return self.seen

    @point.default
    def _point(self) -> int:
        return self.card.card.point

    @expires.default
    def _expires(self) -> int:
        return self.card.card.expires

    @due.default
    def _due(self) -> float:
        if not self.failures:
            return self.tried + max(CHECK_SECONDS, min(self.known_for / 2, MAX_CHECK_SECONDS))
        return self.tried + CHECK_SECONDS * (1 << min(self.failures - 1, CHECK_BACKOFF))

    @property
    def known_for(self) -> float:
        """Seconds between its first answer and its last one."""
        return self.seen - self.since

    @property
    def alive(self) -> bool:
        """Whether it is worth asking."""
        return self.failures < FAILURES


@attrs.define
class _Bucket:
    """Contacts, and spare ones that answered when there was no room; the last seen are last."""

    contacts: OrderedDict[bytes, Contact] = attrs.Factory(OrderedDict)
    spares: OrderedDict[bytes, Contact] = attrs.Factory(OrderedDict)


class RoutingTable:
    """Buckets of k contacts each, by the length of the prefix shared with our own node id.

    Args:
        own_id: 32 bytes.
        own_key: our onion key, 32 bytes, never a contact; None while we have no card.
        k: contacts of a bucket, and its spares.
        siblings: contacts nearest to us that are kept beyond that.

    Attributes:
        on_came: told of each contact that is new, or answers after it was taken for dead.
    """

    def __init__(
        self, own_id: bytes, own_key: bytes | None = None, k: int = K, siblings: int = SIBLINGS
    ) -> None:
        self._own_id = own_id
        self._own_key = own_key
        self._k = k
        self._siblings = siblings
        self._buckets: defaultdict[int, _Bucket] = defaultdict(_Bucket)  # by shared prefix
        self._nonces: OrderedDict[bytes, bytes] = OrderedDict()
        self.on_came: Callable[[Contact], None] = lambda _contact: None

    @property
    def own_id(self) -> bytes:
        """The point that the buckets are counted from, 32 bytes."""
        return self._own_id

    def recentre(self, own_id: bytes, own_key: bytes) -> None:
        """Sort all contacts anew, because our own card came or changed."""
        contacts = [*self.contacts(), *self._spares()]
        self._own_id, self._own_key = own_id, own_key
        self._buckets.clear()
        for contact in sorted(contacts, key=lambda contact: contact.seen):
            if contact.card.card.onion_key != own_key:
                self._place(contact)

    def answered(self, card: SignedCard, now: float, since: float | None = None) -> None:
        """Take note that the onion address of a card was dialled and showed this very card.

        Nothing happens when it is our own, has expired, or has another nonce than the first one
        seen for its onion address: a node has one position, however many puzzles it solves.

        Args:
            card: what it showed.
            now: Unix time in seconds.
            since: when it first answered, if that is known from an earlier run.
        """
        if not self._acceptable(card, now):
            return
        key = card.card.onion_key
        self._remember_nonce(card)
        bucket = self._bucket(card)
        known = bucket.contacts.get(key) or bucket.spares.get(key)
        if known is not None and known.card.card.sequence >= card.card.sequence:
            card = known.card
        if since is None:
            since = known.since if known is not None else now
        contact = Contact(card, seen=now, tried=now, since=since)
        there = key in bucket.contacts and bucket.contacts[key].alive
        if key in bucket.contacts:
            bucket.contacts[key] = contact
            bucket.contacts.move_to_end(key)
        else:
            bucket.spares.pop(key, None)
            self._place(contact)
        if not there and key in bucket.contacts:
            self.on_came(contact)

    def failed(self, onion_key: bytes, now: float) -> None:
        """Take note that a contact did not answer; a dead one gives way to a spare one.

        Without a spare one it stays, no longer handed out: when all contacts seem dead the
        fault is ours, and they are the way back.
        """
        for bucket in self._buckets.values():
            bucket.spares.pop(onion_key, None)
            known = bucket.contacts.get(onion_key)
            if known is None:
                continue
            known = attrs.evolve(known, tried=now, failures=known.failures + 1)
            bucket.contacts[onion_key] = known
            if not known.alive and bucket.spares:
                del bucket.contacts[onion_key]
                key, spare = bucket.spares.popitem()
                bucket.contacts[key] = spare

    def wants(self, card: SignedCard, now: float) -> bool:
        """Return whether it is worth dialling the onion address of a card we were told of."""
        if not self._acceptable(card, now):
            return False
        bucket = self._bucket(card)
        key = card.card.onion_key
        known = bucket.contacts.get(key) or bucket.spares.get(key)
        if known is not None:
            return known.card.card.sequence < card.card.sequence
        room = len(bucket.contacts) < self._k or len(bucket.spares) < self._k
        return room or self._dead(bucket) is not None or self._is_sibling(card.card.node_id)

    def nearest(self, target: bytes, count: int, now: float) -> list[SignedCard]:
        """Return the cards of up to ``count`` live contacts, nearest to ``target`` first.

        Those that did not answer the last time are left out while there are enough others: half
        of the nodes named under churn were gone before that.
        """
        found: list[SignedCard] = []
        for ring in self._rings(target):
            proven = [one for one in ring if not one.failures and now < one.expires]
            found += _nearest(proven, target, count - len(found))
            if len(found) >= count:
                return found
        return _nearest(self.live(now), target, count)

    def beginnings(self, target: bytes, count: int, now: float) -> list[SignedCard]:
        """Return where to begin a walk: live contacts, or all there are when none seems alive."""
        return self.nearest(target, count, now) or _nearest(self.contacts(), target, count)

    def contacts(self) -> list[Contact]:
        """Return all contacts, those of far buckets first."""
        buckets = [self._buckets[index] for index in sorted(self._buckets)]
        return [contact for bucket in buckets for contact in bucket.contacts.values()]

    def live(self, now: float) -> list[Contact]:
        """Return the contacts that may be handed out."""
        return _live(self.contacts(), now)

    def get(self, onion_key: bytes) -> Contact | None:
        """Return the contact with this onion key, if it is one."""
        for bucket in self._buckets.values():
            if onion_key in bucket.contacts:
                return bucket.contacts[onion_key]
        return None

    def forget(self, now: float) -> None:
        """Drop dead contacts whose card has expired, unless nobody seems alive."""
        some_alive = any(contact.alive for contact in self.contacts())
        for bucket in self._buckets.values():
            for key, contact in list(bucket.contacts.items()):
                if some_alive and not contact.alive and contact.card.card.expires <= now:
                    del bucket.contacts[key]
            for key, spare in list(bucket.spares.items()):
                if spare.card.card.expires <= now:
                    del bucket.spares[key]

    def refresh_targets(self, noise: bytes) -> list[bytes]:
        """Return a point in the range of each bucket that lacks contacts (§2.3).

        Those nearer than our k nearest are refreshed by a walk to our own id, which finds all in
        them; those that are full by checking their contacts, which costs less than a walk.

        Args:
            noise: 32 random bytes, which choose the points.
        """
        own, free = int.from_bytes(self._own_id, "big"), int.from_bytes(noise, "big")
        targets = []
        for index in range(self._home_bucket()):
            contacts = self._buckets[index].contacts.values()
            if sum(contact.alive for contact in contacts) >= self._k:
                continue
            bit = 1 << (ID_BITS - 1 - index)
            targets.append(((own ^ bit) & -bit | free & (bit - 1)).to_bytes(ID_BITS // 8, "big"))
        return targets

    def _rings(self, target: bytes) -> Iterator[list[Contact]]:
        """Yield all contacts, in parts of which each is nearer to a point than all that follow.

        The bucket that the point lies in; those nearer to us, of which every contact is equally
        far from it by the first bit in which it differs from us; the farther ones in turn.
        """
        shared = self._index(target)
        if shared in self._buckets:
            yield list(self._buckets[shared].contacts.values())
        nearer = [bucket for index, bucket in self._buckets.items() if index > shared]
        yield [contact for bucket in nearer for contact in bucket.contacts.values()]
        for index in sorted((one for one in self._buckets if one < shared), reverse=True):
            yield list(self._buckets[index].contacts.values())

    def _home_bucket(self) -> int:
        """Return the first bucket of which all nodes are among the k nearest to us."""
        nearer, index = 0, max(self._buckets, default=0) + 1
        while index > 0 and nearer < self._k:
            index -= 1
            nearer += len(self._buckets[index].contacts)
        return index + 1 if nearer >= self._k else index

    def _acceptable(self, card: SignedCard, now: float) -> bool:
        key, nonce = card.card.onion_key, card.card.nonce
        if key == self._own_key or card.card.node_id == self._own_id or card.card.expires <= now:
            return False
        return self._nonces.get(key, nonce) == nonce

    def _remember_nonce(self, card: SignedCard) -> None:
        self._nonces.setdefault(card.card.onion_key, card.card.nonce)
        self._nonces.move_to_end(card.card.onion_key)
        if len(self._nonces) > MAX_NONCES:
            self._nonces.popitem(last=False)

    def _bucket(self, card: SignedCard) -> _Bucket:
        return self._buckets[self._index(card.card.node_id)]

    def _index(self, node_id: bytes) -> int:
        return min(ID_BITS - distance(node_id, self._own_id).bit_length(), ID_BITS - 1)

    def _place(self, contact: Contact) -> None:
        bucket = self._bucket(contact.card)
        key = contact.card.card.onion_key
        if len(bucket.contacts) >= self._k:
            dead = self._dead(bucket)
            if dead is not None:
                del bucket.contacts[dead]
            elif not self._is_sibling(contact.card.card.node_id):
                self._spare(bucket, contact)
                return
        bucket.contacts[key] = contact
        for crowded in self._buckets.values():  # a sibling that comes makes another one no sibling
            self._trim(crowded)

    def _trim(self, bucket: _Bucket) -> None:
        """Make spares of some that are siblings no more, if a bucket has k beside its siblings.

        The ones known for the shortest time go: who comes later, however near, displaces nobody.
        """
        if len(bucket.contacts) <= self._k:
            return
        own = int.from_bytes(self._own_id, "big")
        ordered = sorted(bucket.contacts.values(), key=lambda one: one.point ^ own)
        place = self._index(ordered[0].card.card.node_id)
        nearer = sum(len(b.contacts) for index, b in self._buckets.items() if index > place)
        rest = sorted(ordered[max(0, self._siblings - nearer) :], key=lambda one: one.since)
        while len(rest) > self._k:
            self._spare(bucket, bucket.contacts.pop(rest.pop().card.card.onion_key))

    def _spare(self, bucket: _Bucket, contact: Contact) -> None:
        bucket.spares[contact.card.card.onion_key] = contact
        if len(bucket.spares) > self._k:
            bucket.spares.popitem(last=False)

    def _is_sibling(self, node_id: bytes) -> bool:
        """Return whether fewer than `SIBLINGS` contacts are nearer to us than an id."""
        own, gap = int.from_bytes(self._own_id, "big"), distance(node_id, self._own_id)
        place = self._index(node_id)
        nearer = sum(len(b.contacts) for index, b in self._buckets.items() if index > place)
        if nearer < self._siblings and place in self._buckets:
            contacts = self._buckets[place].contacts.values()
            nearer += sum(contact.point ^ own < gap for contact in contacts)
        return nearer < self._siblings

    @staticmethod
    def _dead(bucket: _Bucket) -> bytes | None:
        return next((key for key, c in bucket.contacts.items() if not c.alive), None)

    def _spares(self) -> list[Contact]:
        buckets = self._buckets.values()
        return [contact for bucket in buckets for contact in bucket.spares.values()]


def _live(contacts: list[Contact], now: float) -> list[Contact]:
    return [one for one in contacts if one.failures < FAILURES and now < one.expires]


def _nearest(contacts: list[Contact], target: bytes, count: int) -> list[SignedCard]:
    aim = int.from_bytes(target, "big")
    ordered = sorted(contacts, key=lambda contact: contact.point ^ aim)
    return [contact.card for contact in ordered[:count]]

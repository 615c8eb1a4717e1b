"""The record table, and what the responder lets into it."""

import contextlib
import secrets

import attrs
import pytest
from twisted.internet.defer import Deferred

from bitsnode.config import LOCAL
from bitsnode.dht.records import CAPS, RecordTable
from bitsnode.dht.responder import DhtResponder
from bitsnode.dht.routing import RoutingTable
from bitsnode.ids import distance
from bitsnode.wire import cbor
from bitsnode.wire.card import HOUR
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import MAX_RECORDS, Done, FailureCode, FindNode, FindValue, PutRecord
from bitsnode.wire.record import MAX_RECORD_LIFETIME, RecordKind, SignedRecord
from bitsnode.wire.schema import to_map

OWN = bytes(32)
GROUP_ORDER = (1 << 252) + 27742317777372353535851937790883648493  # of Ed25519, RFC 8032 §5.1


class Storer:
    """A responder with its tables at a time of the test."""

    def __init__(self, now):
        self.now = now
        self.table = RoutingTable(OWN)
        self.records = RecordTable(OWN)
        self.heard = []
        self.responder = DhtResponder(
            LOCAL, self.table, self.records, lambda: self.now, self.heard.append
        )

    def ask(self, request, card=None):
        """Return the reply; raises Refused."""
        results = []
        asked = self.responder.handle(request, Caller(1, card))
        Deferred.fromCoroutine(asked).addBoth(results.append)
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def refuses(self, data):
        """Return the code with which a record is refused."""
        with pytest.raises(Refused) as caught:
            self.ask(PutRecord(data))
        return caught.value.code


@pytest.fixture
def storer(make):
    """Return a storer."""
    return Storer(make.now)


def resign(signed, change):
    """Return signed bytes with the payload or signature changed, in the same slot."""
    payload, signature, owned = cbor.decode(signed.data, 1 << 20)
    return cbor.encode([*change(payload, signature), owned])


def with_field(signed, key, value):
    """Return the record's bytes with one field of the payload replaced, signature kept."""

    def change(payload, signature):
        fields = cbor.decode(payload, 1 << 20)
        fields[key] = value
        return [cbor.encode(fields), signature]

    return resign(signed, change)


def test_d4_nothing_but_a_higher_sequence_of_the_same_key_replaces_a_record(storer, make):
    """Replays and forgeries of every kind are refused and the kept value stays."""
    seed = secrets.token_bytes(32)
    kept = make.record(seed, sequence=5, value=b"kept")
    assert storer.ask(PutRecord(kept.data)) == Done()

    assert storer.ask(PutRecord(kept.data)) == Done()  # a replay of the very same changes nothing
    older = make.record(seed, sequence=4, value=b"older")
    assert storer.refuses(older.data) == FailureCode.STALE
    rival = make.record(seed, sequence=5, value=b"rival")
    assert storer.refuses(rival.data) == FailureCode.STALE

    expired = make.record(seed, sequence=6, expires=make.now)
    far = make.record(seed, sequence=6, expires=make.now + MAX_RECORD_LIFETIME + 3 * HOUR)
    unpaid = make.record(seed, sequence=6, bits=0)
    while unpaid.record.proof()[0] < 16:
        unpaid = make.record(seed, sequence=6, bits=0, value=secrets.token_bytes(8))
    newer = make.record(seed, sequence=6, value=b"newer")
    malleable = resign(
        newer,
        lambda payload, s: [
            payload,
            s[:32] + (int.from_bytes(s[32:], "little") + GROUP_ORDER).to_bytes(32, "little"),
        ],
    )
    other = make.record(secrets.token_bytes(32), sequence=6)
    by_other = resign(newer, lambda payload, s: [payload, cbor.decode(other.data, 1 << 20)[1]])
    forged = [
        expired.data,
        far.data,
        unpaid.data,
        malleable,
        by_other,
        with_field(newer, 5, 1 << 63),
        with_field(newer, 5, 1 << 53),
        newer.data + b"\0",
        b"",
    ]
    for data in forged:
        assert storer.refuses(data) == FailureCode.MALFORMED
    assert storer.records.get(kept.record.key, make.now) == [kept]

    assert storer.ask(PutRecord(newer.data)) == Done()
    assert storer.refuses(kept.data) == FailureCode.STALE
    assert storer.records.get(kept.record.key, make.now) == [newer]


def test_d4_a_reader_cannot_replace_a_record_of_another_slot_key(storer, make):
    """Who knows the content id can sign with its key, and still reaches only slots of their own."""
    seed = secrets.token_bytes(32)
    kept = make.record(seed, slot=1, sequence=1, kind=RecordKind.OFFER)
    storer.ask(PutRecord(kept.data))
    theirs = make.record(seed, slot=2, sequence=1 << 52, kind=RecordKind.OFFER)
    storer.ask(PutRecord(theirs.data))
    stolen = attrs.evolve(theirs.record, slot_key=kept.record.slot_key).solved(LOCAL.record_bits)
    forged = SignedRecord.sign(stolen, seed, (2).to_bytes(32, "big"))
    assert storer.refuses(forged.data) == FailureCode.MALFORMED
    assert storer.records.get(kept.record.key, make.now) == [kept, theirs]


def test_d5_two_values_of_one_sequence_are_both_kept_and_given(storer, make):
    """A feed's owner that signs two heads has left a proof; a later head does not wipe it out."""
    seed = secrets.token_bytes(32)
    feed = [
        make.record(seed, kind=RecordKind.FEED, sequence=sequence, value=value, salt=b"shop")
        for sequence, value in ((4, b"one"), (4, b"two"), (4, b"three"), (5, b"later"))
    ]
    for signed in feed:
        assert storer.ask(PutRecord(signed.data)) == Done()
    found = storer.ask(FindValue(feed[0].record.key)).records
    assert set(found) == {feed[3].data, feed[1].data}
    assert storer.refuses(feed[0].data) == FailureCode.STALE


def test_d5_an_owner_may_prolong_a_head(storer, make):
    """The same value signed again to expire later replaces the earlier one, and is no proof."""
    seed = secrets.token_bytes(32)
    first = make.record(seed, kind=RecordKind.FEED, sequence=4)
    longer = make.record(seed, kind=RecordKind.FEED, sequence=4, expires=make.now + 96 * HOUR)
    storer.ask(PutRecord(first.data))
    storer.ask(PutRecord(longer.data))
    assert storer.records.get(first.record.key, make.now) == [longer]
    assert storer.refuses(first.data) == FailureCode.STALE


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_d4_small_order_keys_are_refused(storer, make, point):
    """A key of small order, for which any message has a valid signature, signs nothing here."""
    record = attrs.evolve(make.record(bytes(32)).record, public_key=point).solved(4)
    signature = b"\1" + bytes(63)  # R = identity, s = 0: verifies for the identity key
    data = cbor.encode([cbor.encode(to_map(record)), signature, signature])
    assert storer.refuses(data) == FailureCode.MALFORMED


def test_kinds_do_not_share_slots(storer, make):
    """A provider record with the placement's slot does not replace it."""
    seed = secrets.token_bytes(32)
    placement = make.record(seed, kind=RecordKind.PLACEMENT)
    provider = make.record(seed, kind=RecordKind.PROVIDER, sequence=9)
    storer.ask(PutRecord(placement.data))
    storer.ask(PutRecord(provider.data))
    assert len(storer.records.get(placement.record.key, make.now)) == 2


def worked(make, seed, bits, **fields):
    """Return a record whose work is so many bits and no more."""
    record = make.record(seed, bits=bits, **fields)
    while record.record.work != bits:
        record = make.record(seed, bits=bits, value=secrets.token_bytes(8), **fields)
    return record


def test_where_places_are_few_more_work_wins(make):
    """To keep a record out somebody has to outdo its work in every place."""
    table, seed = RecordTable(OWN), secrets.token_bytes(32)
    places = CAPS[RecordKind.PLACEMENT].slots
    flood = [worked(make, seed, 6, kind=RecordKind.PLACEMENT, slot=n) for n in range(places)]
    for record in flood:
        table.put(record, make.now)
    poor = worked(make, seed, 6, kind=RecordKind.PLACEMENT, slot=99)
    with pytest.raises(Refused):
        table.put(poor, make.now)
    rich = worked(make, seed, 7, kind=RecordKind.PLACEMENT, slot=99)
    table.put(rich, make.now)
    kept = table.get(rich.record.key, make.now)
    assert rich in kept
    assert len(kept) == places


def test_slots_of_a_key_are_capped_per_kind(make):
    """A flood of providers fills its own share of the key and leaves room for the placement."""
    table, seed = RecordTable(OWN), secrets.token_bytes(32)
    for slot in range(CAPS[RecordKind.PROVIDER].slots):
        table.put(worked(make, seed, 4, slot=slot), make.now)
    with pytest.raises(Refused) as caught:
        table.put(worked(make, seed, 4, slot=999), make.now)
    assert caught.value.code == FailureCode.FULL
    table.put(make.record(seed, slot=3, sequence=2), make.now)
    table.put(make.record(seed, kind=RecordKind.PLACEMENT), make.now)
    table.put(make.record(seed, kind=RecordKind.OFFER), make.now)


def test_bytes_of_a_key_are_capped(make):
    """Large provider records reach the key's byte limit before its slots run out."""
    table, seed = RecordTable(OWN), secrets.token_bytes(32)
    for slot in range(4):
        table.put(make.record(seed, slot=slot, value=bytes(15_000), bits=0), make.now)
    for slot in range(4, 12):
        with contextlib.suppress(Refused):  # or it costs another its place
            table.put(make.record(seed, slot=slot, value=bytes(15_001)), make.now)
    assert table.size <= CAPS[RecordKind.PROVIDER].size


def test_when_full_near_keys_push_out_far_ones(make):
    """A full table takes a nearer key in place of the farthest, and refuses a farther one."""
    made = [make.record(secrets.token_bytes(32), value=bytes(1000)) for _ in range(12)]
    records = sorted(made, key=lambda s: distance(s.record.key, OWN))
    size = max(len(signed.data) for signed in records)
    table = RecordTable(OWN, most=10 * size)
    for signed in records[1:11]:
        table.put(signed, make.now)
    with pytest.raises(Refused) as caught:
        table.put(records[11], make.now)
    assert caught.value.code == FailureCode.FULL
    assert table.get(records[10].record.key, make.now) == [records[10]]
    table.put(records[0], make.now)
    assert table.get(records[10].record.key, make.now) == []
    assert table.size <= 10 * size


def test_records_expire(make):
    """An expired record is neither given out nor kept, and a lower sequence may follow it."""
    table, seed = RecordTable(OWN), secrets.token_bytes(32)
    signed = make.record(seed, sequence=5, expires=make.now + HOUR)
    table.put(signed, make.now)
    assert table.get(signed.record.key, make.now + HOUR) == []
    table.expire(make.now + HOUR)
    assert (len(table), table.size) == (0, 0)


def test_a_reply_holds_the_placement_and_a_sample_of_providers(storer, make):
    """Of many providers a reply names some, and always the placement."""
    seed = secrets.token_bytes(32)
    placement = make.record(seed, kind=RecordKind.PLACEMENT)
    for slot in range(30):
        storer.ask(PutRecord(make.record(seed, slot=slot).data))
    storer.ask(PutRecord(placement.data))
    replies = [storer.ask(FindValue(placement.record.key)).records for _ in range(5)]
    assert all(len(records) == MAX_RECORDS for records in replies)
    assert all(placement.data in records for records in replies)
    assert len({data for records in replies for data in records}) > MAX_RECORDS


def test_the_card_of_a_caller_is_a_hint_and_no_contact(storer, make):
    """It is passed on to be verified, and nobody is told of it before."""
    card = make.card()
    assert storer.ask(FindNode(OWN), card).cards == ()
    assert storer.heard == [card]
    assert storer.table.contacts() == []

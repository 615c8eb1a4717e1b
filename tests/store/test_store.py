"""Shares go in, stay, are read, and go."""

import secrets
from pathlib import Path

import attrs
import pytest

from bitsnode.codec import keys
from bitsnode.ids import ContentId
from bitsnode.store.errors import BadDenyList
from bitsnode.store.quota import Limits
from bitsnode.store.records import REPUBLISH
from bitsnode.store.shares import LEAST_BLOCK, ShareKey
from bitsnode.store.testing import DAY, NOW, SampleShare, sample_record
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import (
    AttachRecords,
    Commit,
    FailureCode,
    Part,
    PutData,
)

LEAST, MOST = REPUBLISH * 3 // 4, REPUBLISH * 5 // 4  # seconds between two puts of a record


def expect(code: int):
    """A context that expects a refusal with this code."""
    return pytest.raises(Refused, check=lambda error: error.code == code)


@pytest.mark.parametrize(
    ("blocks", "size", "last"), [(0, 0, 0), (1, 1, 1), (1, 300_000, 300_000), (4, 5000, 17)]
)
def test_what_was_stored_is_read_again_after_a_restart(open_store, blocks, size, last):
    """A share of any shape comes back whole from a store that was closed and opened."""
    share = SampleShare.make(blocks, size, last=last)
    first = open_store()
    share.upload(first)
    share.check(first)
    first.close()
    share.check(open_store())


def test_pieces_may_come_in_any_order_and_twice(store):
    """Pipelined pieces arrive as they like; the share is whole when all bytes came."""
    share = SampleShare.make()
    place = store.allocate(share.request, 1, NOW)
    pieces = list(share.pieces(place.upload, 700))
    secrets.SystemRandom().shuffle(pieces)
    for piece in [*pieces, pieces[0]]:
        store.put(piece, NOW)
    store.commit(Commit(place.upload, ()), NOW)
    share.check(store)


def test_an_incomplete_share_is_not_kept_but_may_be_completed(store):
    """Commit before the last byte says UNSTORED, and the upload goes on."""
    share = SampleShare.make()
    place = store.allocate(share.request, 1, NOW)
    *most, last = share.pieces(place.upload, 1000)
    for piece in most:
        store.put(piece, NOW)
    with expect(FailureCode.UNSTORED):
        store.commit(Commit(place.upload, ()), NOW)
    store.put(last, NOW)
    store.commit(Commit(place.upload, ()), NOW)
    share.check(store)


def test_bytes_that_do_not_match_the_root_are_not_kept(store):
    """One flipped bit before commit: UNSTORED, the place is gone, its bytes are free."""
    share = SampleShare.make()
    place = store.allocate(share.request, 1, NOW)
    for piece in share.pieces(place.upload):
        flipped = bytes([piece.data[0] ^ 1]) + piece.data[1:]
        store.put(attrs.evolve(piece, data=flipped) if piece.part == Part.SHARE else piece, NOW)
    with expect(FailureCode.UNSTORED):
        store.commit(Commit(place.upload, ()), NOW)
    with expect(FailureCode.NOT_FOUND):
        store.commit(Commit(place.upload, ()), NOW)
    assert store.counters().used == 0
    with expect(FailureCode.NOT_FOUND):
        share.read(store)


def test_c1_a_bit_that_flips_on_disk_is_served_as_it_is(store, tmp_path):
    """The store does not hide damage: the reader finds it by the block layer."""
    share = SampleShare.make()
    share.upload(store)
    path = tmp_path / "store" / "shares" / share.key.name[:2] / share.key.name
    data = bytearray(path.read_bytes())
    data[-200 - 32 * 3] ^= 1
    path.write_bytes(data)
    assert share.read(store) != share.parts[Part.SHARE]
    assert len(share.read(store)) == len(share.parts[Part.SHARE])


def test_c1_a_damaged_header_is_reported_and_serves_nothing(store, tmp_path, reports):
    """Wrong sizes are never believed: the reader is told that this node is at fault."""
    share = SampleShare.make()
    share.upload(store)
    path = tmp_path / "store" / "shares" / share.key.name[:2] / share.key.name
    data = bytearray(path.read_bytes())
    data[15] ^= 1
    path.write_bytes(data)
    with expect(FailureCode.INTERNAL):
        share.read(store)
    assert reports == ["A stored share has a damaged header."]


def test_reads_are_clipped_at_the_end_of_the_part(store):
    """A stretch never runs into the next part, and one beyond the end is empty."""
    share = SampleShare.make()
    share.upload(store)
    end = len(share.parts[Part.SHARE])
    found = store.read(share.stretch(Part.SHARE, end - 10, 5000), NOW)
    assert (found.data, found.total) == (share.parts[Part.SHARE][-10:], end)
    assert store.read(share.stretch(Part.SHARE, end + 10, 10), NOW).data == b""


def test_data_beyond_a_part_is_refused(store):
    """An uploader cannot write over the next part, nor make the file longer."""
    share = SampleShare.make()
    place = store.allocate(share.request, 1, NOW)
    for part in (Part.SHARE, Part.LAYER, Part.MANIFEST):
        with expect(FailureCode.MALFORMED):
            store.put(PutData(place.upload, part, len(share.parts[part]) - 1, b"ab"), NOW)


def test_scattered_data_is_bounded(store):
    """Single bytes with gaps cannot fill the memory: after 4096 stretches it says BUSY."""
    share = SampleShare.make()
    place = store.allocate(share.request, 1, NOW)
    for offset in range(4096):
        store.put(PutData(place.upload, Part.SHARE, 2 * offset, b"x"), NOW)
    with expect(FailureCode.BUSY):
        store.put(PutData(place.upload, Part.SHARE, 2 * 4096, b"x"), NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": 0},
        {"block_size": 10, "last_block_size": 10},
        {"last_block_size": 0},
        {"last_block_size": 5001},
    ],
)
def test_sizes_that_no_share_has_are_refused(store, change):
    """Sizes that contradict each other, or blocks so small that the layer is the payload."""
    request = attrs.evolve(SampleShare.make().request, **change)
    with expect(FailureCode.MALFORMED):
        store.allocate(request, 1, NOW)


def test_a_share_whose_puzzle_is_not_solved_is_refused(store):
    """Another index makes the proof worthless (in one of two cases, so try several)."""
    share = SampleShare.make(blocks=200, last=1)
    codes = set()
    for index in range(20):
        try:
            store.allocate(attrs.evolve(share.request, index=index), index, NOW)
        except Refused as error:
            codes.add(error.code)
    assert codes == {FailureCode.UNPAID}


def test_a_present_share_has_its_lease_extended(store):
    """Allocating the very share again sends nothing and never shortens the lease."""
    share = SampleShare.make(lease_until=NOW + 2 * DAY)
    share.upload(store)
    longer = store.allocate(attrs.evolve(share.request, lease_until=NOW + 9 * DAY), 1, NOW)
    assert (longer.present, longer.lease_until) == (True, NOW + 9 * DAY)
    shorter = store.allocate(share.request, 1, NOW)
    assert shorter.lease_until == NOW + 9 * DAY


def test_other_bytes_under_a_key_in_use_are_refused(store):
    """The first to come stay: nobody replaces a share by knowing where it lies."""
    share = SampleShare.make()
    share.upload(store)
    with expect(FailureCode.REFUSED):
        store.allocate(SampleShare.make(key=share.key).request, 1, NOW)
    share.check(store)


def test_an_uploader_that_begins_again_takes_one_place(store):
    """A lost connection costs no second place: the new one replaces the old one."""
    share = SampleShare.make()
    old = store.allocate(share.request, 1, NOW)
    new = store.allocate(share.request, 2, NOW)
    assert store.counters().uploads == 1
    with expect(FailureCode.NOT_FOUND):
        store.put(PutData(old.upload, Part.SHARE, 0, b"x"), NOW)
    for piece in share.pieces(new.upload):
        store.put(piece, NOW)
    store.commit(Commit(new.upload, ()), NOW)
    share.check(store)
    assert store.counters().used == store.holdings()[0].charge


def test_two_shares_for_one_key_end_with_the_first_committed(store):
    """Two askers fill other bytes for one key at once: who commits second is refused."""
    first = SampleShare.make()
    second = SampleShare.make(key=first.key)
    places = [(one, store.allocate(one.request, 1, NOW)) for one in (first, second)]
    for one, place in places:
        for piece in one.pieces(place.upload):
            store.put(piece, NOW)
    store.commit(Commit(places[0][1].upload, ()), NOW)
    with expect(FailureCode.REFUSED):
        store.commit(Commit(places[1][1].upload, ()), NOW)
    first.check(store)
    assert store.counters().used == store.holdings()[0].charge


def test_the_largest_share_of_the_terms_fits(open_store):
    """A share of just the size that the terms name is taken."""
    store = open_store(Limits(total=4_000_000, unpaid=2_000_000, spare=0))
    largest = store.terms().largest
    assert largest > 1_900_000
    blocks = -(-largest // LEAST_BLOCK)
    last = largest - (blocks - 1) * LEAST_BLOCK
    SampleShare.make(blocks, LEAST_BLOCK, last=last).upload(store)
    assert store.terms().largest < LEAST_BLOCK


def test_leases_are_bounded_and_expire(store, tmp_path):
    """No more than 31 days are granted; what has expired is swept, row and file."""
    share = SampleShare.make(lease_until=NOW + 400 * DAY)
    share.upload(store)
    assert store.holdings()[0].lease_until == NOW + 31 * DAY
    assert store.sweep(NOW + 31 * DAY - 1).shares == 0
    assert store.sweep(NOW + 31 * DAY).shares == 1
    assert store.counters().used == 0
    with expect(FailureCode.NOT_FOUND):
        share.read(store)
    assert not [path for path in (tmp_path / "store" / "shares").rglob("*") if path.is_file()]


def test_a_lease_in_the_past_is_refused(store):
    """To ask for a lease that has passed is a mistake worth telling."""
    with expect(FailureCode.STALE):
        store.allocate(SampleShare.make(lease_until=NOW).request, 1, NOW)


def test_counters_are_live_and_survive_a_restart(open_store):
    """Served bytes show at once, per part and per share, and are kept by a flush."""
    share = SampleShare.make()
    store = open_store()
    share.upload(store)
    share.check(store)
    for found in (store, None):
        if found is None:
            store.close()
            found = open_store()
        counters = found.counters()
        assert (counters.served_share, counters.served_layer, counters.served_manifest) == (
            15_000,
            96,
            100,
        )
        assert (counters.reads, counters.stored, counters.received) == (3, 1, 15_196)
        (holding,) = found.holdings()
        assert (holding.served, holding.reads) == ((15_000, 96, 100), 3)
        assert holding.last_read == NOW - NOW % 86_400  # the day, and not the moment


def test_records_are_due_for_republishing_until_the_lease_ends(store):
    """Records come back every half day or so, and go with their share."""
    share, record = SampleShare.make(), sample_record()
    share.upload(store, record)
    assert store.records_due(NOW + LEAST - 1) == []
    (due,) = store.records_due(NOW + MOST)
    assert due.data == record.data
    store.mark_republished(due, NOW + MOST)
    assert store.records_due(NOW + MOST + LEAST - 1) == []
    assert store.records_due(NOW + 2 * MOST) == [due]
    store.sweep(NOW + DAY)
    assert store.records_due(NOW + 3 * REPUBLISH) == []


def test_a_record_that_no_node_took_is_due_again_soon(store):
    """A failed republish is tried again in minutes, not half a day later."""
    SampleShare.make().upload(store, sample_record())
    (due,) = store.records_due(NOW + MOST)
    store.mark_republished(due, NOW + MOST, stored=False)
    assert store.records_due(NOW + MOST + 600) == [due]


def test_holders_of_one_publish_put_its_records_at_times_of_their_own(store):
    """What was stored in one moment is not due in one moment, nor is what was attached."""
    shares = [SampleShare.make() for _ in range(40)]
    for share in shares[:20]:
        share.upload(store, sample_record())
    for share in shares[20:]:
        share.upload(store)
        store.attach(AttachRecords(*attrs.astuple(share.key), (sample_record().data,)), NOW)
    middle = len(store.records_due(NOW + REPUBLISH))
    assert store.records_due(NOW + LEAST - 1) == []
    assert 0 < middle < 40 == len(store.records_due(NOW + MOST))


def test_attached_records_replace_older_ones_of_their_slot(store):
    """A higher sequence replaces, a lower one is stale, and the bytes are counted."""
    share = SampleShare.make()
    share.upload(store, sample_record(sequence=2))
    place = attrs.astuple(share.key)
    newer = sample_record(sequence=3, value=b"longer than before")
    store.attach(AttachRecords(*place, (newer.data,)), NOW)
    with expect(FailureCode.STALE):
        store.attach(AttachRecords(*place, (sample_record(sequence=2).data,)), NOW)
    assert [due.data for due in store.records_due(NOW + MOST)] == [newer.data]
    assert store.counters().used == store.holdings()[0].charge


def test_records_of_another_key_or_too_many_are_refused(store):
    """Who only knows where a share lies cannot make its holder spread other records."""
    share = SampleShare.make()
    share.upload(store, sample_record())
    place = attrs.astuple(share.key)
    with expect(FailureCode.REFUSED):
        store.attach(AttachRecords(*place, (sample_record(b"\1" * 32).data,)), NOW)
    for slot in range(1, 8):
        store.attach(AttachRecords(*place, (sample_record(slot=bytes([slot]) * 16).data,)), NOW)
    with expect(FailureCode.FULL):
        store.attach(AttachRecords(*place, (sample_record(slot=b"\x99" * 16).data,)), NOW)
    with expect(FailureCode.NOT_FOUND):
        store.attach(AttachRecords(bytes(32), 0, (sample_record().data,)), NOW)
    with expect(FailureCode.MALFORMED):
        store.attach(AttachRecords(*place, (b"rubbish",)), NOW)


def test_a_denied_share_is_refused_and_removed_without_a_restart(store, tmp_path):
    """The operator names a content id: its shares go, and are neither taken nor handed out."""
    content = ContentId(secrets.token_bytes(32))
    share = SampleShare.make(key=ShareKey(keys.storage_index(content.digest), 3))
    other = SampleShare.make()
    share.upload(store)
    other.upload(store)
    place = store.allocate(
        SampleShare.make(key=ShareKey(share.key.storage_index, 4)).request, 1, NOW
    )
    (tmp_path / "deny.txt").write_text(f"# by order\n{content}  # a comment\n")
    assert store.refresh_deny_list() == 1
    assert store.refresh_deny_list() == 0
    for refused_call in (
        lambda: share.read(store),
        lambda: store.allocate(share.request, 1, NOW),
        lambda: store.attach(AttachRecords(*attrs.astuple(share.key), ()), NOW),
    ):
        with expect(FailureCode.REFUSED):
            refused_call()
    assert not place.present
    other.check(store)
    assert [holding.key for holding in store.holdings()] == [other.key]


def test_an_upload_under_way_is_not_kept_once_denied(store, tmp_path):
    """A list that changes between allocate and commit is obeyed at commit."""
    share = SampleShare.make()
    place = store.allocate(share.request, 1, NOW)
    for piece in share.pieces(place.upload):
        store.put(piece, NOW)
    (tmp_path / "deny.txt").write_text(share.key.storage_index.hex())
    store.reload_deny_list()
    with expect(FailureCode.REFUSED):
        store.commit(Commit(place.upload, ()), NOW)
    assert store.counters().used == 0


def test_a_malformed_deny_list_keeps_the_one_before(store, tmp_path: Path):
    """A typing mistake gives a sentence with its line, and unblocks nothing."""
    share = SampleShare.make()
    (tmp_path / "deny.txt").write_text(share.key.storage_index.hex())
    store.reload_deny_list()
    (tmp_path / "deny.txt").write_text("\nbafynonsense\n")
    with pytest.raises(BadDenyList, match=r"Line 2 of .*deny\.txt is not a storage index"):
        store.reload_deny_list()
    with expect(FailureCode.REFUSED):
        store.allocate(share.request, 1, NOW)

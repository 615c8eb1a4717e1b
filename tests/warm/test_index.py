"""The index of a group: what it takes, what gives way, and how it is read."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.errors import BitsError
from bitsnode.ids import ID_BITS
from bitsnode.warm.groups import (
    group_bits,
    group_of,
    kept_bits,
    near_depths,
    point_in,
    settled_bits,
)
from bitsnode.warm.index import GroupIndex, reread, short_id, worth_of
from bitsnode.warm.places import Place, wanted_places
from bitsnode.warm.plan import PLAN
from bitsnode.warm.saved import IndexByNewer, IndexUnusable, SavedIndex
from bitsnode.wire.record import RecordKind
from bitsnode.wire.warm_messages import MAX_NUMBER, MAX_PAGE

ROOM = 1 << 20  # bytes


def seeds(count: int) -> list[bytes]:
    """Seeds of so many keys."""
    return [number.to_bytes(32, "big") for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("nodes", "bits"), [(0, 0), (79, 0), (80, 1), (1000, 4), (2560, 6), (10**6, 6)]
)
def test_groups_have_forty_nodes_at_least(nodes: int, bits: int) -> None:
    """There are as many groups as that allows, 64 at most."""
    assert group_bits(nodes, 40, 6) == bits
    assert nodes / 2**bits >= 40 or bits == 0


def test_a_wavering_estimate_does_not_move_the_groups() -> None:
    """They follow when it has really changed."""
    assert settled_bits(4, 1300, 40, 6) == 4  # 5 begins at 1280
    assert settled_bits(5, 1250, 40, 6) == 5
    assert settled_bits(4, 1700, 40, 6) == 5
    assert settled_bits(0, 1_000_000, 40, 6) == 6


@given(
    doublings=st.floats(5, 14),
    ratio=st.floats(0.8, 1.25),
    asked=st.integers(0, 6),
    kept=st.integers(0, 6),
)
def test_who_is_asked_has_the_askers_group_although_their_estimates_differ(
    doublings: float, ratio: float, asked: int, kept: int
) -> None:
    """Whatever each of the two thought before: an index has no fewer keys than a group."""
    nodes = 2.0**doublings
    assert kept_bits(kept, nodes * ratio, 40, 6) <= settled_bits(asked, nodes, 40, 6)


def test_points_are_in_their_groups() -> None:
    """A random point of a group belongs to it."""
    for bits in (0, 1, 6):
        for group in range(1 << bits):
            assert group_of(point_in(group, bits, secrets.token_bytes(32)), bits) == group


def test_links_are_wanted_in_every_group_and_nearer() -> None:
    """Near places are parts of our own group, and none of them holds us."""
    own = secrets.token_bytes(32)
    places = wanted_places(PLAN, 6, 1e6, own)
    groups = {place: count for place, count in places.items() if place.bits == 6}
    near = [place for place in places if place.bits > 6]
    assert len(groups) == 64
    assert set(groups.values()) == {3}
    assert [place.bits - 1 for place in near] == list(near_depths(1e6, 6, 20)) == list(range(6, 15))
    mine = Place(6, group_of(own, 6))
    for place in near:
        point = (place.prefix << (ID_BITS - place.bits)).to_bytes(32, "big")
        assert mine.holds(point)
        assert not place.holds(own)
    assert sum(wanted_places(PLAN, 0, 30.0, own).values()) <= PLAN.least + PLAN.near
    assert sum(wanted_places(PLAN, 0, 5.0, own).values()) == 4
    assert sum(wanted_places(PLAN, 6, 1e6, None).values()) == 192


def test_it_takes_what_is_new_and_of_its_group(make: Any) -> None:
    """The same record again, an older one, an expired one and one of elsewhere change nothing."""
    index = GroupIndex(ROOM)
    record = make.record(b"s" * 32, sequence=5)
    assert index.put(record, make.now)
    assert not index.put(record, make.now)
    assert not index.put(make.record(b"s" * 32, sequence=4), make.now)
    assert not index.put(make.record(b"t" * 32, expires=make.now + 3600), make.now + 3600)
    newer = make.record(b"s" * 32, sequence=6, value=b"newer")
    assert index.put(newer, make.now)
    assert [signed.data for signed in index.get(record.record.key, make.now)] == [newer.data]
    first = record.record.key[0]
    index.keep_only(Place(1, 1 - (first >> 7)))
    assert len(index) == index.size == 0
    assert not index.put(newer, make.now)


def test_both_values_of_an_owner_that_wavers_are_kept(make: Any) -> None:
    """They are the proof; and a later head beside them."""
    index = GroupIndex(ROOM)
    for sequence, value in ((1, b"one"), (1, b"two"), (2, b"three")):
        head = make.record(b"s" * 32, kind=RecordKind.FEED, sequence=sequence, value=value)
        assert index.put(head, make.now)
    values = {reread(data).record.value for data in index.more(head.record.key, 12, make.now)}
    assert values == {b"two", b"three"}


def test_answers_hold_every_kind(make: Any) -> None:
    """Many providers do not crowd the placement out."""
    index = GroupIndex(ROOM)
    for slot in range(16):
        index.put(make.record(b"s" * 32, slot=slot), make.now)
    placement = make.record(b"s" * 32, kind=RecordKind.PLACEMENT, slot=99)
    index.put(placement, make.now)
    found = index.more(placement.record.key, 3, make.now)
    assert len(found) == 3
    assert placement.data in found


def test_work_for_the_size_decides_who_stays(make: Any) -> None:
    """When all is full a cheaper record is refused, and a dearer one takes the cheapest's place."""
    cheap = [make.record(seed, bits=4) for seed in seeds(8)]
    index = GroupIndex(sum(len(signed.data) for signed in cheap))
    for signed in cheap:
        assert index.put(signed, make.now)
    # as much work for fifty times the bytes
    assert not index.put(make.record(b"b" * 32, value=bytes(15_000), bits=4), make.now)
    assert len(index) == 8
    dear = make.record(b"d" * 32, bits=14)
    assert index.put(dear, make.now)
    assert index.get(dear.record.key, make.now)
    assert index.size <= sum(len(signed.data) for signed in cheap)


def test_a_full_slot_gives_way_to_more_work(make: Any) -> None:
    """Whoever floods one key has to outbid each honest record."""
    index = GroupIndex(ROOM)
    for slot in range(16):
        assert index.put(make.record(b"s" * 32, slot=slot, bits=8), make.now)
    cheap = next(
        record
        for slot in range(77, 200)
        if (record := make.record(b"s" * 32, slot=slot, bits=0)).record.work < 8
    )
    assert not index.put(cheap, make.now)
    dear = make.record(b"s" * 32, slot=78, bits=16)
    assert index.put(dear, make.now)
    assert len(index.get(dear.record.key, make.now)) == 16


def test_it_is_read_in_pages_and_goes_on_from_there(make: Any) -> None:
    """A newcomer reads all; who read before reads what came since, and nothing twice."""
    index = GroupIndex(ROOM)
    records = [make.record(seed, bits=0) for seed in seeds(MAX_PAGE + 10)]
    for signed in records:
        index.put(signed, make.now)
    entries, last, more = index.page(0)
    assert (len(entries), more) == (MAX_PAGE, True)
    rest, end, more = index.page(last)
    assert (len(rest), more) == (10, False)
    assert {entry[2:] for entry in (*entries, *rest)} == {short_id(s.data) for s in records}
    assert index.page(end) == ((), end, False)
    assert index.page(MAX_NUMBER) == ((), end, False)
    newer = make.record(seeds(1)[0], sequence=9, bits=0)
    index.put(newer, make.now)
    (entry,), _, _ = index.page(end)
    worth = worth_of(newer.record.work, len(newer.data))
    assert entry == bytes((newer.record.key[0], worth)) + short_id(newer.data)
    assert short_id(records[0].data) not in {entry[2:] for entry in index.page(0)[0]}


def test_what_is_pulled_fits(make: Any) -> None:
    """As many as fit, in the order asked; what is not there is left out."""
    index = GroupIndex(ROOM)
    records = [make.record(seed, value=bytes(1000), bits=0) for seed in seeds(3)]
    for signed in records:
        index.put(signed, make.now)
    ids = [b"nothing!", *(short_id(signed.data) for signed in records)]
    assert index.pull(ids, 1 << 20) == [signed.data for signed in records]
    assert index.pull(ids, 2 * len(records[0].data)) == [signed.data for signed in records[:2]]


def test_what_was_refused_is_not_asked_for_again(make: Any) -> None:
    """Nor what is here, nor what is of another group, nor what is too cheap when all is full."""
    record, old = make.record(b"s" * 32, sequence=5), make.record(b"s" * 32, sequence=4)
    index = GroupIndex(ROOM)
    first, worth = record.record.key[0], 32
    assert index.lacks(first, worth, short_id(record.data))
    index.put(record, make.now)
    index.put(old, make.now)
    assert not index.lacks(first, worth, short_id(record.data))
    assert not index.lacks(first, worth, short_id(old.data))
    index.keep_only(Place(4, first >> 4))
    assert not index.lacks(first ^ 0x80, worth, b"anything")
    assert index.lacks(first, worth, b"anything")


def test_it_outlives_the_process(tmp_path: Path, make: Any) -> None:
    """What came is there again, what went is not."""
    path = tmp_path / "index.sqlite"
    index, file = GroupIndex(ROOM), SavedIndex(path)
    kept, gone = make.record(b"s" * 32), make.record(b"t" * 32, expires=make.now + 3600)
    for signed in (kept, gone):
        index.put(signed, make.now)
    file.save(*index.take_changes())
    index.expire(make.now + 3600)
    file.save(*index.take_changes())
    assert index.take_changes() == ([], [])
    file.close()
    again = SavedIndex(path)
    assert [[signed.data for signed in page] for page in again.pages()] == [[kept.data]]
    again.close()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "error"), [(b"no database" * 100, IndexUnusable), (None, IndexByNewer)]
)
def test_a_file_that_is_not_ours_is_refused(
    tmp_path: Path, content: bytes | None, error: type[BitsError]
) -> None:
    """A damaged one, and one of a newer version, are left as they are."""
    path = tmp_path / "index.sqlite"
    if content is not None:
        path.write_bytes(content)
    else:
        file = SavedIndex(path)
        file._file.execute("PRAGMA user_version = 2")
        file.close()
    before = path.read_bytes()
    with pytest.raises(error):
        SavedIndex(path)
    assert path.read_bytes() == before

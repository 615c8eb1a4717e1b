"""How much is kept, for whom: C8 at small scale, budgets, evictions."""

import attrs
import pytest

from bitsnode.store.quota import Limits, charge
from bitsnode.store.shares import Geometry
from bitsnode.store.testing import DAY, NOW, SampleShare, sample_record
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import Commit, FailureCode

SIZE = 50_000  # bytes of a share
CHARGE = charge(Geometry(1, SIZE, SIZE, 100))
SMALL = Limits(total=40 * CHARGE, unpaid=20 * CHARGE, spare=0)


def expect(code: int):
    """A context that expects a refusal with this code."""
    return pytest.raises(Refused, check=lambda error: error.code == code)


def on_disk(home) -> int:
    """Bytes of all share files."""
    return sum(path.stat().st_size for path in (home / "store").rglob("*.7"))


def share(**options) -> SampleShare:
    """One that is charged `CHARGE`."""
    return SampleShare.make(1, SIZE, **options)


def test_c8_ten_times_the_cap_is_pushed(open_store, tmp_path):
    """The store fills to within 1% below its unpaid part, refuses the rest, keeps its word."""
    limits = attrs.evolve(SMALL, total=200 * CHARGE + 99, unpaid=150 * CHARGE + 99)
    store, kept, refusals = open_store(limits), [], []
    for _ in range(1500):
        one = share()
        try:
            place = store.allocate(one.request, 1, NOW)
        except Refused as error:
            refusals.append(error.code)
            continue
        for piece in one.pieces(place.upload):
            store.put(piece, NOW)
        store.commit(Commit(place.upload, ()), NOW)
        kept.append(one)
    assert (len(kept), refusals) == (150, [FailureCode.FULL] * 1350)
    assert 0.99 * limits.unpaid <= store.counters().used <= limits.unpaid
    assert 0.9 * limits.unpaid <= on_disk(tmp_path) <= limits.unpaid
    assert store.terms().largest < SIZE
    for one in kept:
        one.check(store)


def test_c8_paid_shares_make_unpaid_ones_go_but_never_paid_ones(open_store):
    """Eviction: what expired first, then unpaid leases that end first; paid ones stay."""
    store = open_store(SMALL)
    unpaid = [share(lease_until=NOW + DAY + number) for number in range(20)]
    for one in reversed(unpaid):
        one.upload(store)
    paid = [share(lease_until=NOW + DAY) for _ in range(41)]
    for number, one in enumerate(paid):
        if number == 40:
            with expect(FailureCode.FULL):
                store.allocate(one.request, number, NOW, paid=True)
            break
        place = store.allocate(one.request, number, NOW, paid=True)
        for piece in one.pieces(place.upload):
            store.put(piece, NOW)
        store.commit(Commit(place.upload, ()), NOW)
        left = {holding.key for holding in store.holdings() if not holding.paid}
        assert left == {each.key for each in unpaid[max(0, number - 19) :]}
    assert store.counters().used == 40 * CHARGE


def test_unpaid_shares_do_not_wash_out_unpaid_ones(open_store):
    """A promise to one who does not pay holds against others who do not, until it ends."""
    store = open_store(SMALL)
    for _ in range(20):
        share(lease_until=NOW + DAY).upload(store)
    with expect(FailureCode.FULL):
        store.allocate(share(lease_until=NOW + 9 * DAY).request, 1, NOW)
    late = share(lease_until=NOW + 9 * DAY)
    late.upload(store, now=NOW + DAY)
    assert [holding.key for holding in store.holdings()] == [late.key]


def test_places_that_are_being_filled_count(open_store):
    """Allocations cannot promise the same bytes twice; a stalled one is given up."""
    store = open_store(SMALL)
    for number in range(20):
        store.allocate(share().request, number, NOW)
    with expect(FailureCode.FULL):
        store.allocate(share().request, 99, NOW)
    assert store.sweep(NOW + SMALL.stall - 1).uploads == 0
    assert store.sweep(NOW + SMALL.stall).uploads == 20
    assert (store.counters().used, store.counters().uploads) == (0, 0)
    store.allocate(share().request, 99, NOW)


def test_data_keeps_an_upload_alive(open_store):
    """A slow uploader that sends something now and then is not given up."""
    store = open_store(SMALL)
    one = share()
    place = store.allocate(one.request, 1, NOW)
    now = NOW
    for piece in one.pieces(place.upload, 5000):
        now += SMALL.stall - 1
        store.put(piece, now)
        store.sweep(now)
    store.commit(Commit(place.upload, ()), now)


def test_one_connection_has_a_budget_of_uploads_and_bytes(open_store):
    """One asker cannot take all places; another one still gets one."""
    store = open_store(attrs.evolve(SMALL, uploads_each=3, bytes_each=5 * CHARGE))
    for _ in range(3):
        store.allocate(share().request, 1, NOW)
    with expect(FailureCode.BUSY):
        store.allocate(share().request, 1, NOW)
    store.allocate(share().request, 2, NOW)
    with expect(FailureCode.BUSY):
        store.allocate(SampleShare.make(1, 6 * SIZE).request, 3, NOW)


def test_all_connections_together_have_a_budget(open_store):
    """The number of open files is bounded whoever asks."""
    store = open_store(attrs.evolve(SMALL, uploads=4))
    for number in range(4):
        store.allocate(share().request, number, NOW)
    with expect(FailureCode.BUSY):
        store.allocate(share().request, 9, NOW)


def test_records_count_against_the_quota(open_store):
    """Tiny shares with large records do not get round the cap."""
    store = open_store(Limits(total=2 * CHARGE, unpaid=CHARGE, spare=0))
    one = share()
    with expect(FailureCode.FULL):
        one.upload(store, sample_record(value=bytes(1000)))
    assert store.counters().used == 0
    tiny = SampleShare.make(1, 100)
    tiny.upload(store, sample_record(value=bytes(1000)))
    assert store.counters().used > charge(Geometry(1, 100, 100, 100)) + 1000


def test_lowered_limits_are_met_by_a_sweep(open_store):
    """An operator who gives less gets the bytes back from unpaid shares."""
    store = open_store(SMALL)
    for number in range(20):
        share(lease_until=NOW + DAY + number).upload(store)
    store.close()
    store = open_store(Limits(total=5 * CHARGE, unpaid=CHARGE, spare=0))
    assert store.sweep(NOW).shares == 15
    assert store.counters().used == 5 * CHARGE

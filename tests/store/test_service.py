"""The clockwork: what happens without anybody asking."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.store.service import SWEEP, StoreService
from bitsnode.store.testing import DAY, NOW, SampleShare


async def at_once(call, /):
    """Run a call here and now."""
    return call()


def started(store, reports):
    """A running service and its clock."""
    clock = Clock()
    clock.advance(NOW)
    service = StoreService(clock, store, at_once, reports.append)
    service.start()
    return service, clock


def test_expired_shares_go_by_themselves(store, reports):
    """One sweep after the lease has ended, the share is gone."""
    SampleShare.make(lease_until=NOW + DAY).upload(store)
    _, clock = started(store, reports)
    clock.advance(DAY - SWEEP)
    assert len(store.holdings()) == 1
    clock.pump([SWEEP, SWEEP])
    assert store.holdings() == []


def test_the_deny_list_is_obeyed_within_a_minute(store, reports, tmp_path):
    """An edit needs no restart; a mistake in it is reported once."""
    share = SampleShare.make()
    share.upload(store)
    _, clock = started(store, reports)
    (tmp_path / "deny.txt").write_text("oops")
    clock.pump([60, 60, 60])
    assert len(reports) == 1
    (tmp_path / "deny.txt").write_text(share.key.storage_index.hex())
    clock.advance(60)
    assert store.holdings() == []


def test_stopping_notes_what_was_served(open_store, reports):
    """Counters of the last minute are not lost by a stop."""
    store = open_store()
    share = SampleShare.make()
    share.upload(store)
    service, clock = started(store, reports)
    share.check(store)
    Deferred.fromCoroutine(service.stop())
    assert clock.getDelayedCalls() == []
    assert open_store().counters().reads == 3

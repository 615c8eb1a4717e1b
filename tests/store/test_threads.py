"""Many threads at once: the responder's calls run side by side."""

import threading

from bitsnode.store.quota import Limits, charge
from bitsnode.store.readers import OpenShares
from bitsnode.store.shares import Geometry, ShareFiles
from bitsnode.store.testing import NOW, SampleShare
from bitsnode.wire.exchange import Refused

CHARGE = charge(Geometry(3, 5000, 5000, 100))


def run_all(*works) -> None:
    """Run each in a thread, and raise what any of them raised."""
    errors: list[BaseException] = []

    def guarded(work) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if errors:
        raise errors[0]


def test_uploads_reads_and_sweeps_side_by_side(open_store, disk, tmp_path):
    """Whatever the order, no promise is lost, nothing is counted twice, no descriptor leaks."""
    store = open_store(Limits(total=25 * CHARGE, unpaid=20 * CHARGE, spare=0))
    kept: list[SampleShare] = []
    done = threading.Event()

    def upload(who: int) -> None:
        for number in range(25):
            brief = number % 2
            share = SampleShare.make(lease_until=NOW + (1 if brief else 100))
            try:
                share.upload(store, who=who)
            except Refused:
                continue
            if not brief:
                kept.append(share)

    def read() -> None:
        while not done.is_set():
            for share in list(kept):
                share.check(store)

    def sweep() -> None:
        while not done.is_set():
            store.sweep(NOW + 1)
            store.flush()
            store.holdings()

    others = [threading.Thread(target=work) for work in (read, sweep)]
    for thread in others:
        thread.start()
    try:
        run_all(*(lambda who=who: upload(who) for who in range(4)))
    finally:
        done.set()
        for thread in others:
            thread.join(120)
    store.sweep(NOW + 1)
    assert {holding.key for holding in store.holdings()} == {share.key for share in kept}
    assert store.counters().used == len(kept) * CHARGE
    for share in kept:
        share.check(store)
    store.close()
    assert sorted(disk.opened) == sorted(disk.closed)


def test_one_share_committed_by_many_at_once(store):
    """Uploaders of the same bytes under one key: one is kept, whoever wins is told so."""
    share = SampleShare.make()
    outcomes: list[str] = []

    def upload() -> None:
        try:
            share.upload(store)
            outcomes.append("kept")
        except Refused as error:
            outcomes.append(str(error.code))

    run_all(*[upload] * 6)
    assert "kept" in outcomes
    share.check(store)
    (holding,) = store.holdings()
    assert store.counters().used == holding.charge
    assert store.counters().uploads == 0


def test_files_stay_open_while_they_are_read(store, disk, tmp_path):
    """The least recently used file is closed, but never under a reader."""
    shares = [SampleShare.make() for _ in range(4)]
    for share in shares:
        share.upload(store)
    readers = OpenShares(ShareFiles(tmp_path / "store", disk), most=2)
    with readers.use(shares[0].key) as first:
        for share in shares[1:]:
            with readers.use(share.key):
                pass
        readers.forget(shares[0].key)
        assert disk.read(first.descriptor, 8, 0) == b"bitsshar"
    before = disk.calls.count("open")
    for share in shares[2:]:
        with readers.use(share.key):
            pass
    assert disk.calls.count("open") == before
    readers.close()


def test_a_file_that_was_removed_while_it_was_opened_is_not_kept_open(store, disk, tmp_path):
    """A removal that runs between opening and remembering leaves no stale file behind."""
    share = SampleShare.make()
    share.upload(store)
    readers = OpenShares(ShareFiles(tmp_path / "store", disk))

    def remove_meanwhile(name: str) -> None:
        if name == "read":
            disk.heal()
            readers.forget(share.key)

    disk.before = remove_meanwhile
    with readers.use(share.key) as opened:
        assert opened.dropped
    assert opened.users == 0
    assert sorted(disk.opened) == sorted(disk.closed)

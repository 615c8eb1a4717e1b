"""C7 of the store: whatever the disk refuses, the node stays up and keeps what it promised."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bitsnode.store.errors import StoreUnusable
from bitsnode.store.quota import Limits
from bitsnode.store.store import Store
from bitsnode.store.testing import NOW, PRICES, SampleShare
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import Commit, FailureCode

ROOT = Path(__file__).parents[2]
CODES = {
    errno.ENOSPC: FailureCode.FULL,
    errno.EDQUOT: FailureCode.FULL,
    errno.EIO: FailureCode.INTERNAL,
    errno.EROFS: FailureCode.INTERNAL,
    errno.EMFILE: FailureCode.BUSY,
}


def check_consistent(store: Store) -> None:
    """Nothing is counted that is not kept."""
    assert store.counters().used == sum(holding.charge for holding in store.holdings())
    assert store.counters().uploads == 0
    assert store.check() == ["ok"]


@pytest.mark.parametrize("error", CODES)
@pytest.mark.parametrize("call", ["create", "write", "sync", "rename", "sync_directory"])
def test_c7_a_failing_write_is_told_and_loses_nothing(
    open_store, disk, reports, call, error, tmp_path
):
    """The upload fails with a fitting code and a sentence; afterwards all goes on."""
    store = open_store()
    before, during = SampleShare.make(), SampleShare.make()
    before.upload(store)
    disk.fail(call, error)
    with pytest.raises(Refused) as caught:
        during.upload(store)
    assert caught.value.code == CODES[error]
    assert reports == [f"The disk of the share store fails: {os.strerror(error)}."]
    assert store.fault == reports[0]
    before.check(store)
    disk.heal()
    store.sweep(NOW + 601)
    check_consistent(store)
    during.upload(store)
    assert store.fault is None
    store.close()
    again = open_store()
    before.check(again)
    during.check(again)
    check_consistent(again)


@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE])
def test_c7_a_failing_read_is_told(open_store, disk, reports, error):
    """A reader gets a failure and asks somebody else; the share may be read later."""
    store = open_store()
    share = SampleShare.make()
    share.upload(store)
    disk.fail("open", error)
    with pytest.raises(Refused) as caught:
        share.read(store)
    assert caught.value.code == CODES[error]
    assert len(reports) == 1
    disk.heal()
    share.check(store)


def test_c7_the_same_fault_is_reported_once(open_store, disk, reports):
    """A full disk and a busy network do not fill the log."""
    store = open_store()
    disk.fail("create", errno.ENOSPC)
    for _ in range(5):
        with pytest.raises(Refused):
            SampleShare.make().upload(store)
    assert len(reports) == 1


def test_c7_no_report_names_a_share(open_store, disk, reports, tmp_path):
    """What goes to the log holds neither a storage index nor a path."""
    store = open_store()
    share = SampleShare.make()
    disk.fail("create", errno.EIO)
    with pytest.raises(Refused):
        share.upload(store)
    assert share.key.storage_index.hex() not in reports[0]
    assert str(tmp_path) not in reports[0]


def test_c7_a_slow_fsync_delays_only_its_own_commit(open_store, disk):
    """While one commit waits for the disk, others read, allocate and fill."""
    store = open_store()
    kept, slow, other = (SampleShare.make() for _ in range(3))
    kept.upload(store)
    syncing, go_on = threading.Event(), threading.Event()

    def wait(name: str) -> None:
        if name == "sync":
            syncing.set()
            go_on.wait(60)

    disk.before = wait
    thread = threading.Thread(target=slow.upload, args=(store,))
    thread.start()
    assert syncing.wait(60)
    kept.check(store)
    place = store.allocate(other.request, 2, NOW)
    for piece in other.pieces(place.upload):
        store.put(piece, NOW)
    assert len(store.holdings()) == 1
    assert store.sweep(NOW).orphans == 0
    go_on.set()
    thread.join(60)
    store.commit(Commit(place.upload, ()), NOW)
    for share in (kept, slow, other):
        share.check(store)


def test_c7_space_below_the_spare_is_refused_before_the_disk_is_full(open_store, disk):
    """The node leaves room on the disk for its person."""
    store = open_store(Limits(spare=1 << 62))
    assert store.terms().largest == 0
    with pytest.raises(Refused) as caught:
        store.allocate(SampleShare.make().request, 1, NOW)
    assert caught.value.code == FailureCode.FULL


PRELUDE = """
import errno, os, resource, sys
from pathlib import Path
from bitsnode.store.quota import Limits
from bitsnode.store.store import Store
from bitsnode.store.testing import NOW, PRICES, SampleShare
from bitsnode.wire.exchange import Refused
home = Path(sys.argv[1])
reports = []
store = Store(home, PRICES, Limits(spare=0), reports.append)
kept = [SampleShare.make() for _ in range(3)]
for share in kept:
    share.upload(store)
def refused(share):
    try:
        share.upload(store)
    except Refused as error:
        return error.code
    kept.append(share)
"""
EPILOGUE = """
for share in kept:
    share.check(store)
assert store.check() == ["ok"]
store.sweep(NOW + 601)
assert store.counters().used == sum(h.charge for h in store.holdings())
store.close()
print(codes, reports)
"""


def run_child(home: Path, body: str) -> str:
    """Run a program over a store of its own, so that its limits are not ours."""
    found = subprocess.run(
        [sys.executable, "-c", PRELUDE + body + EPILOGUE, str(home)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_c7_a_real_limit_of_the_file_size(tmp_path):
    """The system refuses long files: FULL, and short shares still go in and are kept."""
    body = """
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
codes = [refused(SampleShare.make(1, 500_000)), refused(SampleShare.make())]
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
"""
    assert run_child(tmp_path, body).startswith("[6, None] ['The disk of the share store fails")


def test_c7_an_index_that_cannot_grow(tmp_path):
    """SQLite's own files hit the limit: the commit fails, nothing is half kept."""
    body = """
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
size = (home / "store" / "index.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
share = SampleShare.make()
codes = [refused(share)]
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
codes.append(refused(share))
"""
    out = run_child(tmp_path, body)
    assert out.split("]")[0] in ("[6, None", "[8, None"), out


def test_c7_no_descriptors_left(tmp_path):
    """EMFILE: BUSY for new shares, reads go on by closing files that nobody reads."""
    body = """
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
share = kept.pop()
for each in kept:
    each.check(store)
taken = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
try:
    while True:
        taken.append(os.open("/", os.O_RDONLY))
except OSError as error:
    assert error.errno == errno.EMFILE
codes = [refused(SampleShare.make())]
share.check(store)
kept.append(share)
for descriptor in taken:
    os.close(descriptor)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
codes.append(refused(SampleShare.make()))
"""
    assert run_child(tmp_path, body).startswith("[4, None]")


@pytest.fixture
def tmpfs(tmp_path):
    """A file system of 2 MiB at ``tmp_path``, and what mounts it otherwise."""

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(tmp_path)]
        found = subprocess.run(command, check=False, capture_output=True)
        if found.returncode != 0:
            pytest.skip("this machine does not let us mount a tmpfs")

    mount("size=2m")
    yield mount
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.root
def test_c7_a_real_full_file_system(tmp_path, tmpfs):
    """Shares go in until the file system is full: FULL, and all that was promised is there."""
    body = """
codes, new = [], None
while new is None:
    new = refused(SampleShare.make(20))
    codes.append(new)
codes = [codes[-1]]
"""
    assert run_child(tmp_path, body).startswith("[6]")


@pytest.mark.root
def test_c7_a_real_read_only_file_system(tmp_path, tmpfs):
    """A store on a file system that became read-only does not open, and is well afterwards."""
    share = SampleShare.make()
    store = Store(tmp_path, PRICES, Limits(spare=0), lambda sentence: None)
    share.upload(store)
    store.close()
    tmpfs("remount,ro")
    with pytest.raises(StoreUnusable, match="cannot be opened"):
        Store(tmp_path, PRICES, Limits(), lambda sentence: None)
    tmpfs("remount,rw")
    store = Store(tmp_path, PRICES, Limits(), lambda sentence: None)
    share.check(store)
    store.close()


def test_c7_a_home_that_cannot_be_written_gives_one_sentence(tmp_path):
    """A file where the store should be: the node says so and does not start."""
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreUnusable, match="cannot be opened") as caught:
        Store(tmp_path, PRICES, Limits(), lambda sentence: None)
    assert str(caught.value).count("\n") == 0

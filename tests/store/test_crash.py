"""C6 of the store: whenever it stops, what was promised is there and nothing else is."""

import hashlib
import secrets
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from bitsnode.store.quota import Limits
from bitsnode.store.shares import ShareKey
from bitsnode.store.store import Store
from bitsnode.store.testing import NOW, PRICES, FailingDisk, SampleShare, sample_record
from bitsnode.wire.messages import MAX_DATA, ReadShare

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("uploading_child.py")


class PowerCut(BaseException):
    """The machine stops here."""


class CutDisk(FailingDisk):
    """A disk whose power is cut at the n-th call; what was not synced is then lost."""

    def __init__(self, calls_left: int) -> None:
        super().__init__()
        self.calls_left = calls_left
        self.before = self._count
        self.unsynced: dict[Path, int] = {}
        self.renamed: list[tuple[Path, Path]] = []
        self.removed: dict[Path, bytes] = {}

    def _count(self, name: str) -> None:
        if self.calls_left <= 0:
            raise PowerCut
        self.calls_left -= 1

    def create(self, path: Path) -> int:
        """A new file's bytes are not safe."""
        descriptor = super().create(path)
        self.unsynced[path] = descriptor
        return descriptor

    def sync(self, descriptor: int) -> None:
        """Now they are."""
        super().sync(descriptor)
        self.unsynced = {p: d for p, d in self.unsynced.items() if d != descriptor}

    def rename(self, old: Path, new: Path) -> None:
        """A new name is not safe."""
        super().rename(old, new)
        self.renamed.append((old, new))
        if old in self.unsynced:
            self.unsynced[new] = self.unsynced.pop(old)

    def remove(self, path: Path) -> None:
        """A removed name may come back."""
        data = path.read_bytes() if path.exists() else None
        super().remove(path)
        self.unsynced.pop(path, None)
        if data is not None:
            self.removed[path] = data

    def sync_directory(self, path: Path) -> None:
        """Now names in this directory are safe."""
        super().sync_directory(path)
        self.renamed = [(old, new) for old, new in self.renamed if new.parent != path]
        self.removed = {p: data for p, data in self.removed.items() if p.parent != path}

    def lose(self) -> None:
        """Undo on the real disk what a power cut may undo."""
        for path, data in self.removed.items():
            path.write_bytes(data)
        for path in self.unsynced:
            if path.exists():
                path.write_bytes(b"")
        for old, new in self.renamed:
            if new.exists():
                new.rename(old)


def files_below(home: Path) -> set[str]:
    """The names of all files in the store but the index."""
    found = (home / "store").rglob("*")
    return {path.name for path in found if path.is_file() and "index.db" not in path.name}


def check_tidy(store: Store, home: Path) -> None:
    """The index is sound, and every file has a row and every row a file."""
    assert store.check() == ["ok"]
    assert files_below(home) == {holding.key.name for holding in store.holdings()}
    assert store.counters().used == sum(holding.charge for holding in store.holdings())


def test_c6_power_cut_before_every_single_call_to_the_disk(tmp_path):
    """For each n: cut at call n, lose what was not synced, reopen: promises kept, no orphan."""
    promised: list[SampleShare] = []
    for calls in count():
        disk, kept = CutDisk(calls), []
        try:
            store = Store(tmp_path, PRICES, Limits(), lambda sentence: None, disk)
            for number in range(2):
                share = SampleShare.make(lease_until=NOW + 100)
                share.upload(store, sample_record())
                kept.append(share)
                brief = SampleShare.make(blocks=number, lease_until=NOW + 1)
                brief.upload(store)
                store.sweep(NOW + 1)
            completed = True
        except PowerCut:
            completed = False
        disk.lose()
        reopened = Store(tmp_path, PRICES, Limits(), lambda sentence: None)
        promised += kept
        for share in promised if completed else kept:
            share.check(reopened)
        check_tidy(reopened, tmp_path)
        reopened.close()
        if completed:
            break
    assert calls > 30


def kill_rounds(home: Path, rounds: int) -> None:
    """Kill an uploading process so often, each time at a random moment, and check the home."""
    promised: dict[str, str] = {}
    chance = secrets.SystemRandom()
    for _ in range(rounds):
        command = [sys.executable, str(CHILD), str(home)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            lines = [child.stdout.readline() for _ in range(chance.randrange(4))]
            try:
                child.wait(chance.random() * 0.03)
            except subprocess.TimeoutExpired:
                child.kill()
            lines += child.stdout.readlines()
        assert child.returncode == -9
        new = dict(line.split() for line in lines if line.endswith("\n"))
        store = Store(home, PRICES, Limits(), lambda sentence: None)
        check_tidy(store, home)
        for name, digest in new.items():
            check_share(store, name, digest)
        promised |= new
        store.close()
    store = Store(home, PRICES, Limits(), lambda sentence: None)
    for name, digest in promised.items():
        check_share(store, name, digest)
    store.close()
    assert promised


def check_share(store: Store, name: str, digest: str) -> None:
    """The share is there, byte for byte."""
    key = ShareKey.from_name(name)
    assert key is not None
    parts = [
        store.read(ReadShare(key.storage_index, key.index, part, 0, MAX_DATA), NOW).data
        for part in range(3)
    ]
    assert hashlib.sha256(b"".join(parts)).hexdigest() == digest


def test_c6_store_survives_50_kills(tmp_path):
    """Killed with -9 at 50 random moments: index sound, every promise kept, no orphan."""
    kill_rounds(tmp_path, 50)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_c6_store_survives_1000_kills(tmp_path):
    """The same 1,000 times, in 20 homes, so that no home grows slow to check."""
    for number in range(20):
        kill_rounds(tmp_path / str(number), 50)

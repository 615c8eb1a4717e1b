"""A fetch that is cut short: kept blocks, full disks, killed processes."""

import errno
import os
import secrets
import signal
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from bitsnode.codec.keys import storage_index
from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.codec.link import Link
from bitsnode.content.errors import FetchDiskError, OutputError
from bitsnode.content.journal import Jobs
from bitsnode.content.partial import MAX_AGE
from bitsnode.content.progress import Decoding, Event, Fetching, Resuming
from bitsnode.content.testing import NOW, MemoryNetwork, drive
from bitsnode.wire.record import SignedRecord

MIB = CHUNK_SIZE
Swarms = Callable[[int, int], Any]


class PowerCut(BaseException):
    """Stands for the end of the process."""


def cut_after(done: int) -> Callable[[Event], None]:
    """End the process as soon as so many bytes are verified."""

    def watch(event: Event) -> None:
        if isinstance(event, Fetching) and event.done >= done:
            raise PowerCut

    return watch


def cut(s: Any, done: int) -> None:
    """Begin a fetch and end it with so many verified bytes."""
    with pytest.raises(PowerCut):
        drive(s.clock, s.service.get(s.link, s.output, None, cut_after(done)))


def test_c6_a_restarted_fetch_asks_for_no_verified_block_again(swarm: Swarms) -> None:
    """Blocks are kept at once; the next run verifies them and fetches only the rest."""
    s = swarm(7, 6 * MIB)
    cut(s, 3 * MIB)
    (folder,) = (s.home / "partial").iterdir()
    kept = (folder / "have").stat().st_size // 12 * s.layout.full_block_size
    assert kept >= 3 * MIB
    for holder in s.network.holders:
        holder.read_bytes = 0
    assert s.get() == s.data
    assert s.read_bytes == s.needed_bytes - kept
    assert isinstance(next(e for e in s.events if isinstance(e, Resuming)), Resuming)
    assert list((s.home / "partial").iterdir()) == []


def test_partial_content_is_private_and_its_name_tells_nothing(swarm: Swarms) -> None:
    """Only we may read it, and neither content id nor storage index is in a name."""
    s = swarm(3, 2 * MIB)
    cut(s, MIB)
    (folder,) = (s.home / "partial").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    digest = s.link.content_id.digest
    for name in (str(s.link.content_id), digest.hex(), storage_index(digest).hex()):
        assert name[:16] not in folder.name


def test_c1_kept_blocks_are_verified_again(swarm: Swarms) -> None:
    """A block, layer or manifest damaged on our own disk is fetched again."""
    s = swarm(7, 4 * MIB)
    cut(s, 3 * MIB)
    (folder,) = (s.home / "partial").iterdir()
    for path in folder.iterdir():
        if path.name.startswith("share-"):
            with path.open("r+b") as file:
                file.seek(100)
                file.write(b"damage")
    (folder / "manifest").write_bytes(b"damage")
    next(folder.glob("layer-*")).write_bytes(b"damage")
    with (folder / "have").open("ab") as file:
        file.write(b"torn")
    assert s.get() == s.data


def test_c7_a_full_disk_keeps_the_blocks_that_fit(
    swarm: Swarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC ends the fetch in one sentence; with space again it goes on."""
    s = swarm(7, 4 * MIB)
    writes = 0

    def full(path: Path, offset: int, data: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(path, offset, data)

    from bitsnode.content import partial

    original = partial.write_at
    with monkeypatch.context() as patch:
        patch.setattr(partial, "write_at", full)
        with pytest.raises(FetchDiskError, match=r"the disk is full; what was fetched .* is kept"):
            s.get()
    assert s.traces() == []
    assert s.get() == s.data
    assert any(isinstance(event, Resuming) for event in s.events)


def test_c7_a_full_disk_at_the_output_leaves_no_plaintext(
    swarm: Swarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written of the output is removed, an old output stays, and no block is lost."""
    s = swarm(7, 4 * MIB)
    s.output.write_bytes(b"old")

    def full(_descriptor: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("bitsnode.content.output.write_all", full)
        with pytest.raises(OutputError, match="the disk is full"):
            s.get()
    assert s.traces() == [s.output]
    assert s.output.read_bytes() == b"old"
    read = s.read_bytes
    assert s.get() == s.data
    assert s.read_bytes == read


def test_c7_an_output_that_cannot_be_is_refused_before_anything_is_fetched(swarm: Swarms) -> None:
    """A directory, or a file in a directory that is not there: one sentence and no request."""
    s = swarm(1, 100)
    for output in (s.output.parent, s.output.parent / "missing" / "out"):
        with pytest.raises(OutputError):
            drive(s.clock, s.service.get(s.link, output, None, s.events.append))
    assert s.events == []


def test_c6_plaintext_of_a_killed_fetch_is_removed(swarm: Swarms) -> None:
    """What a crash left beside the output goes at the next start, or the next fetch."""
    s = swarm(3, 3 * MIB)
    for restart in (True, False):
        left = s.output.parent / ".left.bits"

        def die(event: Event) -> None:
            if isinstance(event, Decoding):
                raise PowerCut

        with pytest.raises(PowerCut):
            drive(s.clock, s.service.get(s.link, s.output, None, die))
        (folder,) = (s.home / "partial").iterdir()
        left.write_bytes(b"plaintext")  # which a finally clause removed above, but no kill would
        (folder / "output").write_bytes(os.fsencode(left))
        if restart:
            drive(s.clock, s.service.start())
        else:
            assert s.get() == s.data
        assert not left.exists()


def test_old_partial_content_is_swept(swarm: Swarms) -> None:
    """What nobody wrote to for `MAX_AGE` goes at a start, what is younger stays."""
    s = swarm(3, 2 * MIB)
    cut(s, MIB)
    (folder,) = (s.home / "partial").iterdir()
    now = s.clock.seconds()
    for path in (*folder.iterdir(), folder):
        os.utime(path, (now - MAX_AGE + 10, now - MAX_AGE + 10))
    drive(s.clock, s.service.start())
    assert folder.exists()
    s.clock.advance(11)
    drive(s.clock, s.service.start())
    assert not folder.exists()


# C6 with a real end of the process


class World:
    """A network, a publisher and a fetcher on disk, which child processes work on and die."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "in"
        self.output = folder / "outputs" / "out"
        self.output.parent.mkdir()
        self.links = folder / "links"

    def network(self) -> MemoryNetwork:
        """Open the network; records live in a file."""
        clock = Clock()
        clock.advance(NOW)
        network = MemoryNetwork(clock, self.folder / "network", 3)
        for line in self._lines("records"):
            signed = SignedRecord.parse(bytes.fromhex(line), puzzle_bits=0, now=NOW)
            record = signed.record
            network.records[record.key, record.kind, record.slot] = signed
        return network

    def publish(self, arm: Callable[[], None]) -> None:
        """Publish, and note the link."""
        network = self.network()
        arm()
        service = network.service(self.folder / "alice")
        drive(network.clock, service.start())
        done = drive(network.clock, service.publish(self.path, lambda _event: None))
        records = "".join(record.data.hex() + "\n" for record in network.records.values())
        (self.folder / "records").write_text(records)
        self.links.write_text(done.link.text)

    def get(self, arm: Callable[[], None]) -> None:
        """Fetch, and note how many bytes the holders served."""
        network = self.network()
        arm()
        service = network.service(self.folder / "bob")
        drive(network.clock, service.start())
        link = Link.parse(self.links.read_text())
        drive(network.clock, service.get(link, self.output, None, lambda _event: None))

    def in_child(self, work: Callable[[Callable[[], None]], None], seconds: float) -> bool:
        """Do it in a child process that the kernel kills after ``seconds``; say if it ended.

        The time begins when the stores of the holders are open and ``work`` calls what it is given.
        """
        child = os.fork()
        if not child:
            try:
                # the default action of SIGALRM ends a process without a word, like kill -9
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                work(lambda: signal.setitimer(signal.ITIMER_REAL, seconds) and None)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return not os.WIFSIGNALED(status)

    def shares_of(self, link: str) -> int:
        """Return how many shares of a link's content the holders keep."""
        filed = storage_index(Link.parse(link).content_id.digest).hex()
        return len(list((self.folder / "network").rglob(f"{filed}.*")))

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.folder / name).read_text().split()
        except FileNotFoundError:
            return []


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty world."""
    return World(tmp_path)


def check_kills(world: World, kills: int) -> None:
    """Kill publish and fetch at random points, half of the kills each.

    A staged job keeps its link and ciphertext over every kill; whatever was published is fetched;
    nothing is left but what the next start removes.
    """
    world.path.write_bytes(secrets.token_bytes(2 * MIB + 17))
    done = 0
    staged: dict[Path, tuple[str, bytes]] = {}
    while done < kills // 2:
        ended = world.in_child(world.publish, secrets.randbelow(600) / 1000 + 0.001)
        done += not ended
        left = Jobs(world.folder / "alice/staging").complete()
        for job in left:
            now = (job.journal.link.text, job.snapshot.read_bytes())
            assert staged.setdefault(job.folder, now) == now
        if not ended:
            # a job is let go only when its shares are kept, if killed before it could say so
            for folder in staged.keys() - {job.folder for job in left}:
                assert world.shares_of(staged.pop(folder)[0]) == 3
        if ended:
            text = world.links.read_text()
            assert text in {link for link, _ in staged.values()} or not staged
            staged.clear()
            assert list((world.folder / "alice/staging").iterdir()) == []
    assert world.in_child(world.publish, 600)
    while done < kills:
        ended = world.in_child(world.get, secrets.randbelow(300) / 1000 + 0.001)
        done += not ended
        if world.output.exists():
            assert world.output.read_bytes() == world.path.read_bytes()
            world.output.unlink()
    assert world.in_child(world.get, 600)
    assert world.output.read_bytes() == world.path.read_bytes()
    assert list(world.output.parent.iterdir()) == [world.output]
    assert list((world.folder / "bob/partial").iterdir()) == []


def test_c6_50_kills_of_publish_and_fetch(world: World) -> None:
    """Killed at 50 random points, both end as if nothing had happened."""
    check_kills(world, 50)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_c6_1000_kills_of_publish_and_fetch(tmp_path: Path) -> None:
    """The same 1,000 times, in 20 worlds, for a world's holders are full after some hundreds."""
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        check_kills(World(tmp_path / str(number)), 50)

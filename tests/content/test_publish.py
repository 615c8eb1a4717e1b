"""Publishing: the input, the holders, the journal."""

import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from bitsnode.codec.link import Link
from bitsnode.codec.placement import open_placement
from bitsnode.content.errors import (
    DiskError,
    InputChanged,
    InputMissing,
    InputNotAFile,
    InputUnreadable,
    NoHolders,
    NotAnnounced,
    TooFewStored,
    TorDown,
)
from bitsnode.content.journal import MAX_AGE, Jobs, Journal
from bitsnode.content.progress import Event, HolderFailed, Resuming, Staging
from bitsnode.content.testing import MemoryHolder, MemoryNetwork, drive
from bitsnode.store.quota import Limits
from bitsnode.wire.messages import Commit, PutData, Request
from bitsnode.wire.record import RecordKind

MIB = 1 << 20
Networks = Callable[[int], MemoryNetwork]


class PowerCut(BaseException):
    """Stands for the end of the process: no code of ours may catch it."""


class Publisher:
    """A node that publishes one file, again and again."""

    def __init__(self, network: MemoryNetwork, folder: Path, size: int) -> None:
        self.network = network
        self.home = folder / "home"
        self.path = folder / "in"
        self.data = secrets.token_bytes(size)
        self.path.write_bytes(self.data)
        self.events: list[Event] = []

    def publish(self) -> Link:
        """Start the node anew and publish."""
        self.events.clear()
        service = self.network.service(self.home)
        drive(self.network.clock, service.start())
        done = service.publish(self.path, self.events.append)
        return drive(self.network.clock, done).link

    def fetch(self, link: Link) -> bytes:
        """Fetch from another node."""
        output = self.home.parent / "out"
        service = self.network.service(self.home.parent / "other")
        drive(self.network.clock, service.get(link, output, None, lambda _event: None))
        return output.read_bytes()

    @property
    def jobs(self) -> list[Path]:
        """Folders of unfinished jobs."""
        return list((self.home / "staging").iterdir())


@pytest.fixture
def publisher(network: Networks, tmp_path: Path) -> Callable[[int, int], Publisher]:
    """Make a publisher of so many bytes among so many holders."""
    return lambda holders, size: Publisher(network(holders), tmp_path, size)


Publishers = Callable[[int, int], Publisher]


def test_c5_the_same_file_twice_gets_other_keys_and_ciphertexts(publisher: Publishers) -> None:
    """A publish that ended draws everything anew the next time, restart or not."""
    p = publisher(3, 1000)
    first, second = p.publish(), p.publish()
    assert first.content_id != second.content_id
    assert first.content_secret != second.content_secret
    assert first.whitening != second.whitening
    assert p.fetch(first) == p.fetch(second) == p.data


def test_c5_a_publish_cut_off_while_encrypting_never_uses_its_secret_again(
    publisher: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the snapshot is complete a job is thrown away, with the secret that it drew."""
    p = publisher(3, 3 * MIB)
    drawn: list[bytes] = []
    original = os.urandom

    def fresh() -> bytes:
        drawn.append(original(16))
        return drawn[-1]

    monkeypatch.setattr("bitsnode.content.staging.fresh_secret", fresh)

    def cut(event: Event) -> None:
        if isinstance(event, Staging) and event.done > MIB:
            raise PowerCut

    with pytest.raises(PowerCut):
        drive(p.network.clock, p.network.service(p.home).publish(p.path, cut))
    assert len(p.jobs) == 1
    p.path.write_bytes(secrets.token_bytes(3 * MIB))
    p.data = p.path.read_bytes()
    link = p.publish()
    assert len(set(drawn)) == len(drawn) == 3  # the lost secret; then a secret and a W
    assert drawn[0] not in (link.content_secret, link.whitening)
    assert p.fetch(link) == p.data
    assert p.jobs == []


def test_c6_a_publish_cut_off_while_uploading_goes_on_with_the_same_link(
    publisher: Publishers,
) -> None:
    """What was stored is not sent again, and the ciphertext is the one that was staged."""
    p = publisher(7, 2 * MIB)
    commits = 0

    def cut(_holder: MemoryHolder, request: Request) -> None:
        nonlocal commits
        if isinstance(request, Commit):
            commits += 1
            if commits == 4:
                raise PowerCut

    p.network.before = cut
    with pytest.raises(PowerCut):
        p.publish()
    (job,) = Jobs(p.home / "staging").complete()
    stored = {line.onion_key for line in job.journal.stored}
    assert len(stored) == 3
    p.network.before = lambda _holder, _request: None
    before = {h.key.public_key: h.requests["PutData"] for h in p.network.holders}
    link = p.publish()
    assert link == job.journal.link
    assert Resuming(3) in p.events
    for holder in p.network.holders:
        again = holder.requests["PutData"] - before[holder.key.public_key]
        assert bool(again) == (holder.key.public_key not in stored)
    assert p.fetch(link) == p.data
    assert p.jobs == []


def test_c6_another_file_of_the_same_size_does_not_take_up_the_job(publisher: Publishers) -> None:
    """A job is resumed for the same bytes only, else everything is drawn anew."""
    p = publisher(3, 1000)

    def cut(_holder: MemoryHolder, request: Request) -> None:
        if isinstance(request, PutData):
            raise PowerCut

    p.network.before = cut
    with pytest.raises(PowerCut):
        p.publish()
    (job,) = Jobs(p.home / "staging").complete()
    p.network.before = lambda _holder, _request: None
    p.path.write_bytes(secrets.token_bytes(1000))
    p.data = p.path.read_bytes()
    link = p.publish()
    assert link.content_secret != job.journal.content_secret
    assert p.fetch(link) == p.data
    assert p.jobs == [job.folder]


def test_jobs_older_than_a_week_are_swept(publisher: Publishers) -> None:
    """An unfinished job is given up after `MAX_AGE`, and not before."""
    p = publisher(3, 1000)
    p.network.taken = 0
    with pytest.raises(NotAnnounced):
        p.publish()
    p.network.clock.advance(MAX_AGE - 10)
    drive(p.network.clock, p.network.service(p.home).start())
    assert len(p.jobs) == 1
    p.network.clock.advance(11)
    drive(p.network.clock, p.network.service(p.home).start())
    assert p.jobs == []


def test_secrets_of_a_job_are_private(publisher: Publishers) -> None:
    """Nobody else may enter a job's folder or read its files; repr shows no key."""
    p = publisher(3, 1000)
    p.network.taken = 0
    with pytest.raises(NotAnnounced):
        p.publish()
    (folder,) = p.jobs
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    (job,) = Jobs(p.home / "staging").complete()
    shown = repr(job.journal)
    for secret in (job.journal.content_secret, job.journal.whitening, job.journal.publisher_seed):
        assert repr(secret) not in shown
        assert secret.hex() not in shown
    assert Journal.decode(job.journal.encode()) == job.journal


def test_a_failing_holder_is_replaced_by_a_spare(
    network: Networks, clock: Clock, tmp_path: Path
) -> None:
    """With more than 30 willing holders, the code is 10/30 and one that fails is replaced."""
    p = Publisher(network(32), tmp_path, 1000)
    failed = p.network.holders[:2]

    def fail(holder: MemoryHolder, request: Request) -> None:
        if holder in failed and isinstance(request, PutData):
            holder.dead = True

    p.network.before = fail
    service = p.network.service(p.home)
    published = drive(clock, service.publish(p.path, p.events.append))
    assert (published.code, len(published.holders)) == ("10/30", 30)
    assert not {holder.key.public_key for holder in failed} & {
        holder.public_key for holder in published.holders
    }
    assert p.fetch(published.link) == p.data


def test_n2_tor_lost_while_publishing_is_waited_for(publisher: Publishers) -> None:
    """No holder is blamed for our own tor: the same ones get their shares when it is back."""
    p = publisher(7, 2 * MIB)
    lost: list[float] = []

    def lose(_holder: MemoryHolder, request: Request) -> None:
        if isinstance(request, PutData) and not lost:
            lost.append(p.network.clock.seconds())
            p.network.clock.callLater(0, p.network.lose_tor)
            p.network.clock.callLater(40, setattr, p.network, "tor_down", False)

    p.network.before = lose
    link = p.publish()
    assert p.network.clock.seconds() - lost[0] < 60
    assert p.fetch(link) == p.data
    assert [holder.requests["Commit"] for holder in p.network.holders] == [1] * 7


def test_n2_publishing_without_tor_is_a_typed_error(publisher: Publishers) -> None:
    """When no node can be asked because tor is down, the error says that."""
    p = publisher(3, 100)
    p.network.lose_tor()
    with pytest.raises(TorDown):
        p.publish()


@pytest.mark.parametrize(("dead", "enough"), [(2, True), (3, False)])
def test_happiness(publisher: Publishers, dead: int, enough: bool) -> None:
    """8 of 10 stored shares are enough; fewer fail loudly, and a later publish goes on."""
    p = publisher(10, 1000)

    def fail(holder: MemoryHolder, request: Request) -> None:
        if holder in p.network.holders[:dead] and isinstance(request, PutData):
            holder.hangs = holder.dead = True

    p.network.before = fail
    if enough:
        assert p.fetch(p.publish()) == p.data
        return
    with pytest.raises(TooFewStored, match="7 of 10 shares were stored and 8 are needed"):
        p.publish()
    assert any(isinstance(event, HolderFailed) for event in p.events)
    for holder in p.network.holders:
        holder.hangs = holder.dead = False
    p.network.before = lambda _holder, _request: None
    assert p.fetch(p.publish()) == p.data


def test_nobody_willing_is_one_sentence(network: Networks, clock: Clock, tmp_path: Path) -> None:
    """Neither an empty network nor full, hanging or own stores count as holders."""
    for swarm in (network(0), network(2)):
        p = Publisher(swarm, tmp_path, 1000)
        own = None
        if swarm.holders:
            swarm.holders[0].hangs = True
            own = swarm.holders[1].key.public_key
        begun = clock.seconds()
        with pytest.raises(NoHolders):
            drive(clock, swarm.service(p.home, own).publish(p.path, p.events.append))
        assert clock.seconds() - begun <= 10
        assert not (p.home / "staging").exists()


def test_holders_that_take_no_share_of_this_size_are_left_out(clock: Clock, tmp_path: Path) -> None:
    """Fewer holders mean larger shares, so the code settles on those that take them."""
    swarm = MemoryNetwork(clock, tmp_path / "n", 3, Limits(total=1 << 20, unpaid=1 << 20))
    with pytest.raises(NoHolders):
        Publisher(swarm, tmp_path, 2 * MIB).publish()
    large = [swarm]
    swarm.limits = Limits()
    for number in range(2):
        swarm.add(tmp_path / f"large-{number}")
    p = Publisher(swarm, tmp_path, 2 * MIB)
    link = p.publish()
    assert p.fetch(link) == p.data
    assert [holder.requests["Commit"] for holder in swarm.holders] == [0, 0, 0, 1, 1]
    large[0].close_stores()


def test_records_are_put_and_attached_and_signed_by_the_publisher(publisher: Publishers) -> None:
    """One placement and a provider record for each holder, at the DHT and at the holders."""
    p = publisher(5, 1000)
    link = p.publish()
    digest = link.content_id.digest
    kinds = [kind for _, kind, _ in p.network.records]
    assert kinds.count(RecordKind.PLACEMENT) == 1
    assert kinds.count(RecordKind.PROVIDER) == 5
    (value,) = (
        record.record.value
        for record in p.network.records.values()
        if record.record.kind == RecordKind.PLACEMENT
    )
    placement = open_placement(digest, value)
    assert {line.onion_key for line in placement.placed} == {
        holder.key.public_key for holder in p.network.holders
    }
    assert [holder.requests["AttachRecords"] for holder in p.network.holders] == [1] * 5
    hours = {record.record.expires % 3600 for record in p.network.records.values()}
    assert hours == {0}


def test_inputs_that_cannot_be_published(
    publisher: Publishers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, a directory, a FIFO, unreadable, changing: one sentence each, nothing left."""
    p = publisher(3, 2 * MIB)
    p.path = tmp_path / "missing"
    with pytest.raises(InputMissing, match="does not exist"):
        p.publish()
    p.path = tmp_path
    with pytest.raises(InputNotAFile, match="not a regular file"):
        p.publish()
    p.path = tmp_path / "fifo"
    os.mkfifo(p.path)
    with pytest.raises(InputNotAFile):
        p.publish()
    p.path = tmp_path / "in"

    def refuse(*_args: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("bitsnode.content.source_file.os.open", refuse)
        with pytest.raises(InputUnreadable, match="Permission denied"):
            p.publish()


@pytest.mark.parametrize("change", ["longer", "shorter", "other"])
def test_an_input_that_changes_while_it_is_read(publisher: Publishers, change: str) -> None:
    """A file that grows, shrinks or is written to is not published, and no job is left."""
    p = publisher(3, 2 * MIB)

    def write(event: Event) -> None:
        if isinstance(event, Staging) and event.done == MIB:
            with p.path.open("r+b") as file:
                if change == "shorter":
                    file.truncate(MIB + 5)
                else:
                    file.seek(0 if change == "other" else 2 * MIB)
                    file.write(b"x")

    with pytest.raises(InputChanged):
        drive(p.network.clock, p.network.service(p.home).publish(p.path, write))
    assert p.jobs == []


def test_c7_a_full_disk_while_staging(
    publisher: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC ends the publish in one sentence and leaves no job."""
    p = publisher(3, 2 * MIB)

    def full(_descriptor: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bitsnode.content.staging.write_all", full)
    with pytest.raises(DiskError, match="the disk is full"):
        p.publish()
    assert p.jobs == []


def test_c7_a_full_disk_while_the_journal_is_written(
    publisher: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that cannot be replaced ends the publish; the old one still serves."""
    p = publisher(3, 1000)
    original = Journal.encode

    def full(journal: Journal) -> bytes:
        if len(journal.stored) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(journal)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "encode", full)
        with pytest.raises(DiskError, match="the disk is full"):
            p.publish()
    assert p.fetch(p.publish()) == p.data
    assert Resuming(1) in p.events

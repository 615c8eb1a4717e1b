"""The prover as a process: proofs, secrets that stay inside, and every way it can end."""

import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater

from bitsnode.ledger.errors import (
    CircuitMissing,
    ProverFailed,
    ProverOutOfMemory,
    ProverStopped,
    ProverTimedOut,
)
from bitsnode.ledger.prover.service import CIRCUITS, Prover, Stage
from zk.circuit import SHA256, WASM, Witness
from zk.lean_imt import MAX_DEPTH, MerklePath
from zk.semaphore import secret_from_seed
from zk.verification import verify

SECRET = secret_from_seed(bytes(range(64)))
WITNESS = Witness(SECRET, MerklePath(5, tuple(range(1, MAX_DEPTH + 1))), 2**255, 7)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program, compiled once."""
    return tmp_path_factory.mktemp("prover") / "cache"


@pytest_twisted.async_yield_fixture
async def prover(cache: Path) -> AsyncIterator[Prover]:
    """A prover that is stopped at the end."""
    running = Prover(reactor, cache)
    yield running
    await running.stop()


def proving(prover: Prover, progress: Any = lambda _: None) -> "Deferred[Any]":
    """Begin a proof."""
    return Deferred.fromCoroutine(prover.prove(WITNESS, progress))


async def reached(prover: Prover, wanted: Stage) -> "Deferred[Any]":
    """Begin a proof, wait for a stage of it, and return what it will be."""
    at: Deferred[None] = Deferred()

    def progress(stage: Stage) -> None:
        if stage is wanted and not at.called:
            at.callback(None)

    result = proving(prover, progress)
    await at
    return result


def gone(pid: int) -> bool:
    """Whether a process of ours is no more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest_twisted.ensureDeferred
async def test_proofs_and_progress(prover: Prover) -> None:
    """Each proof is valid and tells its stages; one process makes them all, one after another."""
    stages: list[Stage] = []
    verify(await prover.prove(WITNESS, stages.append))
    assert stages == [Stage.STARTING, Stage.WITNESS, Stage.PROOF, Stage.CHECK]
    pid = prover.pid
    both: list[list[Stage]] = [[], []]
    proofs = await gatherResults([proving(prover, seen.append) for seen in both])
    for proof, seen in zip(proofs, both, strict=True):
        verify(proof)
        assert seen == [Stage.WITNESS, Stage.PROOF, Stage.CHECK]
    assert prover.pid == pid
    await prover.stop()
    assert pid is not None
    assert gone(pid)


@LINUX
@pytest_twisted.ensureDeferred
async def test_secrets_stay_inside(
    prover: Prover, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """No argument, variable, file or message has the secret; no dump and no look at its memory."""
    result = await reached(prover, Stage.PROOF)
    process = Path(f"/proc/{prover.pid}")
    names = {str(SECRET), f"{SECRET:x}", SECRET.to_bytes(32, "big").hex()}
    shown = (process / "cmdline").read_bytes()
    if os.geteuid() == 0:  # others may not even look
        shown += (process / "environ").read_bytes()
        for file in (process / "fd").iterdir():
            target = os.readlink(file)
            allowed = ("pipe:", "/memfd:", "anon_inode:", "socket:", os.devnull)
            assert target.startswith(allowed), target
        assert os.readlink(process / "fd/2") == os.devnull
    else:
        for name in ("environ", "mem"):
            with pytest.raises(PermissionError):
                (process / name).open("rb")
    assert not any(name.encode() in shown for name in names)
    assert b"HOME" not in shown
    limits = (process / "limits").read_text()
    assert next(line for line in limits.splitlines() if "core" in line).split()[4:6] == ["0", "0"]
    # closed: its entries in /proc are root's, whoever it runs as
    assert (process / "mem").stat().st_uid == 0
    verify(await result)
    said = "".join(capfd.readouterr())
    assert not any(name in said for name in names)
    assert not any(name in repr(WITNESS) for name in names)


@LINUX
@pytest_twisted.ensureDeferred
async def test_memory_stays_small(prover: Prover) -> None:
    """A proof takes less than 150 MB, and the node's own limits stay as they were."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    await prover.prove(WITNESS)
    status = Path(f"/proc/{prover.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 150_000  # kB
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest_twisted.ensureDeferred
async def test_killed_in_the_middle(prover: Prover) -> None:
    """A prover that dies fails its proof, and the next proof has a new one."""
    for stage in (Stage.WITNESS, Stage.PROOF):
        result = await reached(prover, stage)
        pid = prover.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProverFailed):
            await result
        assert prover.pid is None
        verify(await prover.prove(WITNESS))
        assert prover.pid not in (pid, None)


@pytest_twisted.ensureDeferred
async def test_dead_while_idle(prover: Prover) -> None:
    """One that died between two proofs is replaced without a word."""
    await prover.prove(WITNESS)
    pid = prover.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while prover.pid is not None:
        await deferLater(reactor, 0.01)
    verify(await prover.prove(WITNESS))


@pytest_twisted.ensureDeferred
async def test_late(cache: Path) -> None:
    """A prover that is stuck is killed at the deadline, and the next proof has a new one."""
    prover = Prover(reactor, cache, deadline=5)
    try:
        await prover.prove(WITNESS)
        pid = prover.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ProverTimedOut):
            await prover.prove(WITNESS)
        verify(await prover.prove(WITNESS))
        assert gone(pid)
    finally:
        await prover.stop()


@LINUX
@pytest_twisted.ensureDeferred
async def test_too_much_memory(tmp_path: Path) -> None:
    """A prover that wants more than it may have ends, and the node does not."""
    prover = Prover(reactor, None, memory=70 << 20)
    try:
        with pytest.raises((ProverOutOfMemory, ProverFailed)):
            await prover.prove(WITNESS)
        with pytest.raises((ProverOutOfMemory, ProverFailed)):
            await prover.prove(WITNESS)
    finally:
        await prover.stop()


@pytest_twisted.ensureDeferred
async def test_without_a_cache_the_limit_is_enough(cache: Path) -> None:
    """Compiling the circuit's program fits into the memory that a prover has."""
    prover = Prover(reactor, None)
    try:
        verify(await prover.prove(WITNESS))
    finally:
        await prover.stop()


@pytest_twisted.ensureDeferred
async def test_circuit_missing_or_changed(tmp_path: Path) -> None:
    """Without the right files there is an error that says what to do."""
    for present in (False, True):
        if present:
            for name in SHA256:
                (tmp_path / name).write_bytes((CIRCUITS / name).read_bytes())
            with (tmp_path / WASM).open("ab") as file:
                file.write(b"\0")
        prover = Prover(reactor, None, circuits=tmp_path)
        with pytest.raises(CircuitMissing, match="bin/setup"):
            await prover.prove(WITNESS)
        await prover.stop()


@pytest_twisted.ensureDeferred
async def test_idle_prover_is_let_go(cache: Path) -> None:
    """A prover without work ends, and comes back when there is some."""
    prover = Prover(reactor, cache, idle=0.2)
    try:
        await prover.prove(WITNESS)
        while prover.pid is not None:
            await deferLater(reactor, 0.01)
        verify(await prover.prove(WITNESS))
    finally:
        await prover.stop()


@pytest_twisted.ensureDeferred
async def test_given_up(prover: Prover) -> None:
    """Who gives up a proof ends the process that makes it; those who wait have theirs."""
    first = await reached(prover, Stage.PROOF)
    second = proving(prover)
    first.cancel()
    with pytest.raises((CancelledError, ProverFailed)):
        await first
    verify(await second)


@pytest_twisted.ensureDeferred
async def test_stopped(cache: Path) -> None:
    """Stopping ends the proof under way and those that wait, and leaves no process."""
    prover = Prover(reactor, cache)
    first = await reached(prover, Stage.PROOF)
    second = proving(prover)
    pid = prover.pid
    assert pid is not None
    await prover.stop()
    with pytest.raises(ProverFailed):
        await first
    with pytest.raises(ProverStopped):
        await second
    with pytest.raises(ProverStopped):
        await prover.prove(WITNESS)
    assert gone(pid)

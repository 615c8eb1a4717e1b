"""The pipes of the prover: frames of all kinds, and a process that writes nonsense."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bitsnode.ledger.errors import ProverError, ProverFailed, ProverTimedOut
from bitsnode.ledger.prover.frames import (
    MAX_REPLY,
    MAX_REQUEST,
    FrameError,
    Kind,
    Stage,
    framed,
    parse_reply,
    parse_request,
    reply,
    request,
)
from bitsnode.ledger.prover.process import ProverProcess
from bitsnode.ledger.prover.service import Prover
from zk.circuit import Witness
from zk.field import ORDER
from zk.lean_imt import MAX_DEPTH, MerklePath
from zk.proof import words

WITNESS = Witness(5, MerklePath(1, (7,)), 8, 9)
words256 = st.integers(0, 2**256 - 1)
siblings = st.lists(st.integers(0, ORDER - 1), max_size=MAX_DEPTH).map(tuple)


class Pipe:
    """A process that does what the test says."""

    pid = 4711

    def __init__(self, protocol: ProverProcess) -> None:
        self.protocol = protocol
        self.written = b""
        self.killed = False
        self.gone = False
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        """Take a request."""
        self.written += data

    def signalProcess(self, name: str) -> None:
        """Take a signal."""
        if self.gone:
            raise ProcessExitedAlready
        assert name == "KILL"
        self.killed = True

    def end(self, code: int = 0) -> None:
        """End."""
        self.gone = True
        reason = ProcessTerminated(code) if code else ProcessDone(0)
        self.protocol.processEnded(Failure(reason))


class Spawner(Clock):
    """A reactor whose processes are pipes."""

    def __init__(self) -> None:
        super().__init__()
        self.pipes: list[Pipe] = []
        self.commands: list[Any] = []

    def spawnProcess(self, protocol: ProverProcess, *command: Any, **_pipes: Any) -> None:
        """Start one."""
        self.commands.append(command)
        self.pipes.append(Pipe(protocol))


def begun(prover: Prover, progress: Callable[[Stage], None] = lambda _: None) -> list[Any]:
    """Begin a proof; the list gets its outcome."""
    outcome: list[Any] = []
    Deferred.fromCoroutine(prover.prove(WITNESS, progress)).addBoth(outcome.append)
    return outcome


def failure(outcome: list[Any]) -> BaseException:
    """What a proof failed with."""
    (failed,) = outcome
    assert isinstance(failed, Failure)
    return failed.value


# Frames


@given(st.integers(1, 2**250), siblings, words256, words256, st.data())
def test_requests_survive(
    secret: int, path: tuple[int, ...], message: int, scope: int, data: st.DataObject
) -> None:
    """What the node writes the process reads, and it is never larger than the limit."""
    index = data.draw(st.integers(0, (1 << len(path)) - 1))
    witness = Witness(secret, MerklePath(index, path), message, scope)
    body = request(witness)
    assert len(body) <= MAX_REQUEST
    assert parse_request(body) == witness


@given(st.binary(max_size=MAX_REQUEST + 64))
def test_any_bytes_are_a_request_or_an_error(body: bytes) -> None:
    """A request reads as a witness that writes the same bytes, or fails in one way."""
    try:
        witness = parse_request(body)
    except ValueError:
        return
    assert request(witness) == body


@given(st.binary(max_size=MAX_REPLY + 2))
def test_any_bytes_are_a_reply_or_an_error(body: bytes) -> None:
    """A reply has the size of its kind, or fails in one way."""
    try:
        kind, content = parse_reply(body)
    except FrameError:
        return
    assert reply(kind, content) == body


# The node's end


def test_request_goes_through_the_pipe_alone() -> None:
    """The command names module, directories and limit; the request is written, not passed."""
    reactor = Spawner()
    begun(Prover(reactor))
    _, command, environment, directory = reactor.commands[0]
    assert command[1:4] == ["-P", "-m", "bitsnode.ledger.prover.child"]
    assert len(command) == 7
    assert environment.keys() == {"PYTHONPATH", "LANG"}
    assert directory == "/"
    assert reactor.pipes[0].written == framed(request(WITNESS))


def test_replies_in_pieces() -> None:
    """Replies may come byte by byte; stages are told as they come, and the points end it."""
    reactor = Spawner()
    stages: list[Stage] = []
    outcome = begun(Prover(reactor), stages.append)
    points = bytes(31) + b"\x01"
    data = framed(reply(Kind.STAGE, bytes([Stage.WITNESS]))) + framed(
        reply(Kind.POINTS, points * 8)
    )
    for byte in data:
        assert not outcome
        reactor.pipes[0].protocol.outReceived(bytes([byte]))
    assert stages == [Stage.STARTING, Stage.WITNESS]
    assert outcome[0].points == words(points * 8)
    assert outcome[0].root == WITNESS.proves((1,) * 8).root


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        (MAX_REPLY + 1).to_bytes(4, "big"),
        framed(b""),
        framed(b"\x63"),
        framed(reply(Kind.STAGE, b"\x63")),
        framed(reply(Kind.STAGE)),
        framed(reply(Kind.POINTS, bytes(255))),
        b"Traceback (most recent call last):",
    ],
)
def test_nonsense_ends_the_process(data: bytes) -> None:
    """A process that writes anything else is killed; the next proof has another."""
    reactor = Spawner()
    prover = Prover(reactor)
    outcome = begun(prover)
    reactor.pipes[0].protocol.outReceived(data)
    assert reactor.pipes[0].killed
    reactor.pipes[0].end(9)
    assert isinstance(failure(outcome), ProverFailed)
    begun(prover)
    assert len(reactor.pipes) == 2


def test_points_out_of_range() -> None:
    """Points that no proof has are not handed out."""
    reactor = Spawner()
    outcome = begun(Prover(reactor))
    reactor.pipes[0].protocol.outReceived(framed(reply(Kind.POINTS, b"\xff" * 256)))
    assert isinstance(failure(outcome), ProverFailed)


@pytest.mark.parametrize(
    "kind", [Kind.REFUSED, Kind.INVALID, Kind.OUT_OF_MEMORY, Kind.FAILED, Kind.NO_CIRCUIT]
)
def test_each_refusal_is_a_sentence(kind: Kind) -> None:
    """Every reply without a proof is an error of its own that a person can read."""
    reactor = Spawner()
    outcome = begun(Prover(reactor))
    reactor.pipes[0].protocol.outReceived(framed(reply(kind)))
    error = failure(outcome)
    assert isinstance(error, ProverError)
    assert str(error).endswith(".")


def test_deadline_is_for_each_proof() -> None:
    """A late process is killed; who waited behind it has all its time with the next one."""
    reactor = Spawner()
    prover = Prover(reactor, deadline=10)
    first, second = begun(prover), begun(prover)
    reactor.advance(9.9)
    assert not first
    reactor.advance(0.2)
    assert isinstance(failure(first), ProverTimedOut)
    assert reactor.pipes[0].killed
    reactor.pipes[0].end(9)
    assert len(reactor.pipes) == 2
    reactor.advance(9.8)
    assert not second


def test_idle_process_is_let_go_and_a_busy_one_is_not() -> None:
    """Time without work counts from the end of the last proof."""
    reactor = Spawner()
    prover = Prover(reactor, idle=60, deadline=200)
    points = framed(reply(Kind.POINTS, (bytes(31) + b"\x01") * 8))
    begun(prover)
    reactor.pipes[0].protocol.outReceived(points)
    reactor.advance(59)
    begun(prover)
    reactor.advance(100)
    assert not reactor.pipes[0].killed
    reactor.pipes[0].protocol.outReceived(points)
    reactor.advance(59)
    assert not reactor.pipes[0].killed
    reactor.advance(2)
    assert reactor.pipes[0].killed
    assert prover.pid is None

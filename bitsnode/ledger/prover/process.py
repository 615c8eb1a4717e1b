"""The node's end of the pipes to a prover's process: one request at a time."""

# mypy: disallow-untyped-calls=False

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from bitsnode.ledger.errors import ProverFailed
from bitsnode.ledger.prover import frames
from bitsnode.ledger.prover.errors import outcome
from bitsnode.ledger.prover.frames import HEADER, MAX_REPLY, FrameError, Kind, Stage

_MODULE: Final = "bitsnode.ledger.prover.child"

Progress = Callable[[Stage], None]


class ProverProcess(ProcessProtocol):
    """A running prover.

    Attributes:
        alive: it can be asked: it has neither ended nor been killed.
    """

    def __init__(self) -> None:
        self.alive = True
        self._over = False
        self._buffer = b""
        self._waiting: Deferred[bytes] | None = None
        self._progress: Progress | None = None
        self._ended: list[Deferred[None]] = []

    @classmethod
    def start(
        cls, reactor: Any, circuits: Path, cache: Path | None, memory: int
    ) -> "ProverProcess":
        """Start a prover; it says nothing until it is asked."""
        process = cls()
        command = [
            sys.executable,
            "-P",
            "-m",
            _MODULE,
            str(circuits),
            str(cache or ""),
            str(memory),
        ]
        # where our packages are, and nothing else that this process knows
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANG": "C.UTF-8"}
        # what it prints by mistake may hold anything, so it goes nowhere
        with open(os.devnull, "wb") as nowhere:
            pipes = {0: "w", 1: "r", 2: nowhere.fileno()}
            reactor.spawnProcess(process, command[0], command, environment, "/", childFDs=pipes)
        return process

    @property
    def pid(self) -> int | None:
        """Its process id, None when it has ended."""
        transport: Any = self.transport
        pid: int | None = transport.pid
        return pid

    async def ask(self, body: bytes, progress: Progress) -> bytes:
        """Send a request, and wait for the points; whoever cancels it kills the process.

        Raises:
            ProverError: there are none; the class says why.
        """
        if not self.alive:
            raise ProverFailed("it ended")
        self._progress = progress
        self._waiting = Deferred(lambda _: self.kill())
        transport: Any = self.transport
        transport.write(frames.framed(body))
        return await self._waiting

    def outReceived(self, data: bytes) -> None:
        """Take what it writes; sense and size are checked, as of any other process."""
        self._buffer += data
        try:
            while len(self._buffer) >= HEADER.size:
                (size,) = HEADER.unpack(self._buffer[: HEADER.size])
                if size > MAX_REPLY:
                    raise FrameError
                end = HEADER.size + size
                if len(self._buffer) < end:
                    return
                body, self._buffer = self._buffer[HEADER.size : end], self._buffer[end:]
                self._take(*frames.parse_reply(body))
        except (FrameError, ValueError):
            self.kill()

    def _take(self, kind: Kind, content: bytes) -> None:
        if kind is Kind.STAGE:
            stage = Stage(content[0])
            if self._progress is not None:
                self._progress(stage)
        elif kind is Kind.POINTS:
            self._settle(content)
        else:
            self._settle(Failure(outcome(kind)))

    def _settle(self, result: Any) -> None:
        waiting, self._waiting, self._progress = self._waiting, None, None
        if waiting is not None and not waiting.called:
            waiting.callback(result)

    def processEnded(self, reason: Failure) -> None:
        """Fail what is waited for."""
        self.alive, self._over = False, True
        how: Any = reason.value
        said = f"signal {how.signal}" if how.signal else f"exit code {how.exitCode}"
        self._settle(Failure(ProverFailed(said)))
        ended, self._ended = self._ended, []
        for waiting in ended:
            waiting.callback(None)

    def kill(self) -> None:
        """End it at once."""
        self.alive = False
        transport: Any = self.transport
        try:
            transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    async def stop(self) -> None:
        """Kill it, and wait for its end: it has nothing to lose."""
        if self._over:
            return
        ended: Deferred[None] = Deferred()
        self._ended.append(ended)
        self.kill()
        await ended

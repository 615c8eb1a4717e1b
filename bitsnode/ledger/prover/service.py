"""Making proofs: a process of its own is started, watched, ended and started again.

Proving takes a young library and a second of all cores, with the secret of a voucher in hand. So
it happens outside the node: what goes wrong there ends there. A prover that is late is killed, one
that ends is replaced by the next proof's, and an idle one is let go, with its memory.
"""

# mypy: disallow-untyped-calls=False

from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as DeferredTimeout

import zk
from bitsnode.ledger.errors import ProverError, ProverFailed, ProverStopped, ProverTimedOut
from bitsnode.ledger.prover import frames
from bitsnode.ledger.prover.frames import Stage
from bitsnode.ledger.prover.process import Progress, ProverProcess
from zk.circuit import Witness
from zk.proof import MalformedProof, SemaphoreProof, words

CIRCUITS: Final = Path(zk.__file__).parent / "circuits"
DEADLINE: Final = 120.0  # seconds for a proof, start included; takes about 1, or 3 the first time
IDLE: Final = 60.0  # seconds without work after which a prover is let go
MEMORY: Final = 768 << 20  # bytes of address space; a proof takes 100 MB, compiling 300 MB


class Prover:
    """Makes proofs, one after another.

    Args:
        reactor: spawns the process and keeps the time.
        cache: directory for the circuit's compiled program; None: compile it for each start.
        circuits: directory of the circuit's files.
        deadline: seconds for one proof.
        idle: seconds after which an idle process is ended.
        memory: bytes of address space that the process may have.
    """

    def __init__(
        self,
        reactor: Any,
        cache: Path | None = None,
        *,
        circuits: Path = CIRCUITS,
        deadline: float = DEADLINE,
        idle: float = IDLE,
        memory: int = MEMORY,
    ) -> None:
        self._reactor = reactor
        self._cache = cache
        self._circuits = circuits
        self._deadline = deadline
        self._idle = idle
        self._memory = memory
        self._lock = DeferredLock()
        self._process: ProverProcess | None = None
        self._letting_go: Any = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id of the prover, None while there is none."""
        return self._process.pid if self._process is not None and self._process.alive else None

    async def prove(self, witness: Witness, progress: Progress = lambda _: None) -> SemaphoreProof:
        """Make a proof, and check it before anybody sees it.

        Args:
            witness: what to prove.
            progress: told of each stage as it begins.

        Raises:
            ProverError: there is none; each class says why.
        """
        await self._lock.acquire()
        try:
            if self._stopping:
                raise ProverStopped
            return await self._prove(witness, progress)
        finally:
            self._lock.release()

    async def _prove(self, witness: Witness, progress: Progress) -> SemaphoreProof:
        self._keep()
        process = self._process
        if process is None or not process.alive:
            progress(Stage.STARTING)
            process = ProverProcess.start(self._reactor, self._circuits, self._cache, self._memory)
            self._process = process
        asked = Deferred.fromCoroutine(process.ask(frames.request(witness), progress))
        asked.addTimeout(self._deadline, self._reactor)
        try:
            points = await asked
        except DeferredTimeout:
            raise ProverTimedOut from None
        finally:
            self._let_go_later()
        try:
            # root and nullifier by our own arithmetic, whatever the process believes
            return witness.proves(words(points))
        except MalformedProof:
            raise ProverFailed("it made no sense") from None

    def _keep(self) -> None:
        if self._letting_go is not None and self._letting_go.active():
            self._letting_go.cancel()

    def _let_go_later(self) -> None:
        if not self._stopping:
            self._letting_go = self._reactor.callLater(self._idle, self._let_go)

    def _let_go(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def stop(self) -> None:
        """End the prover and whatever it is at; nothing is proved after this."""
        self._stopping = True
        self._keep()
        if self._process is not None:
            await self._process.stop()


__all__ = ["Prover", "ProverError", "SemaphoreProof", "Stage", "Witness"]

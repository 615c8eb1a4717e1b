"""Proofs against snarkjs in the same run, the prover's memory, and what a leaf costs.

The prover is the node's: a process of its own, asked through its pipes. snarkjs runs in node, with
the same circuit and key, and uses all cores as well. Both take turns, and the best turn of each
counts. Its packages are installed by ``bin/setup --bench``.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitsnode.ledger.prover.frames import HEADER, Kind, framed, parse_reply, request
from bitsnode.ledger.prover.service import CIRCUITS, MEMORY
from tests.bench.row import PeerMissing
from tests.zk import oracle
from zk.circuit import Witness
from zk.lean_imt import LeanIMT, MerklePath
from zk.proof import SemaphoreProof, words
from zk.semaphore import commitment, secret_from_seed
from zk.verification import verify

ROUNDS = 4
PROOFS = 3  # in a round
MEMBERS = 11
GOAL_PROVE, GOAL_VERIFY = 2.5, 10  # times snarkjs
GOAL_MEMORY = 150  # MB at most
LEAVES = 2048


class _Child:
    """The prover's process, asked without a reactor."""

    def __init__(self, cache: Path) -> None:
        module = "bitsnode.ledger.prover.child"
        command = [sys.executable, "-m", module, str(CIRCUITS), str(cache), str(MEMORY)]
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment)

    def prove(self, witness: Witness) -> SemaphoreProof:
        """Ask for a proof."""
        writing, reading = self._process.stdin, self._process.stdout
        assert writing is not None
        assert reading is not None
        writing.write(framed(request(witness)))
        writing.flush()
        while True:
            (size,) = HEADER.unpack(reading.read(HEADER.size))
            kind, content = parse_reply(reading.read(size))
            if kind is Kind.POINTS:
                return witness.proves(words(content))
            if kind is not Kind.STAGE:
                raise RuntimeError(f"no proof: {kind.name}")

    def memory(self) -> float | None:
        """Most memory that it had, in MB; Linux only."""
        status = Path(f"/proc/{self._process.pid}/status")
        if not status.exists():
            return None
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1000

    def stop(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def _best(action: Callable[[], Any], times: int) -> float:
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - began)
    return best


def _row(what: str, ours: float, theirs: float, goal: float) -> dict[str, Any]:
    ratio = theirs / ours
    return {
        "what": what,
        "measured": f"{ours * 1000:.1f} ms",
        "baseline": f"{theirs * 1000:.1f} ms",
        "ratio": f"{ratio:.1f}",
        "goal": f">= {goal}",
        "met": ratio >= goal,
    }


def a_proof() -> SemaphoreProof:
    """Return a good proof of the node's prover."""
    with tempfile.TemporaryDirectory() as directory:
        child = _Child(Path(directory) / "cache")
        try:
            return child.prove(Witness(1, MerklePath(0, ()), 1, 1))
        finally:
            child.stop()


def _first_proof(witness: Witness, cache: Path) -> float:
    """Seconds from the start of a prover to its first proof."""
    began = time.perf_counter()
    child = _Child(cache)
    try:
        child.prove(witness)
        return time.perf_counter() - began
    finally:
        child.stop()


def _against_snarkjs(child: _Child, cache: Path) -> list[dict[str, Any]]:
    tree = LeanIMT()
    secrets = [secret_from_seed(bytes([number]) * 64) for number in range(MEMBERS)]
    for secret in secrets:
        tree.append(commitment(secret))
    witness = Witness(secrets[3], tree.path(3), 1, 2)
    names = [f"member {number}" for number in range(MEMBERS)]
    work = {"members": names, "place": 3, "message": "1", "scope": "2", "rounds": PROOFS}
    proof = child.prove(witness)  # compiles the circuit's program
    first, proving, verifying = [], [], []
    theirs: dict[str, list[float]] = {"firstProof": [], "proveSeconds": [], "verifySeconds": []}
    for _ in range(ROUNDS):
        first.append(_first_proof(witness, cache))
        proving.append(_best(lambda: child.prove(witness), PROOFS))
        verifying.append(_best(lambda: verify(proof), 20))
        answer = oracle.ask([oracle.to_js(proof)] * 5, work)
        if not all(answer["valid"]):
            raise RuntimeError("snarkjs refuses our proof")
        answer["firstProof"] = [answer["firstProof"]]
        for name, found in theirs.items():
            found += answer[name]

    def row(what: str, ours: list[float], name: str, goal: float) -> dict[str, Any]:
        return _row(f"{what}, against snarkjs", min(ours), min(theirs[name]), goal)

    return [
        row("proof by a process just started", first, "firstProof", GOAL_PROVE),
        row("proof by one that has made some", proving, "proveSeconds", GOAL_PROVE),
        row("check of a proof", verifying, "verifySeconds", GOAL_VERIFY),
    ]


def _leaf_by_leaf() -> float:
    """Seconds for a leaf when the root is computed with each, as the contract does."""
    tree = LeanIMT()

    def grow() -> None:
        for leaf in range(1, LEAVES // 8 + 1):
            tree.append(leaf)
            tree.root()

    return _best(grow, 1) / (LEAVES // 8)


def _in_bulk() -> float:
    tree = LeanIMT()

    def grow() -> None:
        for leaf in range(1, LEAVES + 1):
            tree.append(leaf)
        tree.root()

    return _best(grow, 1) / LEAVES


def rows() -> list[dict[str, Any]]:
    """Measure all."""
    if oracle.missing() is not None:
        raise PeerMissing("snarkjs is not installed: bin/setup --bench does it")
    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory) / "cache"
        child = _Child(cache)
        try:
            found = _against_snarkjs(child, cache)
            memory = child.memory()
        finally:
            child.stop()
        again = _Child(cache)  # the program is compiled by now
        try:
            again.prove(Witness(1, MerklePath(0, ()), 1, 1))
            warm = again.memory()
        finally:
            again.stop()
    bulk, single = _in_bulk(), _leaf_by_leaf()
    if memory is not None and warm is not None:
        found.append(
            {
                "what": "memory of the prover, against the one that compiles",
                "measured": f"{warm:.0f} MB",
                "baseline": f"{memory:.0f} MB",
                "ratio": f"{warm / memory:.2f}",
                "goal": f"< {GOAL_MEMORY} MB",
                "met": warm < GOAL_MEMORY,
            }
        )
    found.append(_row("a leaf in bulk, against a root with each", bulk, single, 2))
    return found

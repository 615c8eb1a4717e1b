"""The prover's process: ``python -m bitsnode.ledger.prover.child CIRCUITS CACHE MEMORY``.

It has the proving key and, one at a time, the secrets of vouchers. They come over its standard
input and are nowhere else: not in arguments, environment, files or messages. It writes no core
dump, other processes of the user cannot look into its memory (Linux), and what a library prints is
thrown away, for it may hold anything.
"""

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from bitsnode.ledger.prover import frames
from bitsnode.ledger.prover.frames import Kind, Stage
from zk.circuit import SHA256, WASM, ZKEY, Witness
from zk.proof import SemaphoreProof, words

_PR_SET_DUMPABLE: Final = 4  # prctl(2)


class WrongCircuit(Exception):
    """A file of the circuit is not there, or not the one of the ceremony."""


def confine(memory: int) -> None:
    """Let this process have so many bytes, leave no core dump, and be closed to others."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # macOS takes the limit and does not keep it; the node's deadline is there for that too
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


class Proving:
    """Circuit and proving key, loaded and checked.

    Args:
        circuits: where the two files are.
        cache: where the compiled program is kept; None: nowhere.

    Raises:
        WrongCircuit: a file is not there, or its hash is not the right one.
    """

    def __init__(self, circuits: Path, cache: Path | None) -> None:
        wasm, zkey = (_checked(circuits, name) for name in (WASM, ZKEY))
        # heavy, and of no use where the files are missing
        import groth16py

        from bitsnode.ledger.prover.witness import WitnessProgram

        self._prove = groth16py.prove_wtns
        with _readable(zkey) as path:
            self._key, _ = groth16py.import_zkey(path)
        self._program = WitnessProgram(wasm, cache)

    def witness(self, witness: Witness) -> bytes:
        """Compute all wires, in the form of a .wtns file.

        Raises:
            WitnessRefused: the circuit does not accept this.
        """
        return self._program.compute(witness.signals())

    def points(self, wtns: bytes) -> tuple[int, ...]:
        """Make a proof; it need not be valid: the library proves whatever it is given."""
        with _readable(wtns) as path:
            return words(self._prove(self._key, path))


def prove(proving: Proving, body: bytes) -> Iterator[bytes]:
    """Yield the replies to a request, the outcome last."""
    from bitsnode.ledger.prover.witness import WitnessRefused
    from zk.proof import InvalidProof
    from zk.verification import verify

    try:
        witness = frames.parse_request(body)
        yield frames.reply(Kind.STAGE, bytes([Stage.WITNESS]))
        wtns = proving.witness(witness)
        yield frames.reply(Kind.STAGE, bytes([Stage.PROOF]))
        points = proving.points(wtns)
        yield frames.reply(Kind.STAGE, bytes([Stage.CHECK]))
        proof: SemaphoreProof = witness.proves(points)
        verify(proof)
        yield frames.reply(Kind.POINTS, proof.points_bytes())
    except WitnessRefused:
        yield frames.reply(Kind.REFUSED)
    except InvalidProof:
        yield frames.reply(Kind.INVALID)
    except MemoryError:
        yield frames.reply(Kind.OUT_OF_MEMORY)
    except Exception:  # its text may hold the secret
        yield frames.reply(Kind.FAILED)


def _checked(circuits: Path, name: str) -> bytes:
    try:
        data = (circuits / name).read_bytes()
    except FileNotFoundError:
        raise WrongCircuit from None
    if sha256(data).hexdigest() != SHA256[name]:
        raise WrongCircuit
    return data


@contextlib.contextmanager
def _readable(data: bytes) -> Iterator[str]:
    """Lend bytes as a path, for a library that opens files, without putting them on a disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("prover", os.MFD_CLOEXEC)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
    else:
        yield from _through_pipe(data)


def _through_pipe(data: bytes) -> Iterator[str]:
    # a process and not a thread writes: the library keeps the interpreter locked while it reads
    reading, writing = os.pipe()
    writer = os.fork()
    if writer == 0:
        os.close(reading)
        with contextlib.suppress(OSError), open(writing, "wb") as file:
            file.write(data)
        os._exit(0)
    os.close(writing)
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        os.waitpid(writer, 0)


def _read(stream: BinaryIO) -> bytes | None:
    """Return the next frame, None at the end."""
    header = stream.read(frames.HEADER.size)
    if len(header) < frames.HEADER.size:
        return None
    (size,) = frames.HEADER.unpack(header)
    if size > frames.MAX_REQUEST:
        return None
    body = stream.read(size)
    return body if len(body) == size else None


def main(circuits: str, cache: str, memory: str) -> None:
    """Answer requests until standard input ends."""
    confine(int(memory))
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply

    def send(body: bytes) -> None:
        output.write(frames.framed(body))
        output.flush()

    proving = None
    try:
        proving = Proving(Path(circuits), Path(cache) if cache else None)
    except WrongCircuit:
        send(frames.reply(Kind.NO_CIRCUIT))
    except MemoryError:
        send(frames.reply(Kind.OUT_OF_MEMORY))
    except Exception:
        send(frames.reply(Kind.FAILED))
    with contextlib.suppress(BrokenPipeError):
        while proving is not None and (body := _read(sys.stdin.buffer)) is not None:
            for answer in prove(proving, body):
                send(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Start a chain as a child process and wait until it answers; imports no py-evm and no Twisted."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from bitsnode.ledger.embedded.errors import ChainFailed

SOCKET: Final = "chain.sock"
READY_SECONDS: Final = 60.0  # py-evm takes 2 s to import, several on a busy machine
STOP_SECONDS: Final = 30.0


@frozen
class ChildChain:
    """A chain in a child process.

    Attributes:
        process: the child.
        socket_path: where it takes JSON-RPC.
        chain_id: of the chain.
    """

    process: "subprocess.Popen[bytes]"
    socket_path: Path
    chain_id: int

    def kill(self) -> None:
        """End it as a crash would, and wait for its end."""
        self.process.kill()
        self._reap()

    def stop(self) -> None:
        """Ask it to end, and wait for that; kill it if it does not."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def start_chain(directory: Path, *arguments: str) -> ChildChain:
    """Start a chain on a directory and wait until it answers.

    Args:
        directory: of the chain.
        arguments: of ``python -m bitsnode.ledger.embedded``, such as ``--chain-id``.

    Raises:
        ChainFailed: it ended at once, with the sentence it gave, or is not ready in time.
    """
    command = [sys.executable, "-m", "bitsnode.ledger.embedded", str(directory), *arguments]
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    process = subprocess.Popen(  # noqa: S603 - our own command with our own arguments
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    child = ChildChain(process, directory / SOCKET, 0)
    line = _first_line(process)
    if not line:
        process.kill()
        said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
        child.kill()
        raise ChainFailed(said.splitlines()[-1] if said else "")
    ready = json.loads(line)
    return ChildChain(process, Path(ready["socket"]), ready["chain_id"])


def _first_line(process: "subprocess.Popen[bytes]") -> bytes:
    if process.stdout is None:
        return b""
    os.set_blocking(process.stdout.fileno(), False)
    line, end = b"", time.monotonic() + READY_SECONDS
    while not line.endswith(b"\n") and time.monotonic() < end:
        ended = process.poll() is not None
        line += process.stdout.read() or b""
        if ended:
            break
        time.sleep(0.02)
    return line if line.endswith(b"\n") else b""


@contextlib.contextmanager
def running_chain(directory: Path, *arguments: str) -> Iterator[ChildChain]:
    """Run a chain for the length of a block; see `start_chain`."""
    child = start_chain(directory, *arguments)
    try:
        yield child
    finally:
        child.stop()

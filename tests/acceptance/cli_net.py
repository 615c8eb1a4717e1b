"""A localnet as its user sees it: commands, homes and files, and nothing else."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

BITSNODE = [sys.executable, "-m", "bitsnode"]
COMMAND_TIMEOUT = 300  # seconds after which a command is a failure, not a slow machine


def sha256(path: Path) -> str:
    """Return a file's digest in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@attrs.frozen
class Outcome:
    """What a command did.

    Attributes:
        status: its exit status.
        result: the last JSON line of its output, or {}.
        stderr: as text.
    """

    status: int
    result: dict[str, Any]
    stderr: str


@attrs.frozen
class CliNode:
    """One node of the localnet.

    Attributes:
        home: its directory.
        onion: its address.
    """

    home: Path
    onion: str

    def run(self, *arguments: str | Path) -> Outcome:
        """Run a command on this node."""
        return run("--home", self.home, *arguments)

    def ok(self, *arguments: str | Path) -> dict[str, Any]:
        """Run a command that must succeed, and return its result."""
        done = self.run(*arguments)
        assert done.status == 0, done.stderr
        return done.result

    def status(self) -> dict[str, Any]:
        """Return the node's status."""
        return self.ok("status")

    def kill(self) -> None:
        """End the node as a power cut would, and wait until it is gone."""
        pid = self.status()["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not _runs(pid))


@attrs.frozen
class CliLocalnet:
    """A running localnet.

    Attributes:
        directory: what ``--dir`` was given.
        nodes: those of ``localnet up``.
    """

    directory: Path
    nodes: list[CliNode]

    def revive(self) -> None:
        """Start the nodes again that were killed, and wait until they are reachable."""
        done = run("localnet", "up", "--dir", self.directory)
        assert done.status == 0, done.stderr

    def newcomer(self, name: str, *options: str) -> "Newcomer":
        """Start one more node, which knows the address of the last node only."""
        return Newcomer(self, name, options)


class Newcomer:
    """A node beside the localnet's own, for the length of a with block.

    Args:
        net: the localnet it joins.
        name: of its home.
        options: further ones of ``bitsnode --tor``.
    """

    def __init__(self, net: CliLocalnet, name: str, options: tuple[str, ...] = ()) -> None:
        self.node = CliNode(net.directory / name, "")
        self._command = [*BITSNODE, "--home", str(self.node.home), "--json", "--tor"]
        self._command += ["--network", "local", "--localnet", str(net.directory)]
        self._command += ["--bootstrap", net.nodes[-1].onion, *options]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> CliNode:
        """Start it and wait until it is reachable."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        for line in self._process.stdout or []:
            if json.loads(line)["event"] == "reachable":
                return self.node
        raise AssertionError("the newcomer stopped before it was reachable")

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()


def run(*arguments: str | Path, seconds: float = COMMAND_TIMEOUT) -> Outcome:
    """Run ``bitsnode`` with --json and wait for it, at most so many seconds."""
    done = subprocess.run(
        [*BITSNODE, *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    lines = done.stdout.splitlines()
    return Outcome(done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr)


def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    """Look again and again until a condition holds; fail after a generous time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it may go while it is read
        return False
    return state != "Z"

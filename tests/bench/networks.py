"""Localnets to measure on, and the two paces of their tors.

On ``default`` tor is as it is, and on loopback bound by latency: a circuit is held up by delayed
ACKs and by the tick of tor's scheduler. On ``fast`` neither is there, and what binds is the CPU.
That needs acknowledgements at once on both routes of the loopback device, hence a network
namespace, in which everything that uses the network then has to be. See `onion/localnet/README.md`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onion.localnet.config import Profile
from onion.localnet.network import quickack_commands
from tests.acceptance.cli_net import CliLocalnet, CliNode, run
from tests.bench.row import Options, PeerMissing

PUBLISH_TRIES = 4


def grow(directory: Path, nodes: int, profile: Profile = "default") -> CliLocalnet:
    """Start a localnet, or more nodes of one that runs."""
    up = run("localnet", "up", "--nodes", str(nodes), "--profile", profile, "--dir", directory)
    if up.status:
        raise RuntimeError(up.stderr)
    found = [CliNode(Path(node["home"]), node["peer_onion"]) for node in up.result["nodes"]]
    return CliLocalnet(directory, found)


@contextmanager
def stopped_at_end(directory: Path) -> Iterator[None]:
    """Stop the localnet of a directory, whatever happens."""
    try:
        yield
    finally:
        run("localnet", "down", "--dir", directory)


def published_to(node: CliNode, file: Path, holders: int) -> str:
    """Publish a file to so many holders, and return its link.

    Nodes that have just been started may not know each other yet, or be slow to answer: then it is
    published again.

    Raises:
        RuntimeError: there are still fewer after some tries.
    """
    for _ in range(PUBLISH_TRIES):
        published = node.ok("publish", "--free", file)
        if len(published["holders"]) == holders:
            return str(published["link"])
    raise RuntimeError(f"not {holders} holders: {published['code']}")


def measured_at(profile: Profile, module: str, options: Options) -> Any:
    """Run a module's ``measure`` where tors have that pace; return what it found.

    Raises:
        PeerMissing: there is no namespace to be had, or the module says that a peer is missing.
    """
    command = [sys.executable, "-m", "tests.bench.networks", module, profile]
    command += ["quick"] * options.quick
    if profile == "default":
        return _asked(command)
    name = f"bits-bench-{os.getpid()}"
    if os.geteuid() != 0 or sys.platform != "linux":
        raise PeerMissing("the CPU-bound profile needs a network namespace: run as root on Linux")
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        for words in quickack_commands(name):
            _ip(*words[1:])
        return _asked(["ip", "netns", "exec", name, *command])
    finally:
        _ip("netns", "del", name)


def _ip(*words: str) -> None:
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise PeerMissing("ip is not installed: bin/setup --bench installs it") from error
    except subprocess.CalledProcessError as error:
        raise PeerMissing(f"no network namespace: {error.stderr.strip()}") from error


def _asked(command: list[str]) -> Any:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    answer = json.loads(lines[-1]) if lines else {}
    if "missing" in answer:
        raise PeerMissing(answer["missing"])
    if done.returncode or "found" not in answer:
        raise RuntimeError(f"{command[-2]} failed; what it said is above")
    return answer["found"]


def main() -> None:
    """Measure in this process, and say what was found as JSON."""
    import importlib

    module, profile, *quick = sys.argv[1:]
    try:
        found = importlib.import_module(module).measure(profile, Options(quick=bool(quick)))
        answer = {"found": found}
    except PeerMissing as error:
        answer = {"missing": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

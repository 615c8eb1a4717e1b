"""An idle node: how soon it is reachable after its tor, and how much memory it takes."""

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.acceptance.cli_net import BITSNODE, CliNode, run
from tests.bench.processes import resident

STARTS = 5
SETTLE = 10  # seconds after which a node counts as idle
GOAL_START = 1.0  # seconds
GOAL_MEMORY = 120  # MB


def _start(directory: Path, home: Path, bootstrap: str) -> tuple[float, float, float]:
    """Run a new node; return seconds of tor's bootstrap, seconds from there to reachable, MB."""
    command = [*BITSNODE, "--home", str(home), "--json", "--tor", "--network", "local"]
    command += ["--localnet", str(directory), "--bootstrap", bootstrap]
    began = time.monotonic()
    seen: dict[str, float] = {}
    node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in node.stdout or []:
            event = json.loads(line)
            seen.setdefault(event["event"], time.monotonic() - began)
            if event["event"] == "reachable":
                break
        time.sleep(SETTLE)
        pid = CliNode(home, "").status()["pid"]
        ready = seen["tor_ready"]
        return ready, seen["reachable"] - ready, resident(pid)
    finally:
        node.terminate()
        node.wait()


def rows() -> list[dict[str, Any]]:
    """Start a few new nodes on a small localnet, one after the other."""
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as name:
        directory = Path(name)
        try:
            net = run("localnet", "up", "--nodes", "3", "--dir", directory).result
            known = net["nodes"][0]["peer_onion"]
            starts = [_start(directory, directory / f"new{i}", known) for i in range(STARTS)]
        finally:
            run("localnet", "down", "--dir", directory)
    tor = statistics.median(start[0] for start in starts)
    beyond = statistics.median(start[1] for start in starts)
    memory = max(start[2] for start in starts)
    bare = subprocess.run(
        [BITSNODE[0], "-c", "import txtorcon, twisted.internet.reactor, os; "
         "print(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    floor = int(bare.stdout) * 1024 / 1e6
    return [
        {
            "what": "start to reachable, beyond tor's bootstrap",
            "measured": f"{beyond:.2f} s",
            "baseline": f"{tor:.2f} s",
            "ratio": f"{(tor + beyond) / tor:.2f}",
            "goal": "+ 1 s",
            "met": beyond <= GOAL_START,
        },
        {
            "what": "memory of an idle node, against its libraries",
            "measured": f"{memory:.0f} MB",
            "baseline": f"{floor:.0f} MB",
            "ratio": f"{memory / floor:.2f}",
            "goal": "< 120 MB",
            "met": memory < GOAL_MEMORY,
        },
    ]

"""What running processes have used: CPU, memory and file descriptors, as Linux counts them."""

import os
from collections.abc import Iterable
from pathlib import Path

from tests.acceptance.cli_net import CliNode

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the seconds of CPU, user and system, that processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])  # proc(5): utime, stime
    return ticks / _TICKS


def resident(pid: int) -> float:
    """Return the megabytes that a process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("no VmRSS")


def descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def tor_of(pid: int) -> int:
    """Return the process id of the tor that a node has started."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == "tor":
            return int(child)
    raise RuntimeError("the node has no tor of its own")


def node_and_tor(node: CliNode) -> list[int]:
    """Return the process ids of a node and of its tor."""
    pid = int(node.status()["pid"])
    return [pid, tor_of(pid)]

"""What running processes have used: CPU, memory and file descriptors, as Linux counts them."""

import os
import resource
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


def children_seconds() -> float:
    """Return the seconds of CPU of all commands that this process has run to their end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def naming(folder: Path) -> list[int]:
    """Return the processes whose command line names a folder, or something in it."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                named = bytes(folder) in (place / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended
            if named:
                found.append(int(place.name))
    return found


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

"""How long ``bitsnode --help`` takes, against an interpreter that does nothing."""

import statistics
import subprocess
import sys
import time
from typing import Any

RUNS = 15
GOAL = 0.150  # seconds


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def rows() -> list[dict[str, Any]]:
    """Measure both in turn, so that a slow moment of the machine hits both."""
    ours, bare = [], []
    for _ in range(RUNS):
        bare.append(_seconds([sys.executable, "-c", "pass"]))
        ours.append(_seconds([sys.executable, "-m", "bitsnode", "--help"]))
    mine, base = statistics.median(ours), statistics.median(bare)
    return [
        {
            "what": "bitsnode --help, against python -c pass",
            "measured": f"{mine * 1000:.0f} ms",
            "baseline": f"{base * 1000:.0f} ms",
            "ratio": f"{mine / base:.1f}",
            "goal": "< 150 ms",
            "met": mine < GOAL,
        }
    ]

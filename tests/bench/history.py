"""What every run has found, one JSON line a row: ``results/history.jsonl``, which is committed.

A line holds the row as it was printed, the benchmark's name, the time, the commit (with a ``+``
where the checkout was not clean), the machine, and its load at the beginning and at the end.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from tests.bench.row import Row

FILE = Path(__file__).parent / "results" / "history.jsonl"


@attrs.frozen
class Run:
    """One run of the command.

    Attributes:
        time: ISO 8601, UTC, to the second.
        commit: what was measured.
        machine: described.
        load: average of the last minute when it began.
    """

    time: str
    commit: str
    machine: dict[str, Any]
    load: float

    @classmethod
    def beginning(cls, time: str) -> "Run":
        """Return the run that begins now."""
        return cls(time, _commit(), machine(), os.getloadavg()[0])


def machine() -> dict[str, Any]:
    """Describe where the figures come from; no name of a host or a person is among it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "cores": os.cpu_count(),
        "GiB": round(memory),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=FILE.parent, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", f":!{FILE.parent}")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if changed else "")


def lines(run: Run, benchmark: str, rows: Iterable[Row]) -> str:
    """Return what is kept of some rows."""
    about = {**attrs.asdict(run), "load_after": os.getloadavg()[0], "benchmark": benchmark}
    return "".join(json.dumps(about | row) + "\n" for row in rows)


def append(text: str, file: Path = FILE) -> None:
    """Add lines to the history."""
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as history:
        history.write(text)


def read(file: Path = FILE) -> list[Row]:
    """Return all lines, the oldest first."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def by_row(found: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the lines of each row, the oldest first, the rows in the order of their benchmarks."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for each in found:
        groups.setdefault((each["benchmark"], each["what"]), []).append(each)
    order = list(dict.fromkeys(benchmark for benchmark, _ in groups))
    keys = sorted(groups, key=lambda key: order.index(key[0]))
    return {key[1]: groups[key] for key in keys}

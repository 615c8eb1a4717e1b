"""Memory and open files of a node that fetches again and again.

One reader on a localnet of three nodes fetches the same MiB many times in a row. The first tenth
of the fetches, ten at least, is left for it to warm up; then memory and descriptors are noted after
each, and the line through them by least squares tells what a fetch leaves behind. `--long` makes
it a thousand fetches.
"""

import secrets
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.networks import grow, stopped_at_end
from tests.bench.processes import descriptors, node_and_tor, resident
from tests.bench.row import Options, Row, row
from tests.bench.transfers import bits

SIZE = 1 << 20  # bytes
FETCHES, QUICK_FETCHES, LONG_FETCHES = 50, 12, 1000
WARMING = 10
MOST_GROWTH = 1.05  # at the end, of what there was when it was warm


def _line(values: Sequence[float]) -> tuple[float, float]:
    """Return the first and the last value of the line through the values."""
    slope, start = statistics.linear_regression(range(len(values)), values)
    return start, start + slope * (len(values) - 1)


def rows(options: Options) -> list[Row]:
    """Fetch, and see what stays."""
    fetches = QUICK_FETCHES if options.quick else LONG_FETCHES if options.long else FETCHES
    warming = max(WARMING, fetches // 10)
    memory, files, tors = [], [], []
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as name:
        directory = Path(name)
        with stopped_at_end(directory):
            net = grow(directory, 3)
            small = directory / "small"
            small.write_bytes(secrets.token_bytes(SIZE))
            link = net.nodes[0].ok("publish", "--free", small)["link"]
            with net.newcomer("reader", "--storage", "0") as reader:
                node, tor = node_and_tor(reader)
                for number in range(fetches):
                    bits(reader, link, directory / "out")
                    if number >= warming:
                        memory.append(resident(node))
                        files.append(float(descriptors(node)))
                        tors.append(resident(tor))
    return [
        _grown("memory of a node", memory, "MB", fetches),
        _grown("open files of a node", files, "files", fetches),
        _grown("memory of its tor", tors, "MB", fetches),
    ]


def _grown(what: str, values: Sequence[float], unit: str, fetches: int) -> Row:
    first, last = _line(values)
    return row(
        f"{what} after {fetches} fetches, against when it was warm",
        f"{last:.1f} {unit}",
        f"{first:.1f} {unit}",
        last / first,
        f"<= {MOST_GROWTH}",
        last <= first * MOST_GROWTH,
    )

"""``python -m tests.sim --nodes 1000 --seed 1``: attacks a simulated network, prints a table.

With ``--plot FILE.png`` also draws it. See `bitsnode/dht/README.md`.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.sim.plot import draw
from tests.sim.scenarios import Row, all_of_it, churning, healthy, settled
from tests.sim.shortcuts import shortcuts
from tests.sim.table import HEAD, line

SYBIL_GOALS = {10: 0.99, 20: 0.98, 30: 0.95}
SIZES = 3  # smaller networks, each half the size of the next, that hops are compared in


def rows(nodes: int, seed: int, lookups: int, only: str, hours: int) -> Iterator[Row]:
    """Run the scenarios, and yield what each step showed."""
    if only in ("all", "sizes"):
        for size in [nodes >> shift for shift in range(SIZES, 0, -1)]:
            yield next(healthy(seed, size, lookups))
    if only in ("all", "churn"):
        world, _ = settled(seed, nodes)
        yield from churning(world, lookups, hours)
        world.stop()
    if only in ("all", "attacks"):
        yield from all_of_it(seed, nodes, lookups, SYBIL_GOALS)


def main() -> int:
    """Run, print, draw; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lookups", type=int, default=500, help="of each step")
    parser.add_argument("--only", choices=["all", "sizes", "churn", "attacks"], default="all")
    parser.add_argument("--hours", type=int, default=2, help="of churn")
    parser.add_argument("--plot", type=Path, help="a PNG to write")
    options = parser.parse_args()
    found: list[Row] = []
    begun = time.process_time()
    print(HEAD, flush=True)
    with shortcuts(options.seed):
        chosen = (options.nodes, options.seed, options.lookups, options.only, options.hours)
        for row in rows(*chosen):
            found.append(row)
            print(line(row), flush=True)
    print(f"\n{time.process_time() - begun:.0f} s of CPU", file=sys.stderr)
    if options.plot:
        draw(found, options.plot)
    return 0 if all(row.met for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.sim --nodes 1000 --seed 1``: attacks a simulated network, prints a table.

Each scenario is a network of its own. With ``--keep DIR`` its rows are kept there when it has come
to its end, and not made again: two processes with different ``--only`` can share the work, and a
last run without it joins them. With ``--plot FILE.png`` the rows are also drawn. See
`bitsnode/dht/README.md`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.sim.plot import draw, fit
from tests.sim.scenarios import Row, attacked, churning, healthy, settled
from tests.sim.shortcuts import shortcuts
from tests.sim.table import HEAD, line, save, saved

SYBIL_GOALS = {10: 0.99, 20: 0.98, 30: 0.95}
SIZES = (50, 100, 200, 400)  # smaller networks that hops are compared in
HOURS = 2  # of churn


def _churned(seed: int, nodes: int, lookups: int) -> Iterator[Row]:
    world, _ = settled(seed, nodes)
    yield from churning(world, lookups, HOURS)
    world.stop()


def scenarios(nodes: int, seed: int, lookups: int) -> dict[str, Callable[[], Iterator[Row]]]:
    """Return what makes the rows of each scenario, by its name."""
    found: dict[str, Callable[[], Iterator[Row]]] = {
        f"size-{size}": lambda size=size: iter([next(healthy(seed, size, lookups))])  # type: ignore[misc]
        for size in SIZES
        if size < nodes
    }
    return found | {
        "healthy": lambda: healthy(seed, nodes, 5 * lookups),
        "attacks": lambda: attacked(seed, nodes, lookups, SYBIL_GOALS),
        "churn": lambda: _churned(seed, nodes, lookups),
    }


def main() -> int:
    """Run, print, draw; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lookups", type=int, default=600, help="of each step; healthy: five-fold")
    parser.add_argument("--only", action="append", help="a scenario; may be given several times")
    parser.add_argument("--keep", type=Path, help="a folder for the rows of finished scenarios")
    parser.add_argument("--plot", type=Path, help="a PNG to write")
    options = parser.parse_args()
    found: list[Row] = []
    print(HEAD, flush=True)
    for name, make in scenarios(options.nodes, options.seed, options.lookups).items():
        kept = options.keep / f"{name}.json" if options.keep else None
        if kept is not None and kept.exists():
            found += saved(kept)
            print(*map(line, saved(kept)), sep="\n", flush=True)
        elif not options.only or name in options.only:
            found += _made(make, options.seed, kept)
    print(f"\n{fit(found)}")
    if options.plot:
        draw(found, options.plot)
    return 0 if all(row.met for row in found) else 1


def _made(make: Callable[[], Iterator[Row]], seed: int, kept: Path | None) -> list[Row]:
    begun, rows = time.process_time(), []
    with shortcuts(seed):
        for row in make():
            rows.append(row)
            print(line(row), flush=True)
    print(f"{time.process_time() - begun:.0f} s of CPU", file=sys.stderr, flush=True)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        save(rows, kept)
    return rows


if __name__ == "__main__":
    sys.exit(main())

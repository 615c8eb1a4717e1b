"""Every benchmark in one run: ``python -m tests.bench [NAME …]``.

Prints a table of ratios, each against a baseline measured in the same run, adds the rows to
``tests/bench/results/history.jsonl`` and draws them all into ``results/history.png``. A benchmark
whose peer is missing, or that fails, has a row that says so, and the command ends with 1; it ends
with 0 when all was measured, whether goals are met or not.

``--history`` measures nothing: it prints the newest of each row as Markdown, and draws.
``--readme`` writes that table into the README instead.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import (
    buying,
    chain,
    command_line,
    discovery,
    fetch,
    history,
    idle,
    pipeline,
    publish,
    receipts,
    shop,
    soak,
    stealth,
    table,
    zk,
)
from tests.bench.plot import draw
from tests.bench.row import Options, PeerMissing, Row

PLOT = Path(__file__).parent / "results" / "history.png"


def _always_the_same(rows: Callable[[], list[Row]]) -> Callable[[Options], list[Row]]:
    return lambda _options: rows()


BENCHMARKS: dict[str, Callable[[Options], list[Row]]] = {
    "pipeline": _always_the_same(pipeline.rows),
    "help": _always_the_same(command_line.rows),
    "idle": _always_the_same(idle.rows),
    "fetch": fetch.rows,
    "publish": publish.rows,
    "soak": soak.rows,
    "discovery": discovery.rows,
    "stealth": _always_the_same(stealth.rows),
    "chain": _always_the_same(chain.rows),
    "zk": _always_the_same(zk.rows),
    "receipts": _always_the_same(receipts.rows),
    "buying": _always_the_same(buying.rows),
    "shop": _always_the_same(shop.rows),
}


def _missing(name: str, why: str) -> Row:
    dash = {"measured": "-", "baseline": "-", "ratio": "-", "goal": "measured"}
    return {"what": f"{name}: {why}", **dash, "met": False, "missing": True}


def _measured(name: str, options: Options) -> list[Row]:
    """Return a benchmark's rows, or one that says why there are none."""
    try:
        return BENCHMARKS[name](options)
    except PeerMissing as error:
        return [_missing(name, str(error))]
    except Exception as error:  # of anything: the others are still to be measured
        traceback.print_exc()
        return [_missing(name, f"{type(error).__name__}; see above")]


def _show_history(*, readme: bool) -> None:
    rows = history.by_row(history.read())
    newest = [runs[-1] for runs in rows.values()]
    draw(rows, PLOT)
    if readme:
        table.into_readme(newest)
    elif newest:
        print(table.markdown(newest), end="")


def main() -> int:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument(
        "--quick",
        action="store_true",
        help="small sizes for fetch, publish and soak; nothing is kept",
    )
    parser.add_argument("--long", action="store_true", help="a soak of a thousand fetches")
    parser.add_argument("--history", action="store_true", help="show what earlier runs found")
    parser.add_argument("--readme", action="store_true", help="the same, written into README.md")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - BENCHMARKS.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if chosen.history or chosen.readme:
        _show_history(readme=chosen.readme)
        return 0
    # what bin/setup put beside this interpreter, node among it
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options = Options(quick=chosen.quick, long=chosen.long)
    run = history.Run.beginning(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    found: list[Row] = []
    for name in chosen.names or list(BENCHMARKS):
        print(f"{name} …", file=sys.stderr, flush=True)
        rows = _measured(name, options)
        found += rows
        if not options.quick:  # at once, so that a run that is cut short leaves what it has
            whole = [row for row in rows if not row.get("missing")]
            history.append(history.lines(run, name, whole))
    print(table.HEAD)
    for row in found:
        print(table.line(row))
    if not options.quick:
        draw(history.by_row(history.read()), PLOT)
        print(f"\nkept in {history.FILE.name}, drawn in {PLOT}")
    return int(any(row.get("missing") for row in found))


if __name__ == "__main__":
    sys.exit(main())

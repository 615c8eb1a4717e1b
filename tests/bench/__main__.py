"""Every benchmark in one run: ``python -m tests.bench [NAME …]``.

Prints a table of ratios, each against a baseline measured in the same run, and keeps the figures
in ``tests/bench/results/`` as JSON.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import (
    buying,
    chain,
    command_line,
    fetch,
    idle,
    pipeline,
    receipts,
    shop,
    stealth,
    zk,
)

RESULTS = Path(__file__).parent / "results"
BENCHMARKS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "pipeline": pipeline.rows,
    "help": command_line.rows,
    "idle": idle.rows,
    "fetch": fetch.rows,
    "stealth": stealth.rows,
    "chain": chain.rows,
    "zk": zk.rows,
    "receipts": receipts.rows,
    "buying": buying.rows,
    "shop": shop.rows,
}


def machine() -> dict[str, object]:
    """Describe where the figures come from."""
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg(),  # of the last 1, 5 and 15 minutes: of the run, and who else works
    }


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    rows: list[dict[str, Any]] = []
    for name in names:
        print(f"{name} …", flush=True)
        rows += BENCHMARKS[name]()
    print(f"\n{'what':<44}{'measured':>16}{'baseline':>16}{'ratio':>8}  goal")
    for row in rows:
        verdict = "met" if row["met"] else "MISSED"
        print(
            f"{row['what']:<44}{row['measured']:>16}{row['baseline']:>16}{row['ratio']:>8}"
            f"  {row['goal']} {verdict}"
        )
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    file = RESULTS / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    file.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")
    print(f"\nkept in {file.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()

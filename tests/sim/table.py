"""Rows of a report as a Markdown table, and as files of their own."""

import json
from pathlib import Path

import attrs

from tests.sim.measure import Measured
from tests.sim.scenarios import Row

HEAD = (
    "| network | nodes | hostile | stored at | lookups | found | at least | goal | questions"
    " | hops | median s | p95 s | alarms |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def line(row: Row) -> str:
    """Return a row's line."""
    measured = row.measured
    cells = [
        row.name,
        f"{row.nodes:,}",
        f"{row.hostile:,}",
        f"{row.stored:.1f}",
        f"{measured.lookups:,}",
        f"{100 * measured.found:.2f} %",
        f"{100 * measured.at_least:.2f} %",
        f"{100 * row.goal:.1f} %" if row.goal else "",
        f"{measured.questions:.0f}",
        f"{measured.hops:.2f}",
        f"{measured.median:.0f}",
        f"{measured.p95:.0f}",
        "" if row.alarms is None else f"{row.alarms:,}",
    ]
    return "| " + " | ".join(cells) + " |"


def save(rows: list[Row], path: Path) -> None:
    """Write the rows of a scenario that came to its end."""
    path.write_text(json.dumps([attrs.asdict(row) for row in rows], indent=1))


def saved(path: Path) -> list[Row]:
    """Return the rows that `save` wrote."""
    rows = json.loads(path.read_text())
    return [Row(**row | {"measured": Measured(**row["measured"])}) for row in rows]

"""Rows of a report as a Markdown table."""

from tests.sim.scenarios import Row

HEAD = (
    "| network | nodes | hostile | stored at | lookups | found | goal | questions | hops"
    " | median s | p95 s | alarms |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
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
        f"{100 * measured.found:.1f} %",
        f"{100 * row.goal:.1f} %" if row.goal else "",
        f"{measured.questions:.0f}",
        f"{measured.hops:.2f}",
        f"{measured.median:.0f}",
        f"{measured.p95:.0f}",
        "" if row.alarms is None else f"{row.alarms:,}",
    ]
    return "| " + " | ".join(cells) + " |"

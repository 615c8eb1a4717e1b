"""The table of ratios, for a terminal and for the README."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.row import Row

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"  # between them all is written anew

WIDTH = 76  # characters of what is measured
HEAD = f"{'what':<{WIDTH}}{'measured':>14}{'baseline':>14}{'ratio':>8}  goal"


def verdict(row: Row) -> str:
    """Return in a word how a row did."""
    if row.get("missing"):
        return "NOT MEASURED"
    if row["goal"] == "none":
        return ""
    return "met" if row["met"] else "MISSED"


def line(row: Row) -> str:
    """Return a row for a terminal."""
    return (
        f"{row['what']:<{WIDTH}}{row['measured']:>14}{row['baseline']:>14}{row['ratio']:>8}"
        f"  {row['goal']} {verdict(row)}".rstrip()
    )


def markdown(rows: Sequence[Row]) -> str:
    """Return rows of the history as a table for the README, and what they were measured on."""
    head = "| what | measured | baseline | ratio | goal | |\n|---|---|---|---|---|---|\n"
    names = ("what", "measured", "baseline", "ratio", "goal")
    body = "".join(
        f"| {' | '.join(row[name] for name in names)} | {verdict(row).lower()} |\n" for row in rows
    )
    return f"{head}{body}\n{_measured_on(rows)}\n"


def _measured_on(rows: Sequence[Row]) -> str:
    """Say which machines and commits the rows are of, and how busy the machine was."""
    machines = dict.fromkeys(
        "{cores} cores, {GiB} GiB, {system}, Python {python}".format(**row["machine"])
        for row in rows
    )
    commits = dict.fromkeys(row["commit"] for row in rows)
    times = sorted(row["time"] for row in rows)
    loads = sorted(row["load"] for row in rows)
    return (
        f"Measured on {'; '.join(machines)}, from {times[0]} to {times[-1]}, at"
        f" {', '.join(commits)}. Load average of the minute before a run: {loads[0]:.1f} to"
        f" {loads[-1]:.1f}; what the benchmarks themselves need comes on top of that."
    )


def into_readme(rows: Sequence[Row]) -> None:
    """Write the table into the README, in the place of the one that is there."""
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{markdown(rows)}{END}{after}")

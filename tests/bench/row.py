"""What a benchmark hands over: rows of a table, and how it says that it could not measure."""

from typing import Any

import attrs

Row = dict[str, Any]


class PeerMissing(Exception):
    """What a row is to be measured against is not there; the message says what to do."""


@attrs.frozen
class Options:
    """How a benchmark is run.

    Attributes:
        quick: small sizes and one round, to see that it works; its figures mean little.
        long: soaks of hours.
    """

    quick: bool = False
    long: bool = False


def row(what: str, measured: str, baseline: str, ratio: float, goal: str, met: bool) -> Row:
    """Return a row of the table.

    Args:
        what: is measured, and against what.
        measured: with its unit.
        baseline: likewise, of the same run.
        ratio: of the two.
        goal: as a person reads it; "none" for a figure that is only watched.
        met: whether the goal is.
    """
    return {
        "what": what,
        "measured": measured,
        "baseline": baseline,
        "ratio": f"{ratio:.2f}",
        "goal": goal,
        "met": met,
    }


def at_least(what: str, measured: str, baseline: str, ratio: float, goal: float | None) -> Row:
    """Return a row whose ratio is to reach a goal; None for no goal."""
    if goal is None:
        return row(what, measured, baseline, ratio, "none", True)
    return row(what, measured, baseline, ratio, f">= {goal}", ratio >= goal)

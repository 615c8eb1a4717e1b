"""64 MiB from one, three and ten holders, against curl and OnionShare, at both paces of tor.

What is done is in `fetching`; here are the rows that come of it. A rate is the median of the
rounds.
"""

import statistics
from typing import Any

from onion.localnet.config import Profile
from tests.bench.fetching import HOLDERS, QUICK_SIZE, SIZE
from tests.bench.networks import measured_at
from tests.bench.row import Options, Row, at_least

GOAL_CURL = 0.9  # one holder
GOAL_ONIONSHARE: dict[Profile, float] = {"default": 3.0, "fast": 1.0}  # ten holders
BOUND: dict[Profile, str] = {"default": "latency-bound", "fast": "CPU-bound"}


def rows(options: Options) -> list[Row]:
    """Measure at both paces."""
    mib = (QUICK_SIZE if options.quick else SIZE) / (1 << 20)
    profiles: tuple[Profile, ...] = ("default", "fast")
    found: list[Row] = []
    for profile in profiles:
        took = measured_at(profile, "tests.bench.fetching", options)
        found += _rates(profile, took, mib) + _costs(profile, took, mib)
    return found


def _rates(profile: Profile, took: dict[str, list[dict[str, float]]], mib: float) -> list[Row]:
    def rate(name: str, what: str = "seconds") -> float:
        return mib / statistics.median(each[what] for each in took[name])

    def compare(what: str, ours: float, theirs: float, goal: float | None) -> Row:
        what = f"{what}, {BOUND[profile]}"
        return at_least(what, f"{ours:.2f} MiB/s", f"{theirs:.2f} MiB/s", ours / theirs, goal)

    size = f"fetch {mib:.0f} MiB"
    peer = rate("onionshare")
    goals: dict[int, float | None] = {each: None for each in HOLDERS}
    goals[HOLDERS[-1]] = GOAL_ONIONSHARE[profile]
    return [
        compare(f"{size}, one holder, against curl", rate("1"), rate("curl"), GOAL_CURL),
        *(
            compare(
                f"{size}, {_so_many(holders)}, against OnionShare", rate(str(holders)), peer, goal
            )
            for holders, goal in goals.items()
        ),
        compare(
            f"{size} with finding it, 10 holders, against OnionShare",
            rate("10", "whole"),
            rate("onionshare", "whole"),
            None,
        ),
    ]


def _costs(profile: Profile, took: dict[str, list[dict[str, float]]], mib: float) -> list[Row]:
    """Return what a MB costs each side, which is a matter of CPU and not of the pace."""
    megabytes = mib * (1 << 20) / 1e6

    def cost(name: str, what: str) -> float:
        return statistics.median(each[what] for each in took[name]) / megabytes * 1000

    def compare(what: str, ours: float, theirs: float) -> dict[str, Any]:
        what = f"CPU of {what}, {BOUND[profile]}"
        return at_least(what, f"{ours:.1f} ms/MB", f"{theirs:.1f} ms/MB", ours / theirs, None)

    curl = cost("curl", "cpu")
    return [
        compare("a fetch with its tor, one holder, against curl", cost("1", "cpu"), curl),
        compare("a fetch with its tor, 10 holders, against curl", cost("10", "cpu"), curl),
        compare(
            "serving with its tor, against OnionShare",
            cost("1", "served"),
            cost("onionshare", "served"),
        ),
        compare(
            "all processes, 10 holders, against OnionShare",
            cost("10", "all"),
            cost("onionshare", "all"),
        ),
    ]


def _so_many(holders: int) -> str:
    return "one holder" if holders == 1 else f"{holders} holders"

"""``python -m tests.sim.analytic``: warm links from 10^2 to 10^6 nodes, by a model.

Prints how long questions take, what upkeep costs, and with ``--plot FILE.png`` draws both. Two
runs of one seed are the same. The exit code is 1 if a goal was missed. `analytic_plan` names the
sources of its numbers; `warm.py` measures the same in the simulator, at 1,000 nodes.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.sim.analytic_ask import NOBODY, RECURSIVE, WALK, WARM, Asker, draw
from tests.sim.analytic_plan import Network, Plan, dead_share, link_life, vain_share
from tests.sim.analytic_plot import Plot
from tests.sim.analytic_upkeep import Upkeep, index_bytes, index_share, links, upkeep

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
GOAL_SECONDS = 1.0  # p95 at 10^6 nodes of which 10 % are Sybils
GOAL_BLACKHOLES = 1.5  # p95 with 30 % of links blackholed
GOAL_UPKEEP = 60.0  # kbit/s, index traffic included
GOAL_COLD = 30.0  # seconds to the first answer
WALKED = "plain walk, cold circuits"


@attrs.frozen
class Modelled:
    """A row.

    Attributes:
        name: of the network.
        network: as modelled.
        p50, p95, p99: seconds.
        tiers: share of the questions that each tier answered.
        fresh: share of the questions that got the newest record.
        upkeep: of a node.
        goal: for p95 in seconds, if there is one.
    """

    name: str
    network: Network
    p50: float
    p95: float
    p99: float
    tiers: dict[str, float]
    fresh: float
    upkeep: Upkeep
    goal: float | None = None

    @property
    def met(self) -> bool:
        """Whether no goal was missed."""
        return self.goal is None or (self.p95 < self.goal and self.upkeep.total <= GOAL_UPKEEP)


@attrs.frozen
class Walked:
    """A row of times over cold circuits, in seconds."""

    name: str
    nodes: int
    p50: float
    p95: float
    goal: float | None = None

    @classmethod
    def of(cls, name: str, nodes: int, times: list[float], goal: float | None = None) -> "Walked":
        """Sum up."""
        times.sort()
        return cls(name, nodes, times[len(times) // 2], times[int(len(times) * 0.95)], goal)

    @property
    def met(self) -> bool:
        """Whether no goal was missed."""
        return self.goal is None or self.p95 < self.goal


def networks() -> Iterator[tuple[str, Network, float | None]]:
    """Yield what is modelled: name, network, goal for p95."""
    for nodes in SIZES:
        yield "all well", Network(nodes), None
    for nodes in SIZES:
        yield "10 % Sybils", Network(nodes, sybils=0.1), GOAL_SECONDS
    for percent in (20, 30):
        yield f"{percent} % Sybils", Network(sybils=percent / 100), None
    yield "30 % Sybils that are silent", Network(sybils=0.3, lie="silence"), None
    for percent in (10, 20, 30):
        yield (
            f"{percent} % Sybils, named by one another",
            Network(sybils=percent / 100, biased=True),
            None,
        )
    for percent in (10, 20, 30):
        lying = Network(sybils=percent / 100, lie="old")
        goal = GOAL_SECONDS if percent == 10 else None
        yield f"{percent} % Sybils, old heads of feeds", lying, goal
    yield "30 % of links blackholed", Network(blackholes=0.3), GOAL_BLACKHOLES
    yield "the same and 10 % Sybils", Network(blackholes=0.3, sybils=0.1), None


def model(
    plan: Plan, name: str, network: Network, count: int, seed: int, goal: float | None = None
) -> Modelled:
    """Draw questions and return what they came to."""
    answers = list(draw(plan, network, count, seed))
    times = sorted(answer.seconds for answer in answers)
    tiers = Counter(answer.tier for answer in answers)
    p50, p95, p99 = (times[int(count * share)] for share in (0.5, 0.95, 0.99))
    return Modelled(
        name,
        network,
        p50,
        p95,
        p99,
        {tier: tiers[tier] / count for tier in (WARM, RECURSIVE, WALK, NOBODY)},
        sum(answer.fresh for answer in answers) / count,
        upkeep(plan, network),
        goal,
    )


HEAD = (
    "| network | nodes | links | p50 s | p95 s | p99 s | warm | recursive | walk | newest found"
    " | upkeep kbit/s | goal |\n|" + "---|" * 12
)


def line(plan: Plan, row: Modelled) -> str:
    """Return a row's line."""
    goal = ""
    if row.goal:
        goal = f"p95 < {row.goal:g} s, ≤ {GOAL_UPKEEP:g} {'met' if row.met else 'MISSED'}"
    cells = [
        row.name,
        f"{row.network.nodes:,}",
        str(links(plan, row.network)),
        f"{row.p50:.2f}",
        f"{row.p95:.2f}",
        f"{row.p99:.2f}",
        *(f"{100 * row.tiers[tier]:.2f} %" for tier in (WARM, RECURSIVE, WALK)),
        f"{100 * row.fresh:.1f} %",
        f"{row.upkeep.total:.1f}",
        goal,
    ]
    return "| " + " | ".join(cells) + " |"


def upkeep_lines(plan: Plan) -> Iterator[str]:
    """Yield the table of upkeep, by its parts, and what moves them."""
    names = [field.name for field in attrs.fields(Upkeep)]
    yield "| upkeep, kbit/s | nodes | index MB | of all | " + " | ".join(names) + " | total |"
    yield "|" + "---|" * (len(names) + 5)
    rows = [("as planned", plan, Network(nodes)) for nodes in SIZES]
    rows += [(f"{each:g} records per node", plan, Network(records=each)) for each in (1, 2, 8, 16)]
    rows += [(f"{each:g} clients per node", plan, Network(clients=each)) for each in (0.5, 1, 3)]
    rows += [
        ("every session a newborn's", plan, Network(newborn=1.0)),
        ("every session a newborn's, at once", attrs.evolve(plan, mature=0), Network(newborn=1)),
    ]
    for seconds in (60, 120, 600):
        rows.append((f"pings every {seconds} s", attrs.evolve(plan, ping=seconds), Network()))
    for least, most in ((1, 2), (2, 4)):
        kept = attrs.evolve(plan, shortest=least * 3600.0, longest=most * 3600.0)
        rows.append((f"links kept {least} to {most} h", kept, Network()))
    for name, changed, network in rows:
        cost = upkeep(changed, network)
        parts = " | ".join(f"{getattr(cost, one):.1f}" for one in names)
        size = index_bytes(changed, network) / 1e6
        share = f"{index_share(changed, network):.0%}"
        yield f"| {name} | {network.nodes:,} | {size:.1f} | {share} | {parts} | {cost.total:.1f} |"


def walks(plan: Plan, count: int, seed: int) -> Iterator[Walked]:
    """Yield what has no warm links: a plain walk, and a node that just came."""
    for nodes, gone in [*((nodes, 0.0) for nodes in SIZES), (SIZES[-1], 0.15)]:
        asker = Asker(plan, Network(nodes, vain=gone), random.Random(seed))
        name = WALKED + (f", {gone:.0%} of contacts gone" if gone else "")
        yield Walked.of(name, nodes, [asker.walk() for _ in range(count)])
    asker = Asker(plan, Network(sybils=0.1, vain=0.15), random.Random(seed))
    for name, newcomer in (
        ("first answer of a node that was here", False),
        ("of a newcomer", True),
    ):
        times = [asker.first_answer(newcomer=newcomer) for _ in range(count)]
        yield Walked.of(name, SIZES[-1], times, GOAL_COLD)


COLD_HEAD = "| without warm links | nodes | p50 s | p95 s | goal |\n|---|---|---|---|---|"


def cold_line(row: Walked) -> str:
    """Return a row's line."""
    verdict = f"p95 < {row.goal:g} s {'met' if row.met else 'MISSED'}" if row.goal else ""
    return f"| {row.name} | {row.nodes:,} | {row.p50:.1f} | {row.p95:.1f} | {verdict} |"


def main() -> int:
    """Model, print, draw; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.analytic", description=__doc__)
    parser.add_argument("--questions", type=int, default=10_000, help="of each row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="a PNG to write")
    options = parser.parse_args()
    plan = Plan()
    print(HEAD)
    rows = []
    for name, network, goal in networks():
        rows.append(model(plan, name, network, options.questions, options.seed, goal))
        print(line(plan, rows[-1]), flush=True)
    print("", *upkeep_lines(plan), "", sep="\n")
    cold = list(walks(plan, options.questions // 10, options.seed))
    print(COLD_HEAD, *map(cold_line, cold), "", sep="\n")
    print(
        f"A link lives {link_life(plan) / 3600:.2f} h on average;"
        f" {100 * dead_share(plan):.1f} % of links are dead and not yet replaced;"
        f" {100 * vain_share(plan):.0f} % of dials are in vain."
    )
    if options.plot:
        plot = Plot.over_nodes()
        for name in ("all well", "10 % Sybils"):
            some = [row for row in rows if row.name == name]
            plot.line(
                f"warm links, {name}", [(row.network.nodes, row.p50, row.p95) for row in some]
            )
        some_walks = [row for row in cold if row.name == WALKED]
        plot.line(WALKED, [(row.nodes, row.p50, row.p95) for row in some_walks])
        plot.bars([(row.network.nodes, attrs.asdict(row.upkeep)) for row in some])
        plot.save(options.plot)
    return 0 if all(row.met for row in rows) and all(row.met for row in cold) else 1


if __name__ == "__main__":
    sys.exit(main())

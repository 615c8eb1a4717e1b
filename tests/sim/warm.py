"""``python -m tests.sim.warm --nodes 1000 --seed 1``: warm links in the simulator, and the model.

Nodes join, open their links and put records; then records are asked for that somebody else put,
with nodes turning hostile and links going dark. Each line has what the model of
`tests.sim.analytic` says of the same. The exit code is 1 if a goal was missed.
"""

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from bitsnode.errors import BitsError
from bitsnode.warm.finding import Tier
from tests.sim.analytic import Modelled, model
from tests.sim.analytic_ask import RECURSIVE, WALK, WARM
from tests.sim.analytic_plan import Network, Plan, dead_share
from tests.sim.analytic_upkeep import extra_walks, upkeep
from tests.sim.measure import Stored, puts
from tests.sim.scenarios import JOIN_SECONDS, SETTLE_SECONDS
from tests.sim.shortcuts import shortcuts
from tests.sim.warm_world import WarmNode, WarmSybil, WarmWorld, warm_sybils
from tests.sim.world import SimNode

WARM_SECONDS = 1800.0  # from the first node that opens links to the first question
SPREAD_SECONDS = 600.0  # from the last record that is put to the first question
CHURN_SECONDS = 9000.0  # of churn before upkeep is measured, and again while it is
CHURNED = 200  # nodes in which upkeep is measured, at most: it takes long
LOOKS = 20  # at all links, over the time in which upkeep is measured
MODELLED = 5_000  # questions drawn from the model for a line
WIRED = 16  # of so many circuits one carries bytes
SYBILS = (10, 20, 30)  # percent
DARK = 0.3  # share of nodes that are blackholed at once
AT_ONCE = 20  # questions side by side
TIERS = {Tier.GROUP: WARM, Tier.HANDED_ON: RECURSIVE, Tier.WALK: WALK}
GOAL_FOUND = 0.99


@attrs.frozen
class Seen:
    """A row: what questions came to.

    Attributes:
        name: what was done.
        hostile: nodes.
        found: share of the questions that got the record.
        p50, p95: seconds.
        tiers: share of the questions that each tier answered.
        goal: for p95, in seconds, if there is one.
    """

    name: str
    hostile: int
    found: float
    p50: float
    p95: float
    tiers: dict[str, float]
    goal: float | None = None

    @property
    def met(self) -> bool:
        """Whether no goal was missed."""
        return self.goal is None or (self.p95 < self.goal and self.found >= GOAL_FOUND)


@attrs.frozen
class Upkept:
    """What links cost a node.

    Attributes:
        kilobits: a second, by cause.
        walks: an hour, for nodes to open links to.
        dead: share of the links held for open whose node is gone.
    """

    kilobits: dict[str, float]
    walks: float
    dead: float


def grown(seed: int, nodes: int, sybils: int) -> WarmWorld:
    """Return a network of nodes that joined, and whose links are open."""
    world = WarmWorld(seed, WIRED)
    kind, _ = warm_sybils()
    hostile = {round((number + 0.5) * nodes / sybils) for number in range(sybils)}
    for number in range(nodes):
        world.grow(1, JOIN_SECONDS, kind if number in hostile else WarmNode)
    world.pass_time(SETTLE_SECONDS)
    world.warm_up(WARM_SECONDS)
    return world


async def _ask(world: WarmWorld, node: WarmNode, stored: Stored) -> tuple[bool, float, str]:
    begun = world.clock.seconds()
    try:
        found = await node.warm.find(stored.key, own_index=False)
    except BitsError:
        return False, world.clock.seconds() - begun, WALK
    right = any(signed.data == stored.data for signed in found.records)
    return right, found.seconds, TIERS[found.tier]


def asked(
    world: WarmWorld,
    name: str,
    stored: list[Stored],
    goal: float | None = None,
    readers: Sequence[SimNode] = (),
) -> Seen:
    """Have honest nodes, or those given, ask for records, a few at a time."""
    outcomes: list[tuple[bool, float, str]] = []
    ready = [
        node
        for node in readers or world.living
        if isinstance(node, WarmNode) and not node.end.silent
    ]
    for first in range(0, len(stored), AT_ONCE):
        batch = stored[first : first + AT_ONCE]
        outcomes += world.run_all(_ask(world, world.draws.choice(ready), one) for one in batch)
    times, count = sorted(seconds for _, seconds, _ in outcomes), len(outcomes)
    tiers = Counter(tier for _, _, tier in outcomes)
    return Seen(
        name,
        sum(not node.honest for node in world.nodes),
        sum(right for right, _, _ in outcomes) / count,
        times[count // 2],
        times[min(count - 1, math.ceil(count * 0.95))],
        {tier: tiers[tier] / count for tier in (WARM, RECURSIVE, WALK)},
        goal,
    )


def churned(world: WarmWorld, seconds: float) -> Upkept:
    """Return what a node pays for warm links while nobody asks, and nodes come and go."""
    for node in world.living:
        _leave_later(world, node)
    world.pass_time(seconds)  # until links end because of their age, as many as begin
    before, walks = Counter(world.meter.spent), world.meter.walks
    open_, dead = 0, 0
    for _ in range(LOOKS):
        world.pass_time(seconds / LOOKS)
        for node in world.living:
            for link in node.warm.links():  # type: ignore[attr-defined]
                open_ += 1
                dead += not world.fabric.ends[link.card.card.onion_key].alive
    spent = world.meter.spent - before
    share = 8 / 1000 / seconds / len(world.living)
    cost = {cause: spent[cause] * share for cause in ("pings", "dials", "gossip")}
    walked = (world.meter.walks - walks) / len(world.living) / seconds * 3600
    return Upkept(cost, walked, dead / max(1, open_))


def _leave_later(world: WarmWorld, node: SimNode) -> None:
    def leave() -> None:
        node.die()
        if node.address in world.doors:
            world.doors.remove(node.address)
            world.doors.append(world.draws.choice(world.living).address)
        newcomer = world.add(WarmNode)
        world.join(newcomer)
        newcomer.warm.start()  # type: ignore[attr-defined]
        _leave_later(world, newcomer)

    world.clock.callLater(world.fabric.times.session(), leave)


def scenarios(world: WarmWorld, questions: int) -> Iterator[tuple[Seen, Network]]:
    """Yield what was seen, and the network of the model that it should be like."""
    nodes = len(world.nodes)
    stored = puts(world, questions)
    world.pass_time(SPREAD_SECONDS)
    yield asked(world, "all well", stored), Network(nodes)
    dark = world.draws.sample(world.living, round(DARK * nodes))
    for node in dark:
        node.end.silent = True
    yield asked(world, "30 % blackholed at once", stored, 1.5), Network(nodes, blackholes=DARK)
    for node in dark:
        node.end.silent = False
    world.pass_time(WARM_SECONDS)
    sybils = [node for node in world.nodes if isinstance(node, WarmSybil)]
    asleep = world.draws.sample(sybils, len(sybils))
    for percent in SYBILS:
        while asleep and len(sybils) - len(asleep) < nodes * percent // 100:
            asleep.pop().turn()
        goal = 1.0 if percent == SYBILS[0] else None
        seen = asked(world, f"{percent} % Sybils", stored, goal)
        yield seen, Network(nodes, sybils=percent / 100)


HEAD = (
    "| network | nodes | hostile | questions | found | warm | recursive | walk | p50 s | p95 s"
    " | modelled p50 | p95 | goal |\n|" + "---|" * 13
)


def line(nodes: int, questions: int, seen: Seen, modelled: Modelled) -> str:
    """Return a row's line."""
    goal = f"p95 < {seen.goal:g} s {'met' if seen.met else 'MISSED'}" if seen.goal else ""
    cells = [
        seen.name,
        f"{nodes:,}",
        str(seen.hostile),
        str(questions),
        f"{100 * seen.found:.1f} %",
        *(f"{100 * seen.tiers[tier]:.1f} %" for tier in (WARM, RECURSIVE, WALK)),
        f"{seen.p50:.2f}",
        f"{seen.p95:.2f}",
        f"{modelled.p50:.2f}",
        f"{modelled.p95:.2f}",
        goal,
    ]
    return "| " + " | ".join(cells) + " |"


def questions(seed: int, nodes: int, count: int) -> bool:
    """Print what questions come to; return whether all goals were met."""
    met, plan = True, Plan()
    world = grown(seed, nodes, nodes * max(SYBILS) // 100)
    print(HEAD, flush=True)
    for seen, network in scenarios(world, count):
        expected = model(plan, "", network, MODELLED, seed)
        print(line(nodes, count, seen, expected), flush=True)
        met = met and seen.met
    return _ended(world) and met


def costs(seed: int, nodes: int) -> bool:
    """Print what upkeep comes to."""
    plan, network = Plan(), Network(nodes, newborn=1.0)
    world = grown(seed, nodes, 0)
    seen = churned(world, CHURN_SECONDS)
    modelled = upkeep(plan, network)
    expected = {
        "pings": modelled.pings,
        "dials": modelled.dials,
        "gossip": modelled.gossip + modelled.newcomers,
    }
    print(f"| upkeep under churn, {nodes:,} nodes | simulated | modelled |\n|---|---|---|")
    for cause, value in seen.kilobits.items():
        print(f"| {cause}, kbit/s | {value:.2f} | {expected[cause]:.2f} |")
    walks = extra_walks(plan, network) * 3600
    print(f"| walks for nodes to link to, an hour | {seen.walks:.2f} | {walks:.2f} |")
    print(f"| links whose node is gone | {seen.dead:.1%} | {dead_share(plan):.1%} |", flush=True)
    return _ended(world)


def _ended(world: WarmWorld) -> bool:
    world.stop()
    if world.failures:
        print(f"{len(world.failures)} failures: {world.failures[0]}", file=sys.stderr)
    return not world.failures


def main() -> int:
    """Run, print; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.warm", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=500, help="of each row")
    parser.add_argument("--only", choices=["all", "questions", "upkeep"], default="all")
    options = parser.parse_args()
    begun, met = time.process_time(), True
    with shortcuts(options.seed), WarmWorld.lazily():
        if options.only != "upkeep":
            met = questions(options.seed, options.nodes, options.questions)
            print()
        if options.only != "questions":
            met = costs(options.seed, min(options.nodes, CHURNED)) and met
    print(f"\n{time.process_time() - begun:.0f} s of CPU", file=sys.stderr)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

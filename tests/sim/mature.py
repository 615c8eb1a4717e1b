"""``python -m tests.sim.mature --nodes 10000``: the models, against the simulator at 10^3 and 10^4.

Nodes that have been there for long: tables hold k random nodes of each bucket and the forty
nearest, the number of nodes is known, indexes have what the model says they have. To grow ten
thousand nodes by joining would take hours of CPU; from there on all is the program's own. Some
nodes open warm links by themselves and ask over them; the same records are looked up by plain walks
over cold circuits. The exit code is 1 if model and simulator differ by more than a quarter.
"""

import argparse
import random
import secrets
import sys
import time
from bisect import bisect_left

import attrs

from bitsnode.dht.routing import SIBLINGS
from bitsnode.ids import ID_BITS
from bitsnode.warm.groups import group_of, kept_bits
from bitsnode.warm.places import Place
from bitsnode.wire.card import HOUR, SignedCard
from bitsnode.wire.messages import K
from bitsnode.wire.record import SignedRecord
from tests.sim.analytic import Walked, model
from tests.sim.analytic_ask import WARM, Asker
from tests.sim.analytic_plan import Network, Plan
from tests.sim.measure import Measured, gets, puts
from tests.sim.network import SIM
from tests.sim.shortcuts import shortcuts
from tests.sim.warm import MODELLED, Seen, asked
from tests.sim.warm_world import WarmNode, WarmWorld

ASKERS = 30  # nodes with warm links
OPENING = 3 * HOUR  # until links are open into 64 groups, a walk in 20 s for those nobody knows
SAMPLES = 64  # walks of which each node remembers some
REMEMBERED = 16
DARK = 0.3
TOLERATED = 0.25  # of the model's number
WALK_MODELLED = 500


@attrs.frozen
class Everybody:
    """All nodes by their place.

    Attributes:
        points: ids as integers, the lowest first.
        cards: in the same order.
    """

    points: list[int]
    cards: list[SignedCard]

    @classmethod
    def of(cls, world: WarmWorld) -> "Everybody":
        """Sort them."""
        cards = sorted((node.card for node in world.nodes), key=lambda card: card.card.point)
        return cls([card.card.point for card in cards], cards)

    def sharing(self, point: int, bits: int) -> range:
        """Return the positions of those that share their first bits with a point."""
        low = point >> (ID_BITS - bits) << (ID_BITS - bits)
        end = low + (1 << (ID_BITS - bits))
        return range(bisect_left(self.points, low), bisect_left(self.points, end))

    def nearest(self, point: int, count: int) -> list[SignedCard]:
        """Return the nearest to a point, the nearest first."""
        bits = 0
        while len(self.sharing(point, bits + 1)) >= count:
            bits += 1
        found = [self.cards[place] for place in self.sharing(point, bits)]
        return sorted(found, key=lambda card: card.card.point ^ point)[:count]

    def contacts(self, point: int, draws: random.Random) -> list[SignedCard]:
        """Return k random ones of each bucket, and the nearest."""
        found = self.nearest(point, SIBLINGS + 1)
        for bits in range(1, ID_BITS):
            bucket = self.sharing(point ^ 1 << (ID_BITS - bits), bits)
            found += [self.cards[n] for n in draws.sample(bucket, min(K, len(bucket)))]
            if len(self.sharing(point, bits)) <= 1:
                break
        return list({card.data: card for card in found if card.card.point != point}.values())


def mature(seed: int, nodes: int) -> WarmWorld:
    """Return a network of nodes that have been there for long; no duty runs."""
    world = WarmWorld(seed, 16)
    for _ in range(nodes):
        world.add(WarmNode)
    everybody = Everybody.of(world)
    points = [secrets.token_bytes(32) for _ in range(SAMPLES)]
    samples = [
        (point, [card.card.node_id for card in everybody.nearest(int.from_bytes(point, "big"), K)])
        for point in points
    ]
    now = world.clock.seconds()
    for node in world.nodes:
        service = node.service
        for card in everybody.contacts(node.card.card.point, world.draws):
            service._table.answered(card, now, since=now - HOUR)
        for point, nearest in world.draws.sample(samples, REMEMBERED):
            service._density.add(point, nearest)
        bits = kept_bits(0, nodes, node.plan.group_nodes, node.plan.group_bits)  # type: ignore[attr-defined]
        place = Place(bits, group_of(node.node_id, bits))
        node.warm._index.keep_only(place)  # type: ignore[attr-defined]
    return world


def answers(world: WarmWorld, count: int, opening: float = OPENING) -> tuple[Seen, Seen, Measured]:
    """Return what questions come to: over warm links, with a third of them dark, and by walks.

    Args:
        world: as `mature` makes it.
        count: of the questions, of each kind.
        opening: seconds for the links to be opened.
    """
    stored = puts(world, count)
    now, coverage = world.clock.seconds(), Network().coverage
    for one in stored:
        signed = SignedRecord.parse(one.data, puzzle_bits=SIM.record_bits, now=now)
        for node in world.nodes:
            if world.draws.random() < coverage:
                node.warm.took(signed, now)  # type: ignore[attr-defined]  # if it is of its group
    walked = gets(world, stored)
    askers = world.draws.sample(world.nodes, ASKERS)
    for asker in askers:
        asker.warm.start()  # type: ignore[attr-defined]
    world.pass_time(opening)
    well = asked(world, "warm links, all well", stored, readers=askers)
    for node in world.draws.sample(world.nodes, round(DARK * len(world.nodes))):
        node.end.silent = node not in askers
    return well, asked(world, "warm links, 30 % blackholed at once", stored, readers=askers), walked


def main() -> int:
    """Run, print; return 1 if the models are off."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mature", description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    nodes, seed, begun, met = options.nodes, options.seed, time.process_time(), True
    with shortcuts(seed), WarmWorld.lazily():
        world = mature(seed, nodes)
        well, dark, walked = answers(world, options.questions)
        world.stop()
    asker = Asker(Plan(), Network(nodes), random.Random(seed))
    walks = Walked.of("", nodes, [asker.walk() for _ in range(WALK_MODELLED)])
    print("| | nodes | found | group | p50 s | p95 s | modelled p50 | p95 |\n|" + "---|" * 8)
    for name, seen, modelled in (
        (well.name, well, model(Plan(), "", Network(nodes), MODELLED, seed)),
        (dark.name, dark, model(Plan(), "", Network(nodes, blackholes=DARK), MODELLED, seed)),
        ("walks over cold circuits", walked, walks),
    ):
        p50 = seen.median if isinstance(seen, Measured) else seen.p50
        group = f"{100 * seen.tiers[WARM]:.1f} %" if isinstance(seen, Seen) else ""
        print(
            f"| {name} | {nodes:,} | {100 * seen.found:.1f} % | {group} | {p50:.2f}"
            f" | {seen.p95:.2f} | {modelled.p50:.2f} | {modelled.p95:.2f} |"
        )
        pairs = (p50, modelled.p50), (seen.p95, modelled.p95)
        met = met and all(abs(one - other) <= TOLERATED * other for one, other in pairs)
    print(f"\n{time.process_time() - begun:.0f} s of CPU", file=sys.stderr)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

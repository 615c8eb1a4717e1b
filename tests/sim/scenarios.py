"""What is done to a network, and what is measured of it."""

import math
from collections.abc import Iterator

import attrs

from bitsnode.ids import ID_BITS
from tests.sim.attackers import Conspiracy, Sybil, conspire, haunt
from tests.sim.measure import Measured, Stored, gets, put_at, puts
from tests.sim.world import SimNode, World

JOIN_SECONDS = 1.0  # between newcomers
SETTLE_SECONDS = 900.0  # after the last one
ATTACK_SECONDS = 600.0  # that an attack lasts before lookups are measured
WIRED = 16  # of so many circuits one carries bytes
READS = 10  # of each record, by nodes drawn anew
PREFIX_MARGIN = 1  # bits by which ground ids are nearer to a key than the nearest honest one


@attrs.frozen
class Row:
    """One line of the report.

    Attributes:
        name: what was done.
        nodes: there, hostile ones among them.
        hostile: how many of them.
        stored: nodes that keep a record, on average.
        measured: lookups.
        goal: least share of them that must find the record; 0 for no goal.
        alarms: honest readers that show an alarm, after lookups of a key that is surrounded.
    """

    name: str
    nodes: int
    hostile: int
    stored: float
    measured: Measured
    goal: float = 0.0
    alarms: int | None = None

    @property
    def met(self) -> bool:
        """Whether the goal was met; a goal is also met by alarms, where there are any."""
        return self.measured.found >= self.goal or bool(self.alarms)


def _row(world: World, name: str, lookups: int, goal: float) -> Row:
    stored = _put(world, lookups)
    hostile = sum(node.alive and not node.honest for node in world.nodes)
    return Row(
        name,
        len(world.living) + hostile,
        hostile,
        sum(one.taken for one in stored) / len(stored),
        gets(world, stored),
        goal,
    )


def _put(world: World, lookups: int) -> list[Stored]:
    """Put records, and return each as often as it is to be read."""
    return (puts(world, math.ceil(lookups / READS)) * READS)[:lookups]


def settled(seed: int, nodes: int, sybils: int = 0, wired: int = WIRED) -> tuple[World, Conspiracy]:
    """Return a network of nodes that joined one after another, hostile ones among them."""
    world = World(seed, wired)
    kind, conspiracy = conspire()
    hostile = {round((number + 0.5) * nodes / sybils) for number in range(sybils)}
    for number in range(nodes):
        world.grow(1, JOIN_SECONDS, kind if number in hostile else SimNode)
    world.pass_time(SETTLE_SECONDS)
    return world, conspiracy


def healthy(seed: int, nodes: int, lookups: int) -> Iterator[Row]:
    """Lookups where all is well, and then with a fifth of all nodes gone at once."""
    world, _ = settled(seed, nodes)
    yield _row(world, "all well", lookups, 0.999)
    yield from decimated(world, lookups)
    world.stop()


def decimated(world: World, lookups: int) -> Iterator[Row]:
    """A fifth of all nodes is gone at once, and nobody knows yet."""
    stored = _put(world, lookups)
    for node in world.draws.sample(world.living, len(world.living) // 5):
        node.die()
    measured = gets(world, stored)
    taken = sum(one.taken for one in stored) / len(stored)
    yield Row("a fifth gone at once", len(world.living), 0, taken, measured, 0.999)


def attacked(seed: int, nodes: int, lookups: int, goals: dict[int, float]) -> Iterator[Row]:
    """All attacks on one network, one after the other: it takes long to grow a large one.

    Args:
        seed: of all that is drawn.
        nodes: in all; those that turn hostile later are among them, and behave until then.
        lookups: of each step.
        goals: least share found, by percent of hostile nodes.
    """
    world, conspiracy = settled(seed, nodes, nodes * max(goals) // 100)
    yield from invaded(world, conspiracy, lookups, goals)
    yield from eclipsed(world, lookups // 2)  # of 300 all must be found to show 99 %
    world.stop()


def invaded(
    world: World, conspiracy: Conspiracy, lookups: int, goals: dict[int, float]
) -> Iterator[Row]:
    """More and more of the nodes turn hostile, at last name ghosts as well, and then relent."""
    sybils = [node for node in world.nodes if isinstance(node, Sybil)]
    asleep = world.draws.sample(sybils, len(sybils))
    for percent, goal in sorted(goals.items()):
        while asleep and len(sybils) - len(asleep) < len(world.nodes) * percent // 100:
            asleep.pop().turn()
        world.pass_time(ATTACK_SECONDS)
        yield _row(world, f"{percent} % Sybils", lookups, goal)
    haunt(conspiracy, world)
    world.pass_time(ATTACK_SECONDS)
    yield _row(world, f"{max(goals)} % Sybils naming ghosts", lookups, 0.0)
    for sybil in sybils:
        sybil.relent()
    world.pass_time(ATTACK_SECONDS)


def eclipsed(world: World, lookups: int, ground: int = 200) -> Iterator[Row]:
    """Identities ground to be the nearest to one key; its record is put before and after."""
    kind, _ = conspire()
    (before,) = puts(world, 1)
    bits = len(world.living).bit_length() + PREFIX_MARGIN
    shift = ID_BITS - bits
    prefix = int.from_bytes(before.key, "big") >> shift
    attackers = []
    for _ in range(ground):
        sybil = world.add(kind, lambda one: int.from_bytes(one, "big") >> shift == prefix)
        attackers.append(sybil)
        sybil.turn()
        world.join(sybil)
        world.pass_time(JOIN_SECONDS)
    world.pass_time(ATTACK_SECONDS)
    yield _eclipsed(world, f"{ground} ground ids; put before", before, lookups, ground)
    after = put_at(world, before)
    yield _eclipsed(world, f"{ground} ground ids; put after", after, lookups, ground)
    for sybil in attackers:
        sybil.die()
    world.pass_time(ATTACK_SECONDS)


def churning(world: World, lookups: int, hours: int) -> Iterator[Row]:
    """Nodes leave when their sessions end, and as many come; records are an hour old when read.

    Nobody puts a record again within that hour.
    """
    for node in world.living:
        leave_later(world, node)
    for hour in range(hours):
        stored = puts(world, lookups)
        world.pass_time(3600.0)
        taken = sum(one.taken for one in stored) / lookups
        name = f"churn, hour {hour + 1}"
        yield Row(name, len(world.living), 0, taken, gets(world, stored), 0.999)


def leave_later(world: World, node: SimNode, faster: float = 1.0) -> None:
    """Let a node go without a word when its session ends, and another come in its place.

    Args:
        world: where it lives.
        node: the one.
        faster: by which sessions are shorter than they are.
    """

    def leave() -> None:
        node.die()
        if node.address in world.doors:
            world.doors.remove(node.address)
            world.doors.append(world.draws.choice(world.living).address)
        newcomer = world.add()
        world.join(newcomer)
        leave_later(world, newcomer, faster)

    world.clock.callLater(world.fabric.times.session() / faster, leave)


def _eclipsed(world: World, name: str, stored: Stored, lookups: int, ground: int) -> Row:
    measured = gets(world, [stored] * lookups)
    alarms = sum(bool(node.service.status().alarms) for node in world.living)
    count = len(world.living) + ground
    return Row(name, count, ground, stored.taken, measured, 0.99, alarms)

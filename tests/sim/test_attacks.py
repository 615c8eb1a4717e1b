"""Small networks under attack; `python -m tests.sim` runs the large ones."""

import pytest

from bitsnode.dht.density import Density
from tests.sim.measure import puts
from tests.sim.scenarios import attacked, decimated, eclipsed, invaded, settled
from tests.sim.shortcuts import shortcuts
from tests.sim.table import line

NODES = 40
LOOKUPS = 20


def run(seed: int, wired: int = 1) -> list[tuple[int, bytes, int]]:
    """Return what a tiny network did, to the last question."""
    with shortcuts(seed):
        world, _ = settled(seed, 8, wired=wired)
        stored = puts(world, 4)
        world.stop()
        return [(world.fabric.questions, one.key, one.taken) for one in stored]


def test_a_run_is_repeated_by_its_seed() -> None:
    """Two runs of one seed are the same, and another seed's is not."""
    assert run(3) == run(3) != run(4)


def test_what_is_not_carried_as_bytes_is_answered_in_the_same_way() -> None:
    """A network with the wire on every circuit does what one with it on few does."""
    assert run(3, wired=1) == run(3, wired=1000)


@pytest.mark.usefixtures("seeded")
def test_records_are_found_among_sybils_and_after_a_fifth_is_gone() -> None:
    """With a third of the nodes hostile, and then with a fifth of all dead, nothing is lost."""
    world, conspiracy = settled(7, NODES, NODES * 3 // 10)
    hostile, haunted = invaded(world, conspiracy, LOOKUPS, {30: 0.95})
    assert hostile.hostile == NODES * 3 // 10
    assert hostile.met, line(hostile)
    assert haunted.measured.found >= 0.95, line(haunted)
    (dead,) = decimated(world, LOOKUPS)
    assert dead.met, line(dead)
    assert world.failures == []
    world.stop()


@pytest.mark.usefixtures("seeded")
def test_d1_identities_ground_around_a_key_do_not_hide_its_record() -> None:
    """A record put before they came and one put after are both found, and the crowd is noticed.

    Also by nodes that do not know yet how many there are, and by one that looks twice at a time.
    """
    world, _ = settled(7, NODES * 3 // 2)
    for node in world.living[::2]:
        node.service._density = node.service._lookups._density = Density()
    before, after = eclipsed(world, LOOKUPS, ground=60)
    assert before.measured.found >= 0.99, line(before)
    assert after.measured.found >= 0.99, line(after)
    assert before.alarms
    assert before.measured.median < 180.0, line(before)
    world.stop()


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
@pytest.mark.usefixtures("seeded")
def test_a_thousand_nodes_hold() -> None:
    """All goals of the report are met at its size."""
    goals = {10: 0.99, 20: 0.98, 30: 0.95}
    missed = [line(row) for row in attacked(7, 1000, 1000, goals) if not row.met]
    assert missed == []

"""Networks whose tables were filled, and the duties of one that joined."""

import random

import pytest

from bitsnode.dht.routing import SIBLINGS
from bitsnode.ids import ID_BITS
from bitsnode.wire.messages import K
from tests.sim.duties import Tallies, counted
from tests.sim.mature import Everybody, answers, mature
from tests.sim.scenarios import settled
from tests.sim.warm_world import WarmWorld


@pytest.mark.usefixtures("seeded")
def test_a_mature_table_has_k_of_each_bucket_and_the_nearest() -> None:
    """As far as there are so many."""
    world = mature(3, 300)
    everybody = Everybody.of(world)
    node = world.nodes[0]
    own = node.card.card.point
    contacts = {card.card.point for card in everybody.contacts(own, random.Random(1))}
    ordered = sorted(everybody.points, key=lambda point: point ^ own)
    assert ordered[0] == own
    assert contacts >= set(ordered[1 : SIBLINGS + 1])
    for shared in range(6):
        bucket = [point for point in ordered if (point ^ own).bit_length() == ID_BITS - shared]
        assert len(contacts.intersection(bucket)) >= min(K, len(bucket))
    assert node.service.status().contacts == pytest.approx(len(contacts), abs=K)
    world.stop()


@pytest.mark.usefixtures("seeded")
def test_a_mature_network_finds_everything_over_links_and_by_walks() -> None:
    """With a third of the nodes silent at once, too."""
    with WarmWorld.lazily():
        world = mature(4, 200)
        well, dark, walked = answers(world, 30, opening=900.0)
    assert well.found == dark.found == walked.found == 1.0
    assert well.tiers["warm"] >= 0.9
    assert well.p50 < dark.p95 < walked.median
    assert world.failures == []
    world.stop()


@pytest.mark.usefixtures("seeded")
def test_every_dial_is_counted_once() -> None:
    """By duty for those that are there for an hour, together for the others."""
    tallies = Tallies()
    with counted(tallies):
        world, _ = settled(5, 20)
        old = tallies.old.values()
        assert tallies.young.dials > 0
        assert tallies.young.dials + sum(tally.dials for tally in old) == world.fabric.dials
        world.pass_time(3600)
        tallies.clear()
        dials = world.fabric.dials
        world.pass_time(2 * 3600)
        old = tallies.old.values()
        assert sum(tally.dials for tally in old) == world.fabric.dials - dials
        assert sum(tally.questions for tally in old) >= sum(
            tally.dials - tally.vain for tally in old
        )
        assert tallies.young.dials == 0
        assert tallies.old["checks of contacts"].dials > 0
        world.stop()

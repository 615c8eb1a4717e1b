"""A purchase whose node dies: wherever that is, it ends opened and paid exactly once."""

import pytest

from bitsnode.market.purchase_testing import Fate, Killed, Node, World, drive
from bitsnode.market.testing import PRICE, SECRET

pytestmark = pytest.mark.usefixtures("no_fsync")


def live(world, path, at=0):
    """One life of a node: take up what there is, then buy; returns what was bought, or None."""
    node = Node(world, path, Fate(at))
    try:
        drive(node, node.purchases.take_up())
        return drive(node, node.buy()), node
    except Killed:
        return None, node
    finally:
        node.die()


def points(tmp_path_factory, make):
    """How many points an undisturbed purchase passes."""
    _bought, node = live(make(), tmp_path_factory.mktemp("whole") / "purchases.db")
    return node.fate.passed


def bad_world():
    """An idle relay first, a liar, a dead holder: the longest way."""
    world = World.of()
    world.relays = {b"\x21" * 32: "idle", b"\x22" * 32: "honest"}
    world.holders = {1: "lies", 2: "dead"}
    return world


@pytest.mark.parametrize("make", [World.of, bad_world], ids=["good", "bad"])
def test_killed_at_each_point_it_is_bought_once(tmp_path_factory, make):
    """Each disk write, before and after its commit, and each thing done outside."""
    passed, deaths = points(tmp_path_factory, make), 0
    for at in range(1, len(passed) + 5):  # lots are drawn, so some lives are longer than others
        world, path = make(), tmp_path_factory.mktemp("life") / "purchases.db"
        bought, _node = live(world, path, at)
        if bought is None:
            deaths += 1
            bought, _node = live(world, path)
        check(world, bought)
    assert deaths > 40


def test_killed_again_and_again_it_is_bought_once(tmp_path_factory):
    """Three deaths in a row, at every distance from each other."""
    for first in range(1, 60, 3):
        world, path = World.of(), tmp_path_factory.mktemp("lives") / "purchases.db"
        bought = None
        for at in (first, first // 2 + 1, 7, 0):
            bought, _node = live(world, path, at)
        check(world, bought)


def check(world, bought):
    """It is opened, with one payment, and no voucher is kept that was not spent."""
    assert bought is not None
    assert bought.link.content_secret == SECRET
    assert bought.price == PRICE
    assert len(world.paid()) == 1
    assert len({landed.prepared.message for landed in world.submitted}) == 1
    assert len(world.reserved) == 1

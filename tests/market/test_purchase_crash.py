"""A purchase whose node dies: wherever that is, it ends opened and paid exactly once."""

import pytest

from bitsnode.market.payment import receipt_of
from bitsnode.market.purchase import Purchase
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.purchase_testing import KEY, Fate, Killed, World, drive
from bitsnode.market.purchase_testing_node import Node
from bitsnode.market.testing import CHAIN_ID, PRICE, SECRET, VOUCHERS

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


def receipts(world, path):
    """Messages of the payments for which the disk has a receipt that holders honour."""
    journal = PurchaseJournal(path, KEY, CHAIN_ID)
    try:
        stories = [Purchase(journal.facts(name)).story for name in journal.purchases()]
    finally:
        journal.close()
    found = [receipt_of(story) for story in stories if story.spends]
    for receipt in found:
        receipt.check_offer(world.signed)
    return {receipt.message(CHAIN_ID, VOUCHERS) for receipt in found}


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
def test_a1_killed_at_each_point_no_voucher_is_spent_without_a_receipt(tmp_path_factory, make):
    """Before and after each commit and each act; in the end it is opened, and paid once."""
    passed, deaths = points(tmp_path_factory, make), 0
    for at in range(1, len(passed) + 5):  # lots are drawn, so some lives are longer than others
        world, path = make(), tmp_path_factory.mktemp("life") / "purchases.db"
        bought, _node = live(world, path, at)
        if bought is None:
            deaths += 1
            assert {each.prepared.message for each in world.submitted} <= receipts(world, path)
            bought, _node = live(world, path)
        check(world, bought)
    assert deaths > 40


def test_c6_killed_again_and_again_it_is_bought_once(tmp_path_factory):
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

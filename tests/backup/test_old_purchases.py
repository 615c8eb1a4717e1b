"""A purchase that went on after the backup: the restored node opens it, and pays nothing again."""

from pathlib import Path

from bitsnode.backup.databases import copy
from bitsnode.market.library import Bought
from bitsnode.market.purchase import Purchase
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.purchase_testing import KEY, Fate, Killed, World, drive
from bitsnode.market.purchase_testing_node import Node
from bitsnode.market.testing import CHAIN_ID, SECRET


def live(world: World, path: Path, at: int = 0) -> Bought | None:
    """One life of a node, which takes up what there is and buys; None if it died at that point."""
    node = Node(world, path, Fate(at))
    try:
        drive(node, node.purchases.take_up())
        return drive(node, node.buy())
    except Killed:
        return None
    finally:
        node.die()


def reserved(path: Path) -> bool:
    """Whether a journal says which voucher pays."""
    journal = PurchaseJournal(path, KEY, CHAIN_ID)
    try:
        stories = [Purchase(journal.facts(name)).story for name in journal.purchases()]
    finally:
        journal.close()
    return any(story.reserved is not None for story in stories)


def test_a_purchase_that_ended_after_the_backup_is_opened_and_paid_once(tmp_path: Path) -> None:
    """Backed up at each point from where the voucher is known; then both homes go to the end."""
    tried = 0
    for at in range(1, 60, 3):
        world, old, backup = World.of(), tmp_path / f"old{at}", tmp_path / f"backup{at}"
        if live(world, old, at) is not None:
            break
        copy(old, backup)
        wallet = dict(world.reserved), dict(world.prepared)
        assert live(world, old) is not None
        if not reserved(backup):
            continue
        world.reserved, world.prepared = wallet
        opened = live(world, backup)
        assert opened is not None
        assert opened.link.content_secret == SECRET
        assert len(world.paid()) == 1
        assert len({landed.prepared.message for landed in world.submitted}) == 1
        tried += 1
    assert tried > 5

"""What a buyer's own index says of a payment: not yet, in a block, gone again, final, never."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from bitsnode.ledger.deployment import CONTRACTS, Deployed, Deployment
from bitsnode.ledger.errors import LedgerError, TooFewRpcs
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.testing import FakeChain, FakeLog, checksummed
from bitsnode.ledger.testing_rpc import FakeServer, fake_rpc
from bitsnode.ledger.trees import Trees
from bitsnode.market.own_chain import OwnChain
from bitsnode.market.purchase_needs import Sighting
from bitsnode.market.receipt import Receipt
from bitsnode.market.testing import CHAIN_ID, NOW, VOUCHERS, buy, make_offer, sign
from bitsnode.market.testing_holders import redeemed_log
from onion.isolation import Isolation

pytestmark = pytest.mark.usefixtures("no_fsync")
INDEX = Isolation("index", "me")
SIGNED = sign(make_offer()[0])
PAID, OTHER = buy(SIGNED, 1).receipt, buy(SIGNED, 2).receipt
GROUP, NULLIFIER = PAID.groups[0], PAID.nullifiers[0]


def got(coroutine):
    """The result of a coroutine that ends without waiting."""
    results = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    assert results, "it waits for something"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def event(receipt: Receipt) -> FakeLog:
    """What the contract emits on a redemption."""
    log = redeemed_log(receipt)
    return FakeLog(VOUCHERS, log.topics, log.data)


class World:
    """A chain, servers, and a buyer's ledger on them."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.chain = FakeChain(self.clock.seconds, CHAIN_ID)
        self.chain.mine(count=10)
        self.directory = directory
        self.open({"own": FakeServer(self.chain)})

    def open(self, servers: dict[str, FakeServer]) -> None:
        """Make a ledger on these servers."""
        contracts = {
            name: Deployed(checksummed(bytes([number]) * 20), 1, "0x" + "00" * 32)
            for number, name in enumerate(CONTRACTS, start=0x11)
        }
        contracts["Vouchers"] = Deployed(checksummed(VOUCHERS), 1, "0x" + "00" * 32)
        deployment = Deployment(CHAIN_ID, contracts)
        rpcs = [
            fake_rpc(self.clock, each, name, own=name == "own") for name, each in servers.items()
        ]
        self.ledger = Ledger(self.clock, rpcs, deployment, self.directory, execute)
        self.trees = Trees(self.directory / "trees.db", deployment, self.ledger.index)
        self.own = OwnChain(self.ledger, self.trees, execute, INDEX)

    def look(self) -> Sighting | None:
        """What is known of the payment."""
        return got(self.own.look(GROUP, NULLIFIER))

    def close(self) -> None:
        """Close all files."""
        got(self.ledger.stop())
        self.trees.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A chain and an own server."""
    world = World(tmp_path)
    yield world
    world.close()


def test_a_payment_is_seen_first_and_final_later(world):
    """With the same message and block."""
    assert world.look() is None
    world.chain.mine(event(OTHER), event(PAID))
    seen = world.look()
    assert seen.message == PAID.message(CHAIN_ID, VOUCHERS)
    assert not seen.final
    world.chain.mine(count=20)
    assert world.look() == attrs.evolve(seen, final=True)


def test_a_payment_that_a_fork_took_away_is_gone(world):
    """Until it is in the chain again."""
    world.chain.mine(event(PAID))
    assert world.look() is not None
    world.chain.fork(1)
    world.chain.mine(count=2)
    assert world.look() is None
    world.chain.mine(event(PAID))
    assert not world.look().final


def test_the_same_nullifier_in_another_group_is_not_this_voucher(world):
    """A copied deposit is another voucher."""
    world.chain.mine(event(attrs.evolve(PAID, groups=(GROUP + 1,))))
    assert world.look() is None
    world.chain.mine(count=20)
    assert world.look() is None


def test_time_is_that_of_the_newest_final_block(world):
    """A newer block that is not final does not count."""
    for _ in range(20):
        world.chain.mine()
        world.clock.advance(12)
    final = got(world.ledger.block_number("finalized", INDEX))
    expected = world.chain.blocks[final].timestamp
    assert got(world.own.settled_until()) == expected
    assert expected < world.chain.blocks[-1].timestamp


def test_one_foreign_server_cannot_have_a_voucher_given_back(tmp_path):
    """It could hide the payment: without a second one nothing is certain."""
    world = World(tmp_path / "own")
    world.chain.mine(count=20)
    world.close()
    world.directory = tmp_path / "foreign"
    world.open({"foreign": FakeServer(world.chain)})
    with pytest.raises(TooFewRpcs):
        got(world.own.settled_until())
    world.close()


def test_servers_that_disagree_about_the_time_are_no_certainty(tmp_path):
    """One says that the deadline is over, the other not."""
    world = World(tmp_path / "own")
    world.close()
    ahead = FakeChain(lambda: world.clock.seconds() + 3600, CHAIN_ID)
    ahead.mine(count=30)
    world.chain.mine(count=20)
    world.directory = tmp_path / "two"
    world.open({"one": FakeServer(world.chain), "two": FakeServer(ahead)})
    with pytest.raises(LedgerError):
        got(world.own.settled_until())
    world.close()

"""The gate on the real ledger: RPC servers that lie, lag, stall or fork release nothing."""

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bitsnode.ledger.deployment import CONTRACTS, Deployed, Deployment
from bitsnode.ledger.errors import LedgerError, RpcAnswerInvalid
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.testing import FakeChain, FakeLog, checksummed
from bitsnode.ledger.testing_rpc import FakeServer, fake_rpc
from bitsnode.market.chain import REFRESH_SECONDS, LedgerChain
from bitsnode.market.gate import PAGE
from bitsnode.market.receipt import Receipt
from bitsnode.market.testing import (
    CHAIN_ID,
    NOW,
    PRICE,
    VOUCHERS,
    Purchase,
    buy,
    make_offer,
    redeemed_log,
    sign,
)
from bitsnode.market.testing_holders import Holder
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import FailureCode
from onion.isolation import Isolation

OFFER, SHARES = make_offer()
SIGNED = sign(OFFER)
GATE = Isolation("gate", "me")
FINALITY = 4  # blocks, of the fake chain


def got(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that ends without waiting; what it raises is raised."""
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    assert results, "it waits for something"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


def event(receipt: Receipt, gross: int = PRICE) -> FakeLog:
    """What the contract emits on a redemption."""
    log = redeemed_log(receipt, gross=gross)
    return FakeLog(VOUCHERS, log.topics, log.data)


class World:
    """A chain, servers, a ledger on them, and a key holder's gate on the ledger."""

    def __init__(self, clock: Clock, directory: Path, **servers: FakeServer) -> None:
        contracts = {
            name: Deployed(checksummed(bytes([number]) * 20), 1, "0x" + "00" * 32)
            for number, name in enumerate(CONTRACTS, start=0x11)
        }
        contracts["Vouchers"] = Deployed(checksummed(VOUCHERS), 1, "0x" + "00" * 32)
        deployment = Deployment(CHAIN_ID, contracts)
        rpcs = [fake_rpc(clock, each, name, own=name == "own") for name, each in servers.items()]
        self.ledger = Ledger(clock, rpcs, deployment, directory, execute)
        self.holder = Holder(
            directory / "custody.db", 1, LedgerChain(self.ledger, GATE, clock.seconds)
        )
        self.holder.now = clock.seconds()
        self.holder.entrust(SIGNED, SHARES)

    def sync(self) -> None:
        """Bring the index up to date, as the node does now and then; it may not work out."""
        try:
            got(self.ledger.sync(GATE))
        except LedgerError:
            return

    def release(self, purchase: Purchase) -> bytes | int:
        """The share, or the code of the refusal."""
        self.sync()
        gate = self.holder
        try:
            request = gate.ask(purchase, X25519PrivateKey.generate())
            got(gate.responder.handle(request, Caller(1)))
        except Refused as refused:
            return refused.code
        return SHARES[0]

    def close(self) -> None:
        """Close all files."""
        got(self.ledger.stop())
        self.holder.store.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at the time of the offers."""
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture
def chain(clock: Clock) -> FakeChain:
    """A chain with a few blocks."""
    made = FakeChain(clock.seconds, CHAIN_ID)
    made.mine(count=10)
    return made


@pytest.fixture
def world(clock: Clock, tmp_path: Path, no_fsync: None) -> Iterator[Callable[..., World]]:
    """Makes one world."""
    made: list[World] = []

    def make(**servers: FakeServer) -> World:
        made.append(World(clock, tmp_path / str(len(made)), **servers))
        return made[-1]

    yield make
    for each in made:
        each.close()


Make = Callable[..., World]


def test_a1_released_when_final_and_not_before(chain: FakeChain, world: Make) -> None:
    """One's own server is enough; the block that makes it final is the one that releases."""
    purchase = buy(SIGNED)
    here = world(own=FakeServer(chain))
    chain.mine(event(purchase.receipt))
    for _ in range(FINALITY):
        assert here.release(purchase) == FailureCode.NOT_FINAL
        chain.mine()
    assert here.release(purchase) == SHARES[0]


def test_a1_reorganised_before_finality_releases_nothing(chain: FakeChain, world: Make) -> None:
    """The redemption was seen and fell out of the chain; somebody else's took its block."""
    purchase, other = buy(SIGNED), buy(SIGNED, 2)
    here = world(own=FakeServer(chain))
    chain.mine(event(purchase.receipt))
    chain.mine(count=2)
    assert here.release(purchase) == FailureCode.NOT_FINAL
    chain.fork(3)
    chain.mine(event(other.receipt))
    chain.mine(count=10)
    assert here.release(purchase) == FailureCode.NOT_FINAL
    assert here.release(other) == SHARES[0]


def test_a1_the_time_that_counts_is_the_blocks(clock: Clock, chain: FakeChain, world: Make) -> None:
    """Mined a second too late, it is refused; in the last second, honoured."""
    late, timely = buy(SIGNED, 1), buy(SIGNED, 2)
    here = world(own=FakeServer(chain))
    clock.advance(OFFER.valid_until - clock.seconds())
    chain.mine(event(timely.receipt))
    clock.advance(1)
    chain.mine(event(late.receipt))
    chain.mine(count=FINALITY)
    here.holder.now = clock.seconds()
    assert here.release(timely) == SHARES[0]
    assert here.release(late) == FailureCode.BAD_RECEIPT


def test_a2_one_foreign_server_releases_nothing(chain: FakeChain, world: Make) -> None:
    """However honest it is: nobody vouches for it."""
    purchase = buy(SIGNED)
    here = world(alone=FakeServer(chain))
    chain.mine(event(purchase.receipt))
    chain.mine(count=FINALITY)
    assert here.release(purchase) == FailureCode.CHAIN_UNCERTAIN


def lying(chain: FakeChain, clock: Clock, receipt: Receipt) -> FakeServer:
    """A server with a chain of its own, on which the receipt was paid."""
    fork = FakeChain(clock.seconds, CHAIN_ID)
    fork.blocks[:] = chain.blocks
    fork.mine(event(receipt))
    fork.mine(count=2 * FINALITY)
    return FakeServer(fork)


def test_a2_a_server_that_invents_a_payment_releases_nothing(
    clock: Clock, chain: FakeChain, world: Make
) -> None:
    """Against one honest server it stays in doubt; against two it is outvoted and all goes on."""
    invented, paid = buy(SIGNED, 1), buy(SIGNED, 2)
    liar = lying(chain, clock, invented.receipt)
    chain.mine(event(paid.receipt))
    chain.mine(count=2 * FINALITY)
    two = world(liar=liar, honest=FakeServer(chain))
    for purchase in (invented, paid):
        assert two.release(purchase) in (FailureCode.NOT_FINAL, FailureCode.CHAIN_UNCERTAIN)
    three = world(liar=liar, honest=FakeServer(chain), other=FakeServer(chain))
    assert three.release(invented) == FailureCode.NOT_FINAL
    assert three.release(paid) == SHARES[0]


def test_a2_lies_of_a_time_when_one_server_was_believed_release_nothing(
    clock: Clock, chain: FakeChain, world: Make, tmp_path: Path
) -> None:
    """A payment that a lone server put into the index is not there for the gate."""
    invented = buy(SIGNED)
    before = world(liar=lying(chain, clock, invented.receipt))
    before.sync()
    assert before.ledger.index.reach.confirmed > 10
    assert LedgerChain(before.ledger, GATE, clock.seconds).redeemed(None, 9)
    before.close()
    chain.mine(count=20)
    rpcs = [fake_rpc(clock, FakeServer(chain), name) for name in ("one", "two")]
    after = Ledger(clock, rpcs, before.ledger.deployment, tmp_path / "0", execute)
    before.ledger = after
    before.holder = Holder(
        tmp_path / "0" / "custody.db", 1, LedgerChain(after, GATE, clock.seconds)
    )
    assert LedgerChain(after, GATE, clock.seconds).redeemed(None, 9)
    # the index notices that its chain was rewritten, and the gate takes nothing from it
    assert before.release(invented) == FailureCode.CHAIN_UNCERTAIN
    got(before.holder.gate.follow())
    assert before.holder.store.followed() is not None
    message = invented.receipt.message(CHAIN_ID, VOUCHERS)
    assert before.holder.store.find(message) is None


def test_a2_a_stalling_or_emptied_server_releases_nothing_and_loses_nothing(
    chain: FakeChain, world: Make
) -> None:
    """Null logs, or no answer at all; when it is well again, so is the gate."""
    purchase = buy(SIGNED)
    one, two = FakeServer(chain), FakeServer(chain)
    here = world(one=one, two=two)
    chain.mine(event(purchase.receipt))
    chain.mine(count=2 * FINALITY)
    faults: list[dict[str, Callable[..., Any]]] = [
        {"eth_getLogs": lambda *_: []},
        {"eth_getLogs": lambda *_: None},
        {"eth_getBlockByNumber": lambda *_: None},
    ]
    for broken in faults:
        two.faults = broken
        assert here.release(purchase) in (FailureCode.NOT_FINAL, FailureCode.CHAIN_UNCERTAIN)
    two.faults = {}
    two.down = True
    assert here.release(purchase) in (FailureCode.NOT_FINAL, FailureCode.CHAIN_UNCERTAIN)
    two.down = False
    assert here.release(purchase) == SHARES[0]


def test_many_redemptions_in_few_blocks_are_all_taken_up(chain: FakeChain, world: Make) -> None:
    """Also where a page of them ends within a block."""
    purchases = [buy(SIGNED, number) for number in range(1, 3 * PAGE)]
    logs = [event(each.receipt) for each in purchases]
    here = world(own=FakeServer(chain))
    chain.mine(*logs[: PAGE + 3])
    chain.mine(*logs[PAGE + 3 :])
    chain.mine(count=FINALITY)
    assert [here.release(each) for each in purchases] == [SHARES[0]] * len(purchases)


def test_a_block_that_is_not_final_for_servers_enough_is_not_there(
    chain: FakeChain, world: Make
) -> None:
    """Even if the index knows it already: then it is asked for again next time."""
    here = world(own=FakeServer(chain))
    gate = LedgerChain(here.ledger, GATE, lambda: float(NOW))
    chain.mine(event(buy(SIGNED).receipt))
    block = chain.head.number
    assert got(gate.certain_blocks([block])) == []
    chain.mine(count=FINALITY)
    (found,) = got(gate.certain_blocks([block, chain.head.number]))
    assert (found.number, found.time, len(found.redeemed)) == (block, NOW, 1)


@pytest.mark.parametrize("field", ["address", "blockHash"])
def test_a2_logs_that_were_not_asked_for_are_no_answer(
    chain: FakeChain, world: Make, field: str
) -> None:
    """Of another contract, or of a block that is not the one at this height."""
    server = FakeServer(chain)
    here = world(own=server)
    block = chain.mine(event(buy(SIGNED).receipt))
    chain.mine(count=FINALITY)
    (log,) = block.log_objects()
    other = log | {field: "0x" + "ab" * (len(log[field]) // 2 - 1)}
    server.faults = {"eth_getLogs": lambda *_: [other]}
    with pytest.raises(RpcAnswerInvalid):
        got(LedgerChain(here.ledger, GATE, lambda: float(NOW)).certain_blocks([block.number]))


def test_a_receipt_that_is_not_known_yet_makes_the_gate_look_once_in_a_while(
    clock: Clock, chain: FakeChain, world: Make
) -> None:
    """Nobody else has to bring the index up to date; made-up receipts cause few looks."""
    purchase = buy(SIGNED)
    server = FakeServer(chain)
    here = world(own=server)
    here.sync = lambda: None  # type: ignore[method-assign]
    for _ in range(5):
        assert here.release(purchase) == FailureCode.NOT_FINAL
    asked = server.posts
    chain.mine(event(purchase.receipt))
    chain.mine(count=FINALITY)
    assert here.release(purchase) == FailureCode.NOT_FINAL
    assert server.posts == asked
    clock.advance(REFRESH_SECONDS)
    here.holder.now = clock.seconds()
    assert here.release(purchase) == SHARES[0]
    looked = server.posts
    assert here.release(purchase) == SHARES[0]
    assert server.posts == looked


def test_a_gate_whose_servers_are_down_says_so(clock: Clock, chain: FakeChain, world: Make) -> None:
    """It is no fault of the receipt."""
    server = FakeServer(chain)
    here = world(own=server)
    server.down = True
    assert here.release(buy(SIGNED)) == FailureCode.CHAIN_UNCERTAIN

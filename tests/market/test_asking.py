"""A buyer and a publisher ask key holders: what dead, slow, lying and refusing ones make of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import nacl.signing
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.config import LOCAL
from bitsnode.content.testing import drive
from bitsnode.ledger.errors import RpcsDisagree
from bitsnode.market.asking import HolderRefused, KeyHolderClient
from bitsnode.market.challenge import Challenges
from bitsnode.market.collecting import Collecting
from bitsnode.market.custody_price import Payer
from bitsnode.market.entrusting import Terms, draw_up, entrust, happiness, suitable
from bitsnode.market.errors import NotOpened, TooFewHolders, WrongShare
from bitsnode.market.purchase_errors import KeyHolderFault
from bitsnode.market.purchase_facts import Lied, ShareCame
from bitsnode.market.shares import check_share, combine, open_whitening, threshold
from bitsnode.market.testing import (
    CONTENT,
    DAY,
    MARKET,
    META,
    NOW,
    PRICE,
    PUBLISHER_SEED,
    SECRET,
    WHITENING,
    Purchase,
    buy,
    custody_key,
    make_offer,
    onion_key,
    sign,
)
from bitsnode.market.testing_holders import Holder, MemoryChain, MemoryHolders, result, run_now
from bitsnode.peer.errors import ClientStopped
from bitsnode.wire.card import Capability, NodeCard
from bitsnode.wire.market_messages import Challenge, KeyShare
from bitsnode.wire.messages import FailureCode

NEEDED, HOLDERS = 3, 11
OFFER, SHARES = make_offer(NEEDED, HOLDERS)
SIGNED = sign(OFFER)
PAYER = Payer(LOCAL.share_bits, run_now)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at the time of the offers."""
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture
def chain() -> MemoryChain:
    """A chain with nothing on it."""
    return MemoryChain()


@pytest.fixture
def holders(tmp_path: Path, chain: MemoryChain, no_fsync: None) -> Iterator[list[Holder]]:
    """Eleven holders without shares."""
    made = [Holder(tmp_path / f"{index}.db", index, chain) for index in range(1, HOLDERS + 1)]
    yield made
    for holder in made:
        holder.store.close()


@pytest.fixture
def peers(clock: Clock, holders: list[Holder]) -> MemoryHolders:
    """The way to them."""
    return MemoryHolders(clock, holders)


@pytest.fixture
def client(peers: MemoryHolders, clock: Clock) -> KeyHolderClient:
    """Asks them."""
    return KeyHolderClient(peers, clock)


@pytest.fixture
def purchase(holders: list[Holder], chain: MemoryChain) -> Purchase:
    """Each has its share, and a buyer has paid."""
    for holder in holders:
        holder.entrust(SIGNED, SHARES)
    bought = buy(SIGNED)
    chain.redeem(bought.receipt, block=1, time=NOW)
    chain.final = 1
    return bought


def ask(client: KeyHolderClient, clock: Clock, index: int, purchase: Purchase) -> bytes:
    """Ask one holder for its share."""
    return drive(clock, client.ask(SIGNED, index, purchase.receipt, purchase.seed))


def test_each_holder_is_asked_on_circuits_of_its_own(
    client: KeyHolderClient, clock: Clock, peers: MemoryHolders, purchase: Purchase
) -> None:
    """Two questions to each, on one isolation that nothing else has, closed at the end."""
    for index in (1, 2, 1):
        assert ask(client, clock, index, purchase) == SHARES[index - 1]
    isolations = [isolation for _index, isolation in peers.asked]
    assert isolations[::2] == isolations[1::2] == peers.closed
    assert len(set(isolations)) == 3


def test_a_dead_or_silent_holder_is_a_fault_within_its_time(
    client: KeyHolderClient, clock: Clock, peers: MemoryHolders, purchase: Purchase
) -> None:
    """Nobody waits longer than for a connection and an answer, and the circuits are closed."""
    peers.dead, peers.hanging = {1}, {2}
    for index in (1, 2):
        begun = clock.seconds()
        with pytest.raises(KeyHolderFault):
            ask(client, clock, index, purchase)
        assert clock.seconds() - begun <= 90
    assert len(peers.closed) == 2


def test_a_request_that_never_ends_is_given_up(
    client: KeyHolderClient, clock: Clock, peers: MemoryHolders, purchase: Purchase
) -> None:
    """Even if whoever dials forgets its own time-out."""

    async def forever(*_args: Any) -> Any:
        clock.callLater(1000, lambda: None)
        return await Deferred()

    peers.request = forever  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyHolderFault, match="too long"):
        ask(client, clock, 1, purchase)
    assert clock.seconds() - NOW <= 90


def test_a1_a_lying_holder_is_named_by_its_commitment(
    client: KeyHolderClient, clock: Clock, holders: list[Holder], purchase: Purchase
) -> None:
    """It checks and seals well, yet what it sends is not what the offer commits to."""
    holders[0].gate._open = lambda *_args: SHARES[1]  # type: ignore[method-assign]
    with pytest.raises(WrongShare):
        ask(client, clock, 1, purchase)
    assert ask(client, clock, 2, purchase) == SHARES[1]


def test_an_answer_for_another_place_or_not_for_us_is_a_lie(
    client: KeyHolderClient, clock: Clock, peers: MemoryHolders, purchase: Purchase
) -> None:
    """Another index, or bytes that do not open."""
    peers.change = lambda _i, r: attrs.evolve(r, index=2) if isinstance(r, KeyShare) else r
    with pytest.raises(WrongShare):
        ask(client, clock, 1, purchase)
    peers.change = lambda _i, r: attrs.evolve(r, sealed=bytes(64)) if isinstance(r, KeyShare) else r
    with pytest.raises(NotOpened):
        ask(client, clock, 1, purchase)


def test_a_refusal_says_why_and_when_to_ask_again(
    client: KeyHolderClient, clock: Clock, holders: list[Holder], chain: MemoryChain
) -> None:
    """Before the payment is final, without certainty, and without a share."""
    bought = buy(SIGNED)
    with pytest.raises(KeyHolderFault, match="no share of this offer"):
        ask(client, clock, 1, bought)
    holders[0].entrust(SIGNED, SHARES)
    with pytest.raises(KeyHolderFault, match="no final block") as caught:
        ask(client, clock, 1, bought)
    assert caught.value.retry_after == 15
    chain.failure = RpcsDisagree()
    with pytest.raises(KeyHolderFault, match="cannot be certain") as caught:
        ask(client, clock, 1, bought)
    assert caught.value.retry_after == 60


def test_a_holder_that_restarts_in_between_is_asked_again(
    client: KeyHolderClient,
    clock: Clock,
    holders: list[Holder],
    peers: MemoryHolders,
    purchase: Purchase,
) -> None:
    """Its old challenge is void; one more is asked for, and only one more."""
    restarts = 1

    def restart(index: int, reply: Any) -> Any:
        nonlocal restarts
        if isinstance(reply, Challenge) and restarts:
            restarts -= 1
            holders[index - 1].gate._challenges = Challenges()
        return reply

    peers.change = restart
    assert ask(client, clock, 1, purchase) == SHARES[0]
    restarts = 2
    with pytest.raises(HolderRefused, check=lambda error: error.code == FailureCode.BAD_CHALLENGE):
        ask(client, clock, 1, purchase)


def test_the_nodes_end_is_not_the_holders_fault(
    client: KeyHolderClient, clock: Clock, peers: MemoryHolders, purchase: Purchase
) -> None:
    """When this node stops, the purchase must not take it for a dead holder."""
    peers.failure = ClientStopped()
    with pytest.raises(ClientStopped):
        ask(client, clock, 1, purchase)


@pytest.mark.parametrize("seed", range(3))
def test_a1_fair_exchange_with_m_minus_t_holders_dead_slow_or_lying(
    client: KeyHolderClient,
    clock: Clock,
    holders: list[Holder],
    peers: MemoryHolders,
    purchase: Purchase,
    seed: int,
) -> None:
    """Whoever of eleven the three honest ones are, the buyer gets the key, and liars are named."""
    honest = {1 + seed, 5 + seed, 9 + seed // 2}
    rest = [index for index in range(1, HOLDERS + 1) if index not in honest]
    peers.dead, peers.hanging, lying = set(rest[:3]), set(rest[3:5]), set(rest[5:])
    for index in lying:
        holders[index - 1].gate._open = lambda *_args: bytes(16)  # type: ignore[method-assign]

    def asked(index: int) -> Any:
        return client.ask(SIGNED, index, purchase.receipt, purchase.seed)

    async def collect() -> tuple[dict[int, bytes], set[int]]:
        collecting = Collecting(clock, asked, OFFER, set(), lambda _event: None)
        shares: dict[int, bytes] = {}
        liars: set[int] = set()
        while len(shares) < NEEDED:
            fact = await collecting.next(NEEDED - len(shares))
            if isinstance(fact, ShareCame):
                shares[fact.index] = fact.share
            elif isinstance(fact, Lied):
                liars.add(fact.index)
        collecting.stop()
        return shares, liars

    shares, liars = drive(clock, collect())
    assert set(shares) == honest
    assert liars <= lying
    assert combine(OFFER, shares) == SECRET


# The publisher's side


def card(index: int, **changes: Any) -> NodeCard:
    """The card of a key holder."""
    made = NodeCard(
        version=1,
        network="local",
        onion_key=onion_key(index).public_key,
        signing_key=bytes(32),
        sealing_key=custody_key(index).public_key().public_bytes_raw(),
        capabilities=Capability.STORAGE | Capability.CUSTODY,
        nonce=bytes(16),
        sequence=1,
        expires=NOW + DAY,
    )
    return attrs.evolve(made, **changes)


TERMS = Terms(
    content=CONTENT,
    chain_id=MARKET.chain_id,
    vouchers=MARKET.vouchers,
    denomination=1,
    price=PRICE,
    valid_from=NOW,
    valid_until=NOW + 30 * DAY,
    payee=META,
    fee_limit=PRICE // 20,
    publisher_seed=PUBLISHER_SEED,
    secret=SECRET,
    whitening=WHITENING,
)


def test_key_holders_are_distinct_offer_custody_and_are_not_the_publisher() -> None:
    """One node under two names, a mere storer and we ourselves are left out."""
    twin = card(3, onion_key=onion_key(20).public_key)
    storer = card(4, capabilities=Capability.STORAGE)
    cards = [card(1), card(1), card(2), card(3), twin, storer, card(5)]
    found = suitable(cards, onion_key(5).public_key)
    keys = [each.onion_key for each in found]
    assert len(set(keys)) == len(keys) == 3
    assert {onion_key(1).public_key, onion_key(2).public_key} < set(keys)


def test_an_offer_that_is_drawn_up_can_be_bought(holders: list[Holder]) -> None:
    """Any t of its shares make the secret, and the secret opens W; nothing of it is in the text."""
    signed, requests = draw_up(TERMS, [card(index) for index in range(1, 12)])
    assert signed.offer.publisher == bytes(nacl.signing.SigningKey(PUBLISHER_SEED).verify_key)
    assert signed.offer.threshold == 3
    for holder, request in zip(holders, requests, strict=True):
        result(holder.gate.keep(holder.paid(request)))
    came = {
        index: holder.gate._open(signed, index, holder.store.get(signed.hash).sealed)
        for index, holder in enumerate(holders, 1)
    }
    for index, share in came.items():
        check_share(signed.offer, index, share)
    assert combine(signed.offer, came) == SECRET
    assert open_whitening(SECRET, signed.offer.sealed_whitening) == WHITENING
    assert repr(SECRET)[2:-1] not in repr(TERMS)


def test_happiness_is_four_of_five_holders() -> None:
    """And never below the threshold."""
    assert [happiness(m) for m in (1, 2, 3, 4, 5, 10, 11)] == [1, 2, 3, 4, 4, 8, 9]
    assert all(threshold(m) <= happiness(m) <= m for m in range(1, 33))


def test_holders_that_fail_are_replaced_by_spares(
    client: KeyHolderClient, clock: Clock, peers: MemoryHolders, holders: list[Holder]
) -> None:
    """The offer that comes out names those that have their shares, and nobody else."""
    peers.dead, peers.hanging = {2}, {4}
    reasons: list[str] = []
    found = drive(
        clock,
        entrust(
            client,
            TERMS,
            [card(index) for index in range(1, 8)],
            PAYER,
            wanted=5,
            on_fault=reasons.append,
        ),
    )
    named = [holder.onion_key for holder in found.signed.offer.holders]
    assert named == [onion_key(index).public_key for index in (1, 3, 5, 6, 7)]
    assert found.taken == (1, 2, 3, 4, 5)
    assert len(reasons) == 2
    assert len({isolation for _index, isolation in peers.asked}) == len(peers.asked)


def test_without_spares_fewer_holders_keep_the_key(
    client: KeyHolderClient, clock: Clock, peers: MemoryHolders, holders: list[Holder]
) -> None:
    """All is split anew for those that are left; a network without any is said to have none."""
    peers.dead = {1, 2, 3}
    found = drive(clock, entrust(client, TERMS, [card(index) for index in range(1, 6)], PAYER))
    assert len(found.signed.offer.holders) == 2
    assert found.signed.offer.threshold == 1
    peers.dead = set(range(1, 12))
    with pytest.raises(TooFewHolders):
        drive(clock, entrust(client, TERMS, [card(index) for index in range(1, 6)], PAYER))
    with pytest.raises(TooFewHolders):
        drive(clock, entrust(client, TERMS, [], PAYER))


def test_a_publisher_that_stops_is_told_so(
    client: KeyHolderClient, clock: Clock, peers: MemoryHolders
) -> None:
    """The end of this node is no reason to think that nobody keeps keys."""
    peers.failure = ClientStopped()
    with pytest.raises(ClientStopped):
        drive(clock, entrust(client, TERMS, [card(1), card(2)], PAYER))

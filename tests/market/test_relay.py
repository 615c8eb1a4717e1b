"""A relay: takes what pays, sends each redemption once, and refuses what would fail."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.errors import BitsError
from bitsnode.ledger.errors import NotMined, RpcUnreachable
from bitsnode.ledger.fees import Fee
from bitsnode.ledger.redemption import Redemption, Spend, message_of, redeem_data
from bitsnode.ledger.standing import Call
from bitsnode.ledger.wallet.testing import ETHER, at_once
from bitsnode.ledger.wallet.voucher_testing import TABLE, VoucherChain
from bitsnode.market.hot_key import HotKeyDamaged, HotKeyOpen, open_hot_key
from bitsnode.market.relay import REDEEM_GAS, Relay, is_tier, tiers
from bitsnode.market.relay_client import (
    MOST_ASKED,
    NoRelay,
    RelayClient,
    RelayFeeRisen,
    RelayRefused,
    RelaySaysInvalid,
    RelaySaysSpent,
    RelayTooLate,
)
from bitsnode.market.relay_journal import RelayJournal
from bitsnode.market.relay_responder import CONNECTION_BURST, RelayResponder
from bitsnode.market.relay_sweeps import SweepRelay
from bitsnode.market.sweep_journal import SweepJournal
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import FailureCode, Ping, Request
from bitsnode.wire.relay_messages import AskRelay, RelayTerms, SubmitRedeem, Submitted
from onion.address import OnionAddress
from onion.isolation import Isolation
from onion.keys import OnionKey

NOW = 1_800_000_000
FEE = 10**14  # wei, a fiftieth of the largest voucher
GAS_PRICE = FEE // REDEEM_GAS  # wei; makes this the least fee
ME = Isolation("buyer", "me")


def result_of(coroutine: Any) -> Any:
    """Return what a coroutine that waits for nothing returns, or raise what it raises."""
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


class PricedChain(VoucherChain):
    """A chain on which gas has a price, and blocks come, as a test says."""

    price = GAS_PRICE
    down = False
    mined = True

    async def quote(self, source: str, call: Call, isolation: Isolation) -> Fee:
        """See `VoucherChain`."""
        if self.down:
            raise RpcUnreachable
        await super().quote(source, call, isolation)
        return Fee(REDEEM_GAS, self.price, 1)

    async def wait(self, intent: str, isolation: Isolation, timeout: float = 600.0) -> Any:
        """See `VoucherChain`."""
        if not self.mined:
            raise NotMined
        return await super().wait(intent, isolation)

    def _send(self, intent: str) -> bytes:
        """Leave what was signed in the pool, if nothing is mined."""
        if self.mined:
            return super()._send(intent)
        query = "SELECT raw FROM journal WHERE intent = ?"
        return bytes(self._db.execute(query, [intent]).fetchone()[0])


@attrs.frozen
class World:
    """A relay on a chain, and what makes redemptions."""

    folder: Path
    chain: PricedChain
    clock: Clock
    relay: Relay
    responder: RelayResponder
    journal: RelayJournal
    sweeps: SweepRelay
    sweep_journal: SweepJournal

    @property
    def vouchers(self) -> bytes:
        """Address of the contract."""
        return bytes.fromhex(self.chain.deployment.address("Vouchers")[2:])

    def call(self, nullifier: int = 77, proof: int | None = None, **change: Any) -> bytes:
        """The data of a redemption of the largest denomination."""
        fields = Redemption(
            b"\x01" * 20, b"\x02" + bytes(32), 5, bytes(32), bytes(20), FEE, NOW + 3600
        )
        fields = attrs.evolve(fields, **change)
        contract = self.chain.deployment.address("Vouchers")
        message = message_of(self.chain.chain_id, contract, fields, [2], [nullifier])
        first = int.from_bytes(message, "big") >> 8 if proof is None else proof
        return redeem_data(fields, [Spend(2, nullifier, 1, (first, *range(7)))])

    def close(self) -> None:
        """Close its files."""
        self.journal.close()
        self.sweep_journal.close()

    def request(self, call: bytes) -> SubmitRedeem:
        """What a buyer sends."""
        return SubmitRedeem(self.chain.chain_id, self.vouchers, call)

    def submit(self, call: bytes, connection: int = 1) -> Submitted:
        """Send it and return the answer."""
        found = result_of(self.responder.handle(self.request(call), Caller(connection)))
        assert isinstance(found, Submitted)
        return found

    def refused(self, request: Request, connection: int) -> int:
        """Return with which code a request is refused."""
        with pytest.raises(Refused) as caught:
            result_of(self.responder.handle(request, Caller(connection)))
        return caught.value.code


def make_world(folder: Path, chain: PricedChain) -> World:
    """Open the relay of a folder."""
    clock = Clock()
    clock.advance(NOW)
    key = open_hot_key(folder / "relay" / "key")
    vouchers = bytes.fromhex(chain.deployment.address("Vouchers")[2:])
    journal = RelayJournal(folder / "relay.db", chain.chain_id, vouchers)
    relay = Relay(chain, key, journal, chain.chain_id, vouchers, clock, at_once)
    factory = bytes.fromhex(chain.deployment.address("InvoiceFactory")[2:])
    sweep_journal = SweepJournal(folder / "sweeps.db", chain.chain_id, factory)
    sweeps = SweepRelay(relay, chain, key, sweep_journal, chain.chain_id, factory, at_once)
    responder = RelayResponder(relay, sweeps, clock.seconds)
    return World(folder, chain, clock, relay, responder, journal, sweeps, sweep_journal)


@pytest.fixture
def world(tmp_path: Path, no_fsync: None) -> Iterator[World]:
    """A relay with a coin for gas."""
    chain = PricedChain(tmp_path / "chain.sqlite")
    found = make_world(tmp_path, chain)
    chain.give("0x" + found.relay.address.hex(), ETHER)
    yield found
    found.close()
    chain.close()


def test_fees_are_from_a_few_tiers() -> None:
    """1, 2 and 5 times a power of ten, the least that covers the cost first."""
    assert tiers(1) == (1, 2, 5)
    assert tiers(3) == (5, 10, 20)
    assert tiers(20) == (20, 50, 100)
    assert tiers(21) == (50, 100, 200)
    assert [fee for fee in range(101) if is_tier(fee)] == [1, 2, 5, 10, 20, 50, 100]


def test_terms_pay_for_the_gas_of_now(world: World) -> None:
    """The least fee covers a redemption; when gas gets dearer, so does it, a minute later."""
    terms = result_of(world.responder.handle(AskRelay(), Caller(1)))
    assert isinstance(terms, RelayTerms)
    assert (terms.address, terms.vouchers) == (world.relay.address, world.vouchers)
    assert [int.from_bytes(fee, "big") for fee in terms.fees] == [FEE, 2 * FEE, 5 * FEE]
    world.chain.price = 3 * GAS_PRICE
    world.clock.advance(61)
    terms = result_of(world.responder.handle(AskRelay(), Caller(1)))
    assert int.from_bytes(terms.fees[0], "big") == 5 * FEE


def test_a_redemption_is_sent_and_the_relay_gets_its_fee(world: World) -> None:
    """With nobody named as relayer the sender has the fee, and pays no more than it for gas."""
    before = world.chain.wei("0x" + world.relay.address.hex())
    reply = world.submit(world.call())
    assert len(reply.transaction) == 32
    ((sender, _to, value),) = world.chain.signed()
    assert (bytes.fromhex(sender[2:]), value) == (world.relay.address, 0)
    assert result_of(world.relay.tend()) == 0
    assert world.chain.wei("0x" + "01" * 20) == (TABLE[2] - FEE) * 95 // 100
    after = world.chain.wei("0x" + world.relay.address.hex())
    assert after == before + FEE - 21_000 * 10**9


def test_the_same_redemption_again_is_the_same_transaction(world: World) -> None:
    """Also after a restart, and with other bytes of proof: a redemption is its message."""
    first = world.submit(world.call())
    assert world.submit(world.call(), connection=2) == first
    again = make_world(world.folder, world.chain)
    assert again.submit(world.call(), connection=3) == first
    assert again.submit(world.call(proof=1234), connection=4) == first
    assert len(world.chain.signed()) == 1
    again.close()


def test_what_would_fail_or_not_pay_is_refused_before_anything_is_signed(world: World) -> None:
    """Each reason has a code that a buyer can act on."""
    cases = [
        (world.call(proof=1), FailureCode.WOULD_REVERT),
        (world.call(fee=FEE // 2), FailureCode.FEE_TOO_LOW),
        (world.call(deadline=NOW + 100), FailureCode.STALE),
        (world.call(relayer=b"\x09" * 20), FailureCode.REFUSED),
        (b"\x00" + world.call()[1:], FailureCode.MALFORMED),
    ]
    for connection, (call, code) in enumerate(cases):
        assert world.refused(world.request(call), connection) == code
    good = world.request(world.call())
    for change in ({"chain_id": 1}, {"vouchers": bytes(20)}):
        assert world.refused(attrs.evolve(good, **change), 9) == FailureCode.REFUSED
    assert world.refused(Ping(), 10) == FailureCode.UNKNOWN_REQUEST
    world.chain.down = True
    world.clock.advance(61)
    assert world.refused(AskRelay(), 11) == FailureCode.CHAIN_UNCERTAIN
    assert world.chain.signed() == []
    assert world.journal.open() == []


def test_a1_a_voucher_is_not_taken_for_two_redemptions(world: World) -> None:
    """While the first is on its way the second would lose the race and cost gas."""
    world.chain.mined = False
    world.submit(world.call())
    assert world.refused(world.request(world.call(tag=b"\x01" * 32)), 2) == FailureCode.SPENT
    assert len(world.chain.signed()) == 1
    world.submit(world.call(nullifier=78), connection=3)
    assert result_of(world.relay.tend()) == 2
    world.chain.mined = True
    assert result_of(world.relay.tend()) == 0
    assert world.refused(world.request(world.call(tag=b"\x01" * 32)), 4) == FailureCode.SPENT


def test_a_redemption_that_is_not_final_is_looked_after(world: World) -> None:
    """Until then a reorganisation may take it out, and the same bytes are sent again."""
    world.submit(world.call())
    world.chain.unconfirmed = 1
    assert result_of(world.relay.tend()) == 1
    world.chain.unconfirmed = 0
    assert result_of(world.relay.tend()) == 0
    assert len(world.chain.signed()) == 1


def test_a_relay_without_money_signs_nothing_and_forgets(world: World) -> None:
    """It says that it cannot; with money it takes the same redemption."""
    address = "0x" + world.relay.address.hex()
    has = world.chain.wei(address)
    world.chain.give(address, -has)
    assert world.refused(world.request(world.call()), 1) == FailureCode.FULL
    assert world.journal.open() == []
    world.chain.give(address, has)
    world.submit(world.call(), connection=2)


def test_a_crash_before_sending_is_made_good(world: World) -> None:
    """What was written down but not sent is sent at the next start, once."""

    class Crashed(BaseException):
        """As if the process had ended."""

    def crash(step: str) -> None:
        if step == "journal":
            raise Crashed

    world.chain.stop = crash
    with pytest.raises(Crashed):
        result_of(world.relay.submit(world.request(world.call())))
    world.chain.stop = lambda _step: None
    again = make_world(world.folder, world.chain)
    assert len(again.journal.open()) == 1
    assert result_of(again.relay.tend()) == 0
    assert len(world.chain.signed()) == 1
    assert world.chain.wei("0x" + "01" * 20) > 0
    again.close()


def test_a_connection_may_ask_only_so_often(world: World) -> None:
    """Others are answered all the same, and later it is, too."""
    for _ in range(CONNECTION_BURST):
        result_of(world.responder.handle(AskRelay(), Caller(1)))
    assert world.refused(AskRelay(), 1) == FailureCode.BUSY
    result_of(world.responder.handle(AskRelay(), Caller(2)))
    world.clock.advance(30)
    result_of(world.responder.handle(AskRelay(), Caller(1)))


def test_all_connections_together_have_a_limit(world: World) -> None:
    """Connections are cheap, so a flood over many of them ends as well."""
    answered = 0
    for connection in range(200):
        try:
            result_of(world.responder.handle(AskRelay(), Caller(connection)))
        except Refused:
            continue
        answered += 1
    assert answered <= 62


def test_the_hot_key_is_private_and_made_once(tmp_path: Path) -> None:
    """Mode 0600, the same at each start, refused when others can read it or when it is cut."""
    path = tmp_path / "relay" / "key"
    key = open_hot_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_hot_key(path).address == key.address
    assert [each.name for each in path.parent.iterdir()] == ["key"]
    assert path.read_bytes().hex() not in repr(key)
    path.chmod(0o644)
    with pytest.raises(HotKeyOpen):
        open_hot_key(path)
    path.chmod(0o600)
    path.write_bytes(b"\x01" * 31)
    with pytest.raises(HotKeyDamaged):
        open_hot_key(path)


# The buyer's side


class FakePeers:
    """Relays by their addresses; what is no relay does not answer."""

    def __init__(self) -> None:
        self.worlds: dict[OnionAddress, Any] = {}
        self.asked: list[OnionAddress] = []

    async def request(self, address: OnionAddress, message: Request, isolation: Isolation) -> Any:
        """As `bitsnode.peer.client.PeerClient` does it."""
        self.asked.append(address)
        if address not in self.worlds:
            raise BitsError("it does not answer")
        found = self.worlds[address]
        return (
            await found(message)
            if callable(found)
            else await found.responder.handle(message, Caller(len(self.asked)))
        )


def client_of(world: World, peers: FakePeers, relays: list[bytes]) -> RelayClient:
    """A client that knows these relays."""
    return RelayClient(peers, lambda: relays, world.chain.chain_id, world.vouchers)


def test_a_buyer_finds_the_cheap_relays_first(world: World) -> None:
    """Those that do not answer, are too dear or serve another contract are left out."""
    peers = FakePeers()
    addresses = [OnionKey.generate().address for _ in range(5)]

    def says(fee: int, vouchers: bytes) -> Callable[[Request], Any]:
        async def answer(_message: Request) -> RelayTerms:
            fees = (fee.to_bytes(12, "big"),)
            return RelayTerms(b"\x01" * 20, fees, world.chain.chain_id, vouchers)

        return answer

    peers.worlds[addresses[0]] = world
    peers.worlds[addresses[1]] = says(FEE // 2, world.vouchers)
    peers.worlds[addresses[2]] = says(FEE * 100, world.vouchers)
    peers.worlds[addresses[3]] = says(1, bytes(20))
    client = client_of(world, peers, [each.public_key for each in addresses])
    found = result_of(client.find(2 * FEE, ME))
    assert [(each.onion_key, each.fee) for each in found] == [
        (addresses[1].public_key, FEE // 2),
        (addresses[0].public_key, FEE),
    ]
    with pytest.raises(NoRelay):
        result_of(client.find(FEE // 10, ME))
    many = client_of(world, FakePeers(), [OnionKey.generate().address.public_key] * 50)
    with pytest.raises(NoRelay):
        result_of(many.find(FEE, ME))
    assert len(many._peers.asked) == MOST_ASKED  # type: ignore[attr-defined]


def test_a_buyer_hands_over_and_understands_refusals(world: World) -> None:
    """Each refusal that a buyer can act on is a class of its own."""
    peers = FakePeers()
    address = OnionKey.generate().address
    peers.worlds[address] = world
    client = client_of(world, peers, [address.public_key])

    def hand_over(**change: Any) -> None:
        from bitsnode.ledger.redemption import read_redeem_data

        fields, spends = read_redeem_data(world.call(**change))
        result_of(client.submit(address.public_key, fields, spends, ME))

    cases: list[tuple[type[RelayRefused], dict[str, Any]]] = [
        (RelayFeeRisen, {"fee": 1}),
        (RelayTooLate, {"deadline": NOW}),
        (RelaySaysInvalid, {"proof": 1}),
        (RelayRefused, {"relayer": b"\x09" * 20}),
    ]
    for error, change in cases:
        with pytest.raises(error):
            hand_over(**change)
    hand_over()
    with pytest.raises(RelaySaysSpent):
        hand_over(tag=b"\x01" * 32)
    assert len(world.chain.signed()) == 1

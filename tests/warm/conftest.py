"""Nodes with real warm services and responders, joined in memory on a clock that is driven."""

from bisect import insort
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import attrs
import pytest
from nacl.signing import SigningKey
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from bitsnode.config import LOCAL
from bitsnode.dht.records import RecordTable
from bitsnode.dht.responder import Beside, DhtResponder
from bitsnode.dht.routing import Contact, RoutingTable
from bitsnode.dht.status import DhtState, DhtStatus
from bitsnode.ids import distance
from bitsnode.peer.errors import ConnectionLost, RequestTimedOut, Unreachable
from bitsnode.warm.plan import Plan
from bitsnode.warm.service import WarmService
from bitsnode.wire.card import HOUR, Capability, NodeCard, SignedCard, solve_puzzle
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import FailureCode, FindValue, Ping, PutRecord
from bitsnode.wire.record import Record, RecordKind, SignedRecord
from onion.address import OnionAddress
from onion.errors import TorUnavailable
from onion.isolation import Isolation
from onion.keys import OnionKey

T = TypeVar("T")
NOW = 1_800_000_000.0  # Unix seconds, a multiple of an hour
LATENCY = 0.4  # seconds to ask over an open connection
DIAL = 3.0  # seconds to open one
NOBODY = 8.0  # seconds to learn that nobody is there


def make_card(key: OnionKey | None = None, expires: float = NOW + 48 * HOUR) -> SignedCard:
    """Make a card in order."""
    key = key or OnionKey.generate()
    nonce = solve_puzzle(key.public_key, LOCAL.card_bits, 0, 1 << 20)
    assert nonce is not None
    card = NodeCard(
        version=1,
        network=LOCAL.name,
        onion_key=key.public_key,
        signing_key=bytes(32),
        sealing_key=bytes(32),
        capabilities=Capability.STORAGE,
        nonce=nonce,
        sequence=1,
        expires=int(expires),
    )
    return SignedCard.sign(card, key.sign)


def make_record(
    seed: bytes,
    *,
    kind: int = RecordKind.PROVIDER,
    slot: int = 0,
    sequence: int = 1,
    expires: float = NOW + 48 * HOUR,
    value: bytes = b"sealed",
    bits: int = LOCAL.record_bits,
) -> SignedRecord:
    """Make a record signed with a 32-byte seed; the slot of a feed is its owner's."""
    owner = seed if kind == RecordKind.FEED else slot.to_bytes(32, "big")
    record = Record(
        version=2,
        kind=kind,
        public_key=bytes(SigningKey(seed).verify_key),
        slot_key=bytes(SigningKey(owner).verify_key),
        sequence=sequence,
        expires=int(expires),
        value=value,
        nonce=bytes(16),
        salt=b"",
    )
    return SignedRecord.sign(record.solved(bits), seed, owner)


class FastClock(Clock):
    """Twisted's clock sorts all calls for each new one."""

    def _sortCalls(self) -> None:
        if self.calls:
            insort(self.calls, self.calls.pop(), key=lambda call: call.getTime())


@attrs.define(eq=False)
class Node:
    """A node and the knobs of its faults.

    Attributes:
        alive: it can be reached.
        silent: it takes requests and answers none.
        latency: seconds before each answer.
        lies: returns an answer in the place of the true one, or None.
        asked: every request it got, and who asked.
    """

    net: "Net"
    key: OnionKey
    card: SignedCard
    dht: "TableDht"
    peers: "NetPeers"
    warm: WarmService
    alive: bool = True
    silent: bool = False
    latency: float = LATENCY
    lies: Callable[[Any], Any] = lambda _request: None
    asked: list[tuple[Any, Caller]] = attrs.Factory(list)

    def kept(self, signed: SignedRecord) -> None:
        """Let it keep a record as if somebody had put it there."""
        self.net.run(self.answer(PutRecord(signed.data), Caller(0)))

    async def answer(self, request: Any, caller: Caller) -> Any:
        """Do what its server would do."""
        self.asked.append((request, caller))
        told = self.lies(request)
        if told is not None:
            return told
        if isinstance(request, Ping | FindValue | PutRecord):
            return await self.dht.responder.handle(request, caller)
        responder = self.warm.responders().get(type(request))
        if responder is None:
            raise Refused(FailureCode.UNKNOWN_REQUEST)
        return await responder.handle(request, caller)

    def got(self, kind: type) -> list[Any]:
        """Return the requests of a class that it got."""
        return [request for request, _ in self.asked if isinstance(request, kind)]


class TableDht:
    """A DHT with real tables, which knows the whole net and walks in one step."""

    def __init__(self, net: "Net", card: SignedCard) -> None:
        self._net = net
        self._table = RoutingTable(card.card.node_id, card.card.onion_key)
        self.records = RecordTable(card.card.node_id)
        self.responder = DhtResponder(
            LOCAL, self._table, self.records, net.clock.seconds, lambda _: None
        )
        self.walks: list[tuple[bytes, Isolation]] = []
        self.known: list[SignedCard] = []
        self.nodes: int | None = None
        self.fault: Exception | None = None
        self.walk_seconds = 20.0

    def attach(self, beside: Beside) -> None:
        """See `bitsnode.warm.asking.Dht`."""
        self.responder.beside = beside

    def contacts(self) -> list[Contact]:
        """Return all nodes that this one was told of."""
        now = self._net.clock.seconds()
        return [Contact(card, now, now) for card in self.known]

    def status(self) -> DhtStatus:
        """Return how many nodes there are."""
        count = len(self._net.nodes) if self.nodes is None else self.nodes
        known = len(self.known)
        return DhtStatus(DhtState.JOINED, known, 0, 0, len(self.records), 0, count, (), 0)

    def kept_records(self, key: bytes) -> list[SignedRecord]:
        """Return what its own table has."""
        return self.records.get(key, self._net.clock.seconds())

    def found_here(self, key: bytes) -> tuple[bytes, ...]:
        """Return what it would answer."""
        return self.responder.found(key)

    def all_records(self) -> list[SignedRecord]:
        """Return all of its table."""
        return [signed for _, signed in self.records.everything()]

    async def find_node(self, target: bytes, isolation: Isolation) -> list[SignedCard]:
        """Return the nearest of all nodes."""
        self.walks.append((target, isolation))
        await deferLater(self._net.clock, self.walk_seconds)
        alive = [node.card for node in self._net.nodes if node.alive and node.dht is not self]
        return sorted(alive, key=lambda card: distance(card.card.node_id, target))[:20]

    async def get_records(self, key: bytes, isolation: Isolation) -> list[SignedRecord]:
        """Return what the 20 nearest nodes that are there have, after a while."""
        self.walks.append((key, isolation))
        await deferLater(self._net.clock, self.walk_seconds)
        if self.fault is not None:
            raise self.fault
        alive = [node for node in self._net.nodes if node.alive and not node.silent]
        alive.sort(key=lambda node: distance(node.card.card.node_id, key))
        found = [signed for node in alive[:20] for signed in node.dht.kept_records(key)]
        return list({signed.data: signed for signed in found}.values())


class NetPeers:
    """A peer client whose connections stay open until something breaks them."""

    def __init__(self, net: "Net", node_isolation: Isolation) -> None:
        self._net = net
        self.node_isolation = node_isolation
        self.shown: SignedCard | None = None
        self.open: dict[tuple[OnionAddress, Isolation], int] = {}
        self.dialled: list[tuple[OnionAddress, Isolation]] = []
        self.in_vain = 0  # links that were to be dialled while tor was down
        self._waiting: dict[Deferred[None], tuple[OnionAddress, Isolation]] = {}

    async def request(
        self,
        address: OnionAddress,
        message: Any,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """See `bitsnode.peer.client.PeerClient`."""
        await self._connect(address, isolation)
        node = self._net.at(address)
        if node is None or node.silent:
            await self._wait(timeout or 60.0, address, isolation)
            self.open.pop((address, isolation), None)
            raise RequestTimedOut
        await self._wait(node.latency / 2, address, isolation)
        card = self.shown if isolation == self.node_isolation else None
        # the other side does not hear of it when the answer is not waited for any more
        caller = Caller(self.open[address, isolation], card)
        answering = Deferred.fromCoroutine(node.answer(message, caller))
        answered: Deferred[Any] = Deferred()
        answering.addBoth(lambda result: answered.called or answered.callback(result))
        reply = await answered
        await self._wait(node.latency / 2, address, isolation)
        return reply

    async def card(self, address: OnionAddress, isolation: Isolation) -> SignedCard:
        """Return the card of whoever is there."""
        await self._connect(address, isolation)
        node = self._net.at(address)
        if node is None:
            raise ConnectionLost
        return node.card

    def is_open(self, address: OnionAddress, isolation: Isolation) -> bool:
        """Return whether there is a connection."""
        return (address, isolation) in self.open

    def close(self, isolation: Isolation) -> None:
        """Close what an isolation has open."""
        for key in [key for key in self.open if key[1] == isolation]:
            self.lose(*key)

    def lose(self, address: OnionAddress, isolation: Isolation) -> None:
        """Break one connection, and all that waits on it."""
        self.open.pop((address, isolation), None)
        for waiting, key in list(self._waiting.items()):
            if key == (address, isolation) and not waiting.called:
                waiting.errback(ConnectionLost())

    async def _connect(self, address: OnionAddress, isolation: Isolation) -> None:
        if self._net.tor_down:
            self.in_vain += isolation != self.node_isolation
            raise Unreachable(address) from TorUnavailable()
        if (address, isolation) in self.open:
            return
        self.dialled.append((address, isolation))
        node = self._net.at(address)
        if node is None or not node.alive:
            await deferLater(self._net.clock, NOBODY)
            raise Unreachable(address)
        await deferLater(self._net.clock, DIAL)
        if self._net.tor_down:
            raise Unreachable(address) from TorUnavailable()
        self._net.numbers += 1
        self.open[address, isolation] = self._net.numbers

    async def _wait(self, seconds: float, address: OnionAddress, isolation: Isolation) -> None:
        waiting: Deferred[None] = Deferred()
        timer = self._net.clock.callLater(seconds, lambda: waiting.callback(None))
        self._waiting[waiting] = address, isolation
        try:
            await waiting
        finally:
            self._waiting.pop(waiting, None)
            if timer.active():
                timer.cancel()


class Net:
    """Nodes that reach one another in memory."""

    def __init__(self) -> None:
        self.clock = FastClock()
        self.clock.advance(NOW)
        self.nodes: list[Node] = []
        self.tor_down = False
        self.numbers = 0
        self._by_address: dict[OnionAddress, Node] = {}
        self._idle: set[Node] = set()

    def at(self, address: OnionAddress) -> Node | None:
        """Return the node of an address."""
        return self._by_address.get(address)

    def add(self, plan: Plan | None = None, key: OnionKey | None = None) -> Node:
        """Add a node that knows nobody yet and has not begun."""
        key = key or OnionKey.generate()
        card = make_card(key)
        isolation = Isolation.fresh("node")
        dht, peers = TableDht(self, card), NetPeers(self, isolation)
        peers.shown = card
        warm = WarmService(
            self.clock, peers, dht, LOCAL, lambda: peers.shown, isolation, plan or Plan()
        )
        node = Node(self, key, card, dht, peers, warm)
        self.nodes.append(node)
        self._by_address[key.address] = node
        return node

    def grow(self, count: int, plan: Plan | None = None) -> list[Node]:
        """Add nodes, and tell all of all."""
        fresh = [self.add(plan) for _ in range(count)]
        self.introduce()
        return fresh

    def introduce(self) -> None:
        """Tell all nodes of all others."""
        for node in self.nodes:
            node.dht.known = [other.card for other in self.nodes if other is not node]

    def start(self, *nodes: Node) -> None:
        """Let nodes begin."""
        for node in nodes:
            node.warm.start()

    def warmed(self, node: Node, seconds: float = 60.0) -> Node:
        """Start a node and let it open its links."""
        self.start(node)
        self.settle(seconds)
        return node

    def die(self, node: Node) -> None:
        """Take a node away: its connections break."""
        node.alive = False
        for other in self.nodes:
            for key in [key for key in other.peers.open if key[0] == node.key.address]:
                other.peers.lose(*key)

    def lose_tor(self, node: Node) -> None:
        """Kill the tor of all; the connections of one node break."""
        self.tor_down = True
        for key in list(node.peers.open):
            node.peers.lose(*key)

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 600.0) -> T:
        """Do something, letting time pass until it is done."""
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        end = self.clock.seconds() + seconds
        while not results and self.clock.seconds() < end:
            calls = self.clock.calls
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds() if calls else 1))
        assert results, "it took too long"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]  # type: ignore[no-any-return]

    def settle(self, seconds: float) -> None:
        """Let time pass."""

        async def passed() -> None:
            await deferLater(self.clock, seconds)

        self.run(passed(), seconds + 1)

    def stop(self) -> None:
        """Stop all."""
        for node in self.nodes:
            self.run(node.warm.stop())


class Made:
    """What the test files need of this one."""

    now = NOW
    latency = LATENCY
    card = staticmethod(make_card)
    record = staticmethod(make_record)


@pytest.fixture
def make() -> type[Made]:
    """Return makers of cards and records."""
    return Made


@pytest.fixture
def net() -> Iterator[Net]:
    """Return an empty net, stopped afterwards; nothing may be left on its clock."""
    net = Net()
    yield net
    net.stop()
    net.settle(60.0)  # for what waits for an answer that nobody wants any more
    assert not net.clock.getDelayedCalls()

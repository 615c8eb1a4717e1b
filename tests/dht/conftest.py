"""Nodes made of real responders, tables and services, joined in memory on a clock."""

from bisect import insort
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from nacl.signing import SigningKey
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from bitsnode.config import LOCAL
from bitsnode.dht.service import DhtService
from bitsnode.errors import BitsError
from bitsnode.wire.card import HOUR, Capability, NodeCard, SignedCard, solve_puzzle
from bitsnode.wire.exchange import Caller
from bitsnode.wire.record import Record, RecordKind, SignedRecord
from onion.address import OnionAddress
from onion.isolation import Isolation
from onion.keys import OnionKey

T = TypeVar("T")
NOW = 1_800_000_000.0 - 1_800_000_000 % HOUR  # Unix seconds at which every test begins
LATENCY = 0.05  # seconds to ask a node that is there
DIAL_SECONDS = 8.0  # seconds to learn that a node is not there


class Gone(BitsError):
    """Nobody is at this address."""


def make_card(
    key: OnionKey | None = None,
    *,
    sequence: int = 1,
    capabilities: int = Capability.STORAGE,
    expires: float = NOW + 48 * HOUR,
    first: int = 0,
    bits: int = LOCAL.card_bits,
    nonce: bytes | None = None,
    network: str = "local",
) -> SignedCard:
    """Make a card; `first` chooses among several solutions of the puzzle."""
    key = key or OnionKey.generate()
    if nonce is None:
        nonce = solve_puzzle(key.public_key, bits, first, 1 << 20)
    assert nonce is not None
    card = NodeCard(
        version=1,
        network=network,
        onion_key=key.public_key,
        signing_key=bytes(32),
        sealing_key=bytes(32),
        capabilities=capabilities,
        nonce=nonce,
        sequence=sequence,
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
    salt: bytes = b"",
) -> SignedRecord:
    """Make a record signed with a 32-byte seed, in a slot told apart by a number.

    The slot of a feed is its owner's, whatever the number.
    """
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
        salt=salt,
    )
    return SignedRecord.sign(record.solved(bits), seed, owner)


@attrs.define
class Member:
    """A node of the swarm."""

    key: OnionKey
    card: SignedCard
    service: DhtService
    peers: "SwarmPeers"
    isolation: Isolation
    responder: Any
    alive: bool = True
    hangs: bool = False


class SwarmClock(Clock):
    """Twisted's clock sorts all calls for each new one: too slow for a thousand of them."""

    def _sortCalls(self) -> None:
        if self.calls:
            insort(self.calls, self.calls.pop(), key=lambda call: call.getTime())


class SwarmPeers:
    """A peer client that reaches the members of a swarm."""

    def __init__(self, swarm: "Swarm", isolation: Isolation) -> None:
        self._swarm = swarm
        self._node_isolation = isolation
        self.own: SignedCard | None = None

    async def _reach(self, address: OnionAddress, isolation: Isolation) -> Member:
        self._swarm.dials.append((isolation, address))
        member = self._swarm.members.get(address)
        if member is not None and member.hangs:
            await Deferred()
        if member is None or not member.alive:
            await deferLater(self._swarm.clock, DIAL_SECONDS)
            raise Gone
        await deferLater(self._swarm.clock, LATENCY)
        return member

    async def request(
        self,
        address: OnionAddress,
        message: Any,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """Ask a member's responder."""
        member = await self._reach(address, isolation)
        shown = self.own if isolation == self._node_isolation else None
        return await member.responder.handle(message, Caller(1, shown))

    async def card(self, address: OnionAddress, isolation: Isolation) -> SignedCard:
        """Return what a member shows."""
        member = self._swarm.members.get(address)
        if member is None or not member.alive or member.hangs:
            member = await self._reach(address, isolation)
        return member.card

    def close(self, isolation: Isolation) -> None:
        """Nothing stays open here."""


class Swarm:
    """Nodes that reach one another in memory."""

    def __init__(self, folder: Path) -> None:
        self.clock = SwarmClock()
        self.clock.advance(NOW)
        self.folder = folder
        self.members: dict[OnionAddress, Member] = {}
        self.dials: list[tuple[Isolation, OnionAddress]] = []
        self.stopping: list[Member] = []

    def add(
        self,
        key: OnionKey | None = None,
        card: SignedCard | None = None,
        solved: bool = True,
    ) -> Member:
        """Add a node, and start it; its puzzle is not solved yet if `solved` is false."""
        key = key or OnionKey.generate()
        card = card or make_card(key)
        isolation = Isolation.fresh("node")
        peers = SwarmPeers(self, isolation)
        peers.own = card if solved else None
        path = self.folder / f"{key.address.host[:20]}.sqlite"
        service = DhtService(self.clock, peers, LOCAL, lambda: peers.own, path, isolation)
        member = Member(key, card, service, peers, isolation, service.responder)
        self.members[key.address] = member
        self.stopping.append(member)
        service.start()
        return member

    def grow(self, count: int) -> list[Member]:
        """Add nodes that join by the first one, or a given one, and let them settle."""
        fresh = [self.add() for _ in range(count)]
        first = next(iter(self.members))
        for member in fresh:
            if member.key.address != first:
                self.start(member.service.bootstrap([first]))
        return fresh

    def start(self, work: Coroutine[Any, Any, T]) -> "Deferred[T]":
        """Begin something."""
        return Deferred.fromCoroutine(work)

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 600.0) -> T:
        """Do something, letting time pass until it is done."""
        results: list[Any] = []
        self.start(work).addBoth(results.append)
        end = self.clock.seconds() + seconds
        while not results and self.clock.seconds() < end:
            calls = self.clock.calls
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds() if calls else 1))
        assert results, "it took too long"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def settle(self, seconds: float) -> None:
        """Let time pass."""
        self.run(_passed(self.clock, seconds), seconds + 1)

    def stop(self) -> None:
        """Stop all nodes."""
        for member in self.stopping:
            self.run(member.service.stop())


async def _passed(clock: Clock, seconds: float) -> None:
    await deferLater(clock, seconds)


class Fakes:
    """What a test file needs of this one."""

    now = NOW
    card = staticmethod(make_card)
    record = staticmethod(make_record)
    gone = Gone


@pytest.fixture
def make() -> type[Fakes]:
    """Return makers of cards and records."""
    return Fakes


@pytest.fixture
def swarm(tmp_path: Path) -> Any:
    """Return an empty swarm, stopped afterwards."""
    swarm = Swarm(tmp_path)
    yield swarm
    swarm.stop()
    assert not swarm.clock.getDelayedCalls()


@pytest.fixture
def fresh() -> Callable[[], Isolation]:
    """Return a maker of anonymous isolations."""
    return lambda: Isolation.fresh("lookup")

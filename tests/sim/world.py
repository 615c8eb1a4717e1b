"""A world of nodes in virtual time."""

import random
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from bitsnode.dht.service import DhtService
from bitsnode.dht.status import DhtState
from bitsnode.ids import distance
from bitsnode.wire.card import HOUR, Capability, NodeCard, SignedCard, node_id
from onion.address import OnionAddress
from onion.isolation import Isolation
from onion.keys import OnionKey
from tests.sim.clock import VirtualClock
from tests.sim.models import Times
from tests.sim.network import SIM, CircuitPeers, End, Fabric
from tests.sim.shortcuts import MemorySaved

T = TypeVar("T")
BEGIN = 1_800_000_000 // HOUR * HOUR  # Unix seconds
DOORS = 8  # nodes whose addresses newcomers are given
GIVEN = 3  # of them to each


class SimNode:
    """A node: the real service, and what others reach of it."""

    honest = True

    def __init__(self, world: "World", key: OnionKey, nonce: bytes) -> None:
        self.world = world
        self.key = key
        self.address = key.address
        self.card = card_of(key, nonce)
        self.node_id = self.card.card.node_id
        self.isolation = Isolation.fresh("node")
        self.peers = CircuitPeers(world.fabric, self.card, self.isolation)
        self.saved: dict[str, Any] = {}
        self.open()

    def open(self) -> None:
        """Make the service, from what an earlier one saved."""
        self.service = DhtService(
            self.world.clock,  # type: ignore[arg-type]  # zope sees IReactorTime, mypy does not
            self.peers,
            SIM,
            lambda: self.card,
            Path("in memory"),
            self.isolation,
            open_saved=lambda _: MemorySaved(self.saved),
        )
        self.end = End(self.card, self.service.responder)
        self.world.fabric.ends[self.key.public_key] = self.end

    @property
    def alive(self) -> bool:
        """Whether it is there."""
        return self.end.alive

    def start(self, doors: Iterable[OnionAddress]) -> None:
        """Begin, and join by these addresses."""
        self.service.start()
        given = [door for door in doors if door != self.address]
        if given:
            self.world.begin(self.service.bootstrap(given))

    def die(self) -> None:
        """Be gone without a word."""
        self.end.alive = False
        self.world.begin(self.service.stop())


class World:
    """Nodes, and the time they live in.

    Args:
        seed: of all that is drawn.
        wired: of so many circuits one carries bytes; see `Fabric`.
    """

    def __init__(self, seed: int, wired: int = 1) -> None:
        self.draws = random.Random(seed)
        self.clock = VirtualClock(float(BEGIN))
        self.fabric = Fabric(self.clock, Times(random.Random(seed + 1)), wired)
        self.nodes: list[SimNode] = []
        self.added = 0
        self.doors: list[OnionAddress] = []
        self.failures: list[Failure] = []
        self.keys_of: dict[bytes, bytes] = {}  # onion keys, by signed card

    @property
    def living(self) -> list[SimNode]:
        """The honest nodes that are there."""
        return [node for node in self.nodes if node.honest and node.alive]

    @property
    def joined(self) -> list[SimNode]:
        """Those of them that know somebody; the others tell their users that they do not."""
        return [node for node in self.living if node.service.status().state is DhtState.JOINED]

    def add(
        self,
        kind: Callable[["World", OnionKey, bytes], SimNode] = SimNode,
        fits: Callable[[bytes], bool] = lambda _: True,
    ) -> SimNode:
        """Add a node whose id ``fits``; to draw ids until one fits is to grind."""
        while True:
            key, nonce = OnionKey(self.draws.randbytes(32)), self.draws.randbytes(16)
            if fits(node_id(key.public_key, nonce)):
                break
        node = kind(self, key, nonce)
        self.nodes.append(node)
        self.added += 1
        self.keys_of[node.card.data] = key.public_key
        return node

    def join(self, node: SimNode) -> None:
        """Start a node by a few of the doors."""
        node.start(self.draws.sample(self.doors, min(GIVEN, len(self.doors))))

    def grow(self, count: int, seconds: float, kind: Any = SimNode) -> list[SimNode]:
        """Add nodes that join one after another over a time."""
        fresh = []
        for _ in range(count):
            node = self.add(kind)
            fresh.append(node)
            if len(self.doors) < DOORS and node.honest:
                self.doors.append(node.address)
            self.join(node)
            self.pass_time(seconds / count)
        return fresh

    def begin(self, work: Coroutine[Any, Any, T]) -> "Deferred[T | None]":
        """Start something; its failure is kept."""
        return Deferred.fromCoroutine(work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self.failures.append(failure)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run_until(self.clock.seconds() + seconds)

    def run_all(self, work: Iterable[Coroutine[Any, Any, T]], most: float = 3600.0) -> list[T]:
        """Do these side by side and return their results; a failure is raised."""
        results: list[Any] = []
        all_ = DeferredList([Deferred.fromCoroutine(one) for one in work], consumeErrors=True)
        all_.addCallback(results.append)
        self.clock.run_until(self.clock.seconds() + most, lambda: bool(results))
        if not results:
            raise AssertionError("it took too long")
        return [result.raiseException() if not ok else result for ok, result in results[0]]

    def run(self, work: Coroutine[Any, Any, T], most: float = 3600.0) -> T:
        """Do one thing and return its result."""
        return self.run_all([work], most)[0]

    def bury(self) -> None:
        """Forget the nodes that are gone; cards of them are still in the tables of others."""
        for node in self.nodes:
            if not node.alive:
                del self.fabric.ends[node.key.public_key], self.keys_of[node.card.data]
        self.nodes = [node for node in self.nodes if node.alive]

    def nearest(self, point: bytes, count: int) -> list[SimNode]:
        """Return the honest living nodes nearest to a point: what nobody in the world can see."""
        return sorted(self.living, key=lambda node: distance(node.node_id, point))[:count]

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            if node.alive:
                node.die()


def card_of(key: OnionKey, nonce: bytes) -> SignedCard:
    """Return the card of a node with these keys, valid for as long as a simulation runs."""
    card = NodeCard(
        version=1,
        network=SIM.name,
        onion_key=key.public_key,
        signing_key=bytes(32),
        sealing_key=bytes(32),
        capabilities=Capability.STORAGE,
        nonce=nonce,
        sequence=1,
        expires=BEGIN + 72 * HOUR,
    )
    return SignedCard.sign(card, key.sign)

"""Nodes with real stores in the simulated network, which publish and fetch as the program does."""

import shutil
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from bitsnode.codec.keys import storage_index
from bitsnode.codec.link import Link
from bitsnode.content.service import ContentService
from bitsnode.content.testing import run_now
from bitsnode.duties import Duties
from bitsnode.store.intake import Prices
from bitsnode.store.quota import Limits
from bitsnode.store.responder import REQUESTS as STORE_REQUESTS
from bitsnode.store.responder import StoreResponder
from bitsnode.store.store import Store
from bitsnode.wire.exchange import Caller, Responder
from bitsnode.wire.messages import Data, PutData, Request
from onion.address import OnionAddress
from onion.isolation import Isolation
from onion.keys import OnionKey
from tests.sim.network import SIM, CircuitPeers, End, Fabric, Gone
from tests.sim.scenarios import JOIN_SECONDS, SETTLE_SECONDS, WIRED
from tests.sim.world import SimNode, World

CIRCUIT_RATE = 250_000.0  # bytes a second that one circuit carries; assumed
FETCHING = "fetch"  # the purpose of a fetch's isolation


class StoreCircuits(CircuitPeers):
    """Circuits on which a stretch of a share takes its time, one after the other.

    Each circuit is a connection of its own to the one who answers, and one to a node that left
    and came back is a new one.

    Attributes:
        asked: questions of fetches.
    """

    def __init__(self, fabric: Fabric, *others: Any) -> None:
        super().__init__(fabric, *others)
        self._world = fabric
        self._far: dict[tuple[bytes, str], End | None] = {}
        self._free_at: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
        self.asked = 0

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """See `CircuitPeers.request`."""
        if isolation.purpose == FETCHING:
            self.asked += 1
        return await super().request(address, message, isolation, timeout)

    def close(self, isolation: Isolation) -> None:
        """See `CircuitPeers.close`."""
        super().close(isolation)
        for key in [key for key in self._far if key[1] == isolation.key]:
            del self._far[key]

    def _open(self, address: OnionAddress, isolation: Isolation) -> Any:
        key = address.public_key, isolation.key
        if self._far.get(key) is not self._world.ends.get(address.public_key):
            self._circuits.pop(key, None)
        return super()._open(address, isolation)

    async def _dial(self, key: tuple[bytes, str], isolation: Isolation) -> Any:
        circuit = await super()._dial(key, isolation)
        circuit.caller = attrs.evolve(circuit.caller, connection=self._world.dials)
        self._far[key] = self._world.ends.get(key[0])
        return circuit

    async def _carry(self, circuit: Any, end: End, message: Request) -> object:
        if isinstance(message, PutData):
            await self._carried(circuit, end, len(message.data))
        answer = await super()._carry(circuit, end, message)
        if isinstance(answer, Data):
            await self._carried(circuit, end, len(answer.data))
        return answer

    async def _carried(self, circuit: Any, end: End, size: int) -> None:
        """Return when so many bytes are through, behind those that are under way already.

        Raises:
            Gone: the other end left meanwhile.
        """
        clock = self._world.clock
        free_at = max(clock.seconds(), self._free_at.get(circuit, 0.0)) + size / CIRCUIT_RATE
        self._free_at[circuit] = free_at
        await clock.sleep(free_at - clock.seconds())
        if not end.alive:
            raise Gone


class _Both:
    """Answers what the DHT is asked, and what the store is."""

    def __init__(self, dht: Responder, store: Responder) -> None:
        self._dht = dht
        self._store = store

    async def handle(self, request: Request, caller: Caller) -> Any:
        responder = self._store if isinstance(request, STORE_REQUESTS) else self._dht
        return await responder.handle(request, caller)


class _LastingCard:
    """An identity whose card outlives the simulation."""

    def renew(self, now: float) -> None:
        """Do nothing."""


class StoringNode(SimNode):
    """A node with a disk, the program's own duties, and the flows of content.

    Attributes:
        gone: whether it left for good.
        reading: whether it fetches something.
    """

    world: "ContentWorld"

    def __init__(self, world: World, key: OnionKey, nonce: bytes) -> None:
        if not isinstance(world, ContentWorld):
            raise TypeError(world)
        self.home = world.home / key.address.host[:16]
        self.home.mkdir()
        self.gone = False
        self.reading = False
        super().__init__(world, key, nonce)

    def open(self) -> None:
        """Make the services, from what is on the disk."""
        world, clock = self.world, self.world.clock
        self.peers: StoreCircuits = StoreCircuits(world.fabric, self.card, self.isolation)
        super().open()
        own = self.key.public_key
        prices = Prices(own, SIM.share_bits, SIM.record_bits)
        self.store = Store(self.home, prices, Limits(), world.faults.append)
        self.end.responder = _Both(
            self.service.responder, StoreResponder(self.store, clock.seconds, run_now)
        )
        self.content = ContentService(
            clock,  # type: ignore[arg-type]  # zope sees IReactorTime, mypy does not
            run_now,
            self.peers,
            self.service,
            SIM,
            self.home,
            own,
        )
        self._work: set[Deferred[Any]] = set()

    def start(self, doors: Iterable[OnionAddress]) -> None:
        """Begin, join by these addresses, and do what a node does by itself."""
        super().start(doors)
        duties = Duties(
            self.world.clock,  # type: ignore[arg-type]  # as above
            _LastingCard(),  # type: ignore[arg-type]  # all that the duties ask of it
            self.store,
            self.service,
            SIM,
            self.isolation,
            run_now,
        )
        for duty in duties.all():
            self.begin(duty)

    def begin(self, work: Any) -> "Deferred[Any]":
        """Start something that ends when the node leaves; another failure is the world's."""
        task = Deferred.fromCoroutine(work)
        self._work.add(task)

        def ended(result: Any) -> Any:
            self._work.discard(task)
            if isinstance(result, Failure) and result.check(CancelledError):
                return None
            return result

        return task.addBoth(ended).addErrback(self.world.failures.append)

    def die(self) -> None:
        """Be gone without a word; the disk stays as it is."""
        for task in list(self._work):
            task.cancel()
        super().die()
        self.reading = False
        self.store.close()

    def come_back(self) -> None:
        """Be there again, with the same keys and disk, and join."""
        self.isolation = Isolation.fresh("node")
        self.open()
        self.world.join(self)

    def keeps(self, digest: bytes) -> bool:
        """Return whether a share of this content, by its id's digest, is on the disk."""
        filed = storage_index(digest).hex()
        return any(path.name.startswith(filed) for path in self._shares(filed[:2]))

    def _shares(self, first: str) -> list[Path]:
        folder = self.home / "store" / "shares" / first
        return list(folder.iterdir()) if folder.is_dir() else []


@attrs.frozen
class File:
    """A content that was published.

    Attributes:
        link: to read it by.
        sha256: of the plaintext, 32 bytes.
        k: shares that rebuild it.
        n: of the code.
        holders: onion keys of those that took a share.
        since: Unix time in seconds when it was there.
    """

    link: Link
    sha256: bytes
    k: int
    n: int
    holders: tuple[bytes, ...]
    since: float


class ContentWorld(World):
    """A world of nodes with disks.

    Args:
        seed: of all that is drawn.
        home: a folder for their disks, empty.
        wired: see `World`.

    Attributes:
        faults: sentences of stores whose disk failed.
        kept: every node that did not leave for good, by its onion key.
    """

    def __init__(self, seed: int, home: Path, wired: int = WIRED) -> None:
        super().__init__(seed, wired)
        self.home = home
        self.faults: list[str] = []
        self.kept: dict[bytes, StoringNode] = {}

    def add(
        self,
        kind: Any = StoringNode,
        fits: Callable[[bytes], bool] = lambda _: True,
    ) -> SimNode:
        """See `World.add`."""
        node = super().add(kind, fits)
        if isinstance(node, StoringNode):
            self.kept[node.key.public_key] = node
        return node

    def settle(self, nodes: int) -> None:
        """Let so many nodes join one after another, and wait."""
        self.grow(nodes, nodes * JOIN_SECONDS, StoringNode)
        self.pass_time(SETTLE_SECONDS)

    def bury(self) -> None:
        """Forget the nodes that left for good, and their disks."""
        for node in [node for node in self.kept.values() if node.gone]:
            own = node.key.public_key
            del self.fabric.ends[own], self.keys_of[node.card.data], self.kept[own]
            self.nodes.remove(node)
            shutil.rmtree(node.home)

    def shares(self, file: File) -> tuple[int, int]:
        """Return how many shares of a file can be read now, and how many are on disks."""
        nodes = [self.kept[key] for key in file.holders if key in self.kept]
        holding = [n for n in nodes if not n.gone and n.keeps(file.link.content_id.digest)]
        return sum(node.alive for node in holding), len(holding)

    def publish(self, size: int) -> File:
        """Have a node that has joined publish a file of random bytes, by the whole flow."""
        node = self.draws.choice([node for node in self.joined if isinstance(node, StoringNode)])
        path = self.home / f"file-{size}"
        path.write_bytes(self.draws.randbytes(size))
        published = self.run(node.content.publish(path, lambda _event: None))
        path.unlink()
        k, n = map(int, published.code.split("/"))
        holders = tuple(address.public_key for address in published.holders)
        since = self.clock.seconds()
        return File(published.link, published.sha256, k, n, holders, since)

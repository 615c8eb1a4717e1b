"""Nodes with real stores in the simulated network, which publish and fetch as the program does."""

import shutil
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
from bitsnode.store.index import DueRecord
from bitsnode.store.intake import Prices
from bitsnode.store.quota import Limits
from bitsnode.store.responder import REQUESTS as STORE_REQUESTS
from bitsnode.store.responder import StoreResponder
from bitsnode.store.store import Store
from bitsnode.wire.exchange import Caller, Responder
from bitsnode.wire.messages import Request
from onion.address import OnionAddress
from onion.isolation import Isolation
from onion.keys import OnionKey
from tests.sim.content_circuits import StoreCircuits
from tests.sim.network import SIM
from tests.sim.scenarios import JOIN_SECONDS, SETTLE_SECONDS, WIRED
from tests.sim.world import SimNode, World


class _Both:
    """Answers what the DHT is asked, and what the store is."""

    def __init__(self, dht: Responder, store: Responder) -> None:
        self._dht = dht
        self._store = store

    async def handle(self, request: Request, caller: Caller) -> Any:
        responder = self._store if isinstance(request, STORE_REQUESTS) else self._dht
        return await responder.handle(request, caller)


class _CountedStore(Store):
    """A store of which is counted how often a node put its records into the DHT again."""

    def __init__(self, world: "ContentWorld", *others: Any) -> None:
        super().__init__(*others)
        self._world = world

    def mark_republished(self, record: DueRecord, now: float, *, stored: bool = True) -> None:
        """See `Store.mark_republished`."""
        self._world.put_again += stored
        super().mark_republished(record, now, stored=stored)


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
        self.store = _CountedStore(world, self.home, prices, Limits(), world.faults.append)
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
        put_again: records that their holders put into the DHT again.
    """

    def __init__(self, seed: int, home: Path, wired: int = WIRED) -> None:
        super().__init__(seed, wired)
        self.home = home
        self.faults: list[str] = []
        self.kept: dict[bytes, StoringNode] = {}
        self.put_again = 0

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

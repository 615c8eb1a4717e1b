"""Warm links and indexes over the real DHT, peer client and server, on an onion net in memory."""

import secrets
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.config import LOCAL, PEER_PORT
from bitsnode.dht.service import DhtService
from bitsnode.peer.client import PeerClient
from bitsnode.peer.server import PeerServer
from bitsnode.warm.asking import PURPOSE
from bitsnode.warm.finding import Tier
from bitsnode.warm.plan import PLAN
from bitsnode.warm.service import WarmService
from bitsnode.wire.messages import FindNode, FindValue, Ping, PutRecord
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.testing import MemoryOnionNetwork

NODES = 8
STEP = 0.25  # seconds the clock goes on at a time
QUICK = attrs.evolve(PLAN, poll=20.0)


class Node:
    """What `bitsnode/node.py` wires of a node for lookups."""

    def __init__(self, network: MemoryOnionNetwork, folder: Path, make: Any) -> None:
        self.key = OnionKey.generate()
        self.folder = folder / str(self.key.address)[:16]
        self.folder.mkdir()
        card = make.card(self.key)
        isolation = Isolation.fresh("node")
        clock, own = network.clock, lambda: card
        self.client = PeerClient(
            clock, network.dialer(), LOCAL, own, isolation, unhurried=frozenset({PURPOSE})
        )
        path = self.folder / "dht.sqlite"
        self.dht = DhtService(clock, self.client, LOCAL, own, path, isolation)
        self.warm = WarmService(
            clock, self.client, self.dht, LOCAL, own, isolation, QUICK, self.folder / "index.sqlite"
        )
        table = dict.fromkeys((Ping, FindNode, FindValue, PutRecord), self.dht.responder)
        self.server = PeerServer(clock, LOCAL, own, table | dict(self.warm.responders()))
        network.publisher().publish(self.key, PEER_PORT, self.server)
        self.dht.start()
        self.warm.start()

    async def stop(self) -> None:
        """Stop in the order a node does."""
        await self.warm.stop()
        await self.dht.stop()
        await self.client.stop()
        await self.server.stop()


def run(network: MemoryOnionNetwork, work: Coroutine[Any, Any, Any], seconds: float = 120) -> Any:
    """Do something while time passes, and return what came of it."""
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    for _ in range(int(seconds / STEP)):
        network.flush()
        if results:
            break
        network.clock.advance(STEP)
    assert results, "it took too long"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def settle(network: MemoryOnionNetwork, seconds: float) -> None:
    """Let time pass."""
    for _ in range(int(seconds / STEP)):
        network.clock.advance(STEP)
        network.flush()


def test_a_record_put_by_a_walk_is_found_over_links_and_then_at_home(
    tmp_path: Path, make: Any
) -> None:
    """Eight nodes join by one, open links, answer over them, and follow each other's indexes."""
    clock = Clock()
    clock.advance(make.now)
    network = MemoryOnionNetwork(clock)
    nodes = [Node(network, tmp_path, make) for _ in range(NODES)]
    network.flush()
    for node in nodes[1:]:
        run(network, node.dht.bootstrap([nodes[0].key.address]))
    settle(network, 70)
    assert [node.warm.status().links for node in nodes] == [NODES - 1] * NODES

    record = make.record(secrets.token_bytes(32))
    key = record.record.key
    anonymous = Isolation.fresh("put")
    run(network, nodes[2].dht.put_record(record, anonymous))
    found = run(network, nodes[2].warm.find(key, own_index=False))
    assert [signed.data for signed in found.records] == [record.data]
    assert (found.tier, found.seconds) == (Tier.GROUP, 0.0)
    settle(network, 90)
    assert [node.warm.status().records for node in nodes] == [1] * NODES
    assert run(network, nodes[2].warm.find(key)).tier == Tier.INDEX

    network.cut(nodes[0].key.address)
    settle(network, 30)
    assert [node.warm.status().links for node in nodes[1:]] == [NODES - 2] * (NODES - 1)
    for node in nodes:
        run(network, node.stop())

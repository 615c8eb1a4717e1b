"""The DHT over the real peer client and server, on an onion network in memory."""

import secrets

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.config import LOCAL, PEER_PORT
from bitsnode.dht.service import DhtService
from bitsnode.peer.client import PeerClient
from bitsnode.peer.server import PeerServer
from bitsnode.wire.messages import FindNode, FindValue, PutRecord
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.testing import MemoryOnionNetwork

NODES = 10
STEP = 0.25  # seconds the clock goes on at a time


class Node:
    """A node's peer client and server with the DHT behind them."""

    def __init__(self, network, folder, make):
        self.key = OnionKey.generate()
        card = make.card(self.key)
        isolation = Isolation.fresh("node")
        clock = network.clock
        self.client = PeerClient(clock, network.dialer(), LOCAL, lambda: card, isolation)
        path = folder / f"{self.key.address}.sqlite"
        self.dht = DhtService(clock, self.client, LOCAL, lambda: card, path, isolation)
        responders = dict.fromkeys((FindNode, FindValue, PutRecord), self.dht.responder)
        self.server = PeerServer(clock, LOCAL, lambda: card, responders)
        self.published = network.publisher().publish(self.key, PEER_PORT, self.server)
        self.dht.start()

    async def stop(self):
        """Stop in the order a node does."""
        await self.dht.stop()
        await self.client.stop()
        await self.server.stop()


def run(network, work, seconds=120):
    """Do something while time passes, and return what came of it."""
    results = []
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


def settle(network, seconds):
    """Let time pass."""
    for _ in range(int(seconds / STEP)):
        network.clock.advance(STEP)
        network.flush()


def test_ten_nodes_join_store_and_find_over_real_connections(tmp_path, make):
    """Told of one address each, ten nodes find one another, and a record put by one."""
    clock = Clock()
    clock.advance(make.now)
    network = MemoryOnionNetwork(clock)
    nodes = [Node(network, tmp_path, make) for _ in range(NODES)]
    network.flush()
    for node in nodes[1:]:
        run(network, node.dht.bootstrap([nodes[0].key.address]))
    settle(network, 60)
    assert [node.dht.status().contacts for node in nodes] == [NODES - 1] * NODES

    anonymous = Isolation.fresh("put")
    record = make.record(secrets.token_bytes(32))
    assert run(network, nodes[2].dht.put_record(record, anonymous)) == NODES - 1
    network.cut(nodes[0].key.address)
    reader = Isolation.fresh("get")
    found = run(network, nodes[7].dht.get_records(record.record.key, reader))
    assert [signed.data for signed in found] == [record.data]
    storers = run(network, nodes[7].dht.find_storers(30, reader))
    assert len(storers) == NODES - 2
    for node in nodes:
        run(network, node.stop())

"""Nodes that answer 'nothing', old records or not at all, among those that links lead to."""

from typing import Any

import attrs
import pytest

from bitsnode.ids import distance
from bitsnode.warm.finding import Tier
from bitsnode.warm.groups import group_of
from bitsnode.warm.plan import PLAN
from bitsnode.wire.record import RecordKind
from bitsnode.wire.warm_messages import Seek, Sought

SEED = b"s" * 32
ALONE = attrs.evolve(PLAN, neighbours=0)
GROUPS = attrs.evolve(PLAN, neighbours=0, group_nodes=8)  # so that forty nodes have four groups


def nothing(request: Any) -> Any:
    """What a Sybil says that keeps nothing and names nobody."""
    return Sought(()) if isinstance(request, Seek) else None


def spread(net: Any, nodes: list[Any], signed: Any, count: int = 20) -> None:
    """Put a record at the nodes nearest to its key, as a walk does."""
    key = signed.record.key
    for node in sorted(nodes, key=lambda node: distance(node.card.card.node_id, key))[:count]:
        node.dht.records.put(signed, net.clock.seconds())


def test_groups_are_asked_that_the_key_is_of(net: Any, make: Any) -> None:
    """In a net of four groups a question goes to the key's own group only."""
    nodes = net.grow(40, GROUPS)
    reader = net.warmed(nodes[0])
    assert reader.warm.status().groups == 4
    for number in range(1, 9):
        record = make.record(bytes([number]) * 32)
        key = record.record.key
        for node in nodes:
            node.asked.clear()
        mine = [node for node in nodes[1:] if group_of(node.card.card.node_id, 2) == key[0] >> 6]
        for node in mine:
            node.dht.records.put(record, net.clock.seconds())
        found = net.run(reader.warm.find(key, own_index=False))
        if len(mine) >= PLAN.links:
            assert (found.tier, len(found.records)) == (Tier.GROUP, 1)
        asked = [node for node in nodes if node.got(Seek)]
        assert set(map(id, asked)) <= set(map(id, mine))


@pytest.mark.parametrize("kind", ["nothing", "silent"])
def test_a_third_of_the_nodes_hostile(net: Any, make: Any, kind: str) -> None:
    """Nearly all questions are answered without a walk, and none is answered wrongly."""
    nodes = net.grow(30, ALONE)
    for node in nodes[20:]:
        if kind == "nothing":
            node.lies = nothing
    reader = net.warmed(nodes[0])
    for node in nodes[20:]:
        node.silent = kind == "silent"  # from now on, when links to them are open
    tiers, slowest = [], 0.0
    for number in range(1, 41):
        record = make.record(bytes([number]) * 32)
        spread(net, nodes, record)
        found = net.run(reader.warm.find(record.record.key, own_index=False))
        assert [signed.data for signed in found.records] == [record.data]
        tiers.append(found.tier)
        slowest = max(slowest, found.seconds)
        net.settle(1.0)
    assert tiers.count(Tier.WALK) <= 2
    assert slowest <= PLAN.group_most + PLAN.seek_seconds(PLAN.hops) + reader.dht.walk_seconds


def test_old_records_do_not_keep_new_ones_out(net: Any, make: Any) -> None:
    """Nodes that give an old record at once: of those asked, each one's answer is heard."""
    nodes = net.grow(20, ALONE)
    reader = net.warmed(nodes[0])
    old = make.record(SEED, kind=RecordKind.FEED, sequence=1, value=b"old")
    new = make.record(SEED, kind=RecordKind.FEED, sequence=2, value=b"new")
    for node in nodes[1:14]:
        node.kept(new)
    for node in nodes[14:]:
        node.kept(old)
        node.latency = 0.1
    newest = 0
    for _ in range(40):
        found = net.run(reader.warm.find(old.record.key))
        newest += any(signed.data == new.data for signed in found.records)
    assert newest >= 30  # three of nine links are asked, of which some three are hostile


def test_no_links_yet_is_no_reason_to_wait(net: Any, make: Any) -> None:
    """A node that has just begun walks at once."""
    nodes = net.grow(5, ALONE)
    record = make.record(SEED)
    spread(net, nodes[1:], record)
    found = net.run(nodes[0].warm.find(record.record.key))
    assert found.tier == Tier.WALK
    assert found.seconds == nodes[0].dht.walk_seconds


def test_one_link_anywhere_is_enough_to_begin(net: Any, make: Any) -> None:
    """With a link to a single node of another group, that node's links lead to the key's."""
    nodes = net.grow(40, GROUPS)
    record = make.record(SEED)
    key = record.record.key
    # neither is in the key's group: else the question might be handed on to the newcomer itself
    newcomer, elsewhere = [
        node for node in nodes if group_of(node.card.card.node_id, 2) != key[0] >> 6
    ][:2]
    others = [node for node in nodes if node is not newcomer]
    net.start(*others)
    net.settle(40.0)
    spread(net, others, record, 8)
    newcomer.dht.known = [elsewhere.card]
    newcomer.dht.nodes = 40
    newcomer.dht.walk_seconds = 1000.0
    net.start(newcomer)
    net.settle(10.0)
    assert len(newcomer.warm.links()) == 1
    found = net.run(newcomer.warm.find(key, walk=False))
    assert [signed.data for signed in found.records] == [record.data]
    assert found.tier == Tier.HANDED_ON
    assert found.seconds < 2.0

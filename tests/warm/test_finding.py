"""Questions, tier by tier: over open links first, and in bounded time whatever nodes do."""

import secrets
from typing import Any

import attrs
import pytest

from bitsnode.errors import BitsError
from bitsnode.ids import distance
from bitsnode.warm.finding import Tier
from bitsnode.warm.plan import PLAN
from bitsnode.wire.record import RecordKind
from bitsnode.wire.warm_messages import AskIndex, PullRecords, Seek, Sought

SEED = b"s" * 32


def test_a_record_is_found_over_links_that_are_open(net: Any, make: Any) -> None:
    """A question takes one round trip and dials nobody."""
    nodes = net.grow(12)
    reader = net.warmed(nodes[0])
    record = make.record(SEED)
    for node in nodes[1:]:
        node.kept(record)
    dialled = len(reader.peers.dialled)
    found = net.run(reader.warm.find(record.record.key))
    assert [signed.data for signed in found.records] == [record.data]
    assert found.tier == Tier.GROUP
    assert found.seconds <= make.latency + PLAN.grace
    assert len(reader.peers.dialled) == dialled
    assert not reader.dht.walks


def test_links_show_no_card_and_share_no_isolation(net: Any, make: Any) -> None:
    """Nobody who is asked learns which node asks, nor that two of them are asked by the same."""
    nodes = net.grow(12)
    reader = net.warmed(nodes[0])
    net.run(reader.warm.find(secrets.token_bytes(32), walk=False))
    own = (AskIndex, PullRecords)  # duties, which do show a card
    told = [one for node in nodes[1:] for one in node.asked]
    asked = [caller for request, caller in told if not isinstance(request, own)]
    assert asked
    assert all(caller.card is None for caller in asked)
    isolations = [isolation for _, isolation in reader.peers.open]
    links = [one for one in isolations if one != reader.peers.node_isolation]
    assert len(links) == len(set(links)) == PLAN.least


def test_what_the_node_has_itself_needs_no_question(net: Any, make: Any) -> None:
    """Nobody learns of it."""
    nodes = net.grow(12)
    reader = net.warmed(nodes[0])
    record = make.record(SEED)
    reader.kept(record)
    found = net.run(reader.warm.find(record.record.key))
    assert (found.tier, found.seconds) == (Tier.INDEX, 0.0)
    assert not any(node.got(Seek) for node in nodes)


def test_three_links_are_asked(net: Any, make: Any) -> None:
    """No more nodes than that learn of a question that they can answer."""
    nodes = net.grow(20)
    reader = net.warmed(nodes[0])
    record = make.record(SEED)
    for node in nodes[1:]:
        node.kept(record)
    net.run(reader.warm.find(record.record.key))
    assert sum(len(node.got(Seek)) for node in nodes) == PLAN.ask


def test_when_three_are_silent_a_fourth_is_asked(net: Any, make: Any) -> None:
    """Before the question is handed on: one of them is slow more often than all are of no use."""
    nodes = net.grow(5)
    reader = net.warmed(nodes[0])
    record = make.record(SEED)
    *silent, last = nodes[1:]
    last.kept(record)
    for node in silent:
        node.silent = True
    for link in reader.warm.links():
        link.doubts = int(link.card == last.card)  # so that the others are asked first
    found = net.run(reader.warm.find(record.record.key, walk=False))
    assert (found.tier, len(found.records)) == (Tier.GROUP, 1)
    assert found.seconds == pytest.approx(PLAN.hedge + make.latency + PLAN.grace)


def test_silent_nodes_cost_a_bounded_time(net: Any, make: Any) -> None:
    """When all three are silent, one more is asked; and when that is silent, others in turn."""
    nodes = net.grow(12)
    reader = net.warmed(nodes[0])
    for node in nodes[1:]:
        node.silent = True
    record = make.record(SEED)
    key = record.record.key
    found = net.run(reader.warm.find(key, walk=False))
    assert found.records == ()
    assert found.seconds <= PLAN.group_most + PLAN.seek_seconds(PLAN.hops) + 0.01
    # and with a walk, what nobody warm says is found
    nodes[1].silent = False
    nodes[1].kept(record)
    found = net.run(reader.warm.find(key))
    assert len(found.records) == 1


def test_the_walk_is_the_last_resort(net: Any, make: Any) -> None:
    """It is made under the isolation of the asker, who hears why when it fails too."""
    nodes = net.grow(15)
    reader = net.warmed(nodes[0])
    record = make.record(SEED)
    linked = {link.card.data for link in reader.warm.links()}
    stranger = next(node for node in nodes[1:] if node.card.data not in linked)
    stranger.dht.records.put(record, net.clock.seconds())
    for node in nodes:
        node.lies = lambda request: Sought(()) if isinstance(request, Seek) else None
    found = net.run(reader.warm.find(record.record.key))
    assert [signed.data for signed in found.records] == [record.data]
    assert found.tier == Tier.WALK
    reader.dht.fault = BitsError("no way")
    with pytest.raises(BitsError, match="no way"):
        net.run(reader.warm.find(secrets.token_bytes(32)))


def test_a_node_that_has_nothing_hands_the_question_on(net: Any, make: Any) -> None:
    """Where few have a record, most readers get it from nodes that ask a nearer one in turn."""
    nodes = net.grow(40, attrs.evolve(PLAN, neighbours=0))
    net.start(*nodes)
    net.settle(30.0)
    record = make.record(SEED)
    key = record.record.key
    nodes.sort(key=lambda node: distance(node.card.card.node_id, key))
    for node in nodes[:5]:
        node.dht.records.put(record, net.clock.seconds())  # its index would go to all
    tiers = [net.run(node.warm.find(key, walk=False)).tier for node in nodes[5:]]
    assert tiers.count(Tier.WALK) <= len(tiers) // 4  # which is that they found nothing
    assert tiers.count(Tier.HANDED_ON) >= len(tiers) // 4


def test_forged_and_foreign_records_are_no_answer(net: Any, make: Any) -> None:
    """What does not verify, or is of another key, counts as nothing."""
    nodes = net.grow(12)
    reader = net.warmed(nodes[0])
    record, other = make.record(SEED), make.record(b"t" * 32)
    forged = record.data[:-1] + bytes([record.data[-1] ^ 1])
    for node in nodes[1:]:
        node.lies = lambda request: (
            Sought((forged, other.data)) if isinstance(request, Seek) else None
        )
    found = net.run(reader.warm.find(record.record.key, walk=False))
    assert found.records == ()


def test_one_honest_answer_is_heard_beside_empty_ones(net: Any, make: Any) -> None:
    """Nodes that say 'nothing' do not end a question that another is still to answer."""
    nodes = net.grow(4)
    reader = net.warmed(nodes[0])
    record = make.record(SEED)
    slow = nodes[3]
    slow.kept(record)
    slow.latency = 0.6
    found = net.run(reader.warm.find(record.record.key))
    assert (len(found.records), found.tier) == (1, Tier.GROUP)


def test_of_a_feed_the_newest_head_is_waited_for(net: Any, make: Any) -> None:
    """Old heads are signed as well: two that agree on one do not keep a newer one out."""
    nodes = net.grow(4)
    reader = net.warmed(nodes[0])
    old = make.record(SEED, kind=RecordKind.FEED, sequence=1, value=b"old")
    new = make.record(SEED, kind=RecordKind.FEED, sequence=2, value=b"new")
    reader.kept(old)
    for node in nodes[1:3]:
        node.kept(old)
    nodes[3].kept(new)
    nodes[3].latency = 0.8
    found = net.run(reader.warm.find(old.record.key))
    assert {signed.record.value for signed in found.records} == {b"old", b"new"}

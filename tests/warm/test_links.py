"""Ask links: opened within limits, replaced when dead, old or useless, and never in a storm."""

import secrets
from typing import Any

import attrs

from bitsnode.warm.plan import PLAN
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode
from bitsnode.wire.warm_messages import Seek, Sought

SEED = b"s" * 32


def onions(node: Any) -> set[bytes]:
    """The onion keys that a node has links to."""
    return {link.card.card.onion_key for link in node.warm.links()}


def linked(net: Any, reader: Any) -> list[Any]:
    """The nodes that a node has links to."""
    return [node for node in net.nodes if node.key.public_key in onions(reader)]


def test_links_are_opened_a_few_at_a_time(net: Any) -> None:
    """At the start nothing bursts, and in half a minute all are there."""
    nodes = net.grow(20)
    net.start(nodes[0])
    most = 0
    for _ in range(60):
        net.settle(0.5)
        most = max(most, nodes[0].warm.opening)
    assert 0 < most <= PLAN.dials
    assert len(nodes[0].warm.links()) == PLAN.least


def test_a_link_that_breaks_is_replaced_at_once(net: Any) -> None:
    """Its node went: a question finds nine links again after one dial."""
    nodes = net.grow(20)
    reader = net.warmed(nodes[0])
    for node in linked(net, reader)[:2]:
        net.die(node)
    assert len(reader.warm.links()) == PLAN.least - 2
    net.settle(40.0)  # in which some may dial those two in vain
    assert len(reader.warm.links()) == PLAN.least


def test_a_silent_node_is_found_by_pings(net: Any) -> None:
    """Without any question: within one interval of pings and the time for an answer."""
    nodes = net.grow(30)
    reader = net.warmed(nodes[0])
    mute = linked(net, reader)[0]
    mute.silent = True
    net.settle(1.25 * PLAN.ping + PLAN.ping_answer + 10.0)
    assert mute.key.public_key not in onions(reader)
    assert len(reader.warm.links()) == PLAN.least
    # and is left alone for a while, although it takes connections
    net.settle(PLAN.retry[0] / 2)
    assert mute.key.public_key not in onions(reader)


def test_a_question_without_an_answer_pings_sooner(net: Any, make: Any) -> None:
    """Nodes that went silent are found by the first question, not by the clock."""
    nodes = net.grow(30)
    reader = net.warmed(nodes[0])
    for node in nodes[1:]:
        node.silent = True
    asked = linked(net, reader)
    net.run(reader.warm.find(secrets.token_bytes(32), walk=False))
    net.settle(PLAN.ping_answer + 2.0)
    assert len(onions(reader) & {node.key.public_key for node in asked}) <= PLAN.least - PLAN.ask


def test_a_slow_link_is_not_a_dead_one(net: Any, make: Any) -> None:
    """Who answers late keeps its link."""
    nodes = net.grow(10)
    reader = net.warmed(nodes[0])
    record = make.record(SEED)
    for node in nodes[1:]:
        node.kept(record)
        node.latency = 3.0
    nodes[1].latency = nodes[2].latency = 0.1
    for _ in range(5):
        net.run(reader.warm.find(record.record.key))
        net.settle(10.0)
    assert len(reader.warm.links()) == PLAN.least


def test_links_do_not_live_for_ever(net: Any) -> None:
    """After three hours none of the first ones is left: what their nodes learnt ends."""
    nodes = net.grow(25, attrs.evolve(PLAN, neighbours=0))
    reader = net.warmed(nodes[0])
    first = {link.isolation for link in reader.warm.links()}
    net.settle(PLAN.life[0] - 100.0)
    assert {link.isolation for link in reader.warm.links()} == first
    net.settle(PLAN.life[1] - PLAN.life[0] + 100.0)
    last = {link.isolation for link in reader.warm.links()}
    assert len(last) == reader.warm.status().wanted >= PLAN.least
    assert not first & last


def test_nothing_bursts_when_everybody_is_gone(net: Any) -> None:
    """Each dead node is dialled ever more rarely, four times in ten minutes, a few at a time."""
    nodes = net.grow(20)
    reader = net.warmed(nodes[0])
    for node in nodes[1:]:
        net.die(node)
    before = len(reader.peers.dialled)
    net.settle(PLAN.retry[1] - 60.0)
    assert reader.warm.links() == []
    dialled = [isolation.purpose for _, isolation in reader.peers.dialled[before:]]
    assert dialled.count("warm") <= 4 * 19
    assert len(dialled) <= 8 * 19  # the others are neighbours whose lists are followed


def test_a_node_that_restarts_has_its_link_again_in_two_minutes(net: Any) -> None:
    """Where there are few nodes each of them is needed."""
    nodes = net.grow(8)
    reader = net.warmed(nodes[0])
    back = linked(net, reader)[0]
    net.die(back)
    net.settle(30.0)
    back.alive = True
    assert back.key.public_key not in onions(reader)
    net.settle(1.5 * PLAN.retry[0])
    assert back.key.public_key in onions(reader)


def test_tor_down_and_back(net: Any, make: Any) -> None:
    """Nobody is blamed, nothing is dialled in haste, and all links come back."""
    nodes = net.grow(20)
    reader = net.warmed(nodes[0])
    net.lose_tor(reader)
    assert reader.warm.links() == []
    net.settle(120.0)
    assert 0 < reader.peers.in_vain <= 120.0 / PLAN.away + 1
    found = net.run(reader.warm.find(secrets.token_bytes(32), walk=False))
    assert found.records == ()
    assert found.seconds < 1.0
    net.tor_down = False
    net.settle(30.0)
    assert len(reader.warm.links()) == PLAN.least


def test_a_node_that_withholds_loses_its_link(net: Any, make: Any) -> None:
    """Who twice had nothing where others had something gives way; the others stay."""
    nodes = net.grow(20, attrs.evolve(PLAN, neighbours=0))
    reader = net.warmed(nodes[0])
    withholding = linked(net, reader)[0]
    withholding.lies = lambda request: Sought(()) if isinstance(request, Seek) else None
    withholding.latency = 0.1  # so that its answer comes before the others'
    honest = onions(reader) - {withholding.key.public_key}
    for number in range(1, 41):  # it is one of the three that are asked every third time
        record = make.record(bytes([number]) * 32)
        for node in nodes[1:]:
            node.kept(record)
        found = net.run(reader.warm.find(record.record.key))
        assert found.records  # it could not keep the answer from us
    assert withholding.key.public_key not in onions(reader)
    net.settle(20.0)
    assert honest <= onions(reader)


def test_a_node_without_such_links_of_its_own_is_no_use(net: Any, make: Any) -> None:
    """It knows no such question, says so, and gives way."""
    nodes = net.grow(20, attrs.evolve(PLAN, neighbours=0))
    reader = net.warmed(nodes[0])

    def refuse(request: Any) -> Any:
        if isinstance(request, Seek):
            raise Refused(FailureCode.UNKNOWN_REQUEST)
        return None

    old = linked(net, reader)[0]
    old.lies, old.latency = refuse, 0.1
    for number in range(1, 13):
        net.run(reader.warm.find(make.record(bytes([number]) * 32).record.key, walk=False))
    assert old.key.public_key not in onions(reader)
    net.settle(20.0)
    assert len(reader.warm.links()) == PLAN.least


def test_who_knows_no_group_walks_to_it(net: Any) -> None:
    """Nodes of groups that the table has none of are looked for, one walk in a while."""
    nodes = net.grow(30, attrs.evolve(PLAN, group_nodes=8))
    reader = nodes[0]
    reader.dht.known = reader.dht.known[:2]
    reader.dht.walk_seconds = 1.0
    reader.dht.nodes = 30
    net.start(reader)
    net.settle(400.0)
    groups = {link.place for link in reader.warm.links() if link.place.bits == 1}
    assert len(groups) == 2
    assert len(reader.warm.links()) >= 2 * PLAN.links
    walks = [isolation for _, isolation in reader.dht.walks]
    assert set(walks) == {reader.peers.node_isolation}
    assert len(walks) <= 400.0 / (PLAN.walk / 2)

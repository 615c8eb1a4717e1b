"""Questions that others hand to us: bounded, never in a circle, and only good records back."""

from typing import Any

import attrs

from bitsnode.ids import distance
from bitsnode.warm.plan import PLAN
from bitsnode.wire.exchange import Caller
from bitsnode.wire.warm_messages import MAX_HOPS, Seek, Sought

SEED = b"s" * 32
ALONE = attrs.evolve(PLAN, neighbours=0)


def seeks(nodes: list[Any]) -> list[Seek]:
    """All questions of this kind that nodes got."""
    return [request for node in nodes for request in node.got(Seek)]


def warmed(net: Any, count: int) -> list[Any]:
    """Nodes with their links open."""
    nodes = net.grow(count, ALONE)
    net.start(*nodes)
    net.settle(30.0)
    return nodes


def test_one_question_in_is_few_out(net: Any, make: Any) -> None:
    """Whatever the key: at most one a hop, and three at the last."""
    nodes = warmed(net, 20)
    for number in range(20):
        key = make.record(bytes([number + 1]) * 32).record.key
        for node in nodes:
            node.asked.clear()
        net.run(nodes[number].answer(Seek(key, MAX_HOPS), Caller(1)))
        assert len(seeks(nodes)) - 1 <= MAX_HOPS - 1 + PLAN.last


def test_a_question_comes_nearer_and_ends(net: Any, make: Any) -> None:
    """With hops left it goes only to nodes nearer to the key, so never back."""
    nodes = warmed(net, 20)
    key = make.record(SEED).record.key
    nodes.sort(key=lambda node: distance(node.card.card.node_id, key))
    for node in nodes:
        node.asked.clear()
    net.run(nodes[-1].answer(Seek(key, MAX_HOPS), Caller(1)))
    path = sorted(
        (-request.hops, distance(node.card.card.node_id, key))
        for node in nodes
        for request in node.got(Seek)
        if request.hops > 0
    )
    far = [distance_left for _, distance_left in path]
    assert far == sorted(far, reverse=True)
    assert len(far) == len({hops for hops, _ in path})


def test_who_is_nearest_asks_the_ones_behind_it(net: Any, make: Any) -> None:
    """Where no link leads nearer, the question does not end with hops that nobody uses."""
    nodes = warmed(net, 12)
    record = make.record(SEED)
    key = record.record.key
    nodes.sort(key=lambda node: distance(node.card.card.node_id, key))
    nearest, others = nodes[0], nodes[1:]
    for node in others:
        node.kept(record)
    for node in nodes:
        node.asked.clear()
    assert net.run(nearest.answer(Seek(key, MAX_HOPS), Caller(1))) == Sought((record.data,))
    assert {request.hops for request in seeks(others)} == {0}


def test_a_connection_cannot_have_more_handed_on_than_its_share(net: Any, make: Any) -> None:
    """Ten at once; then nothing is handed on for it, and others are served as before."""
    nodes = warmed(net, 12)
    asked, others = nodes[0], nodes[1:]
    for node in nodes:
        node.asked.clear()
    key = make.record(SEED).record.key
    begun = net.clock.seconds()
    for _ in range(40):
        assert net.run(asked.answer(Seek(key, 1), Caller(1))) == Sought(())
    handed_on, seconds = len(seeks(others)), net.clock.seconds() - begun
    questions = PLAN.forward_burst + PLAN.forward_rate * seconds + 1
    assert handed_on <= questions * PLAN.last < 40 * PLAN.last
    net.run(asked.answer(Seek(key, 1), Caller(2)))
    assert len(seeks(others)) == handed_on + PLAN.last


def test_without_hops_nobody_else_is_asked(net: Any, make: Any) -> None:
    """The last one answers from what it has."""
    nodes = warmed(net, 12)
    record = make.record(SEED)
    nodes[0].kept(record)
    for node in nodes:
        node.asked.clear()
    held = net.run(nodes[0].answer(Seek(record.record.key, 0), Caller(1)))
    assert held == Sought((record.data,))
    assert net.run(nodes[1].answer(Seek(record.record.key, 0), Caller(1))) == Sought(())
    assert len(seeks(nodes)) == 2


def test_only_records_of_the_key_that_verify_come_back(net: Any, make: Any) -> None:
    """Whoever hands on passes no rubbish, however much it is told."""
    nodes = warmed(net, 12)
    record, other = make.record(SEED), make.record(b"t" * 32)
    forged = record.data[:-1] + bytes([record.data[-1] ^ 1])
    for node in nodes[1:]:
        node.lies = lambda request: (
            Sought((forged, other.data, b"rubbish")) if isinstance(request, Seek) else None
        )
    assert net.run(nodes[0].answer(Seek(record.record.key, 1), Caller(1))) == Sought(())
    nodes[1].lies = lambda request: (
        Sought((forged, record.data)) if isinstance(request, Seek) else None
    )
    for node in nodes[2:]:
        node.lies = nodes[1].lies
    assert net.run(nodes[0].answer(Seek(record.record.key, 1), Caller(2))) == Sought((record.data,))


def test_silent_nodes_hold_a_question_for_a_bounded_time(net: Any, make: Any) -> None:
    """Who asked is answered before it gives up."""
    nodes = warmed(net, 12)
    for node in nodes[1:]:
        node.silent = True
    begun = net.clock.seconds()
    key = make.record(SEED).record.key
    assert net.run(nodes[0].answer(Seek(key, 3), Caller(1))) == Sought(())
    assert net.clock.seconds() - begun < PLAN.seek_seconds(3)

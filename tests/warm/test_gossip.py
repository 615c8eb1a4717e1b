"""Indexes that follow each other: records spread, and hostile neighbours cost little."""

from typing import Any

import attrs
import pytest

from bitsnode.warm.index import short_id, worth_of
from bitsnode.warm.plan import PLAN
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import FailureCode
from bitsnode.wire.warm_messages import (
    MAX_NUMBER,
    MAX_PAGE,
    AskIndex,
    IndexPage,
    Pulled,
    PullRecords,
)

SEED = b"s" * 32
QUICK = attrs.evolve(PLAN, poll=20.0, least=3)  # links matter little here
EPOCH = b"e" * 8


def entry_of(signed: Any) -> bytes:
    """What an honest index says of a record."""
    worth = worth_of(signed.record.work, len(signed.data))
    return bytes((signed.record.key[0], worth)) + short_id(signed.data)


def follow(net: Any, count: int, plan: Any = QUICK) -> list[Any]:
    """Let nodes begin and get to know their neighbours."""
    nodes = net.grow(count, plan)
    net.start(*nodes)
    net.settle(70.0)
    return nodes


def test_a_record_put_at_one_node_comes_to_all_of_its_group(net: Any, make: Any) -> None:
    """Without anybody asking for it, within a few looks at neighbours."""
    nodes = follow(net, 15)
    record = make.record(SEED)
    nodes[0].kept(record)
    net.settle(4 * QUICK.poll)
    assert sum(node.warm.status().records for node in nodes) >= 14


def test_a_newcomer_reads_what_was_there_before(net: Any, make: Any) -> None:
    """From the beginning, and what it has it does not pull again."""
    nodes = follow(net, 7)
    records = [make.record(bytes([number]) * 32) for number in range(1, 40)]
    for signed in records:
        nodes[0].kept(signed)
    newcomer = net.add(QUICK)
    newcomer.kept(records[0])
    net.introduce()
    net.start(newcomer)
    net.settle(150.0)
    assert newcomer.warm.status().records == len(records)
    pulled = [short for node in nodes for request in node.got(PullRecords) for short in request.ids]
    assert pulled.count(short_id(records[1].data)) >= 1


def test_neighbours_show_their_cards_and_others_learn_nothing(net: Any, make: Any) -> None:
    """Who wants to list a group needs an identity in it."""
    nodes = net.grow(3, QUICK)
    nodes[0].kept(make.record(SEED))
    for request in (AskIndex(EPOCH, 0), PullRecords((b"12345678",))):
        with pytest.raises(Refused) as refused:
            net.run(nodes[0].answer(request, Caller(1, None)))
        assert refused.value.code == FailureCode.REFUSED
    page = net.run(nodes[0].answer(AskIndex(EPOCH, 0), Caller(1, nodes[1].card)))
    assert len(page.entries) == 1


class Hostile:
    """A neighbour whose index is made up."""

    def __init__(self, records: list[Any], deliver: Any) -> None:
        self.entries = [entry_of(signed) for signed in records]
        self.deliver = deliver
        self.pages = 0
        self.pulls = 0

    def __call__(self, request: Any) -> Any:
        """See `Node.lies`."""
        if isinstance(request, AskIndex):
            self.pages += 1
            if request.after == MAX_NUMBER or request.epoch != EPOCH:
                return IndexPage(EPOCH, (), len(self.entries), False)
            page = tuple(self.entries[request.after : request.after + MAX_PAGE])
            last = request.after + len(page)
            return IndexPage(EPOCH, page, last, last < len(self.entries))
        if isinstance(request, PullRecords):
            self.pulls += 1
            return Pulled(tuple(self.deliver(request.ids)))
        return None


def test_who_restarts_is_followed_on(net: Any, make: Any) -> None:
    """Numbers of another epoch begin anew, and what comes after that still arrives."""
    node, other = follow(net, 2)
    records = [make.record(SEED), make.record(b"t" * 32)]
    known = {short_id(signed.data): signed.data for signed in records}
    other.lies = restarted = Hostile(records[:1], lambda ids: [known[short] for short in ids])
    net.settle(3 * QUICK.poll)
    restarted.entries.append(entry_of(records[1]))
    net.settle(3 * QUICK.poll)
    assert node.warm.status().records == 2


def beside(net: Any, hostile: Any) -> Any:
    """Return a node whose one neighbour is hostile, after it dealt with it for an hour."""
    node, other = net.grow(2, QUICK)
    other.lies = hostile
    net.start(node)
    net.settle(3600.0)
    return node


def test_a_forged_record_ends_it(net: Any, make: Any) -> None:
    """The first record that does not verify: the neighbour is not asked again for hours."""
    record = make.record(SEED)
    forged = record.data[:-1] + bytes([record.data[-1] ^ 1])
    hostile = Hostile([attrs.evolve(record, data=forged)], lambda _ids: [forged])
    node = beside(net, hostile)
    assert node.warm.status().records == 0
    assert hostile.pulls == 1
    assert node.warm.status().neighbours == 0


def test_a_record_that_was_not_asked_for_ends_it(net: Any, make: Any) -> None:
    """Nobody pushes records on us: each is one that we chose."""
    named, other = make.record(SEED), make.record(b"t" * 32)
    hostile = Hostile([named], lambda _ids: [other.data])
    node = beside(net, hostile)
    assert (node.warm.status().records, hostile.pulls) == (0, 1)


def test_a_worth_that_is_not_true_ends_it(net: Any, make: Any) -> None:
    """Work is claimed before it is pulled, and looked at after."""
    record = make.record(SEED, bits=4)
    hostile = Hostile([record], lambda _ids: [record.data])
    hostile.entries = [entry_of(record)[:1] + b"\xff" + short_id(record.data)]
    node = beside(net, hostile)
    assert (node.warm.status().records, hostile.pulls) == (0, 1)


def test_a_record_with_too_little_work_is_not_taken(net: Any, make: Any) -> None:
    """Its puzzle is looked at before anything else of it."""
    record = make.record(SEED, bits=0)
    while record.record.work >= 4:
        record = make.record(SEED, bits=0, value=record.data[:8])
    hostile = Hostile([record], lambda _ids: [record.data])
    node = beside(net, hostile)
    assert (node.warm.status().records, hostile.pulls) == (0, 1)


def test_endless_names_of_nothing_cost_a_few_questions(net: Any) -> None:
    """A neighbour that names what it does not have is dropped after some of them."""
    hostile = Hostile([], lambda _ids: [])
    hostile.entries = [bytes((7, 200)) + number.to_bytes(8, "big") for number in range(6_000)]
    node = beside(net, hostile)
    assert 0 < hostile.pulls <= PLAN.strikes
    assert hostile.pages <= 20
    assert node.warm.status().neighbours == 0


def test_numbers_that_do_not_go_on_end_it(net: Any, make: Any) -> None:
    """A page that leads to itself would be read for ever."""
    record = make.record(SEED)
    asked = []

    def lie(request: Any) -> Any:
        if isinstance(request, AskIndex):
            asked.append(request)
            return IndexPage(EPOCH, (entry_of(record),) * MAX_PAGE, 0, True)
        return None

    node = beside(net, lie)
    assert len(asked) <= 3
    assert node.warm.status().neighbours == 0


def test_a_flood_of_true_records_stays_within_its_budget(net: Any, make: Any) -> None:
    """A neighbour with endless records of its own gets its share of the line and no more."""
    plan = attrs.evolve(QUICK, index_burst=400_000.0, index_rate=600.0, small=0)
    node, other = net.grow(2, plan)
    net.start(node)
    net.settle(100.0)
    for number in range(1, 401):
        signed = make.record(number.to_bytes(32, "big"), value=bytes(700), bits=4)
        other.warm.took(signed, net.clock.seconds())
    net.settle(600.0)
    share = (plan.index_burst + 700.0 * plan.index_rate) / plan.neighbours
    one_answer = 64 * 1000  # which may begin when there is just a little left
    assert 0 < node.warm.status().bytes <= share + one_answer


def test_what_neighbours_pull_from_us_is_bounded_too(net: Any, make: Any) -> None:
    """Who asks for too much is told to come later."""
    plan = attrs.evolve(QUICK, serve_rate=100.0, serve_burst=5_000.0)
    node, other = net.grow(2, plan)
    signed = make.record(SEED, value=bytes(4_000), bits=4)
    node.kept(signed)
    ask = PullRecords((short_id(signed.data),))
    codes = []
    for _ in range(5):
        try:
            net.run(node.answer(ask, Caller(1, other.card)))
        except Refused as refused:
            codes.append(refused.code)
    assert codes
    assert set(codes) == {FailureCode.BUSY}

"""Records are given to nodes that come to live near their keys."""

import secrets

from twisted.internet.defer import Deferred

from bitsnode.dht.handover import AGAIN_SECONDS, HANDERS, SETTLED, Handover
from bitsnode.dht.records import RecordTable
from bitsnode.dht.routing import RoutingTable
from bitsnode.ids import distance
from bitsnode.wire.card import HOUR
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode

K = 20


def done(work):
    """Do what waits for nobody."""
    results = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    assert results == [None]


def leave(swarm, member):
    """Have a node go without a word."""
    member.alive = False
    swarm.run(member.service.stop())
    swarm.stopping.remove(member)


def test_a_record_outlives_every_node_that_first_kept_it(swarm, make, fresh):
    """Nobody puts it again: whoever kept it gave it to those who came."""
    door, *first = swarm.grow(31)
    swarm.settle(300)
    record = make.record(secrets.token_bytes(32))
    assert swarm.run(first[0].service.put_record(record, fresh())) == K
    for start in range(0, 30, 6):
        swarm.grow(6)
        swarm.settle(600)
        for member in first[start : start + 6]:
            leave(swarm, member)
    leave(swarm, door)
    reader = swarm.stopping[-1]
    found = swarm.run(reader.service.get_records(record.record.key, fresh()))
    assert [signed.data for signed in found] == [record.data]


class Given:
    """Someone who keeps a record, and whom they know; what they hand on."""

    def __init__(self, make, cards, own, record):
        self.seconds = make.now
        self.table = RoutingTable(own.card.node_id, own.card.onion_key)
        self.records = RecordTable(own.card.node_id)
        self.records.put(record, make.now)
        self.put = []
        self.refuse = False
        self.handover = Handover(self.table, self.records, self.keep, lambda: self.seconds)
        for card in cards:
            if card is not own:
                self.table.answered(card, make.now)
        self.table.on_came = self.handover.came

    async def keep(self, card, record):
        """Ask a node to keep a record."""
        self.put.append((card, record))
        if self.refuse:
            raise Refused(FailureCode.FULL)

    def come(self, card):
        """Have a node come, and be given what is its due after a while."""
        self.table.answered(card, self.seconds)
        self.seconds += SETTLED[1]
        done(self.handover.give())


def test_the_three_nearest_give_to_one_of_the_k_nearest(make):
    """To others there is nothing to give, and from others nothing is needed."""
    record = make.record(secrets.token_bytes(32))
    cards = [make.card() for _ in range(K + 3)]
    cards.sort(key=lambda card: distance(card.card.node_id, record.record.key))
    outside, newcomer = cards.pop(K + 1), cards.pop(K - 1)
    for place, own in enumerate(cards):
        given = Given(make, cards, own, record)
        given.come(newcomer)
        given.come(outside)
        wanted = [newcomer] if place < HANDERS else []
        assert [card for card, _ in given.put] == wanted, place


def test_a_node_is_given_to_once_and_only_while_it_is_there(make):
    """Who comes and goes is not served each time; who is dead when its turn comes is left."""
    own, record = make.card(), make.record(secrets.token_bytes(32))
    newcomer = make.card()
    given = Given(make, [], own, record)
    for _ in range(2):
        given.come(newcomer)
        for _ in range(3):
            given.table.failed(newcomer.card.onion_key, given.seconds)
    assert len(given.put) == 1
    given.seconds += AGAIN_SECONDS
    given.come(newcomer)
    assert len(given.put) == 2
    other = make.card()
    given.table.answered(other, given.seconds)
    for _ in range(3):
        given.table.failed(other.card.onion_key, given.seconds)
    given.seconds += HOUR
    done(given.handover.give())
    assert len(given.put) == 2


def test_a_refusal_ends_nothing(make):
    """A newcomer may have a newer one of one slot, and lack the others."""
    seed = secrets.token_bytes(32)
    given = Given(make, [], make.card(), make.record(seed, slot=1))
    given.records.put(make.record(seed, slot=2), make.now)
    given.refuse = True
    given.come(make.card())
    assert len(given.put) == 2

"""Somebody surrounds a key or a node: what still works, and what is noticed."""

import secrets
import sqlite3

import pytest

from bitsnode.dht.alarms import Alarm, Alarms
from bitsnode.dht.anchors import MAX_ANCHORS, Anchor, anchored
from bitsnode.dht.density import ALARM, DOUBT, LEAST_SAMPLES, Density, at_least
from bitsnode.dht.paths import PATH_ALPHA, PATHS, Paths
from bitsnode.dht.region import MAX_WALKS, Region
from bitsnode.dht.routing import Contact
from bitsnode.ids import distance
from bitsnode.wire.messages import Contacts, Done, FindNode, K, Records
from bitsnode.wire.record import RecordKind

NODES = 1000


class Hostile:
    """Names only its own kind and keeps nothing."""

    def __init__(self, cards):
        self.cards = cards

    async def handle(self, request, caller):
        """Answer with the nearest of its kind."""
        if isinstance(request, FindNode):
            return Contacts(self._nearest(request.target))
        if hasattr(request, "key"):
            return Records((), self._nearest(request.key))
        return Done()

    def _nearest(self, target):
        ordered = sorted(self.cards, key=lambda card: distance(card.card.node_id, target))
        return tuple(card.data for card in ordered[:K])


def ids(count):
    """Return random node ids."""
    return [secrets.token_bytes(32) for _ in range(count)]


def near(point, everybody):
    """Return the k nearest to a point."""
    return sorted(everybody, key=lambda one: distance(one, point))[:K]


def estimate(everybody):
    """Return what a node learns from walks to a few far points."""
    density = Density()
    for _ in range(9):
        point = secrets.token_bytes(32)
        density.add(point, near(point, everybody))
    return density


def test_the_number_of_nodes_is_estimated():
    """Within a third, from nine walks; one that somebody surrounded does not move it."""
    density = estimate(ids(NODES))
    assert 0.66 * NODES < density.nodes < 1.5 * NODES
    point = secrets.token_bytes(32)
    density.add(point, [point[:4] + one[4:] for one in ids(K)])
    assert 0.66 * NODES < density.nodes < 1.5 * NODES


def test_the_chance_of_a_crowd_is_that_of_poisson():
    """Against values of scipy.stats.poisson.sf(k - 1, mean)."""
    assert at_least(1, 1.0) == pytest.approx(0.6321205588285577)
    assert at_least(5, 1.0) == pytest.approx(0.003659846827343713)
    assert at_least(20, 1.0) == pytest.approx(1.5868e-19, rel=1e-3)
    assert at_least(20, 40.0) == pytest.approx(0.9998, abs=1e-3)
    assert at_least(5, 0.0) == 0.0


def test_d1_a_ring_of_identities_around_a_key_is_noticed_and_an_honest_one_is_not():
    """The density test flags 20 ids nearer than the nearest honest one, and no honest key."""
    everybody = ids(NODES)
    density = estimate(everybody)
    honest = [secrets.token_bytes(32) for _ in range(100)]
    doubted = sum(density.chance(key, near(key, everybody)) < DOUBT for key in honest)
    assert doubted <= 5
    key = secrets.token_bytes(32)
    ground = [key[:2] + one[2:] for one in ids(200)]
    chance = density.chance(key, near(key, everybody + ground))
    assert chance < ALARM
    alarms = Alarms()
    alarms.judged(chance, 0.0)
    assert alarms.now(1.0) == (Alarm.SURROUNDED,)
    assert alarms.now(90_000.0) == ()


def test_few_walks_are_believed_less_than_many():
    """A neighbourhood as dense as one in two thousand is doubted after many walks, not after 3."""
    density, mean = Density(), 1 << 256
    for number in range(32):
        density.add(bytes(32), [((K - 1) * mean // NODES).to_bytes(32, "big")] * K)
        if number == LEAST_SAMPLES - 1:
            assert density.chance(bytes(32), dense(NODES)) >= DOUBT
    assert density.nodes == pytest.approx(NODES)
    assert density.chance(bytes(32), dense(NODES)) < DOUBT


def dense(nodes):
    """Return ids of which the 20th is as near to zero as chance makes it seldom: mean 8."""
    far = [(1 << 256) * 8 * rank // (K * nodes) for rank in range(1, K + 1)]
    return [one.to_bytes(32, "big") for one in far]


def test_a_network_that_grew_is_counted_anew():
    """Fresh walks that all show more nodes count alone; others are joined to the rest."""
    density = estimate(ids(100))
    everybody = ids(NODES)
    points = ids(LEAST_SAMPLES)
    density.recount([(point, near(point, everybody)) for point in points])
    assert density.nodes > NODES / 2
    density = estimate(ids(100))
    crowd = (
        [points[0][:4] + one[4:] for one in everybody],
        [points[1][:4] + one[4:] for one in everybody],
    )
    # the third as in a network of 80, and not by chance
    third = int.from_bytes(points[2], "big")
    even = [(third ^ number * (1 << 256) // 80).to_bytes(32, "big") for number in range(1, K + 1)]
    density.recount([(points[0], crowd[0]), (points[1], crowd[1]), (points[2], even)])
    assert density.nodes < 200


@pytest.mark.parametrize("shared", [1, 2])
def test_d1_the_honest_ones_behind_a_crowd_are_found(shared):
    """Halving the region shows most of the k honest ones although every node names the crowd."""
    everybody = ids(NODES)
    key = secrets.token_bytes(32)
    ground = [key[:shared] + one[shared:] for one in ids(200)]
    density = estimate(everybody)
    region = Region(key, density.region_bits(), density.nodes)
    found = set(near(key, everybody + ground))
    rounds, walks = 0, 0
    parts = region.begin(found)
    while parts:
        rounds += 1
        cut = []
        for part in parts:
            if (point := region.point(part, secrets.token_bytes(32))) is not None:
                nearest = near(point, everybody + ground)
                found.update(nearest)
                cut += region.found(part, nearest)
                walks += 1
        parts = cut
    keepers = near(key, everybody)
    assert walks <= MAX_WALKS
    assert rounds <= 4
    assert len(found.intersection(keepers)) >= K // 2
    assert all(region.holds(one) for one in ground)


def test_d1_a_path_that_is_led_astray_leaves_the_others_alone(make):
    """One liar's replies reach one path; the others end among honest nodes."""
    target = bytes(32)
    honest = [make.card(bits=0) for _ in range(60)]
    honest.sort(key=lambda card: distance(card.card.node_id, target))
    fakes = [make.card(bits=0) for _ in range(200)]
    fakes.sort(key=lambda card: distance(card.card.node_id, target))
    walk = Paths(target, honest[20:])
    liar = honest[20]
    waiting, asked = walk.begin(), []
    while waiting:
        card = waiting.pop(0)
        asked.append(card.card.onion_key)
        lie = card is liar or card in fakes
        waiting += walk.got_reply(card.card.onion_key, fakes[:K] if lie else honest[:K])
    assert walk.done
    assert len(asked) == len(set(asked))
    answered = {card.card.onion_key for card in walk.answered}
    assert {card.card.onion_key for card in honest[:K]} <= answered
    lied_to = {card.card.onion_key for card in fakes[:K]}
    assert len(lied_to & answered) <= 2 * K // PATHS + K


def test_a_walk_that_was_said_to_be_over_asks_nobody_else(make):
    """Whatever comes in later."""
    cards = [make.card(bits=0) for _ in range(60)]
    walk = Paths(bytes(32), cards[:30])
    asked = walk.begin()
    assert not walk.done
    walk.end()
    assert walk.done
    assert walk.got_reply(asked[0].card.onion_key, cards[30:]) == []
    assert walk.got_failure(asked[1].card.onion_key) == []
    assert walk.knows(cards[30].card.onion_key)


def test_d3_the_longest_known_are_the_anchors(make):
    """They outlive the table and silence, up to a limit; a flood of newcomers replaces none."""
    old = [Contact(make.card(bits=0), seen=900.0, tried=900.0, since=n) for n in range(10)]
    before = anchored((), old, 1000.0)
    flood = [Contact(make.card(bits=0), seen=1000.0, tried=1000.0, since=999.0) for _ in range(100)]
    after = anchored(before, flood, 1000.0)
    assert len(after) == MAX_ANCHORS
    assert after[:10] == before
    assert before[0] == Anchor(old[0].card.card.onion_key, 0.0, 900.0)
    assert anchored(before, (), 900.0 + 91 * 86400) == ()


def test_d3_a_node_that_comes_back_among_hostile_ones_returns_by_its_anchors(swarm, make, fresh):
    """Its contacts are lost, all it is given and told of is hostile; it still finds the record."""
    honest = swarm.grow(24)
    swarm.settle(120)
    victim = honest[-1]
    swarm.settle(2 * 3600)
    swarm.run(victim.service.stop())
    swarm.stopping.remove(victim)
    with sqlite3.connect(swarm.folder / f"{victim.key.address.host[:20]}.sqlite") as file:
        file.execute("DELETE FROM contacts")
    file.close()
    record = make.record(secrets.token_bytes(32))
    swarm.run(honest[1].service.put_record(record, fresh()))

    cards = []
    sybils = [swarm.add() for _ in range(27)]
    for sybil in sybils:
        swarm.run(sybil.service.stop())
        swarm.stopping.remove(sybil)
        cards.append(sybil.card)
    for sybil in sybils:
        sybil.responder = Hostile(cards)
    back = swarm.add(victim.key, victim.card)
    swarm.run(back.service.bootstrap([sybil.key.address for sybil in sybils[:9]]))
    for sybil in sybils:
        back.service.responder._on_card(sybil.card)
    swarm.settle(30)  # before one of the others comes to look for it
    found = swarm.run(back.service.get_records(record.record.key, fresh()))
    assert record.data in [signed.data for signed in found]


def test_d3_a_node_whose_anchors_nobody_names_raises_the_alarm(swarm, make):
    """All but its anchors are another's: these answer, and the others do not know them."""
    honest = swarm.grow(6)
    swarm.settle(120)
    victim = honest[-1]
    anchors = {member.key.public_key for member in honest}
    sybils = [swarm.add() for _ in range(40)]
    for sybil in sybils:
        swarm.run(sybil.service.stop())
        swarm.stopping.remove(sybil)
    cards = [sybil.card for sybil in sybils]
    for sybil in sybils:
        sybil.responder = Hostile(cards)
    swarm.settle(4 * 3600)
    assert victim.service.status().alarms == ()
    for sybil in sybils:
        victim.service.responder._on_card(sybil.card)
    swarm.settle(2 * 3600)
    kept = {anchor.onion_key for anchor in victim.service._watch.anchors}
    assert anchors - {victim.key.public_key} <= kept
    assert Alarm.STRANGERS in victim.service.status().alarms


def test_d3_one_who_names_an_anchor_is_enough(swarm):
    """A look at an honest network ends with the first answer that names one; few are asked."""
    watcher = swarm.grow(6)[-1]
    swarm.settle(2 * 3600)
    swarm.grow(20)
    swarm.settle(600)
    before = len(swarm.dials)
    swarm.run(watcher.service._watch.look())
    asked = [
        address for isolation, address in swarm.dials[before:] if isolation == watcher.isolation
    ]
    assert 0 < len(asked) <= 2 * PATHS * PATH_ALPHA
    assert watcher.service.status().alarms == ()


def test_d3_a_network_that_shrank_over_night_raises_the_alarm(swarm, make):
    """A node that knew a thousand others and now sees five says that this is another network."""
    members = swarm.grow(6)
    swarm.settle(120)
    away = members[-1]
    away.service._watch._nodes = float(NODES)
    swarm.run(away.service.stop())
    swarm.stopping.remove(away)
    back = swarm.add(away.key, away.card)
    swarm.settle(2 * 3600)
    assert Alarm.SHRUNK in back.service.status().alarms
    assert all(Alarm.SHRUNK not in member.service.status().alarms for member in members[:-1])


def test_d5_a_reader_learns_of_two_heads_that_two_storers_keep(swarm, make, fresh):
    """Each storer saw one of them; who asks both holds the proof, and knows what comes next."""
    members = swarm.grow(6)
    swarm.settle(60)
    seed = secrets.token_bytes(32)
    one, other = (
        make.record(seed, kind=RecordKind.FEED, sequence=7, value=value, salt=b"shop")
        for value in (b"one", b"other")
    )
    half = len(members) // 2
    for member in members[:half]:
        member.service._records.put(one, make.now)
    for member in members[half:]:
        member.service._records.put(other, make.now)
    feed = swarm.run(members[0].service.get_feed(one.record.public_key, b"shop", fresh()))
    assert feed.equivocation is not None
    assert {feed.equivocation.one.data, feed.equivocation.other.data} == {one.data, other.data}
    assert feed.next_sequence == 8
    nobody = swarm.run(members[0].service.get_feed(one.record.public_key, b"else", fresh()))
    assert (nobody.head, nobody.equivocation, nobody.next_sequence) == (None, None, 1)


def test_d5_one_head_that_all_keep_is_no_fault(swarm, make, fresh):
    """An owner that replaced its head, or prolonged it, is not flagged."""
    members = swarm.grow(6)
    swarm.settle(60)
    seed = secrets.token_bytes(32)
    for sequence, value in ((1, b"first"), (2, b"second")):
        head = make.record(seed, kind=RecordKind.FEED, sequence=sequence, value=value)
        members[sequence].service._records.put(head, make.now)
        swarm.run(members[0].service.put_record(head, fresh()))
    feed = swarm.run(members[3].service.get_feed(head.record.public_key, b"", fresh()))
    assert feed.equivocation is None
    assert feed.head == head
    assert feed.seen >= 5

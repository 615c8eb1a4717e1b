"""Many real nodes in memory: joining, finding, keeping, forgetting."""

import secrets

import pytest

from bitsnode.dht.service import NoPeers
from bitsnode.dht.status import DhtState
from bitsnode.ids import distance
from bitsnode.wire.card import HOUR, Capability
from bitsnode.wire.record import RecordKind
from onion.keys import OnionKey

K = 20


def nearest_of(members, target, count=K):
    """Return the onion keys of the members truly nearest to a point."""
    ordered = sorted(members, key=lambda m: distance(m.card.card.node_id, target))
    return [member.key.public_key for member in ordered[:count]]


def keys_of(cards):
    """Return the onion keys of cards."""
    return [card.card.onion_key for card in cards]


def test_a_small_network_knows_itself_within_a_minute(swarm):
    """Eight nodes that are told of one address know all the others soon."""
    members = swarm.grow(8)
    swarm.settle(60)
    assert [len(m.service.contacts()) for m in members] == [7] * 8
    assert all(m.service.status().state is DhtState.JOINED for m in members)


def test_lookups_find_the_nearest_nodes(swarm, fresh):
    """In a network of 80 a lookup from anywhere returns the true k nearest."""
    members = swarm.grow(80)
    swarm.settle(120)
    for member in members[::20]:
        target = secrets.token_bytes(32)
        others = [other for other in members if other is not member]
        found = swarm.run(member.service.find_node(target, fresh()))
        assert keys_of(found) == nearest_of(others, target)


def test_lookups_get_past_dead_contacts(swarm, fresh):
    """With a fifth of the nodes gone without a word, lookups still find k of the nearest.

    Replies name dead nodes too until they are noticed, so the farthest of the k may be missed
    at first; an while later nobody names them any more.
    """
    members = swarm.grow(60)
    swarm.settle(120)
    for member in members[::5]:
        member.alive = False
    alive = [member for member in members if member.alive]
    searcher, others, target = alive[0], alive[1:], secrets.token_bytes(32)
    found = keys_of(swarm.run(searcher.service.find_node(target, fresh())))
    assert len(found) == K
    assert found[:10] == nearest_of(others, target)[:10]
    assert len(set(found) & set(nearest_of(others, target))) >= K - 3


def test_dead_contacts_are_noticed_and_named_no_more(swarm):
    """Hours after two of eight nodes left, nobody hands them out or counts on them."""
    members = swarm.grow(8)
    swarm.settle(60)
    for member in members[:2]:
        member.alive = False
        swarm.run(member.service.stop())
        swarm.stopping.remove(member)
    swarm.settle(3 * HOUR)
    assert [member.service.status().contacts for member in members[2:]] == [5] * 6


def test_records_are_found_by_others_and_expire(swarm, make, fresh):
    """What one node puts, another gets from the nearest nodes, until it expires."""
    members = swarm.grow(30)
    swarm.settle(60)
    seed = secrets.token_bytes(32)
    records = [
        make.record(seed, kind=RecordKind.PLACEMENT, expires=make.now + 2 * HOUR),
        make.record(seed, slot=1, expires=make.now + 2 * HOUR),
        make.record(seed, slot=2, expires=make.now + 2 * HOUR),
    ]
    for record in records:
        assert swarm.run(members[3].service.put_record(record, fresh())) == K
    key = records[0].record.key
    found = swarm.run(members[20].service.get_records(key, fresh()))
    assert {s.data for s in found} == {s.data for s in records}
    swarm.settle(2 * HOUR)
    assert swarm.run(members[20].service.get_records(key, fresh())) == []
    assert all(member.service.status().records == 0 for member in members)


def test_more_records_are_found_than_one_reply_holds(swarm, make, fresh):
    """Storers hand out different samples, and the lookup joins them."""
    members = swarm.grow(12)
    swarm.settle(60)
    seed = secrets.token_bytes(32)
    records = [make.record(seed, slot=slot) for slot in range(30)]
    for record in records:
        swarm.run(members[0].service.put_record(record, fresh()))
    found = swarm.run(members[5].service.get_records(records[0].record.key, fresh()))
    assert len(found) > 24


def test_records_survive_churn_when_holders_put_them_again(swarm, make, fresh):
    """Half the nodes leave and others come, while a holder puts its record again as its duty."""
    members = swarm.grow(30)
    swarm.settle(60)
    holder = members[1]
    record = make.record(secrets.token_bytes(32))
    swarm.run(holder.service.put_record(record, holder.isolation))
    for round_ in range(2):
        for member in members[2 + round_ * 8 : 10 + round_ * 8]:
            member.alive = False
            swarm.run(member.service.stop())
            swarm.stopping.remove(member)
        newcomers = swarm.grow(8)
        swarm.settle(1800)
        swarm.run(holder.service.put_record(record, holder.isolation))
        found = swarm.run(newcomers[0].service.get_records(record.record.key, fresh()))
        assert [s.data for s in found] == [record.data]


def test_find_storers_returns_all_others_in_a_small_network(swarm, make, fresh):
    """Each node with the capability once, neither ourselves nor a node without it."""
    members = swarm.grow(6)
    key = OnionKey.generate()
    relay = swarm.add(key, make.card(key, capabilities=Capability.RELAY))
    swarm.start(relay.service.bootstrap([members[0].key.address]))
    swarm.settle(60)
    found = swarm.run(members[2].service.find_storers(30, fresh()))
    others = [m for m in members if m is not members[2]]
    assert sorted(keys_of(found)) == sorted(m.key.public_key for m in others)


def test_find_storers_goes_on_until_there_are_enough(swarm, fresh):
    """More than k storers are collected from several walks."""
    members = swarm.grow(45)
    swarm.settle(60)
    found = swarm.run(members[7].service.find_storers(35, fresh()))
    assert len(set(keys_of(found))) == 35


def test_a_node_without_peers_says_so(swarm, fresh):
    """Lookups of a node that was told of nobody fail with one sentence."""
    member = swarm.add()
    assert member.service.status().state is DhtState.NO_PEERS
    with pytest.raises(NoPeers, match="--bootstrap"):
        swarm.run(member.service.find_node(bytes(32), fresh()))


def test_joining_is_tried_again_until_the_given_node_is_there(swarm):
    """A newcomer told of a node that is away joins when it comes back."""
    first, second = swarm.add(), swarm.add()
    first.alive = False
    swarm.run(second.service.bootstrap([first.key.address]))
    assert second.service.status().state is DhtState.JOINING
    swarm.settle(60)
    # while it is away the waits double; once joined, the checks of a contact are dials, too
    tries = [address for _, address in swarm.dials if address == first.key.address]
    assert 2 <= len(tries) < 15
    first.alive = True
    swarm.settle(200)
    assert second.service.status().state is DhtState.JOINED


def test_a_restarted_node_joins_by_its_saved_contacts(swarm, make, fresh):
    """Contacts and records come back from the file, without any address given."""
    members = swarm.grow(6)
    swarm.settle(60)
    record = make.record(secrets.token_bytes(32))
    swarm.run(members[1].service.put_record(record, fresh()))
    away = members[2]
    before = away.service.status()
    assert before.records == 1
    swarm.run(away.service.stop())
    swarm.stopping.remove(away)
    back = swarm.add(away.key, away.card)
    assert back.service.status().records == 1
    assert back.service.status().contacts == 5
    assert len(swarm.run(back.service.find_node(bytes(32), fresh()))) == 5


def test_a_node_returns_after_its_contacts_cards_expired(swarm, make):
    """Away for weeks, a node dials the onion addresses it saved and gets their new cards."""
    members = swarm.grow(3)
    swarm.settle(60)
    for member in members:
        swarm.run(member.service.stop())
    swarm.stopping.clear()
    swarm.settle(14 * 24 * HOUR)
    later = swarm.clock.seconds() + 24 * HOUR
    later -= later % HOUR
    back = [swarm.add(m.key, make.card(m.key, sequence=2, expires=later)) for m in members]
    swarm.settle(60)
    assert [m.service.status().contacts for m in back] == [2, 2, 2]


def test_cards_are_renewed_before_they_expire(swarm, make):
    """A contact that made a newer card is known by it, though its old one was not used up."""
    members = swarm.grow(3)
    swarm.settle(60)
    members[0].card = make.card(members[0].key, sequence=2, expires=make.now + 96 * HOUR)
    swarm.settle(38 * HOUR)
    contacts = {c.card.card.onion_key: c for c in members[1].service.contacts()}
    assert contacts[members[0].key.public_key].card.card.sequence == 2


def test_a_node_without_a_card_is_a_client(swarm, fresh):
    """Until its puzzle is solved a node looks things up and nobody takes it for a contact."""
    members = swarm.grow(5)
    swarm.settle(60)
    client = swarm.add(solved=False)
    swarm.run(client.service.bootstrap([members[0].key.address]))
    swarm.settle(60)
    assert len(swarm.run(client.service.find_node(bytes(32), fresh()))) == 5
    assert all(len(member.service.contacts()) == 4 for member in members)
    client.peers.own = client.card
    swarm.settle(60)
    assert all(len(member.service.contacts()) == 5 for member in members)

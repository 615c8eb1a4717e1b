"""Nodes that lie, hang or listen, against a real service."""

import secrets

import attrs
import pytest

from bitsnode.config import LOCAL
from bitsnode.dht.contacts import CardReader
from bitsnode.dht.questions import ANSWER_SECONDS
from bitsnode.wire.messages import Contacts, FindNode, Records
from onion.keys import OnionKey


class Liar:
    """A responder that names the cards and records it was given, whatever it is asked."""

    def __init__(self, cards=(), records=()):
        self.cards = tuple(cards)
        self.records = tuple(records)
        self.callers = []

    async def handle(self, request, caller):
        """Answer with the lie."""
        self.callers.append(caller)
        if isinstance(request, FindNode):
            return Contacts(self.cards)
        return Records(self.records, self.cards)


def onion_keys(member):
    """Return the onion keys of a node's contacts."""
    return {contact.card.card.onion_key for contact in member.service.contacts()}


def test_d2_poisoned_replies_cause_no_dial_storm_and_enter_no_table(swarm, make):
    """Of ten thousand fakes in each reply few are dialled, and none becomes a contact."""
    victim, honest, liar = swarm.grow(3)
    swarm.settle(30)
    fakes = [make.card().data for _ in range(200)] * 50
    liar.responder = Liar([victim.card.data, liar.card.data, *fakes])
    swarm.dials.clear()
    swarm.settle(300)
    dialled = {address for isolation, address in swarm.dials if isolation == victim.isolation}
    assert onion_keys(victim) == {honest.key.public_key, liar.key.public_key}
    assert victim.key.address not in dialled
    assert len(dialled) <= 2 + 20  # only the first k of a reply were looked at
    lookups = [isolation for isolation, _ in swarm.dials if isolation == victim.isolation]
    assert len(lookups) < 300


def test_d2_hints_of_callers_are_dialled_at_a_bounded_rate(swarm, make):
    """A thousand callers that show cards of nobody cost three dials at a time and no more."""
    victim, _ = swarm.grow(2)
    swarm.settle(30)
    swarm.dials.clear()
    for _ in range(1000):
        victim.service.responder._on_card(make.card(bits=0))
    assert victim.service.status().candidates <= 256
    swarm.settle(60)
    strangers = [address for _, address in swarm.dials if address not in swarm.members]
    assert 3 <= len(strangers) <= 3 * 60 / 8 + 3  # each takes 8 s to fail, three at a time
    assert victim.service.status().contacts == 1


@pytest.mark.parametrize("fault", ["unpaid", "stolen nonce", "other network", "unsigned"])
def test_d6_cards_with_a_false_puzzle_are_never_dialled(swarm, make, fresh, monkeypatch, fault):
    """A forged, borrowed or foreign proof is refused before any signature is looked at."""
    victim, liar = swarm.grow(2)
    swarm.settle(30)
    key, other = OnionKey.generate(), make.card()
    if fault == "unpaid":
        data = make.card(key, nonce=b"\xff" * 16).data
    elif fault == "stolen nonce":
        data = make.card(key, nonce=other.card.nonce).data
    elif fault == "other network":
        data = make.card(key, network="public").data
    else:
        good = make.card(key).data
        data = good[:-1] + bytes([good[-1] ^ 1])  # the last byte may well be 0 already
    liar.responder = Liar([data])
    if fault != "unsigned":
        monkeypatch.setattr("nacl.signing.VerifyKey.verify", None)
    swarm.dials.clear()
    nobody = fresh()
    swarm.run(victim.service.find_node(secrets.token_bytes(32), nobody))
    dialled = {address for isolation, address in swarm.dials if isolation == nobody}
    assert dialled == {liar.key.address}


def test_d6_a_node_that_moved_is_not_taken_for_the_one_named(swarm, make, fresh):
    """A card in a reply whose nonce is not the one the node shows gives it no second place."""
    victim, liar, mover = swarm.grow(3)
    swarm.settle(30)
    liar.responder = Liar([make.card(mover.key, first=1 << 20).data])
    mover.card = make.card(mover.key, first=1 << 21)
    found = swarm.run(victim.service.find_node(bytes(32), fresh()))
    assert [card.card.onion_key for card in found] == [liar.key.public_key]
    swarm.settle(120)
    assert mover.card not in [contact.card for contact in victim.service.contacts()]


def test_records_of_another_key_or_forged_are_not_returned(swarm, make, fresh):
    """A storer's lie is dropped and the honest storer's record is returned."""
    members = swarm.grow(4)
    swarm.settle(60)
    seed = secrets.token_bytes(32)
    true = make.record(seed)
    swarm.run(members[0].service.put_record(true, fresh()))
    other = make.record(secrets.token_bytes(32))
    later = make.record(seed, sequence=7).data
    forged = later[:-1] + bytes([later[-1] ^ 1])
    members[1].responder = Liar([], [other.data, forged, b"", true.data])
    found = swarm.run(members[3].service.get_records(true.record.key, fresh()))
    assert [signed.data for signed in found] == [true.data]


def test_anonymous_lookups_show_no_card_and_leave_no_trace(swarm, make, fresh):
    """What an anonymous walk learns is not in our table: a marked card would betray us."""
    victim, liar = swarm.grow(2)
    swarm.settle(600)
    marked = swarm.add()
    liar.responder = Liar([marked.card.data])
    isolation = fresh()
    swarm.dials.clear()
    found = swarm.run(victim.service.find_node(bytes(32), isolation))
    assert marked.card in found
    assert all(used == isolation for used, _ in swarm.dials)
    assert all(caller.card is None for caller in liar.responder.callers)
    assert onion_keys(victim) == {liar.key.public_key}
    assert victim.service.status().candidates == 0


def test_n3_contacts_that_hang_are_hedged_and_bounded(swarm, fresh):
    """With nodes that accept and say nothing, a lookup ends in bounded time with the others."""
    members = swarm.grow(30)
    swarm.settle(60)
    searcher = members[0]
    for member in members[1::5]:
        member.hangs = True
    begun = swarm.clock.seconds()
    found = swarm.run(searcher.service.find_node(secrets.token_bytes(32), fresh()))
    assert len(found) == 20
    assert swarm.clock.seconds() - begun < 2 * (LOCAL.connect_seconds + ANSWER_SECONDS)


def test_n3_a_lookup_ends_when_everybody_hangs(swarm, fresh):
    """Nothing answers, and the caller is told so in bounded time."""
    members = swarm.grow(6)
    swarm.settle(60)
    for member in members[1:]:
        member.hangs = True
    begun = swarm.clock.seconds()
    assert swarm.run(members[0].service.find_storers(5, fresh())) == []
    assert swarm.clock.seconds() - begun <= 3 * LOCAL.connect_seconds + 30


def test_a_cancelled_lookup_leaves_nothing_running(swarm, fresh):
    """Giving a lookup up ends its questions and timers."""
    members = swarm.grow(6)
    swarm.settle(60)
    for member in members[1:]:
        member.hangs = True
    before = len(swarm.clock.getDelayedCalls())
    lookup = swarm.start(members[0].service.find_node(bytes(32), fresh()))
    assert len(swarm.clock.getDelayedCalls()) > before
    lookup.addErrback(lambda failure: failure.trap(Exception) and None)
    lookup.cancel()
    assert len(swarm.clock.getDelayedCalls()) == before


def test_anonymous_lookups_make_no_candidates(swarm, fresh):
    """A node named to an anonymous walk stays unknown; one named to us as a node does not."""
    members = swarm.grow(24)
    swarm.settle(60)
    marked = swarm.add()
    target = bytes(byte ^ 0xFF for byte in marked.card.card.node_id)  # it is the farthest of all
    searcher = members[0]
    for member in members[1:]:
        member.responder = Liar([marked.card.data])
    assert len(swarm.run(searcher.service.find_node(target, fresh()))) == 20
    assert searcher.service.status().candidates == 0
    assert marked.key.public_key not in onion_keys(searcher)
    swarm.run(searcher.service.find_node(target, searcher.isolation))
    known = marked.key.public_key in onion_keys(searcher)
    assert known or searcher.service.status().candidates == 1


def test_d2_no_more_than_k_cards_of_a_reply_are_read(make):
    """The signatures of a huge reply are not even looked at."""
    cards = [make.card(bits=0).data for _ in range(30)]
    assert len(CardReader(attrs.evolve(LOCAL, card_bits=0)).read_all(cards, make.now)) == 20

"""The routing table alone."""

import secrets

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bitsnode.dht.routing import CHECK_SECONDS, FAILURES, RoutingTable
from bitsnode.ids import distance, leading_zero_bits
from bitsnode.wire.card import HOUR
from onion.keys import OnionKey

OWN = bytes(32)


def bucket_of(card):
    """Return the number of the bucket a card belongs to in the table of the zero id."""
    return leading_zero_bits(card.card.node_id)


def cards_of_bucket(make, number, count):
    """Return cards that fall into one bucket."""
    found = []
    while len(found) < count:
        card = make.card(bits=0)
        if bucket_of(card) == number:
            found.append(card)
    return found


def keys(contacts):
    """Return the onion keys of contacts."""
    return {contact.card.card.onion_key for contact in contacts}


def test_a_full_bucket_keeps_its_contacts_and_takes_a_spare_for_a_dead_one(make):
    """Long-lived contacts stay; one that fails again and again gives way to a spare."""
    table = RoutingTable(OWN, k=2, siblings=0)
    old, steady, spare = cards_of_bucket(make, 0, 3)
    for card in (old, steady, spare):
        table.answered(card, make.now)
    assert keys(table.contacts()) == {old.card.onion_key, steady.card.onion_key}
    for _ in range(FAILURES - 1):
        table.failed(old.card.onion_key, make.now)
    assert old.card.onion_key in keys(table.contacts())
    table.failed(old.card.onion_key, make.now)
    assert keys(table.contacts()) == {steady.card.onion_key, spare.card.onion_key}


def test_without_a_spare_the_dead_are_kept_but_not_handed_out(make):
    """When all fail the fault is ours: they are the way back, and others do not hear of them."""
    table = RoutingTable(OWN)
    card, live = make.card(), make.card()
    table.answered(card, make.now)
    table.answered(live, make.now)
    for _ in range(FAILURES):
        table.failed(card.card.onion_key, make.now)
    assert table.nearest(OWN, 20, make.now) == [live]
    for _ in range(FAILURES):
        table.failed(live.card.onion_key, make.now)
    assert len(table.beginnings(OWN, 20, make.now)) == 2
    table.answered(card, make.now)
    assert table.nearest(OWN, 20, make.now) == [card]


def test_a_newer_card_of_the_same_onion_replaces_the_older_and_never_the_reverse(make):
    """The sequence decides, in whatever order the cards are seen."""
    table = RoutingTable(OWN)
    key = OnionKey.generate()
    older, newer = make.card(key, sequence=1), make.card(key, sequence=2)
    table.answered(older, make.now)
    assert table.wants(newer, make.now)
    table.answered(newer, make.now)
    assert not table.wants(older, make.now)
    table.answered(older, make.now)
    assert [contact.card for contact in table.contacts()] == [newer]


def test_d6_the_first_nonce_of_an_onion_stays(make):
    """A node that solves its puzzle again does not move, even with a higher sequence."""
    table = RoutingTable(OWN)
    key = OnionKey.generate()
    first = make.card(key)
    moved = make.card(key, sequence=9, first=1 << 20)
    assert moved.card.nonce != first.card.nonce
    table.answered(first, make.now)
    assert not table.wants(moved, make.now)
    table.answered(moved, make.now)
    assert [contact.card for contact in table.contacts()] == [first]


def test_our_own_card_and_expired_cards_never_enter(make):
    """Neither ourselves nor a card whose time is over is a contact."""
    own = make.card()
    table = RoutingTable(own.card.node_id, own.card.onion_key)
    table.answered(own, make.now)
    late = make.card(expires=make.now)
    table.answered(late, make.now)
    assert table.contacts() == []


def test_expired_cards_are_not_handed_out(make):
    """A contact's card is given to others only while it is valid."""
    table = RoutingTable(OWN)
    table.answered(make.card(expires=make.now + HOUR), make.now)
    assert table.nearest(OWN, 20, make.now + HOUR) == []


def test_silent_contacts_are_checked_ever_more_rarely_while_they_fail(make):
    """The time between checks doubles with each failure."""
    table = RoutingTable(OWN)
    card = make.card()
    table.answered(card, make.now)
    (contact,) = table.contacts()
    assert contact.due == make.now + CHECK_SECONDS
    table.failed(card.card.onion_key, make.now)
    (contact,) = table.contacts()
    assert contact.due == make.now + CHECK_SECONDS


def test_refresh_targets_fall_into_their_buckets(make):
    """Each bucket farther than the k nearest that lacks contacts gets a point in its own range."""
    own = secrets.token_bytes(32)
    table = RoutingTable(own, k=4, siblings=4)
    for _ in range(200):
        table.answered(make.card(bits=0), make.now)
    near = table.refresh_targets(secrets.token_bytes(32))
    assert all(distance(own, point) < 1 << 253 for point in near)  # where few nodes are
    while live := table.live(make.now):
        table.failed(live[0].card.card.onion_key, make.now)
    targets = table.refresh_targets(secrets.token_bytes(32))
    gaps = [distance(own, target).to_bytes(32, "big") for target in targets]
    assert [leading_zero_bits(gap) for gap in gaps] == list(range(len(targets)))
    assert len(targets) >= 2


def test_who_did_not_answer_the_last_time_is_named_only_where_others_are_lacking(make):
    """It is not dead yet, and stays where there is nobody else."""
    table = RoutingTable(OWN)
    cards = sorted(
        (make.card(bits=0) for _ in range(5)), key=lambda card: distance(card.card.node_id, OWN)
    )
    for card in cards:
        table.answered(card, make.now)
    table.failed(cards[0].card.onion_key, make.now)
    assert table.nearest(OWN, 4, make.now) == cards[1:]
    assert table.nearest(OWN, 5, make.now) == cards


def test_a_new_place_keeps_the_contacts(make):
    """When our card comes, contacts move to the buckets seen from there, without ourselves."""
    own = make.card()
    table = RoutingTable(OWN)
    cards = [make.card() for _ in range(5)]
    for card in (own, *cards):
        table.answered(card, make.now)
    table.recentre(own.card.node_id, own.card.onion_key)
    assert keys(table.contacts()) == {card.card.onion_key for card in cards}


def test_the_nearest_are_kept_whatever_bucket_they_are_in(make):
    """A crowded neighbourhood is known in full, and no bucket grows beyond it."""
    cards = [make.card(bits=0) for _ in range(60)]
    table = RoutingTable(OWN, k=2, siblings=10)
    for card in cards:
        table.answered(card, make.now)
    cards.sort(key=lambda card: distance(card.card.node_id, OWN))
    assert {card.card.onion_key for card in cards[:10]} <= keys(table.contacts())
    assert len(table.contacts()) <= 10 + 2 * 8
    assert table.nearest(OWN, 10, make.now) == cards[:10]


def test_a_bucket_gives_up_the_siblings_that_are_siblings_no_more(make):
    """While few are known all are siblings; once nearer ones are, a far bucket keeps its k."""
    table = RoutingTable(OWN, k=2, siblings=10)
    far, near = cards_of_bucket(make, 0, 10), cards_of_bucket(make, 3, 10)
    for number, card in enumerate([*far, *near]):
        table.answered(card, make.now + number)
    assert keys(table.contacts()) == {card.card.onion_key for card in [*far[:2], *near]}


def test_who_comes_later_and_nearer_displaces_nobody_who_is_there(make):
    """Nodes that somebody ground to be near us do not push out the contacts of a far bucket."""
    table = RoutingTable(OWN, k=4, siblings=10)
    known = cards_of_bucket(make, 0, 4)
    for card in known:
        table.answered(card, make.now)
    for number, card in enumerate(cards_of_bucket(make, 0, 30)):
        table.answered(card, make.now + 1 + number)
    for number, card in enumerate(cards_of_bucket(make, 3, 12)):
        table.answered(card, make.now + 60 + number)
    assert {card.card.onion_key for card in known} <= keys(table.contacts())


class TableMachine(RuleBasedStateMachine):
    """Any order of answers, failures and time leaves the table in order."""

    K = 3
    SIBLINGS = 4

    def __init__(self) -> None:
        super().__init__()
        self.make = TableMachine.maker
        self.table = RoutingTable(OWN, k=self.K, siblings=self.SIBLINGS)
        self.now = self.make.now
        self.answered: set[bytes] = set()

    @rule(index=st.integers(0, 19), sequence=st.integers(0, 1), second=st.booleans())
    def answer(self, index, sequence, second):
        """A node showed one of its cards."""
        card = self.pool[index][sequence * 2 + second]
        self.table.answered(card, self.now)
        self.answered.add(card.card.onion_key)

    @rule(index=st.integers(0, 19))
    def fail(self, index):
        """A node did not answer."""
        self.table.failed(self.pool[index][0].card.onion_key, self.now)

    @precondition(lambda self: self.now < self.make.now + 40 * HOUR)
    @rule(hours=st.integers(1, 30))
    def wait(self, hours):
        """Time passes."""
        self.now += hours * HOUR
        self.table.forget(self.now)

    @invariant()
    def in_order(self):
        """No contact twice or unproven, no bucket too full, replies sorted and not expired."""
        contacts = self.table.contacts()
        found = [contact.card.card.onion_key for contact in contacts]
        assert len(found) == len(set(found))
        assert set(found) <= self.answered
        for number in range(256):
            assert (
                sum(bucket_of(contact.card) == number for contact in contacts)
                <= self.K + self.SIBLINGS
            )
        nearest = self.table.nearest(b"\xff" * 32, 50, self.now)
        gaps = [distance(card.card.node_id, b"\xff" * 32) for card in nearest]
        assert gaps == sorted(gaps)
        assert all(card.card.expires > self.now for card in nearest)


def test_the_table_stays_in_order(make):
    """Hypothesis drives the table through answers, failures, second nonces and time."""
    TableMachine.maker = make
    pool = []
    for _ in range(20):
        key = OnionKey.generate()
        pool.append(
            [
                make.card(key, sequence=s, first=f, bits=0, expires=make.now + (s + 1) * 30 * HOUR)
                for s in (0, 1)
                for f in (0, 1)
            ]
        )
    TableMachine.pool = pool
    run_state_machine_as_test(TableMachine, settings=settings(max_examples=40))

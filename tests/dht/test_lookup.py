"""The walk alone, fed by hand."""

import secrets

from bitsnode.dht.lookup import MAX_QUESTIONS, Walk
from bitsnode.ids import distance
from onion.keys import OnionKey

TARGET = bytes(32)


def key(card):
    """Return a card's onion key."""
    return card.card.onion_key


def ordered(cards, target=TARGET):
    """Return cards, the nearest first."""
    return sorted(cards, key=lambda card: distance(card.card.node_id, target))


def some(make, count):
    """Return cards in the order of distance."""
    return ordered(make.card(bits=0) for _ in range(count))


def test_alpha_questions_are_under_way(make):
    """Three contacts are asked at first, the nearest, and one more for each that answers."""
    cards = some(make, 10)
    walk = Walk(TARGET, reversed(cards))
    assert walk.begin() == cards[:3]
    assert walk.got_reply(key(cards[1]), []) == [cards[3]]
    assert walk.got_failure(key(cards[0])) == [cards[4]]
    assert not walk.done


def test_it_ends_when_the_k_nearest_answered(make):
    """Contacts beyond the k nearest are never asked."""
    cards = some(make, 6)
    walk = Walk(TARGET, cards, k=4)
    asked = walk.begin()
    for card in asked:
        asked += walk.got_reply(key(card), [])
    assert asked == cards[:4]
    assert walk.done
    assert walk.nearest == cards[:4]
    assert walk.heard_of == cards[4:]


def test_a_failed_contact_is_replaced_by_the_next_nearest(make):
    """The k nearest that answer are wanted, so a dead one does not count."""
    cards = some(make, 6)
    walk = Walk(TARGET, cards, k=3)
    asked = walk.begin()
    asked += walk.got_failure(key(cards[0]))
    for card in asked[1:]:
        asked += walk.got_reply(key(card), [])
    assert walk.done
    assert walk.nearest == cards[1:4]


def test_nearer_contacts_named_in_replies_are_asked_first(make):
    """A reply leads the walk on, whatever the order of its cards."""
    cards = some(make, 8)
    walk = Walk(TARGET, cards[4:], k=3, alpha=1)
    assert walk.begin() == [cards[4]]
    assert walk.got_reply(key(cards[4]), [cards[3], cards[0], cards[2]]) == [cards[0]]


def test_d2_self_duplicates_and_too_many_contacts_in_a_reply_do_no_harm(make):
    """A reply counts for at most k cards, none twice, and never for ourselves."""
    own, honest, flood = make.card(bits=0), make.card(bits=0), some(make, 100)
    walk = Walk(TARGET, [honest], own_key=key(own), k=20)
    (asked,) = walk.begin()
    first = walk.got_reply(key(asked), [own, honest, *flood, *flood])
    assert key(own) not in map(key, first)
    known = [*first, *walk.heard_of]
    assert len(known) <= 20
    assert len({key(card) for card in known}) == len(known)


def test_d2_endless_fakes_end_the_walk(make):
    """Peers that name ever new contacts get a bounded number of questions out of us."""
    walk = Walk(TARGET, some(make, 3), k=20)
    waiting, asked = walk.begin(), 0
    while waiting:
        asked += 1
        card = waiting.pop()
        nearer = [make.card(bits=0) for _ in range(3)]
        waiting += walk.got_reply(key(card), nearer) if asked % 2 else walk.got_failure(key(card))
    assert walk.done
    assert asked <= MAX_QUESTIONS


def test_d6_a_second_nonce_of_an_onion_does_not_move_it(make):
    """Within a walk the first card of an onion stays, so it has one position."""
    owner = OnionKey.generate()
    first, second = make.card(owner, bits=0), make.card(owner, bits=0, first=5)
    asked = make.card(bits=0)
    walk = Walk(TARGET, [asked, first], alpha=1)
    (now,) = walk.begin()
    later = walk.got_reply(key(now), [second])
    assert second not in [*later, *walk.heard_of]


def test_a_slow_contact_makes_way_and_its_late_answer_counts(make):
    """Someone else is asked beside it, and while fewer than k answered it is waited for."""
    cards = some(make, 4)
    walk = Walk(TARGET, cards, k=20, alpha=1)
    assert walk.begin() == [cards[0]]
    assert walk.got_slow(key(cards[0])) == [cards[1]]
    for card in cards[1:]:
        walk.got_reply(key(card), [])
    assert not walk.done
    walk.got_reply(key(cards[0]), [])
    assert walk.done
    assert walk.nearest == cards


def test_a_slow_contact_does_not_hold_up_k_others(make):
    """With k answers the walk ends without it."""
    cards = some(make, 6)
    walk = Walk(TARGET, cards, k=3, alpha=1)
    walk.begin()
    asked = walk.got_slow(key(cards[0]))
    for card in asked:
        asked += walk.got_reply(key(card), [])
    assert walk.done
    assert walk.nearest == cards[1:4]


def test_replies_nobody_asked_for_are_ignored(make):
    """An answer of an unknown contact, or a second one, changes nothing."""
    cards = some(make, 3)
    walk = Walk(TARGET, cards[:1])
    walk.begin()
    walk.got_reply(secrets.token_bytes(32), [cards[1]])
    assert not walk.heard_of
    walk.got_reply(key(cards[0]), [])
    assert walk.got_reply(key(cards[0]), [cards[2]]) == []
    assert walk.done


def test_a_walk_from_nowhere_is_done(make):
    """Without contacts there is nothing to ask."""
    walk = Walk(TARGET, [])
    assert walk.begin() == []
    assert walk.done

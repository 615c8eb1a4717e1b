"""Clocks that are wrong: they are noticed, and no signed thing shows how wrong they are."""

import secrets

import pytest
from twisted.internet.defer import Deferred

from bitsnode.config import LOCAL
from bitsnode.content.announce import expiry
from bitsnode.dht.clock_skew import LEAST, ClockSkew
from bitsnode.dht.service import DhtService
from bitsnode.identity import CARD_LIFETIME, NodeIdentity
from bitsnode.wire.card import HOUR, Capability
from bitsnode.wire.record import BadRecord, SignedRecord
from onion.isolation import Isolation
from onion.keys import OnionKey
from tests.dht.conftest import SwarmPeers, make_card

DAY = 24 * HOUR


async def at_once(work):
    """Do in this thread what a node does in another."""
    return work()


class WrongClock:
    """The swarm's clock, and another time of day."""

    def __init__(self, clock, ahead):
        self._clock = clock
        self._ahead = ahead

    def seconds(self):
        """Return the wrong time."""
        return self._clock.seconds() + self._ahead

    def callLater(self, *args, **options):
        """See IReactorTime."""
        return self._clock.callLater(*args, **options)


@pytest.mark.parametrize("hours", [26, -26])
def test_n6_a_node_whose_clock_is_a_day_off_still_joins_and_says_so(swarm, make, tmp_path, hours):
    """It finds the others, whose cards it takes, and knows which clock is wrong; they do not."""
    for number in range(8):
        key = OnionKey.generate()
        made = make.now - number * 3 * HOUR  # cards are renewed each day
        swarm.add(key, make_card(key, expires=made + CARD_LIFETIME))
    first = next(iter(swarm.members))
    for member in list(swarm.members.values())[1:]:
        swarm.start(member.service.bootstrap([first]))
    clock = WrongClock(swarm.clock, hours * HOUR)
    peers, isolation = SwarmPeers(swarm, Isolation.fresh("node")), Isolation.fresh("node")
    service = DhtService(clock, peers, LOCAL, lambda: None, tmp_path / "wrong", isolation)
    service.start()
    swarm.run(service.bootstrap([first]))
    swarm.settle(60)
    assert service.status().contacts == 8
    assert abs(service.status().clock_hours - hours) < 14
    assert [member.service.status().clock_hours for member in swarm.members.values()] == [0] * 8
    swarm.run(service.stop())


def test_n6_a_few_strange_cards_do_not_put_our_clock_in_doubt(make):
    """Most nodes count, not the loudest, and a handful is needed to say anything."""
    skew = ClockSkew()
    for number in range(LEAST - 1):
        skew.saw(bytes([number]), int(make.now) - DAY, make.now)
    assert skew.hours == 0
    for number in range(LEAST):
        skew.saw(bytes([100 + number]), int(make.now) + 60 * HOUR, make.now)
    assert skew.hours == 0


def test_n6_what_is_signed_shows_no_clock_finer_than_an_hour(make, tmp_path):
    """Cards and records made at any moment of an hour end at the same whole hour."""
    ends = set()
    for seconds in (0, 1, 1799, 3599):
        identity = NodeIdentity(tmp_path / str(seconds), LOCAL, Capability.STORAGE)
        Deferred.fromCoroutine(identity.solve(at_once))
        ends.add(identity.renew(make.now + seconds).card.expires)
        assert expiry(int(make.now) + 5 * DAY, make.now + seconds) % HOUR == 0
    assert len(ends) == 1
    assert ends.pop() % HOUR == 0
    for seconds in (1, 1800, 3599):
        record = make.record(secrets.token_bytes(32), expires=make.now + HOUR + seconds)
        with pytest.raises(BadRecord, match="clock"):
            SignedRecord.parse(record.data, puzzle_bits=LOCAL.record_bits, now=make.now)

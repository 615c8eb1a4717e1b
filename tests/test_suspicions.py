"""What `bitsnode doctor` says of the network around a node, and of its clock."""

import attrs

from bitsnode.control import suspicions
from bitsnode.dht.alarms import Alarm
from bitsnode.dht.status import DhtState, DhtStatus

WELL = DhtStatus(DhtState.JOINED, 8, 0, 0, 0, 0, 8, (), 0)


def test_a_network_and_a_clock_that_are_well_are_not_mentioned() -> None:
    """No finding without a reason."""
    assert suspicions(WELL) == []


def test_alarms_say_what_to_do() -> None:
    """Each alarm is a finding of its own, and none of them is good."""
    found = suspicions(attrs.evolve(WELL, alarms=(Alarm.SHRUNK, Alarm.STRANGERS)))
    assert [good for _, good, _ in found] == [False, False]
    assert all("--bootstrap" in text for _, _, text in found)
    assert Alarm.SHRUNK.value in found[0][2]


def test_n6_a_clock_that_is_wrong_is_named_with_its_side() -> None:
    """A person reads by how much, and whether it is fast or slow."""
    ((_, good, fast),) = suspicions(attrs.evolve(WELL, clock_hours=26))
    ((_, _, slow),) = suspicions(attrs.evolve(WELL, clock_hours=-26))
    assert not good
    assert "26 h ahead of" in fast
    assert "26 h behind" in slow

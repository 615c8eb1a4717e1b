"""A free fetch asks a finder first, and is none the worse for what that says."""

from collections.abc import Callable
from typing import Any

import attrs

from bitsnode.content.service import ContentService
from bitsnode.content.testing import drive
from bitsnode.wire.record import RecordKind, SignedRecord

Swarms = Callable[[int, int], Any]


@attrs.frozen
class Told:
    """What a finder found."""

    records: tuple[SignedRecord, ...]


@attrs.define
class FakeFinder:
    """Knows these records of every key.

    Attributes:
        walks: of each question whether a walk was allowed.
    """

    records: tuple[SignedRecord, ...]
    walks: list[bool] = attrs.Factory(list)

    async def find(self, key: bytes, *, walk: bool) -> Told:
        """See `bitsnode.content.asking.Finder`."""
        self.walks.append(walk)
        return Told(self.records)


def fetch(swarm: Any, finder: FakeFinder, *, free: bool) -> bytes:
    """Fetch what the swarm has."""
    net = swarm.network
    tools = swarm.service._tools
    service = ContentService(
        swarm.clock, tools.run, net, net, tools.network, swarm.home, None, finder
    )
    work = service.get(swarm.link, swarm.output, None, swarm.events.append, free=free)
    drive(swarm.clock, work)
    read: bytes = swarm.output.read_bytes()
    return read


def lose_records(swarm: Any) -> tuple[SignedRecord, ...]:
    """Take all records out of the DHT."""
    records = tuple(swarm.network.records.values())
    swarm.network.records.clear()
    return records


def test_what_the_finder_knows_is_enough(swarm: Swarms) -> None:
    """The DHT, which has no record any more, is not needed."""
    made = swarm(6, 100_000)
    finder = FakeFinder(lose_records(made))
    assert fetch(made, finder, free=True) == made.data
    assert finder.walks == [False]


def test_a_fetch_that_may_be_tied_to_money_does_not_ask_it(swarm: Swarms) -> None:
    """Only who says that nothing ties them has their questions put together with others."""
    made = swarm(6, 100_000)
    finder = FakeFinder(())
    assert fetch(made, finder, free=False) == made.data
    assert finder.walks == []


def test_a_finder_that_knows_nothing_costs_nothing_else(swarm: Swarms) -> None:
    """The walk finds it."""
    made = swarm(6, 100_000)
    assert fetch(made, FakeFinder(()), free=True) == made.data


def test_what_the_finder_lacks_the_walk_makes_up_for(swarm: Swarms) -> None:
    """It knows one holder, and one alone is too few: the DHT is asked for the others."""
    made = swarm(6, 100_000)
    assert made.layout.k > 1
    records = made.network.records.values()
    one = next(signed for signed in records if signed.record.kind == RecordKind.PROVIDER)
    finder = FakeFinder((one,))
    assert fetch(made, finder, free=True) == made.data
    assert finder.walks == [False]

"""What the tests of content share: a network in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from bitsnode.content.testing import NOW, MemoryNetwork


@pytest.fixture
def clock() -> Clock:
    """A clock that begins at `NOW`."""
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture
def network(clock: Clock, tmp_path: Path) -> Iterator[Callable[[int], MemoryNetwork]]:
    """Make networks of so many holders, and close their stores at the end."""
    made: list[MemoryNetwork] = []

    def make(count: int) -> MemoryNetwork:
        made.append(MemoryNetwork(clock, tmp_path / f"network-{len(made)}", count))
        return made[-1]

    yield make
    for each in made:
        each.close_stores()

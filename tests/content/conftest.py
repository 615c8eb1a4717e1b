"""What the tests of content share: a network in memory, and content that is published on it."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from twisted.internet.task import Clock

from bitsnode.codec.layout import Layout
from bitsnode.codec.link import Link
from bitsnode.content.progress import Event
from bitsnode.content.publish import Published
from bitsnode.content.service import ContentService
from bitsnode.content.testing import NOW, MemoryNetwork, drive


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


@attrs.define
class Swarm:
    """A network on which one content is published, and a node that wants it.

    Attributes:
        network: its holders.
        clock: drives it.
        data: the content.
        published: what the publisher was told.
        home: of the node that fetches.
        output: where it fetches to.
        events: what the last fetch told.
    """

    network: MemoryNetwork
    clock: Clock
    data: bytes = attrs.field(repr=False)
    published: Published
    home: Path
    output: Path
    events: list[Event] = attrs.Factory(list)

    @property
    def link(self) -> Link:
        """What is fetched."""
        return self.published.link

    @property
    def layout(self) -> Layout:
        """Where its bytes lie."""
        k, n = self.published.code.split("/")
        return Layout(len(self.data), int(k), int(n))

    @property
    def service(self) -> ContentService:
        """A new start of the fetching node."""
        return self.network.service(self.home)

    @property
    def read_bytes(self) -> int:
        """Bytes of shares that the holders have served."""
        return sum(holder.read_bytes for holder in self.network.holders)

    @property
    def needed_bytes(self) -> int:
        """Bytes of k blocks of every chunk."""
        return sum(self.layout.k * self.layout.block_size(c) for c in range(self.layout.chunks))

    def get(self, wanted: tuple[int, int] | None = None) -> bytes:
        """Fetch and return what was written."""
        self.events.clear()
        drive(self.clock, self.service.get(self.link, self.output, wanted, self.events.append))
        return self.output.read_bytes()

    def traces(self) -> list[Path]:
        """Return what lies in the output's folder."""
        return list(self.output.parent.iterdir())


@pytest.fixture
def swarm(
    network: Callable[[int], MemoryNetwork], clock: Clock, tmp_path: Path
) -> Callable[[int, int], Swarm]:
    """Publish random content of so many bytes on a network of so many holders."""

    def make(holders: int, size: int) -> Swarm:
        on = network(holders)
        data = secrets.token_bytes(size)
        (tmp_path / "in").write_bytes(data)
        alice = on.service(tmp_path / "alice")
        published = drive(clock, alice.publish(tmp_path / "in", lambda _event: None))
        (tmp_path / "outputs").mkdir()
        return Swarm(on, clock, data, published, tmp_path / "bob", tmp_path / "outputs/out")

    return make

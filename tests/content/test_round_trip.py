"""Publish and fetch over holders with real stores."""

import hashlib
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.codec.link import Link
from bitsnode.content.progress import CodeChosen, Event
from bitsnode.content.testing import MemoryNetwork, drive

Networks = Callable[[int], MemoryNetwork]


def ignore(_event: Event) -> None:
    """Watch no progress."""


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 5 * CHUNK_SIZE + 12345]
)
@pytest.mark.parametrize("holders", [1, 7])
def test_what_is_published_is_fetched(
    network: Networks, clock: Clock, tmp_path: Path, size: int, holders: int
) -> None:
    """A node that never saw the file gets the same bytes from the link alone."""
    swarm = network(holders)
    data = secrets.token_bytes(size)
    (tmp_path / "in").write_bytes(data)
    events: list[Event] = []
    alice, bob = swarm.service(tmp_path / "alice"), swarm.service(tmp_path / "bob")
    published = drive(clock, alice.publish(tmp_path / "in", events.append))
    assert published.bytes == size
    assert published.sha256 == hashlib.sha256(data).digest()
    assert published.code == ("1/1" if holders == 1 else "2/7")
    assert {holder.public_key for holder in published.holders} == {
        holder.key.public_key for holder in swarm.holders
    }
    assert any(isinstance(event, CodeChosen) and event.smaller_than_usual for event in events)
    link = Link.parse(published.link.text)
    fetched = drive(clock, bob.get(link, tmp_path / "out", None, ignore))
    assert (tmp_path / "out").read_bytes() == data
    assert fetched.sha256 == published.sha256
    assert fetched.bytes == size
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600
    assert list((tmp_path / "alice/staging").iterdir()) == []
    assert list((tmp_path / "bob/partial").iterdir()) == []

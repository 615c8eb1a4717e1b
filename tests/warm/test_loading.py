"""The index that the last run left comes back a little at a time, and is not written again."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from bitsnode.warm.index import GroupIndex
from bitsnode.warm.loading import PAUSE, Loading
from bitsnode.warm.places import Place
from bitsnode.warm.saved import PAGE, SavedIndex

ROOM = 1 << 20  # bytes
COUNT = 3 * PAGE + 1  # records


@pytest.fixture
def file(tmp_path: Path, make: Any) -> Any:
    """A file with records."""
    index, saved = GroupIndex(ROOM), SavedIndex(tmp_path / "index.sqlite")
    for number in range(1, COUNT + 1):
        index.put(make.record(number.to_bytes(32, "big")), make.now)
    saved.save(*index.take_changes())
    yield saved
    saved.close()


def loading(file: SavedIndex, index: GroupIndex, now: float) -> tuple[Clock, Loading]:
    """A loading that has begun."""
    clock = Clock()
    clock.advance(now)
    begun = Loading(clock, file, index)
    begun.start()
    return clock, begun


def finish(clock: Clock, under_way: Loading) -> None:
    """Let it come to its end."""
    for _ in range(COUNT):
        clock.advance(PAUSE)
    assert under_way.done


def test_all_comes_back_and_nothing_is_written_again(file: SavedIndex, make: Any) -> None:
    """What did not change since is no change."""
    index = GroupIndex(ROOM)
    finish(*loading(file, index, make.now))
    assert len(index) == COUNT
    assert index.take_changes() == ([], [])


def test_others_have_their_turn_meanwhile(file: SavedIndex, make: Any) -> None:
    """Nothing is read before the reactor turns, and what is saved meanwhile stays saved."""
    index = GroupIndex(ROOM)
    clock, under_way = loading(file, index, make.now)
    assert (len(index), under_way.done) == (0, False)
    new = make.record(bytes(31) + b"\xff", value=b"new")
    index.put(new, make.now)
    file.save(*index.take_changes())
    finish(clock, under_way)
    assert len(index) == COUNT + 1
    assert sum(len(page) for page in file.pages()) == COUNT + 1


def test_what_is_not_wanted_any_more_goes_from_the_file(file: SavedIndex, make: Any) -> None:
    """A node that moved to another group drops the records of its old one."""
    index = GroupIndex(ROOM)
    index.keep_only(Place(1, 1))
    finish(*loading(file, index, make.now))
    file.save(*index.take_changes())
    left = [signed for page in file.pages() for signed in page]
    assert 0 < len(left) == len(index) < COUNT
    assert all(signed.record.key[0] >= 128 for signed in left)


def test_stopping_leaves_the_rest_in_the_file(file: SavedIndex, make: Any) -> None:
    """A node that is stopped while it reads loses nothing."""
    index = GroupIndex(ROOM)
    clock, under_way = loading(file, index, make.now)
    under_way.stop()
    assert clock.getDelayedCalls() == []
    file.save(*index.take_changes())
    assert sum(len(page) for page in file.pages()) == COUNT

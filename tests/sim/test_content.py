"""Files are published and fetched in a network in churn: `python -m tests.sim.content`."""

import math
import random
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from bitsnode.content.errors import Unavailable
from tests.sim.clock import VirtualClock
from tests.sim.content import HOUR, Hour, sizes, stocked
from tests.sim.content_churn import Churn, Presence, Stay, enough
from tests.sim.content_world import ContentWorld
from tests.sim.models import SESSION_SCALE, SESSION_SHAPE
from tests.sim.shortcuts import content_shortcuts


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ContentWorld]:
    """Sixteen nodes that have joined."""
    with content_shortcuts(7):
        world = ContentWorld(7, tmp_path)
        world.settle(16)
        yield world
        world.stop()


def test_what_is_left_of_a_session_is_what_renewal_theory_says() -> None:
    """Against sessions laid end to end and looked at at random moments: the same mean."""
    draws, stay = random.Random(1), Stay()
    ends = [0.0]
    while len(ends) < 100_000:
        ends.append(ends[-1] + stay.session(draws))
    assert ends[-1] / 100_000 == pytest.approx(stay.mean, rel=0.02)
    left = sum((b - a) ** 2 / 2 for a, b in pairwise(ends)) / ends[-1]
    assert statistics.mean(stay.rest(draws) for _ in range(100_000)) == pytest.approx(left, rel=0.1)


def test_presence_is_the_law_of_what_is_left_when_nobody_comes_back() -> None:
    """With every session ending for good, the chance is the integral of P(session > t) / mean."""
    stay = Stay(gone=1.0)
    presence = Presence(stay, 6 * HOUR)
    step = 60.0
    survived = sum(
        math.exp(-(((number + 0.5) * step / SESSION_SCALE) ** SESSION_SHAPE)) * step
        for number in range(int(3 * HOUR / step))
    )
    assert presence.after(0.0) == 1.0
    assert presence.after(3 * HOUR) == pytest.approx(1 - survived / stay.mean, abs=0.01)


def test_those_who_come_back_are_there_as_often_as_renewal_theory_says() -> None:
    """After long, the chance is the mean session over that and the mean time away."""
    stay = Stay(gone=0.0, away=HOUR)
    late = Presence(stay, 200 * HOUR).after(200 * HOUR)
    assert late == pytest.approx(stay.mean / (stay.mean + stay.away), abs=0.015)


class _Absent:
    """As much of a node as churn needs."""

    def __init__(self) -> None:
        self.alive, self.gone, self.address = True, False, ""

    def die(self) -> None:
        self.alive = False

    def come_back(self) -> None:
        self.alive = True


class _Place:
    """As much of a world as churn needs, in which nobody is replaced."""

    def __init__(self, nodes: int) -> None:
        self.clock = VirtualClock(0.0)
        self.kept = {number: _Absent() for number in range(nodes)}
        self.doors: list[str] = []
        self.living = [None]


def test_nodes_leave_and_come_back_as_the_model_says() -> None:
    """Of 4,000 nodes as many are there after 3, 6 and 9 hours as were told beforehand."""
    place, stay = _Place(4000), Stay()
    Churn(place, stay, random.Random(5), least=0)  # type: ignore[arg-type]
    presence = Presence(stay, 9 * HOUR)
    for hours in (3, 6, 9):
        place.clock.run_until(hours * HOUR)
        there = sum(node.alive for node in place.kept.values()) / 4000
        assert there == pytest.approx(presence.after(hours * HOUR), abs=0.025)
    assert sum(node.gone for node in place.kept.values()) > 400


def test_the_chance_of_a_file_is_binomial() -> None:
    """The figure of 10 of 30 at 0.7 that the code is chosen by, and the ends."""
    assert enough(10, 30, 0.7) > 0.9999
    assert enough(1, 1, 0.25) == 0.25
    assert enough(10, 30, 0.0) == 0.0
    assert enough(0, 30, 0.0) == 1.0


def test_files_come_back_from_exactly_k_holders_and_not_from_fewer(world: ContentWorld) -> None:
    """Readers get what was published, of one chunk and of two, until k - 1 shares are left."""
    files = [world.publish(size) for size in (64 << 10, (1 << 20) + 1)]
    assert all(world.shares(file) == (file.n, file.n) for file in files)
    first = files[0]
    holders = [world.kept[key] for key in first.holders]
    spared, *others = (node for node in world.kept.values() if node not in holders)
    reader = spared
    for node in [*others, *holders[first.k :]]:
        node.die()
    output = world.home / "output"
    assert world.shares(first) == (first.k, first.n)
    fetched = world.run(reader.content.get(first.link, output, None, lambda _: None))
    assert fetched.sha256 == first.sha256
    last = holders[0]
    last.die()
    with pytest.raises(Unavailable):
        world.run(reader.content.get(first.link, output, None, lambda _: None))
    last.come_back()
    world.pass_time(120.0)
    fetched = world.run(reader.content.get(first.link, output, None, lambda _: None))
    assert fetched.sha256 == first.sha256
    assert [*world.failures, *world.faults] == []


def _lived(home: Path, nodes: int, files: int, hours: int, stay: Stay) -> list[Hour]:
    home.mkdir()
    with content_shortcuts(3):
        world, library = stocked(3, home, nodes, files, hours, stay)
        seen = list(library.hours(hours))
        world.stop()
    return seen


def test_two_runs_of_one_seed_are_the_same(tmp_path: Path) -> None:
    """Every hour of a network in quick churn, with nodes that come back, is told the same twice."""
    stay = Stay(longer=0.5, away=0.5 * HOUR)
    first, second = (_lived(tmp_path / name, 18, 2, 1, stay) for name in ("one", "two"))
    assert first == second
    (hour,) = first
    assert hour.left > 5
    assert hour.back > 0
    assert [outcome.found for outcome in hour.outcomes] == [True, True]
    assert hour.wrong == hour.errors == 0


def test_sizes_are_within_their_bounds() -> None:
    """None is smaller than 64 KiB or larger than 1 MiB."""
    drawn = sizes(random.Random(1), 1000)
    assert min(drawn) >= 64 << 10
    assert max(drawn) <= 1 << 20


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_erasure_alone_gives_what_the_binomial_law_says(tmp_path: Path) -> None:
    """Sixty nodes for six hours: no wrong byte, and whatever has k shares there is fetched."""
    hours = _lived(tmp_path / "world", 60, 12, 6, Stay())
    outcomes = [outcome for hour in hours for outcome in hour.outcomes]
    could = [outcome for outcome in outcomes if outcome.there >= outcome.needed]
    assert sum(hour.wrong for hour in hours) == hours[-1].errors == 0
    assert sum(outcome.found for outcome in could) >= 0.95 * len(could)
    expected = statistics.mean(outcome.expected for outcome in outcomes)
    assert statistics.mean(outcome.found for outcome in outcomes) == pytest.approx(
        expected, abs=0.1
    )

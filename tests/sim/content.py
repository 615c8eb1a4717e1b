"""``python -m tests.sim.content --nodes 100 --files 20 --hours 12``: files in a network in churn.

Files are published by the whole flow, over circuits, to nodes with real stores. Then nodes leave,
for good or for a while, and every hour somebody who has joined fetches each of the files.
"""

import argparse
import gc
import hashlib
import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.logger import LogLevel, globalLogPublisher

from bitsnode.errors import BitsError
from tests.sim.content_churn import Churn, Presence, Stay, enough
from tests.sim.content_world import ContentWorld, File, StoringNode
from tests.sim.shortcuts import content_shortcuts

HOUR: Final = 3600.0  # seconds
READING: Final = 0.75 * HOUR  # in which the fetches of an hour begin; the rest is for them to end
SMALLEST: Final = 64 << 10  # bytes of a file
LARGEST: Final = 1 << 20
HEAD: Final = (
    "| hour | nodes | left | back | put again | fetched | expected | with k there | p50 s | p95 s"
    " | questions | shares min | median | on disks min | median | wrong | errors |\n"
    + "|---" * 17
    + "|"
)


@attrs.frozen
class Outcome:
    """What one reader got.

    Attributes:
        there: shares that could be read when it began.
        holders: that took one.
        needed: k.
        presence: of a holder, by the model alone.
        expected: chance of k or more by the model alone.
        found: whether the fetch ended well.
        wrong: whether it gave other bytes than were published.
        seconds: it took.
        questions: that it asked.
        failure: name of what it failed with, or "".
    """

    there: int
    holders: int
    needed: int
    presence: float
    expected: float
    found: bool
    wrong: bool
    seconds: float
    questions: int
    failure: str


@attrs.frozen
class Hour:
    """What was seen in an hour.

    Attributes:
        number: of the hour, from 1.
        nodes: that are there at its end.
        left: times that a node left, since the beginning.
        back: times that one came back.
        again: records put into the DHT again by their holders, since the beginning.
        outcomes: of the fetches begun in it, without those whose reader left.
        shares: of each file at its end: those that can be read, and those on disks.
        errors: not handled, since the beginning.
    """

    number: int
    nodes: int
    left: int
    back: int
    again: int
    outcomes: tuple[Outcome, ...]
    shares: tuple[tuple[int, int], ...]
    errors: int

    @property
    def wrong(self) -> int:
        """Fetches that gave other bytes."""
        return sum(outcome.wrong for outcome in self.outcomes)

    def line(self) -> str:
        """Return its line of the table."""
        tried, good = self.outcomes, [one for one in self.outcomes if one.found]
        could = [one for one in tried if one.there >= one.needed]
        times = sorted(one.seconds for one in good)
        there, kept = ([pair[part] for pair in self.shares] for part in (0, 1))
        cells: list[object] = [self.number, self.nodes, self.left, self.back, self.again]
        cells += [f"{len(good)}/{len(tried)}", f"{_mean([one.expected for one in tried]):.1%}"]
        cells += [f"{sum(one.found for one in could)}/{len(could)}"]
        cells += [_quantile(times, 0.5), _quantile(times, 0.95)]
        cells += [f"{_mean([one.questions for one in good]):.0f}"]
        for counts in (there, kept):
            cells += [min(counts), f"{statistics.median(counts):g}"]
        return f"| {' | '.join(map(str, [*cells, self.wrong, self.errors]))} |"


def _mean(values: list[Any]) -> float:
    return float(statistics.mean(values)) if values else math.nan


def _quantile(ordered: list[float], share: float) -> str:
    """Return the smallest value that is not below so many of the others; "" if there is none."""
    return f"{ordered[math.ceil(share * len(ordered)) - 1]:.0f}" if ordered else ""


class Library:
    """Files in a world, and readers of them.

    Args:
        world: settled.
        files: published.
        churn: begun.
        presence: what the model says of a holder.
    """

    def __init__(
        self, world: ContentWorld, files: list[File], churn: Churn, presence: Presence
    ) -> None:
        self._world = world
        self._files = files
        self._churn = churn
        self._presence = presence
        self._outcomes: list[Outcome] = []
        self._under_way = 0
        self.errors: list[Any] = []

    def told(self) -> str:
        """Return a line on what was published."""
        codes = Counter(f"{len(file.holders)} of {file.k}/{file.n}" for file in self._files)
        return f"{len(self._files)} files, holders and code: {dict(codes)}"

    def hours(self, count: int) -> Iterator[Hour]:
        """Live through so many hours."""
        globalLogPublisher.addObserver(self._hear)
        try:
            for number in range(1, count + 1):
                yield self._hour(number)
        finally:
            globalLogPublisher.removeObserver(self._hear)

    def _hour(self, number: int) -> Hour:
        world = self._world
        end = world.clock.seconds() + HOUR
        self._under_way = len(self._files)
        for file in self._files:
            world.clock.callLater(world.draws.uniform(0, READING), self._begin, file)
        world.clock.run_until(end)
        world.clock.run_until(end + HOUR, lambda: not self._under_way)
        if self._under_way:
            raise AssertionError("a fetch takes more than an hour")
        world.bury()
        gc.collect()  # a failure that nobody looked at is told when it is collected
        outcomes, self._outcomes = self._outcomes, []
        return Hour(
            number,
            len(world.living),
            self._churn.left,
            self._churn.returned,
            world.put_again,
            tuple(outcomes),
            tuple(world.shares(file) for file in self._files),
            len(self.errors) + len(world.failures) + len(world.faults),
        )

    def _begin(self, file: File) -> None:
        """Have somebody fetch a file who has joined and does not fetch already."""
        ready = [node for node in self._world.joined if isinstance(node, StoringNode)]
        reader = self._world.draws.choice([node for node in ready if not node.reading])
        reader.begin(self._fetch(reader, file))

    async def _fetch(self, reader: StoringNode, file: File) -> None:
        world = self._world
        there, _ = world.shares(file)
        begun, asked, peers = world.clock.seconds(), reader.peers.asked, reader.peers
        presence = self._presence.after(begun - file.since)
        chance = enough(file.k, len(file.holders), presence)
        output = reader.home / "fetched"
        reader.reading = True
        failure, wrong = "", False
        try:
            await reader.content.get(file.link, output, None, lambda _event: None)
            wrong = hashlib.sha256(output.read_bytes()).digest() != file.sha256
        except BitsError as error:
            failure = type(error).__name__
        finally:  # also when the reader left
            self._under_way -= 1
        reader.reading = False
        output.unlink(missing_ok=True)
        self._outcomes.append(
            Outcome(
                there=there,
                holders=len(file.holders),
                needed=file.k,
                presence=presence,
                expected=chance,
                found=not failure,
                wrong=wrong,
                seconds=world.clock.seconds() - begun,
                questions=peers.asked - asked,
                failure=failure,
            )
        )

    def _hear(self, event: Any) -> None:
        if event["log_level"] >= LogLevel.warn:
            self.errors.append(event)


def sizes(draws: random.Random, count: int) -> list[int]:
    """Return sizes of files in bytes, as many below a power of two as above it."""
    span = math.log(LARGEST / SMALLEST)
    return [int(SMALLEST * math.exp(draws.uniform(0, span))) for _ in range(count)]


def stocked(
    seed: int, home: Path, nodes: int, files: int, hours: float, stay: Stay
) -> tuple[ContentWorld, Library]:
    """Return a network in churn in which files were just published.

    Args:
        seed: of all that is drawn.
        home: an empty folder.
        nodes: that are there at the beginning, and later at least.
        files: published.
        hours: that will be lived through.
        stay: how long nodes stay.
    """
    world = ContentWorld(seed, home)
    world.settle(nodes)
    published = [world.publish(size) for size in sizes(world.draws, files)]
    now = world.clock.seconds()
    churn = Churn(world, stay, random.Random(seed + 2), nodes)
    presence = Presence(stay, (hours + 2) * HOUR)
    return world, Library(world, [attrs.evolve(f, since=now) for f in published], churn, presence)


def main() -> int:
    """Run and print; return 1 if bytes were wrong or something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.content", description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--hours", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longer", type=float, default=1.0, help="stretches sessions")
    parser.add_argument("--gone", type=float, default=0.25, help="share that ends for good")
    parser.add_argument("--away", type=float, default=8.0, help="hours until others come back")
    options = parser.parse_args()
    stay = Stay(options.longer, options.gone, options.away * HOUR)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as home, content_shortcuts(options.seed):
        world, library = stocked(
            options.seed, Path(home), options.nodes, options.files, options.hours, stay
        )
        seen = _printed(library, options.hours)
        world.stop()
    failed = [*library.errors, *world.failures, *world.faults]
    for failure in failed[:5]:
        print(failure, file=sys.stderr)
    print(f"{time.process_time() - begun:.0f} s of CPU", file=sys.stderr)
    return 1 if failed or any(hour.wrong for hour in seen) else 0


def _printed(library: Library, hours: int) -> list[Hour]:
    """Print each hour, and what came of all of them."""
    print(library.told(), HEAD, sep="\n\n", flush=True)
    seen = []
    for hour in library.hours(hours):
        seen.append(hour)
        print(hour.line(), flush=True)
    outcomes = [outcome for hour in seen for outcome in hour.outcomes]
    could = [outcome for outcome in outcomes if outcome.there >= outcome.needed]
    failures = Counter(outcome.failure for outcome in outcomes if outcome.failure)
    print(f"\nfetched {_mean([one.found for one in outcomes]):.1%} of {len(outcomes)}", end=", ")
    print(f"expected {_mean([one.expected for one in outcomes]):.1%}", end="; ")
    print(
        f"with k there {_mean([one.found for one in could]):.1%} of {len(could)}; {dict(failures)}"
    )
    there = _mean([outcome.there / outcome.holders for outcome in outcomes])
    print(f"holders there {there:.1%}, expected {_mean([one.presence for one in outcomes]):.1%}")
    return seen


if __name__ == "__main__":
    sys.exit(main())

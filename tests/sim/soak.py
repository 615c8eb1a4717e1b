"""``python -m tests.sim.soak --nodes 1000 --hours 24``: a network in a day of churn.

Every node leaves when its session ends and another comes; some of those that are there hold
records, put them when they take them, and again every 9 to 15 hours as the program does. Every
hour records are looked up, and what the process uses is written down.
"""

import argparse
import gc
import os
import secrets
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from twisted.logger import LogLevel, globalLogPublisher

from bitsnode.store.records import REPUBLISH
from bitsnode.wire.card import HOUR
from tests.sim.measure import Measured, Stored, gets, keep, most_failing, put
from tests.sim.scenarios import leave_later, settled
from tests.sim.shortcuts import shortcuts
from tests.sim.world import SimNode, World

WARM = 0.25  # share of the hours that caches and tables take to fill
HEAD = (
    "| hour | nodes | joined | held | lookups | found | contacts | records | memory MB | lists MB"
    " | objects | files |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


@attrs.frozen
class Hour:
    """What was seen at the end of an hour.

    Attributes:
        number: of the hour, from 1.
        nodes: that are there.
        joined: since the beginning.
        held: records whose holder is there.
        measured: lookups of them.
        contacts: of a node, on average.
        records: kept by a node, on average.
        memory: bytes that the process has resident, after garbage was collected.
        lists: bytes of what nodes remember up to a limit that they reach within a day; see
            `limited_lists`.
        objects: that the collector tracks.
        files: descriptors open.
    """

    number: int
    nodes: int
    joined: int
    held: int
    measured: Measured
    contacts: float
    records: float
    memory: int
    lists: int
    objects: int
    files: int

    def line(self) -> str:
        """Return its line of the table."""
        found = f"{100 * self.measured.found:.2f} %"
        cells = [self.number, self.nodes, self.joined, self.held, self.measured.lookups, found]
        cells += [f"{self.contacts:.0f}", f"{self.records:.1f}", f"{self.memory / 1e6:.0f}"]
        cells += [f"{self.lists / 1e6:.0f}", self.objects, self.files]
        return f"| {' | '.join(map(str, cells))} |"

    @property
    def rest(self) -> int:
        """Bytes of the process without those lists."""
        return self.memory - self.lists


class Soak:
    """A world in churn, and the records held in it.

    Args:
        world: settled.
        held: records at a time.
        faster: by which sessions, and the time between puts, are shorter than they are.
        again: seconds after which a holder puts its record again, a quarter more or less.
    """

    def __init__(
        self, world: World, held: int, faster: float = 1.0, again: int = REPUBLISH
    ) -> None:
        self._world = world
        self._held = held
        self._faster = faster
        self._again = again
        self._records: list[tuple[SimNode, Stored]] = []
        self.errors: list[dict[str, Any]] = []
        for node in world.living:
            leave_later(world, node, faster)

    def hours(self, count: int, lookups: int) -> Iterator[Hour]:
        """Live through so many hours."""
        globalLogPublisher.addObserver(self._hear)
        try:
            for number in range(1, count + 1):
                yield self._hour(number, lookups)
        finally:
            globalLogPublisher.removeObserver(self._hear)

    def _hour(self, number: int, lookups: int) -> Hour:
        world = self._world
        self._records = [pair for pair in self._records if pair[0].alive]
        joined = world.joined
        fresh = [world.draws.choice(joined) for _ in range(self._held - len(self._records))]
        seeds = [secrets.token_bytes(32) for _ in fresh]
        work = [put(world, node, seed) for node, seed in zip(fresh, seeds, strict=True)]
        for node, stored in zip(fresh, world.run_all(work), strict=True):
            self._records.append((node, stored))
            self._put_later(node, stored)
        world.pass_time(HOUR / self._faster)
        there = [stored for holder, stored in self._records if holder.alive]
        measured = gets(world, [world.draws.choice(there) for _ in range(lookups)])
        world.bury()
        gc.collect()
        living = [node.service.status() for node in world.living]
        return Hour(
            number,
            len(living),
            world.added,
            len(there),
            measured,
            statistics.mean(status.contacts for status in living),
            statistics.mean(status.records for status in living),
            int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            sum(map(limited_lists, world.living)),
            len(gc.get_objects()),
            len(os.listdir("/proc/self/fd")),
        )

    def _put_later(self, holder: SimNode, stored: Stored) -> None:
        """Put the very record again from time to time, for as long as its holder is there."""

        def again() -> None:
            if holder.alive:
                self._world.begin(keep(holder, stored.record))
                self._put_later(holder, stored)

        wait = (self._again * 3 // 4 + secrets.randbelow(self._again // 2)) / self._faster
        self._world.clock.callLater(wait, again)

    def _hear(self, event: Any) -> None:
        if event["log_level"] >= LogLevel.warn:
            self.errors.append(event)


def limited_lists(node: SimNode) -> int:
    """Return the bytes of a node's lists of cards checked, nonces seen, and addresses that failed.

    Of cards and addresses only the references: those themselves are shared by all nodes here.
    """
    service = node.service
    reader, table, candidates = service._questions._reader, service._table, service._candidates
    return sum(map(sys.getsizeof, (reader._read, table._nonces, candidates._failed)))


def growth(hours: list[Hour], name: str) -> float:
    """Return by which share of its mean a number grew in a day, of the hours after the warm-up."""
    late = hours[int(len(hours) * WARM) :]
    values = [float(getattr(hour, name)) for hour in late]
    slope, _ = statistics.linear_regression([hour.number for hour in late], values)
    return 24 * slope / statistics.mean(values)


def main() -> int:
    """Run and print; return 1 if records were lost or something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held", type=int, default=200, help="records at a time")
    parser.add_argument("--lookups", type=int, default=250, help="of each hour")
    parser.add_argument("--faster", type=float, default=1.0, help="compresses sessions")
    parser.add_argument("--again", type=int, default=REPUBLISH, help="seconds between puts")
    options = parser.parse_args()
    seen: list[Hour] = []
    begun = time.process_time()
    print(HEAD, flush=True)
    with shortcuts(options.seed):
        world, _ = settled(options.seed, options.nodes)
        soak = Soak(world, options.held, options.faster, options.again)
        for hour in soak.hours(options.hours, options.lookups):
            seen.append(hour)
            print(hour.line(), flush=True)
            print(f"{time.process_time() - begun:.0f} s of CPU", file=sys.stderr, flush=True)
    lookups = sum(hour.measured.lookups for hour in seen)
    lost = sum(round(hour.measured.lookups * (1 - hour.measured.found)) for hour in seen)
    failed = [*soak.errors, *world.failures]
    print(f"\nfound {1 - lost / lookups:.3%} of {lookups:,}", end=", ")
    print(f"at least {1 - most_failing(lookups, lost):.3%}; unhandled errors: {len(failed)}")
    if len(seen) > 4:
        for name in ("memory", "lists", "rest", "objects", "files"):
            print(f"{name}: {growth(seen, name):+.1%} a day after the warm-up")
    for failure in failed[:5]:
        print(failure, file=sys.stderr)
    return 0 if lost <= lookups // 1000 and not failed else 1


if __name__ == "__main__":
    sys.exit(main())

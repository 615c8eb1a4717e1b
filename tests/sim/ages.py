"""``python -m tests.sim.ages --nodes 100``: records that nobody puts again, hour by hour in churn.

Whoever published them is gone. The same network lives through the same hours twice: as it is, and
with storers that hand nothing on to newcomers (`bitsnode/dht/handover.py`).
"""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import attrs

from bitsnode.dht.handover import Handover
from bitsnode.wire.card import HOUR
from tests.sim.measure import gets, puts
from tests.sim.scenarios import leave_later, settled
from tests.sim.shortcuts import shortcuts
from tests.sim.world import World


@attrs.frozen
class Age:
    """What is left of records of an age.

    Attributes:
        hours: since they were put.
        found: share of them that a reader found.
        copies: of each, on average, at nodes that are there.
    """

    hours: int
    found: float
    copies: float


def ages(seed: int, nodes: int, records: int, hours: int) -> Iterator[Age]:
    """Put records into a network whose churn begins, and look all of them up each hour."""
    world, _ = settled(seed, nodes)
    for node in world.living:
        leave_later(world, node)
    stored = puts(world, records)
    for hour in range(1, hours + 1):
        world.pass_time(HOUR)
        world.bury()
        keys = {one.key for one in stored}
        yield Age(hour, gets(world, stored).found, _copies(world, keys) / records)
    world.stop()


def ages_without_handover(*given: Any) -> Iterator[Age]:
    """Do the same with storers that take no note of newcomers."""
    with patch.object(Handover, "came", lambda *_given: None):
        yield from ages(*given)


def _copies(world: World, keys: set[bytes]) -> int:
    return sum(len(node.service.kept_records(key)) for node in world.living for key in keys)


def main() -> int:
    """Run both, print them side by side."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.ages", description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--hours", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.process_time()
    given = options.seed, options.nodes, options.records, options.hours
    with shortcuts(options.seed):
        handed = list(ages(*given))
    with shortcuts(options.seed):
        kept = list(ages_without_handover(*given))
    print(
        "| hours | handed on: found | copies | not handed on: found | copies |\n" + "|---" * 5 + "|"
    )
    for one, other in zip(handed, kept, strict=True):
        cells = f"{one.found:.1%} | {one.copies:.1f} | {other.found:.1%} | {other.copies:.1f}"
        print(f"| {one.hours} | {cells} |")
    print(f"\n{time.process_time() - begun:.0f} s of CPU", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.sim.duties --nodes 300``: what a node's duties in the DHT cost under churn.

Nobody asks and nobody puts anything. Counted are the nodes that are there for an hour and more:
newcomers cost more, and are told apart in the last line.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

import attrs

import bitsnode.dht.walker as walker
from bitsnode.dht.handover import Handover
from bitsnode.dht.upkeep import Upkeep
from bitsnode.dht.watch import Watch
from bitsnode.wire.card import HOUR
from tests.sim.analytic_plan import CARDS_BYTES, DIAL_BYTES, DIALLED_BYTES
from tests.sim.network import CircuitPeers, Gone
from tests.sim.scenarios import leave_later, settled
from tests.sim.shortcuts import shortcuts

DUTIES = {
    "given addresses": (Upkeep, "_dial_given"),
    "walks home": (Upkeep, "_walk_home"),
    "walks to far points": (Upkeep, "_refresh_buckets"),
    "candidates": (Upkeep, "_verify"),
    "checks of contacts": (Upkeep, "_check"),
    "looks at anchors": (Watch, "look"),
    "records handed on": (Handover, "give"),
}
_duty: ContextVar[str] = ContextVar("_duty", default="?")


@attrs.define
class Tally:
    """What was done for a duty.

    Attributes:
        dials: cold contacts tried.
        vain: those of them that nobody answered.
        questions: answered, over cold circuits or open ones.
    """

    dials: int = 0
    vain: int = 0
    questions: int = 0

    def kilobits(self, seconds: float) -> float:
        """Return kbit/s at a node that does this, and is asked as much by others."""
        dialled = self.dials * DIAL_BYTES + (self.dials - self.vain) * DIALLED_BYTES
        return (dialled + 2 * self.questions * CARDS_BYTES) * 8 / 1000 / seconds


class Tallies:
    """Counts by duty, of newcomers and of all others.

    Attributes:
        old: tallies of nodes that are there for an hour and more, by duty.
        young: one tally of all others.
    """

    def __init__(self) -> None:
        self._born: dict[int, float] = {}
        self.clear()

    def clear(self) -> None:
        """Begin to count."""
        self.old = {duty: Tally() for duty in DUTIES}
        self.young = Tally()

    def born(self, peers: CircuitPeers, now: float) -> None:
        """Take note of a node."""
        self._born[id(peers)] = now

    def is_young(self, peers: CircuitPeers) -> bool:
        """Return whether a node came within the last hour."""
        return peers._fabric.clock.seconds() - self._born[id(peers)] < HOUR

    def of(self, peers: CircuitPeers) -> Tally:
        """Return what to count in."""
        duty = _duty.get()
        if self.is_young(peers) or duty not in self.old:
            return self.young
        return self.old[duty]


@contextlib.contextmanager
def counted(tallies: Tallies) -> Iterator[None]:
    """Count what is done while inside, by the duty that it is done for."""
    with contextlib.ExitStack() as patches:

        def replace(owner: Any, name: str, new: Any) -> None:
            patches.enter_context(patch.object(owner, name, new))

        for duty, (owner, name) in DUTIES.items():
            replace(owner, name, _marked(getattr(owner, name), duty))
        run, peers = walker._Run, CircuitPeers
        replace(run, "__init__", _remembering_duty(run.__init__))
        replace(run, "_question", _for_its_duty(run._question))
        replace(peers, "__init__", _born(peers.__init__, tallies))
        replace(peers, "_dial", _dialling(peers._dial, tallies))
        replace(peers, "request", _asking(peers.request, tallies))
        yield


def _marked(work: Any, duty: str) -> Any:
    async def marked(*given: Any) -> Any:
        _duty.set(duty)  # of a coroutine's own context, and of those it begins
        return await work(*given)

    return marked


def _remembering_duty(init: Any) -> Any:
    def made(run: Any, *given: Any) -> None:
        init(run, *given)
        run.duty = _duty.get()  # what a clock calls later has no context

    return made


def _for_its_duty(question: Any) -> Any:
    def asked(run: Any, contact: Any) -> None:
        token = _duty.set(run.duty)
        try:
            question(run, contact)
        finally:
            _duty.reset(token)

    return asked


def _born(init: Any, tallies: Tallies) -> Any:
    def made(peers: CircuitPeers, fabric: Any, *given: Any) -> None:
        init(peers, fabric, *given)
        tallies.born(peers, fabric.clock.seconds())

    return made


def _dialling(dial: Any, tallies: Tallies) -> Any:
    async def dialled(peers: CircuitPeers, *given: Any) -> Any:
        tally = tallies.of(peers)
        tally.dials += 1
        try:
            return await dial(peers, *given)
        except Gone:
            tally.vain += 1
            raise

    return dialled


def _asking(request: Any, tallies: Tallies) -> Any:
    async def asked(peers: CircuitPeers, *given: Any) -> Any:
        tally = tallies.of(peers)
        reply = await request(peers, *given)
        tally.questions += 1
        return reply

    return asked


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.duties", description=__doc__)
    parser.add_argument("--nodes", type=int, default=300)
    parser.add_argument("--before", type=int, default=2, help="hours of churn before")
    parser.add_argument("--hours", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun, tallies = time.process_time(), Tallies()
    with shortcuts(options.seed), counted(tallies):
        world, _ = settled(options.seed, options.nodes)
        for node in world.living:
            leave_later(world, node)
        world.pass_time(options.before * HOUR)
        tallies.clear()
        old = 0.0  # node hours
        steps = 12 * options.hours
        for _ in range(steps):
            world.pass_time(HOUR / 12)
            old += sum(not tallies.is_young(node.peers) for node in world.living) / 12
        young = options.nodes * options.hours - old
        world.stop()
    print("| duty | dials an hour | in vain | answers | kbit/s |\n|---|---|---|---|---|")
    for duty, tally in tallies.old.items():
        print(_line(duty, tally, old))
    columns = zip(*map(attrs.astuple, tallies.old.values()), strict=True)
    whole = Tally(*map(sum, columns))
    print(_line("all", whole, old))
    print(_line("all, of nodes that came within the hour", tallies.young, young))
    print(f"\n{time.process_time() - begun:.0f} s of CPU", file=sys.stderr)
    return 0


def _line(name: str, tally: Tally, hours: float) -> str:
    vain = tally.vain / tally.dials if tally.dials else 0.0
    return (
        f"| {name} | {tally.dials / hours:.0f} | {vain:.0%} | {tally.questions / hours:.0f}"
        f" | {tally.kilobits(hours * HOUR):.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())

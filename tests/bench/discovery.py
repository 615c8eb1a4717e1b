"""Finding a record by each tier, over links as slow as those of the public network.

Ten nodes of a localnet, the link of each 450 ± 200 ms with 2 % of the segments lost
(`tests/slow_links`), and a client that asks by one tier at a time. The baseline is the plain walk
over circuits that must be opened first; one row has 30 % of the nodes blackholed. The first answers
are those of processes that begin with a tor that is ready and nothing else, or with what an earlier
run of theirs saved.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import attrs

from tests.acceptance.cli_net import CliLocalnet
from tests.bench.networks import grow, stopped_at_end
from tests.bench.row import Options, Row, row
from tests.slow_links.discovery import SlowNet
from tests.slow_links.timing import Pace

NODES = 10
CONTENTS = 10
DARK = 3  # nodes
AGAIN, COLD = "walk over warm circuits", "walk over cold circuits"
NEW = "first answer of a newcomer"
KNOWN = "first answer of one that was here before"
COUNTS = {"warm": 500, "recursive": 100, AGAIN: 40, COLD: 20}
QUICK = {"warm": 20, "recursive": 8, AGAIN: 4, COLD: 2}
GOALS = {"warm": 1.0}  # p95 in seconds
GOAL_DARK = 1.5
GOAL_FIRST = 30.0
FIRST = 8  # processes that begin, of each kind


@attrs.frozen
class Times:
    """Seconds of many questions, and how many of them found nothing."""

    p50: float
    p95: float
    missed: int

    @property
    def text(self) -> str:
        """As in the table."""
        missed = f", {self.missed} missed" if self.missed else ""
        return f"{self.p50:.2f}/{self.p95:.2f} s{missed}"


class AskingClient:
    """A process that asks; for a with block."""

    def __init__(self, net: CliLocalnet) -> None:
        command = [sys.executable, "-m", "tests.slow_links.asker", str(net.directory)]
        command += [*(node.onion for node in net.nodes[:3]), "--links", str(NODES - 1)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "AskingClient":
        """Wait until its links are open."""
        if "ready" not in self._answer():
            raise RuntimeError("the client that asks did not join")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=60)

    def ask(self, tier: str, keys: list[str], count: int) -> Times:
        """Ask so many questions by a tier."""
        assert self._process.stdin is not None
        wanted = {"tier": tier, "keys": keys, "count": count}
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        answers = [self._answer() for _ in range(count)]
        times = sorted(answer["seconds"] for answer in answers)
        missed = sum(not answer["records"] for answer in answers)
        return Times(statistics.median(times), times[min(count - 1, int(count * 0.95))], missed)

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the client that asks has ended")
        answer: dict[str, float] = json.loads(line)
        return answer


@contextlib.contextmanager
def _slow(directory: Path) -> Iterator[tuple[SlowNet, AskingClient]]:
    with stopped_at_end(directory):
        net = grow(directory, NODES)
        with SlowNet(net, CONTENTS, asks=False) as slow, AskingClient(net) as client:
            slow.pace(Pace())
            yield slow, client


def _first(net: CliLocalnet, keys: list[str], count: int, home: Path | None) -> Times:
    """Let processes begin one after the other, each with a question.

    Args:
        net: slow.
        keys: of records that are there.
        count: how many.
        home: that all of them have, so that only the first of them knows nobody; None for none.
    """
    times, missed = [], 0
    for number in range(count):
        command = [sys.executable, "-m", "tests.slow_links.asker", str(net.directory)]
        command += [node.onion for node in net.nodes[:3]]
        command += ["--first", keys[number % len(keys)]]
        command += ["--home", str(home)] if home is not None else []
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
        answer = json.loads(done.stdout)
        times.append(answer["seconds"])
        missed += not answer["records"]
    times.sort()
    return Times(statistics.median(times), times[min(count - 1, int(count * 0.95))], missed)


def rows(options: Options) -> list[Row]:
    """Measure each tier; the plain walk last, for it opens and closes most circuits.

    One walk before those over warm circuits opens them.
    """
    counts = QUICK if options.quick else COUNTS
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as name:
        with _slow(Path(name)) as (slow, client):
            keys = [content.key for content in slow.contents]
            client.ask(AGAIN, keys, 1)
            found = {tier: client.ask(tier, keys, count) for tier, count in counts.items()}
            first = 2 if options.quick else FIRST
            came = {NEW: _first(slow.net, keys, first, None)}
            home = Path(name) / "known"
            home.mkdir(mode=0o700)
            _first(slow.net, keys, 1, home)
            came[KNOWN] = _first(slow.net, keys, first, home)
            for link in slow.links[:DARK]:
                link.dark = True
            dark = client.ask("warm", keys, counts["warm"])
    base = found[COLD]
    table = [_row(tier, times, base, GOALS.get(tier)) for tier, times in found.items()]
    table += [_row(what, times, base, GOAL_FIRST) for what, times in came.items()]
    return [*table, _row(f"warm, {DARK} of {NODES} nodes blackholed", dark, base, GOAL_DARK)]


def _row(what: str, times: Times, base: Times, goal: float | None) -> Row:
    met = times.missed == 0 and (goal is None or times.p95 < goal)
    wanted = f"p95 < {goal:g} s, all found" if goal else "all found"
    name = f"discovery p50/p95: {what}"
    return row(name, times.text, base.text, base.p95 / times.p95, wanted, met)

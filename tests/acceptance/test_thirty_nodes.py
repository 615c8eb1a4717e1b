"""Thirty nodes, each with a tor of its own, a third of which come and go while files do."""

import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.cli_net import CliLocalnet, CliNode, run, sha256, wait_for

pytestmark = [pytest.mark.tor, pytest.mark.slow, pytest.mark.timeout(3600)]

NODES = 30
FILES = 20
SIZES = (1, 1000, 300_000, 1 << 20, 3_000_000)  # bytes
UP_SECONDS = 20.0  # at most, between two restarts


@pytest.fixture
def thirty() -> Iterator[CliLocalnet]:
    """Thirty nodes on a private Tor network."""
    directory = Path(tempfile.mkdtemp(prefix="bits-thirty-"))
    try:
        done = run("localnet", "up", "--nodes", str(NODES), "--dir", directory, seconds=1200)
        assert done.status == 0, done.stderr
        nodes = [CliNode(Path(node["home"]), node["peer_onion"]) for node in done.result["nodes"]]
        yield CliLocalnet(directory, nodes)
    finally:
        run("localnet", "down", "--dir", directory)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def restarting(
    net: CliLocalnet, nodes: list[CliNode], draws: random.Random
) -> Iterator[dict[Path, int]]:
    """Kill nodes and start them again, one after another drawn by lot; how often each was."""
    over = threading.Event()
    restarts = {node.home: 0 for node in nodes}
    faults: list[BaseException] = []

    def come_and_go() -> None:
        waiting = list(nodes)
        draws.shuffle(waiting)
        while not over.is_set() or waiting:  # each of them once at least
            node = waiting.pop() if waiting else draws.choice(nodes)
            try:
                node.kill()
                net.revive()
            except BaseException as error:
                faults.append(error)
                return
            restarts[node.home] += 1
            over.wait(draws.uniform(0.0, UP_SECONDS))

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        yield restarts
    finally:
        over.set()
        thread.join()
    assert not faults, faults


def test_files_come_back_while_a_third_of_the_nodes_restart(
    thirty: CliLocalnet, tmp_path: Path, record_property: Callable[[str, str], None]
) -> None:
    """Twenty are published and fetched meanwhile, and each sum is what it was."""
    draws = random.Random(6)
    nodes = list(thirty.nodes)
    wait_for(lambda: all(node.status()["contacts"] >= NODES // 2 for node in nodes), 300.0)
    draws.shuffle(nodes)
    restless, steady = nodes[: NODES // 3], nodes[NODES // 3 :]
    links = []
    with restarting(thirty, restless, draws) as restarts:
        for number in range(FILES):
            source = tmp_path / f"in-{number}"
            source.write_bytes(draws.randbytes(SIZES[number % len(SIZES)]))
            publisher, reader = draws.sample(steady, 2)
            published = publisher.ok("publish", "--free", source)
            assert published["sha256"] == sha256(source)
            links.append((published["link"], sha256(source)))
            got = reader.ok("get", published["link"], "-o", tmp_path / f"out-{number}")
            assert got["sha256"] == sha256(tmp_path / f"out-{number}") == sha256(source)
    assert all(restarts.values()), restarts
    for number, (link, digest) in enumerate(links):  # and all of them afterwards, by who restarted
        reader = restless[number % len(restless)]
        again = tmp_path / f"again-{number}"
        assert reader.ok("get", link, "-o", again)["sha256"] == sha256(again) == digest
    table = f"{NODES} nodes, {len(restless)} of which restarted {sum(restarts.values())} times\n"
    table += f"{FILES} files published, fetched meanwhile and again afterwards: all sums equal"
    record_property("table", table)

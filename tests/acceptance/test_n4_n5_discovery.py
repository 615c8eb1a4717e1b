"""Finding records where links are as slow as those of the public network, and some are dead."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cli_net import CliLocalnet, CliNode, run
from tests.slow_links.discovery import SlowNet, Summary
from tests.slow_links.timing import Pace

QUESTIONS = 40
DARK_SHARE = 0.3  # of all nodes
CRAWL = Pace(mean=8.0, deviation=0.0, loss=0.0)
MANY = 500  # questions
LARGE = 10  # nodes

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]


@pytest.fixture
def slow_net(whole_net: CliLocalnet) -> Iterator[SlowNet]:
    """The localnet, all of whose links are slow, and a node with warm links to it."""
    with SlowNet(whole_net, contents=3) as slow:
        slow.pace(Pace())
        yield slow


def test_n4_n5_records_are_found_over_slow_links_and_dead_ones(
    slow_net: SlowNet, tmp_path: Path
) -> None:
    """Every question is answered rightly by warm links: slow, crawling, and 30 % of them dead."""
    asked = slow_net.ask(QUESTIONS)
    assert all(one.right and one.tier == "group" for one in asked)
    assert slow_net.ask_for_nothing() == 0
    assert slow_net.fetch(slow_net.contents[0], tmp_path / "fetched")

    some = slow_net.links[: round(DARK_SHARE * len(slow_net.links))]
    for link in some:
        link.pace = CRAWL
    crawling = slow_net.ask(QUESTIONS // 4)
    assert all(one.right for one in crawling)
    # three are asked, of whom at most two crawl: whoever is faster is taken
    assert all(one.seconds < CRAWL.mean / 2 for one in crawling)

    for link in some:
        link.dark = True
    dark = slow_net.ask(QUESTIONS // 2)
    assert all(one.right for one in dark)
    assert all(one.tier in ("group", "handed on") for one in dark)
    assert slow_net.ask_for_nothing() == 0


@pytest.fixture(scope="module")
def large_net() -> Iterator[CliLocalnet]:
    """A localnet of its own."""
    directory = Path(tempfile.mkdtemp(prefix="bits-discovery-"))
    try:
        done = run("localnet", "up", "--nodes", str(LARGE), "--dir", directory)
        assert done.status == 0, done.stderr
        nodes = [CliNode(Path(node["home"]), node["peer_onion"]) for node in done.result["nodes"]]
        yield CliLocalnet(directory, nodes)
    finally:
        run("localnet", "down", "--dir", directory)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_n4_discovery_takes_less_than_a_second(large_net: CliLocalnet) -> None:
    """Over links of 450 +- 200 ms with 2 % loss, 95 % of 500 questions take less than 1 s."""
    with SlowNet(large_net, contents=10) as slow:
        slow.pace(Pace())
        seen = Summary.of(slow.ask(MANY))
    print(seen)
    assert seen.wrong == 0
    assert seen.p95 < 1.0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_n5_discovery_with_a_third_of_the_peers_dead(large_net: CliLocalnet) -> None:
    """With 30 % of the peers blackholed as well, 95 % take less than 1.5 s, and none is wrong."""
    with SlowNet(large_net, contents=10) as slow:
        slow.pace(Pace())
        for link in slow.links[: round(DARK_SHARE * len(slow.links))]:
            link.dark = True
        seen = Summary.of(slow.ask(MANY))
        assert slow.ask_for_nothing() == 0
    print(seen)
    assert seen.wrong == 0
    assert seen.p95 < 1.5

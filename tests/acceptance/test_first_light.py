"""Publish on one node and get on another, through real tors, with nothing but the commands."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cli_net import BITSNODE, CliLocalnet, CliNode, sha256, wait_for

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]

MIB = 1 << 20


def publish(node: CliNode, path: Path) -> dict:
    """Publish a file and check what the command says of it."""
    done = node.ok("publish", "--free", path)
    assert done["sha256"] == sha256(path)
    assert done["bytes"] == path.stat().st_size
    return done


def shares(node: CliNode) -> int:
    """Return how many shares a node keeps."""
    return node.status()["storage"]["shares"]


def served(nodes: list[CliNode]) -> int:
    """Return how many bytes of shares the nodes have served."""
    return sum(node.status()["counters"]["served_share"] for node in nodes)


@pytest.mark.parametrize("size", [0, 1, MIB - 1, 5 * MIB])
def test_sums_are_equal(whole_net: CliLocalnet, tmp_path: Path, size: int) -> None:
    """What comes out on another node is what went in, also at the edges of a chunk."""
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(secrets.token_bytes(size))
    published = publish(whole_net.nodes[0], source)
    got = whole_net.nodes[3].ok("get", published["link"], "-o", target)
    assert got["sha256"] == sha256(source) == sha256(target)
    assert got["bytes"] == size


def archive(path: Path) -> Path:
    """Make a real archive of a little more than 64 MiB: Python's own library, until it is full."""
    library = Path(secrets.__file__).parent
    with tarfile.open(path, "w") as tar:
        for turn in range(100):
            for file in sorted(library.rglob("*.py")):
                if tar.offset >= 64 * MIB:
                    return path
                tar.add(file, f"copy{turn}/{file.relative_to(library)}")
    raise AssertionError("Python's library is smaller than expected")


def test_a_real_archive_and_a_range_of_it(whole_net: CliLocalnet, tmp_path: Path) -> None:
    """64 MiB come back whole; a range from the middle costs only the chunks that it touches."""
    source = archive(tmp_path / "archive.tar")
    published = publish(whole_net.nodes[1], source)
    target = tmp_path / "out.tar"
    assert (
        whole_net.nodes[5].ok("get", published["link"], "-o", target)["bytes"]
        == target.stat().st_size
    )
    assert sha256(target) == sha256(source)

    first, last = 30 * MIB - 1000, 31 * MIB + 999  # touches three chunks
    before = served(whole_net.nodes)
    part = tmp_path / "part"
    whole_net.nodes[6].ok("get", published["link"], "-o", part, "--range", f"{first}-{last}")
    read = served(whole_net.nodes) - before
    with source.open("rb") as file:
        file.seek(first)
        assert part.read_bytes() == file.read(last - first + 1)
    # three chunks; a block asked for twice because its holder was slow is within the last term
    assert 3 * MIB <= read < 4 * MIB


def test_killed_holders(whole_net: CliLocalnet, tmp_path: Path) -> None:
    """30% fewer holders do no harm; fewer than k give one sentence, no plaintext, and come back."""
    nodes = whole_net.nodes
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(secrets.token_bytes(3 * MIB + 5))
    before = {node.home: shares(node) for node in nodes}
    published = publish(nodes[0], source)
    k = int(published["code"].split("/")[0])
    holders = [node for node in nodes if shares(node) > before[node.home]]
    assert len(holders) == 7
    assert nodes[0] not in holders
    with whole_net.newcomer("stranger") as stranger:
        for node in holders[:2]:  # 30% of 7, and a newcomer joined through another one
            node.kill()
        stranger.ok("get", published["link"], "-o", target)
        assert sha256(target) == sha256(source)
        target.unlink()

    with whole_net.newcomer("latecomer", "--storage", "0") as latecomer:
        for node in holders[2 : 7 - (k - 1)]:
            node.kill()
        failed = latecomer.run("get", published["link"], "-o", target)
        assert failed.status == 1
        assert f"unavailable: {k - 1} of {k}" in failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1
        assert list(tmp_path.iterdir()) == [source]
        whole_net.revive()
        latecomer.ok("get", published["link"], "-o", target)
        assert sha256(target) == sha256(source)


def fetch_until(fetcher: CliNode, link: str, target: Path, enough: int) -> "subprocess.Popen[str]":
    """Begin a fetch, and return as soon as so many bytes of blocks are verified."""
    get = subprocess.Popen(
        [*BITSNODE, "--home", str(fetcher.home), "get", link, "-o", str(target), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in get.stdout or []:
        event = json.loads(line)
        if event.get("event") == "fetching" and event["done"] >= enough:
            return get
    raise AssertionError(f"the fetch ended before: {get.communicate()[1]}")


def tor_of(pid: int) -> int:
    """Return the process id of the tor that a node has started."""
    children = subprocess.run(
        ["pgrep", "-P", str(pid), "-x", "tor"], capture_output=True, text=True, check=True
    )
    (tor,) = children.stdout.split()
    return int(tor)


@contextlib.contextmanager
def killing_tor(pid: int) -> Iterator[None]:
    """Kill the tor of a node, and every tor that it starts instead, as long as this is entered."""
    enough = threading.Event()

    def kill() -> None:
        while not enough.wait(0.05):
            subprocess.run(["pkill", "-KILL", "-P", str(pid), "-x", "tor"], check=False)

    killer = threading.Thread(target=kill)
    os.kill(tor_of(pid), signal.SIGKILL)
    killer.start()
    try:
        yield
    finally:
        enough.set()
        killer.join()


def test_a_killed_fetch_goes_on_where_it_was(whole_net: CliLocalnet, tmp_path: Path) -> None:
    """After kill -9 half-way and a restart, no verified share is fetched a second time."""
    source, target = tmp_path / "in", tmp_path / "out"
    size = 32 * MIB
    source.write_bytes(secrets.token_bytes(size))
    published = publish(whole_net.nodes[0], source)
    before = served(whole_net.nodes)
    with whole_net.newcomer("fetcher", "--storage", "0") as fetcher:
        pid = fetcher.status()["pid"]
        get = fetch_until(fetcher, published["link"], target, size // 2)
        os.kill(pid, signal.SIGKILL)
        assert get.stderr is not None
        assert "The node stopped" in get.stderr.read()
        get.communicate()
        assert not target.exists()
    with whole_net.newcomer("fetcher", "--storage", "0") as fetcher:
        between = served(whole_net.nodes)
        fetcher.ok("get", published["link"], "-o", target)
        second = served(whole_net.nodes) - between
    assert sha256(target) == sha256(source)
    assert between - before >= size // 2
    # half was verified before; a slow holder's block may be asked of another one as well
    assert second <= size // 2 + 4 * MIB


def test_n2_tor_killed_while_fetching(whole_net: CliLocalnet, tmp_path: Path) -> None:
    """The fetch waits for tor, goes on by itself, and fetches nothing verified again."""
    source, target = tmp_path / "in", tmp_path / "out"
    size = 64 * MIB
    source.write_bytes(secrets.token_bytes(size))
    published = publish(whole_net.nodes[0], source)
    before = served(whole_net.nodes)
    with whole_net.newcomer("waiter", "--storage", "0") as fetcher:
        pid = fetcher.status()["pid"]
        get = fetch_until(fetcher, published["link"], target, 24 * MIB)
        assert get.stdout is not None
        assert get.stderr is not None
        # a node brings its tor back within seconds: kill it until the fetch has noticed
        with killing_tor(pid):
            assert any(json.loads(line).get("event") == "waiting" for line in get.stdout)
        for _ in get.stdout:  # not communicate(): it would miss what was read ahead
            pass
        errors = get.stderr.read()
        get.communicate()
        assert get.returncode == 0, errors
        assert fetcher.status()["pid"] == pid
    assert sha256(target) == sha256(source)
    # 24 MiB were verified; what was on its way when tor died, the windows of four holders of 4 MiB
    # each, is served twice, and a slow holder's block may be asked of another one
    assert served(whole_net.nodes) - before <= size + 23 * MIB


def test_a_node_whose_tor_is_killed_comes_back(whole_net: CliLocalnet, tmp_path: Path) -> None:
    """The node says that tor is gone, starts it again, and is reachable without a restart."""
    node = whole_net.nodes[2]
    pid = node.status()["pid"]
    os.kill(tor_of(pid), signal.SIGKILL)
    wait_for(lambda: node.status()["state"] != "reachable")
    wait_for(lambda: node.status()["state"] == "reachable")
    assert node.status()["pid"] == pid
    source = tmp_path / "in"
    source.write_bytes(secrets.token_bytes(MIB))
    published = publish(node, source)
    whole_net.nodes[4].ok("get", published["link"], "-o", tmp_path / "out")
    assert sha256(tmp_path / "out") == sha256(source)


def test_a_second_node_on_the_same_home(whole_net: CliLocalnet) -> None:
    """The second one says who is there and changes nothing."""
    node = whole_net.nodes[0]
    second = subprocess.run(
        [
            *[*BITSNODE, "--home", str(node.home), "--tor", "--network", "local"],
            *["--localnet", str(whole_net.directory)],
        ],
        capture_output=True,
        text=True,
    )
    assert second.returncode == 1
    assert "A node is already running on" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    assert node.status()["state"] == "reachable"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["get", "http://example.org", "-o", "x"], "not a bits link"),
        (["get", "bits:bafy#a", "-o", "x"], "content id is wrong"),
        (["publish", "--free", "/no/such/file"], "/no/such/file"),
        (["publish", "--free", "/"], "/"),
    ],
)
def test_bad_input_gets_one_sentence(
    whole_net: CliLocalnet, arguments: list[str], words: str
) -> None:
    """What cannot be done is said in one sentence, with exit status 1."""
    failed = whole_net.nodes[0].run(*arguments)
    assert failed.status == 1
    assert words in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert "bug" not in failed.stderr

"""``python -m tests.slow_links``: what a ping over a slow link takes, on a private Tor network."""

import argparse
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from onion.localnet import load_client_options
from tests.acceptance.cli_net import run
from tests.integration.tor_client import ClientTor, echo_service
from tests.slow_links.proxy import HOST, SlowLinks
from tests.slow_links.timing import Pace

PING = b"p" * 40


def round_trips(stream: socket.socket, count: int) -> list[float]:
    """Send pings to an echo service one after another, and return their seconds."""
    seconds = []
    for _ in range(count):
        begun = time.perf_counter()
        stream.sendall(PING)
        left = len(PING)
        while left:
            left -= len(stream.recv(left))
        seconds.append(time.perf_counter() - begun)
    return seconds


def measure(directory: Path, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds of pings to a service whose link is fast, and of pings once it is slow.

    Args:
        directory: of a running localnet.
        count: of pings, each time.
    """
    options = load_client_options(directory / "tor")
    with tempfile.TemporaryDirectory(prefix="bits-slow-") as name, SlowLinks(seed=1) as links:
        link, home = links.open(), Path(name)
        slow = options | {"Socks5Proxy": f"{HOST}:{link.port}"}
        with ClientTor(home / "far", slow) as far, ClientTor(home / "near", options) as near:
            near.wait_ready()
            with echo_service(far) as service:
                stream = near.connect(service.host, 7)
                stream.settimeout(60.0)
                with stream:
                    fast = round_trips(stream, count)
                    link.pace = Pace()
                    return fast, round_trips(stream, count)


def line(name: str, seconds: list[float]) -> str:
    """Return a table's line."""
    ordered = sorted(seconds)
    cells = [
        name,
        str(len(ordered)),
        *(
            f"{1000 * value:.0f}"
            for value in (
                statistics.fmean(ordered),
                statistics.stdev(ordered),
                statistics.median(ordered),
                ordered[int(len(ordered) * 0.95)],
            )
        ),
        f"{100 * sum(value > 1.2 for value in ordered) / len(ordered):.1f} %",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow_links", description=__doc__)
    parser.add_argument("--pings", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bits-slow-net-") as name:
        directory = Path(name)
        try:
            done = run("localnet", "up", "--nodes", "1", "--dir", directory)
            if done.status:
                print(done.stderr, file=sys.stderr)
                return 1
            fast, slow = measure(directory, options.pings)
        finally:
            run("localnet", "down", "--dir", directory)
    print("| link of the service | pings | mean ms | deviation | median | p95 | above 1.2 s |")
    print("|---|---|---|---|---|---|---|")
    print(line("fast", fast))
    print(line("450 ± 200 ms, 2 % lost", slow))
    return 0


if __name__ == "__main__":
    sys.exit(main())

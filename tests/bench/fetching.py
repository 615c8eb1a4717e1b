"""One file from one, three and ten holders, by curl and by OnionShare, in turns.

All on one localnet, which grows so that each publish finds that many nodes: with the publisher
there are 2, 4 and 11. The publisher is stopped before anything is fetched. curl and OnionShare get
the same file from one node's tor, and all of them go through the reader's: bits on a connection
that has carried the manifest, the others on one that has carried a small page. OnionShare's own
receiver is a browser, for which curl stands in.
"""

import secrets
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs

from onion.localnet.config import Profile
from tests.acceptance.cli_net import CliNode, sha256
from tests.bench.networks import grow, published_to, stopped_at_end
from tests.bench.onionshare import program, sharing
from tests.bench.processes import children_seconds, cpu_seconds, naming, node_and_tor
from tests.bench.row import Options
from tests.bench.transfers import Transfer, bits, curl, curl_program, http_onion

HOLDERS = (1, 3, 10)
SIZE, QUICK_SIZE = 64 << 20, 8 << 20  # bytes
ROUNDS = 3

Ways = dict[str, Callable[[], Transfer]]


def measure(profile: Profile, options: Options) -> dict[str, list[dict[str, float]]]:
    """Return what each way took in each round, by its name."""
    size, rounds = (QUICK_SIZE, 1) if options.quick else (SIZE, ROUNDS)
    program()  # is a peer missing? Before anything that takes long
    curl_program()
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as name:
        directory = Path(name)
        (directory / "www").mkdir()
        (directory / "www" / "warm").write_bytes(b"warm")
        big, out = directory / "www" / "big", directory / "out"
        big.write_bytes(secrets.token_bytes(size))
        with stopped_at_end(directory):
            links = {}
            for holders in HOLDERS:
                net = grow(directory, holders + 1, profile)
                links[holders] = published_to(net.nodes[0], big, holders)
            holder = net.nodes[1]
            control = holder.home / "tor" / "control.sock"
            net.nodes[0].kill()
            with (
                net.newcomer("reader", "--storage", "0") as reader,
                http_onion(holder, directory / "www") as host,
                sharing(big, control, directory) as shared,
            ):
                reading, holding = node_and_tor(reader), node_and_tor(holder)
                ways = _ways(reader, reading, host, shared.host, links, out)
                serving = {"onionshare": [shared.pid, holding[1]], "1": holding}
                everybody = naming(directory)
                return _rounds(ways, serving, everybody, rounds, sha256(big), out)


def _ways(
    reader: CliNode, pids: list[int], host: str, shared: str, links: dict[int, str], out: Path
) -> Ways:
    """Return each way by its name: curl, onionshare, and the numbers of holders."""
    tor = pids[1]
    plain = (f"http://{host}/warm", f"http://{host}/big")
    onionshare = (f"http://{shared}/", f"http://{shared}/download")
    ways: Ways = {
        "curl": lambda: curl(reader, tor, plain, out),
        "onionshare": lambda: curl(reader, tor, onionshare, out),
    }
    for holders, link in links.items():
        ways[str(holders)] = partial(bits, reader, link, out, pids)
    return ways


def _rounds(
    ways: Ways,
    serving: dict[str, list[int]],
    everybody: list[int],
    rounds: int,
    digest: str,
    out: Path,
) -> dict[str, list[dict[str, float]]]:
    """Go through all ways in turn, a few times; what each gives must be the file."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            before = cpu_seconds(serving.get(name, []))
            before_all = cpu_seconds(everybody) + children_seconds()
            took = way()
            served = cpu_seconds(serving.get(name, [])) - before
            everything = cpu_seconds(everybody) + children_seconds() - before_all
            if sha256(out) != digest:
                raise RuntimeError(f"{name} gave another file")
            print(f"  {number + 1}: {name:<11}{took.seconds:7.2f} s", file=sys.stderr, flush=True)
            found[name].append(attrs.asdict(took) | {"served": served, "all": everything})
    return found

"""64 MiB from one holder over one warm connection, against curl from the same onion.

Both ends are the same two tors on the same private network. The holder's tor publishes a second
virtual port on the holder's own onion, behind which a plain HTTP server hands out the same file;
curl fetches it through the reader's SOCKS socket on a connection that has already carried a
request, as bits does on one that has already carried the manifest.
"""

import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.cli_net import BITSNODE, CliLocalnet, CliNode, run

SIZE = 64 << 20  # bytes
ROUNDS = 3
GOAL = 0.9

_SERVER = """
import sys
from twisted.internet import reactor
from twisted.web.server import Site
from twisted.web.static import File
reactor.listenUNIX(sys.argv[2], Site(File(sys.argv[1])))
reactor.run()
"""


@contextmanager
def http_onion(holder: CliNode, folder: Path) -> Iterator[str]:
    """Serve a folder by HTTP from an onion of the holder's tor; yield its host name."""
    from stem.control import Controller

    socket = folder / "http.sock"
    server = subprocess.Popen([sys.executable, "-c", _SERVER, str(folder), str(socket)])
    try:
        with Controller.from_socket_file(str(holder.home / "tor" / "control.sock")) as control:
            control.authenticate()
            service = control.create_ephemeral_hidden_service(
                {80: f"unix:{socket}"}, await_publication=True
            )
            yield f"{service.service_id}.onion"
    finally:
        server.terminate()
        server.wait()


def curl(reader: CliNode, host: str) -> float:
    """Return the seconds that curl needs for the file on a connection that is open already."""
    done = subprocess.run(
        [
            *["curl", "--silent", "--fail", "--write-out", "%{time_total}\\n"],
            *["--proxy", f"socks5h://localhost{reader.home}/tor/socks.sock"],
            *[f"http://{host}/warm", "-o", "/dev/null", f"http://{host}/big", "-o", "/dev/null"],
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[1])


def bits(reader: CliNode, link: str, output: Path) -> float:
    """Return the seconds from the verified manifest to the finished file."""
    get = subprocess.Popen(
        [*BITSNODE, "--home", str(reader.home), "get", link, "-o", str(output), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    began = 0.0
    for line in get.stdout or []:
        if json.loads(line).get("event") == "manifest_verified":
            began = time.monotonic()
    assert get.wait() == 0
    return time.monotonic() - began


def rows() -> list[dict[str, Any]]:
    """Measure both in turn, a few times."""
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as name:
        directory = Path(name)
        try:
            net = run("localnet", "up", "--nodes", "2", "--dir", directory).result
            nodes = [CliNode(Path(node["home"]), node["peer_onion"]) for node in net["nodes"]]
            folder = directory / "www"
            folder.mkdir()
            (folder / "warm").write_bytes(b"warm")
            (folder / "big").write_bytes(secrets.token_bytes(SIZE))
            link = nodes[0].ok("publish", "--free", folder / "big")
            assert link["code"] == "1/1"
            with (
                CliLocalnet(directory, nodes).newcomer("reader", "--storage", "0") as reader,
                http_onion(nodes[1], folder) as host,
            ):
                nodes[0].kill()
                ours, theirs = [], []
                for _ in range(ROUNDS):
                    theirs.append(curl(reader, host))
                    ours.append(bits(reader, link["link"], directory / "out"))
        finally:
            run("localnet", "down", "--dir", directory)
    mine, base = statistics.median(ours), statistics.median(theirs)
    return [
        {
            "what": "fetch 64 MiB, one holder, warm, against curl",
            "measured": f"{SIZE / mine / (1 << 20):.2f} MiB/s",
            "baseline": f"{SIZE / base / (1 << 20):.2f} MiB/s",
            "ratio": f"{base / mine:.2f}",
            "goal": ">= 0.9",
            "met": base / mine >= GOAL,
        }
    ]

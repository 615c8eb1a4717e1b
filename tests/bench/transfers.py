"""One file moved in each of the ways that are compared, through tors of the same network."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.acceptance.cli_net import BITSNODE, CliNode, wait_for
from tests.bench.processes import children_seconds, cpu_seconds
from tests.bench.row import PeerMissing

_SERVER = """
import sys
from twisted.internet import reactor
from twisted.web.server import Site
from twisted.web.static import File
reactor.listenUNIX(sys.argv[2], Site(File(sys.argv[1])))
reactor.run()
"""


@attrs.frozen
class Transfer:
    """How long a file took, and what it cost the side that fetched it.

    Attributes:
        seconds: on a warm connection.
        whole: seconds from the command to the end.
        cpu: seconds of CPU of the node, or of curl, and of its tor.
    """

    seconds: float
    whole: float
    cpu: float


@contextmanager
def http_onion(holder: CliNode, folder: Path) -> Iterator[str]:
    """Serve a folder by HTTP from an onion of the holder's tor; yield its host name."""
    from stem.control import Controller

    socket = folder / "http.sock"
    server = subprocess.Popen([sys.executable, "-c", _SERVER, str(folder), str(socket)])
    try:
        wait_for(socket.exists)
        with Controller.from_socket_file(str(holder.home / "tor" / "control.sock")) as control:
            control.authenticate()
            service = control.create_ephemeral_hidden_service(
                {80: f"unix:{socket}"}, await_publication=True
            )
            yield f"{service.service_id}.onion"
    finally:
        server.terminate()
        server.wait()


def curl_program() -> str:
    """Return where curl is.

    Raises:
        PeerMissing: it is not installed.
    """
    program = shutil.which("curl")
    if program is None:
        raise PeerMissing("curl is not installed: bin/setup --bench installs it")
    return program


def curl(reader: CliNode, tor: int, urls: tuple[str, str], output: Path) -> Transfer:
    """Fetch the second URL on a connection that has carried the first one.

    Args:
        reader: whose tor is used.
        tor: process id of that.
        urls: both of one host.
        output: file.

    Raises:
        PeerMissing: there is no curl.
    """
    before, own = cpu_seconds([tor]), children_seconds()
    began = time.monotonic()
    done = subprocess.run(
        [
            *[curl_program(), "--silent", "--fail", "--write-out", "%{time_total}\\n"],
            *["--proxy", f"socks5h://localhost{reader.home}/tor/socks.sock"],
            *[urls[0], "-o", "/dev/null", urls[1], "-o", str(output)],
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    whole = time.monotonic() - began
    cpu = cpu_seconds([tor]) - before + children_seconds() - own
    return Transfer(float(done.stdout.split()[1]), whole, cpu)


def bits(reader: CliNode, link: str, output: Path, pids: Sequence[int] = ()) -> Transfer:
    """Fetch a link; what is counted as warm begins with the verified manifest.

    Args:
        reader: the node.
        link: to fetch.
        output: file.
        pids: processes whose CPU is counted.
    """
    before = cpu_seconds(pids)
    start = time.monotonic()
    with subprocess.Popen(
        [*BITSNODE, "--home", str(reader.home), "get", link, "-o", str(output), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    ) as get:
        began = 0.0
        for line in get.stdout or []:
            if json.loads(line).get("event") == "manifest_verified":
                began = time.monotonic()
    end = time.monotonic()
    if get.returncode or not began:
        raise RuntimeError("the fetch failed")
    return Transfer(end - began, end - start, cpu_seconds(pids) - before)

"""OnionShare as a baseline: installed once by a locked list, publishing a file by a tor of ours.

It gets a virtual environment of its own in the user's cache, named by the hash of
``requirements-onionshare.txt``, so that a change of that list makes a new one.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from platformdirs import user_cache_path

from tests.bench.row import PeerMissing

REQUIREMENTS = Path(__file__).parents[2] / "requirements-onionshare.txt"
_ADDRESS = re.compile(r"http://([a-z2-7]{56}\.onion)")


def program() -> Path:
    """Return its command, and install it first where that was not done yet.

    Raises:
        PeerMissing: it cannot be installed.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    place = user_cache_path("bits") / "bench" / f"onionshare-{digest}"
    command = place / "bin" / "onionshare-cli"
    if (place / ".installed").exists():
        return command
    shutil.rmtree(place, ignore_errors=True)
    print("installing OnionShare …", file=sys.stderr, flush=True)
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--require-hashes", "-r", str(REQUIREMENTS)]
    for step in ([sys.executable, "-m", "venv", str(place)], pip):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
            raise PeerMissing(f"OnionShare cannot be installed: {' '.join(lines[:1])}")
    (place / ".installed").touch()
    return command


@attrs.frozen
class Sharing:
    """A file that OnionShare hands out.

    Attributes:
        host: onion address.
        pid: of its process.
    """

    host: str
    pid: int


@contextmanager
def sharing(file: Path, control: Path, folder: Path) -> Iterator[Sharing]:
    """Publish a file through the tor of a control socket.

    Args:
        file: what to share.
        control: socket of the tor.
        folder: for its settings.

    Raises:
        PeerMissing: it ends before it gives an address.
    """
    home = folder / "onionshare"
    home.mkdir()
    settings = home / "settings.json"
    chosen = {"connection_type": "socket_file", "socket_file_path": str(control)}
    settings.write_text(json.dumps({"version": "2.7", "auth_type": "no_auth", **chosen}))
    command = [str(program()), "--config", str(settings), "--public", "--no-autostop-sharing"]
    log = home / "log"
    # To a file: it writes a line for each 100 kB, and a full pipe would stop it.
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        )
    try:
        yield Sharing(_address(server, log), server.pid)
    finally:
        server.kill()  # the onion goes with its control connection
        server.wait()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    while True:
        over = server.poll() is not None
        found = _ADDRESS.search(log.read_text(errors="replace"))
        if found:
            return found[1]
        if over:
            raise PeerMissing(f"OnionShare ended: {log.read_text(errors='replace')[-200:]}")
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue

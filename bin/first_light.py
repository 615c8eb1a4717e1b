"""What bin/dev runs: a localnet, a sample published on it, and with --check the whole way back.

Uses nothing but the ``bitsnode`` command, as a person would.
"""

import argparse
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NODES = 6
SAMPLE_SIZE = 5 * 1024 * 1024  # bytes: several chunks, the last one short by a byte
BITSNODE = [sys.executable, "-m", "bitsnode"]


class CheckFailed(Exception):
    """A step of the check did not end as it should; the message says which."""


def say(text: str) -> None:
    """Tell the person what happens."""
    print(text, flush=True)


def bitsnode(*arguments: str | Path) -> dict[str, Any]:
    """Run a command with --json, let its progress pass, and return its result."""
    done = subprocess.run(
        [*BITSNODE, *map(str, arguments), "--json"], stdout=subprocess.PIPE, check=False, text=True
    )
    if done.returncode:
        raise CheckFailed(f"'bitsnode {' '.join(map(str, arguments))}' failed")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def localnet(directory: Path) -> Iterator[dict[str, Any]]:
    """Run a localnet for the length of a with block."""
    say(f"Starting a private Tor network with {NODES} nodes in {directory} …")
    began = time.monotonic()
    try:
        net = bitsnode("localnet", "up", "--nodes", str(NODES), "--dir", directory)
        seconds = time.monotonic() - began
        say(f"tor {net['tor']}; {len(net['nodes'])} nodes reachable after {seconds:.0f} s,")
        say("each its own process with its own tor:")
        for node in net["nodes"]:
            say(f"  {node['peer_onion']}")
        chain = net["chain"]
        say(f"Chain {chain['chain_id']} at height {chain['height']} behind its own onion,")
        contracts = chain["contracts"]
        say(f"with {len(contracts)} contracts; Vouchers at {contracts['Vouchers']}.")
        yield net
    finally:
        bitsnode("localnet", "down", "--dir", directory)
        say("The localnet is down.")


def publish_sample(home: str, directory: Path) -> tuple[Path, dict[str, Any]]:
    """Publish a file of random bytes from a node."""
    sample = directory / "sample.bin"
    sample.write_bytes(secrets.token_bytes(SAMPLE_SIZE - 1))
    say(f"Publishing {sample.name} ({SAMPLE_SIZE - 1} bytes) from {Path(home).name} …")
    published = bitsnode("--home", home, "publish", "--free", sample)
    say(f"content id {published['content_id']}")
    say(f"code {published['code']}, {len(published['holders'])} holders")
    say(f"sha256     {published['sha256']}")
    return sample, published


@contextmanager
def newcomer(directory: Path, net: dict[str, Any]) -> Iterator[Path]:
    """Run one more node, which knows one onion address and holds no share."""
    home = directory / "newcomer"
    command = [*BITSNODE, "--home", str(home), "--json", "--tor", "--network", "local"]
    command += ["--localnet", net["dir"], "--bootstrap", net["nodes"][1]["peer_onion"]]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in node.stdout or []:
            if json.loads(line)["event"] == "reachable":
                break
        else:
            raise CheckFailed("the newcomer did not become reachable")
        yield home
    finally:
        node.terminate()
        node.wait()


def try_wallet(home: Path, directory: Path, net: dict[str, Any]) -> None:
    """Make a wallet on a node, give it money of the chain's faucet, and see it through Tor."""
    password = directory / "password"
    with os.fdopen(os.open(password, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_urlsafe() + "\n")
    secret = ("--password-file", password)
    made = bitsnode("--home", home, "wallet", "create", *secret)
    say(f"A wallet for the newcomer: {made['meta_address'][:40]}…")
    bitsnode("chain", "fund", made["accounts"][0], "5", "--dir", net["chain"]["directory"])
    balance = bitsnode("--home", home, "wallet", "balance", *secret)
    say(f"Its balance, asked through Tor: {balance['total']} wei.")
    if balance["total"] != 5 * 10**18:
        raise CheckFailed("the wallet should hold 5 coins")


def stop_node(home: str) -> None:
    """Kill a node of the localnet and wait until it is gone."""
    pid = bitsnode("--home", home, "status")["pid"]
    os.kill(pid, signal.SIGKILL)
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)


def check(directory: Path) -> None:
    """Publish, stop the publisher, fetch with a newcomer, and compare."""
    with localnet(directory) as net:
        publisher = net["nodes"][0]["home"]
        sample, published = publish_sample(publisher, directory)
        stop_node(publisher)
        say("The publisher is stopped. A newcomer joins through one onion address …")
        with newcomer(directory, net) as home:
            shares = bitsnode("--home", home, "status")["storage"]["shares"]
            say(f"The newcomer holds {shares} shares.")
            if shares:
                raise CheckFailed("the newcomer should hold no share")
            output = directory / "fetched.bin"
            got = bitsnode("--home", home, "get", published["link"], "-o", output)
            holders, seconds = len(got["holders"]), got["seconds"]
            say(f"Fetched {got['bytes']} bytes in {seconds:.1f} s from {holders} holders.")
            say(f"sha256     {sha256(output)}")
            if sha256(output) != sha256(sample):
                raise CheckFailed("the sums differ")
            say("The sums are equal.")
            try_wallet(home, directory, net)


def stay(directory: Path) -> None:
    """Publish, say how to go on, and wait for Ctrl-C."""
    with localnet(directory) as net:
        _, published = publish_sample(net["nodes"][0]["home"], directory)
        say("\nFetch it on another node:")
        say(f"  .venv/bin/bitsnode --home {net['nodes'][-1]['home']} \\")
        say(f"      get '{published['link']}' -o /tmp/sample.bin")
        say("Make a wallet, and give it money that is worth nothing:")
        say(f"  .venv/bin/bitsnode --home {net['nodes'][-1]['home']} wallet create")
        say(f"  .venv/bin/bitsnode chain fund 0x… 5 --dir {net['chain']['directory']}")
        say("Use the chain with tools of your own:")
        say(f"  cast block-number --rpc-url {net['chain']['socket']}")
        say("See what a node does:")
        say(f"  .venv/bin/bitsnode --home {net['nodes'][-1]['home']} status")
        say("\nCtrl-C ends everything.")
        try:
            signal.pause()
        except KeyboardInterrupt:
            say("")


def main() -> int:
    """Run, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="verify, tear down and exit")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="bits-dev-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        (check if options.check else stay)(directory)
    except CheckFailed as error:
        print(f"The check failed: {error}.", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if options.check:
        say("First light: all is well.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

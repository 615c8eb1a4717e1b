"""What bin/dev runs: a localnet, a sample on it, and with --check the whole way, a purchase too.

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

from sample_shop import samples

NODES = 6
SAMPLE_SIZE = 5 * 1024 * 1024  # bytes: several chunks, the last one short by a byte
ABOUT = "Pictures, a film and a letter, made by a program and sold for money worth nothing."
PRICE = "0.05"  # coins: one of the chain's denominations
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


def bitsnode_lines(*arguments: str | Path) -> list[dict[str, Any]]:
    """Run a command with --json and return all lines that it printed."""
    done = subprocess.run(
        [*BITSNODE, *map(str, arguments), "--json"], stdout=subprocess.PIPE, check=False, text=True
    )
    if done.returncode:
        raise CheckFailed(f"'bitsnode {' '.join(map(str, arguments))}' failed")
    return [json.loads(line) for line in done.stdout.splitlines()]


def sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def localnet(directory: Path, *options: str) -> Iterator[dict[str, Any]]:
    """Run a localnet for the length of a with block."""
    say(f"Starting a private Tor network with {NODES} nodes in {directory} …")
    began = time.monotonic()
    try:
        net = bitsnode("localnet", "up", "--nodes", str(NODES), *options, "--dir", directory)
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


def wallet(home: str | Path, directory: Path) -> tuple[Path, dict[str, Any]]:
    """Make a wallet on a node; return the file with its password, and its addresses."""
    password = directory / f"password-{Path(home).name}"
    with os.fdopen(os.open(password, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_urlsafe() + "\n")
    return password, bitsnode("--home", home, "wallet", "create", "--password-file", password)


def offer_work(creator: str, directory: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Publish a work for a price; return its file and the creator's password file."""
    password, _ = wallet(creator, directory)
    work = directory / "work.bin"
    work.write_bytes(secrets.token_bytes(SAMPLE_SIZE))
    say(f"{Path(creator).name} publishes {work.name} for {PRICE} coins …")
    sale = bitsnode("--home", creator, "publish", work, "--price", PRICE)
    keys = f"any {sale['threshold']} of {sale['holders']} key holders open it"
    say(f"content id {sale['content_id']}; {keys}")
    return work, password, sale


def open_shop(home: str, directory: Path) -> str:
    """Make a shop with a few items; return its onion address."""
    wallet(home, directory)
    say(f"{Path(home).name} opens a shop …")
    shop = bitsnode("--home", home, "shop", "create", "--name", "Northern light", "--about", ABOUT)
    say(f"shop onion {shop['shop_onion']}")
    for files, title, price, tags, about in samples(directory):
        described = ("--title", title, "--price", price, "--tags", tags, "--about", about)
        item = bitsnode("--home", home, "shop", "add", *files, *described)
        say(f"  {title}, {price} coins: {item['url']}")
    onion: str = shop["shop_onion"]
    return onion


def buy_work(home: Path, directory: Path, net: dict[str, Any], sale: dict[str, Any]) -> Path:
    """Top up, buy with a voucher through a relay, and fetch what was bought."""
    password, made = wallet(home, directory)
    secret = ("--password-file", password)
    bitsnode("chain", "fund", made["accounts"][0], "5", "--dir", net["chain"]["directory"])
    bought = bitsnode("--home", home, "wallet", "topup", "0.2", *secret)["vouchers"]
    say(f"The newcomer bought {len(bought)} vouchers with money of the faucet, through Tor.")
    for line in bitsnode_lines("--home", home, "buy", sale["content_id"], "--yes", *secret):
        if line.get("event") == "terms":
            crowd = line["crowd"]["unspent"] + 1 if line["crowd"] else "?"
            say(f"Its voucher hides among {crowd}; the relay gets {line['fee']} wei.")
        elif line.get("event") == "proof_made":
            say(f"The proof took {line['seconds']:.1f} s.")
        elif line.get("event") == "in_block":
            say(f"The redemption is in block {line['block']}.")
        elif line.get("event") == "key_share_came":
            say(f"A key holder gave its share (number {line['index']}).")
    output = directory / "bought.bin"
    bitsnode("--home", home, "get", sale["content_id"], "-o", output)
    return output


def count_earnings(creator: str, password: Path, net: dict[str, Any]) -> None:
    """The creator comes back and finds what was paid."""
    bitsnode("localnet", "up", "--dir", net["dir"])
    found = bitsnode("--home", creator, "earnings", "--password-file", password)
    (row,) = [dict(zip(found["header"], row, strict=True)) for row in found["rows"]]
    parts = {name: int(row[f"{name}_wei"]) for name in ("gross", "relay_fee", "treasury", "pool")}
    rest = parts["gross"] - parts["relay_fee"]
    say(f"The creator is back and finds {found['net']} wei at a stealth address:")
    say(f"  of {parts['gross']} wei the relay had {parts['relay_fee']}, the protocol's developers")
    say(f"  {parts['treasury']}, the operators {parts['pool']}; the creator the rest, 95%.")
    if found["net"] != rest - rest * 3 // 100 - rest * 2 // 100:
        raise CheckFailed("the split is not 95/3/2")


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
    """Publish, stop the publisher, fetch with a newcomer, compare; then sell and buy likewise."""
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
            creator = net["nodes"][1]["home"]
            work, password, sale = offer_work(creator, directory)
            stop_node(creator)
            say("The creator is stopped.")
            bought = buy_work(home, directory, net, sale)
            say(f"sha256     {sha256(bought)}")
            if sha256(bought) != sha256(work):
                raise CheckFailed("the sums of what was bought differ")
            say("The sums are equal.")
            count_earnings(creator, password, net)


def stay(directory: Path) -> None:
    """Publish, say how to go on, and wait for Ctrl-C."""
    with localnet(directory, "--browse") as net:
        _, published = publish_sample(net["nodes"][0]["home"], directory)
        keeper = net["nodes"][1]["home"]
        shop = open_shop(keeper, directory)
        say("\nBrowse the shop; scripts may be off:")
        proxy = f"chromium --proxy-server={net['browse']} --user-data-dir={directory}/browser"
        say(f"  {proxy} http://{shop}/")
        say("Buy something, and pay its address with money that is worth nothing:")
        say(f"  .venv/bin/bitsnode chain fund 0x… 0.05 --dir {net['chain']['directory']}")
        say("See what was ordered:")
        say(f"  .venv/bin/bitsnode --home {keeper} shop orders")
        say("Fetch the sample on another node:")
        say(f"  .venv/bin/bitsnode --home {net['nodes'][-1]['home']} \\")
        say(f"      get '{published['link']}' -o /tmp/sample.bin")
        say("Make a wallet, and give it money that is worth nothing:")
        say(f"  .venv/bin/bitsnode --home {net['nodes'][-1]['home']} wallet create")
        say(f"  .venv/bin/bitsnode chain fund 0x… 5 --dir {net['chain']['directory']}")
        say("Use the chain with tools of your own:")
        say(f"  cast block-number --rpc-url {net['chain']['socket']}")
        say("Buy and sell:")
        say("  bitsnode publish FILE --price 0.05, wallet topup, buy CONTENT_ID; see --help")
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

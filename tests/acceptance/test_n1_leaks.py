"""N1: a node and all its commands in namespaces without any network: nothing but Tor is used."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from onion.localnet import PrivateTorNetwork, TorOptions
from tests.acceptance.cli_net import BITSNODE, sha256, wait_for
from tests.acceptance.onion_web import Browser
from tests.integration.namespaces import (
    Namespace,
    assert_no_inet_socket,
    node_namespace,
    run_traced,
    start_tor_namespace,
    traced_command,
    why_not,
)
from tests.integration.tor_client import ClientTor

pytestmark = [pytest.mark.tor, pytest.mark.root, pytest.mark.timeout(600)]

SIZE = 3 * (1 << 20) + 17
NODES = 4
FAR_AWAY = "0x00000000000000000000000000000000DeaDBeef"

# what a build that phones home would do, put before the program by the interpreter itself
LEAK = "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()\n"


@attrs.define
class TracedNode:
    """A node in a namespace of its own, all its system calls on sockets written to a trace."""

    path: Path
    tor: ClientTor
    namespace: Namespace
    env: dict[str, str]
    onion: str = ""
    process: "subprocess.Popen[str] | None" = None
    commands: int = 0
    told: dict[str, dict] = attrs.field(factory=dict)

    @property
    def home(self) -> Path:
        """The node's directory."""
        return self.path / "home"

    def start(self, *bootstrap: str, options: Sequence[str] = ()) -> None:
        """Run it until it is reachable."""
        command = ["--tor", *options]
        self.run([*command, *(word for onion in bootstrap for word in ("--bootstrap", onion))])

    def start_chain(self) -> list[str]:
        """Run a chain instead of a node; return the options by which nodes use it."""
        self.run(["chain", "--onion", "--dir", str(self.home)], until="chain_reachable")
        rpc = self.told["chain_reachable"]["rpc"]
        return ["--own-rpc", rpc, "--deployment", self.told["chain_deployed"]["deployment"]]

    def run(self, arguments: list[str], until: str = "reachable") -> None:
        """Run ``bitsnode`` in the namespace until it tells of an event."""
        self.tor.wait_ready()
        command = [*BITSNODE, "--home", str(self.home), "--json", "--network", "local"]
        command += ["--tor-control", f"unix:{self.tor.control}", *arguments]
        self.process = subprocess.Popen(
            traced_command(self.namespace, command, self.path / "node.trace"),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self.env,
            start_new_session=True,
        )
        for line in self.process.stdout or []:
            event = json.loads(line)
            self.told[event["event"]] = event
            self.onion = event.get("peer_onion", self.onion)
            if event["event"] == until:
                return
        raise AssertionError(f"it ended before it was reachable: {list(self.told)}")

    def command(self, *arguments: str) -> dict:
        """Run a command in the node's namespace, traced; check it, and return its result."""
        self.commands += 1
        trace = self.path / f"command{self.commands}.trace"
        command = [*BITSNODE, "--home", str(self.home), *arguments, "--json"]
        done = run_traced(self.namespace, command, trace, env=self.env)
        assert done.returncode == 0, done.stderr
        assert_no_inet_socket(trace)
        return json.loads(done.stdout.splitlines()[-1])

    def stop(self) -> None:
        """Stop it as an operator would, so that its trace is whole."""
        os.kill(self.pid, signal.SIGTERM)
        self.wait()

    @property
    def pid(self) -> int:
        """The process itself, below strace and what enters the namespace."""
        assert self.process is not None
        pattern = f"bitsnode --home {self.home} --json --network"
        found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=True)
        for pid in found.stdout.split():
            if Path(f"/proc/{pid}/exe").resolve().name.startswith("python"):
                return int(pid)
        raise AssertionError("it does not run")

    def wait(self) -> None:
        """Wait until it has stopped."""
        assert self.process is not None
        self.process.communicate(timeout=60)

    def close(self) -> None:
        """End it by force, if a test left it running."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


@pytest.fixture
def tor_namespace() -> Iterator[Namespace]:
    """The namespace of all tors."""
    if reason := why_not():
        pytest.skip(reason)
    with start_tor_namespace() as made:
        yield made


async def _with_network(namespace: Namespace, path: Path, work: object) -> None:
    from twisted.internet import reactor  # pytest-twisted's

    network = PrivateTorNetwork(reactor, path / "net", namespace=namespace.name)
    await network.start()
    try:
        await deferToThread(work, namespace, path, network.client_options())
    finally:
        await network.stop()


def _nodes(
    stack: ExitStack, inside: Namespace, path: Path, options: TorOptions, env: dict[str, str]
) -> list[TracedNode]:
    nodes = [
        _traced(stack, inside, path / f"node{number}", options, env) for number in range(NODES)
    ]
    nodes[0].start()
    for node in nodes[1:]:
        node.start(nodes[0].onion)
    return nodes


def _traced(
    stack: ExitStack, inside: Namespace, folder: Path, options: TorOptions, env: dict[str, str]
) -> TracedNode:
    folder.mkdir(mode=0o700)
    tor = stack.enter_context(ClientTor(folder / "tor", options, command=inside.command))
    node = TracedNode(folder, tor, stack.enter_context(node_namespace()), env)
    stack.callback(node.close)
    return node


@pytest_twisted.ensureDeferred
async def test_n1_every_command_works_and_no_inet_socket_is_ever_made(
    tor_namespace: Namespace, tmp_path: Path
) -> None:
    """Publish, get and all other commands work where nothing but unix sockets leads outside."""
    await _with_network(tor_namespace, tmp_path, _every_command)


def _every_command(inside: Namespace, path: Path, options: TorOptions) -> None:
    source, target = path / "in", path / "out"
    source.write_bytes(secrets.token_bytes(SIZE))
    with ExitStack() as stack:
        nodes = _nodes(stack, inside, path, options, dict(os.environ))
        for node in nodes:
            wait_for(lambda node=node: len(node.command("peers")["peers"]) == NODES - 1)
        published = nodes[0].command("publish", "--free", str(source))
        assert published["code"].endswith(f"/{NODES - 1}")
        nodes[1].command("get", published["link"], "-o", str(target))
        assert sha256(target) == sha256(source)
        nodes[2].command("get", published["link"], "-o", str(target), "--range", "5-9")
        assert target.read_bytes() == source.read_bytes()[5:10]
        nodes[3].command("status")
        nodes[3].command("doctor")
        for node in nodes:
            node.stop()
            assert_no_inet_socket(node.path / "node.trace")


@pytest_twisted.ensureDeferred
async def test_n1_the_chain_is_asked_through_tor_alone(
    tor_namespace: Namespace, tmp_path: Path
) -> None:
    """A wallet, its vouchers and a shop are used where neither node nor chain has a network."""
    await _with_network(tor_namespace, tmp_path, _wallet_commands)


def _wallet_commands(inside: Namespace, path: Path, options: TorOptions) -> None:
    password = path / "password"
    password.write_text("correct horse battery\n")
    password.chmod(0o600)
    secret = ["--password-file", str(password)]
    with ExitStack() as stack:
        chain = _traced(stack, inside, path / "chain", options, dict(os.environ))
        node = _traced(stack, inside, path / "node", options, dict(os.environ))
        shop_tor = ClientTor(node.path / "shop-tor", options, command=inside.command)
        shop_tor = stack.enter_context(shop_tor)
        node.home.mkdir(mode=0o700)
        (node.home / "config.toml").write_text(f'shop_tor_control = "unix:{shop_tor.control}"\n')
        node.start(options=chain.start_chain())
        made = node.command("wallet", "create", *secret)
        (account,) = made["accounts"]
        chain.command("chain", "fund", account, "2", "--dir", str(chain.home))
        assert node.command("wallet", "balance", *secret)["total"] == 2 * 10**18
        sent = ["wallet", "withdraw", FAR_AWAY, "0.5", "--from", account]
        assert len(node.command(*sent, *secret)["withdrawals"]) == 1
        assert 10**18 < node.command("wallet", "balance")["total"] < 2 * 10**18 - 10**18 // 2
        # a voucher is bought, and spent by a proof that a process of its own makes
        assert node.command("wallet", "topup", "0.2", *secret)["vouchers"]
        assert node.command("wallet", "cash-out", "0.05", "--accept", *secret)["done"]
        assert len(node.command("earnings", *secret)["rows"]) == 1
        assert node.command("status")["chain"]["certain"]
        node.command("chain", "status", "--dir", str(chain.home))
        words, backup = path / "words", str(path / "backup")
        words.write_text(made["mnemonic"])
        words.chmod(0o600)
        node.command("backup", backup, *secret)
        again = ["--home", str(path / "again"), "restore", backup, "--words-file", str(words)]
        assert "keys/onion.seed" in node.command(*again, *secret)["files"]
        node.command("config", "show")
        shop_tor.wait_ready()
        onion = node.command("shop", "create", "--name", "Studio")["shop_onion"]
        assert "Studio" in Browser(chain.tor.socks).get(onion).text
        assert node.command("shop", "status")["state"] == "reachable"
        node.command("shop", "orders")
        for traced in (node, chain):
            traced.stop()
            assert_no_inet_socket(traced.path / "node.trace")


@pytest_twisted.ensureDeferred
async def test_n1_control_a_build_that_opens_one_inet_socket_fails(
    tor_namespace: Namespace, tmp_path: Path
) -> None:
    """The same node with one line that makes an AF_INET socket is caught by the same check."""
    await _with_network(tor_namespace, tmp_path, _leaking_build)


def _leaking_build(inside: Namespace, path: Path, options: TorOptions) -> None:
    leak = path / "leak"
    leak.mkdir()
    (leak / "sitecustomize.py").write_text(LEAK)
    folder = path / "node"
    folder.mkdir(mode=0o700)
    env = dict(os.environ) | {"PYTHONPATH": str(leak)}
    with ExitStack() as stack:
        tor = stack.enter_context(ClientTor(folder / "tor", options, command=inside.command))
        node = TracedNode(folder, tor, stack.enter_context(node_namespace()), env)
        stack.callback(node.close)
        node.start()
        with pytest.raises(AssertionError, match="AF_INET"):
            node.command("status")
        pid = int((node.home / "node.lock").read_text())
        os.kill(pid, signal.SIGTERM)
        node.wait()
        with pytest.raises(AssertionError, match="AF_INET"):
            assert_no_inet_socket(folder / "node.trace")


def test_n1_control_the_interpreter_takes_the_leak(tmp_path: Path) -> None:
    """The control above means something only if the leak really runs."""
    (tmp_path / "sitecustomize.py").write_text("print('leaking')\n")
    done = subprocess.run(
        [sys.executable, "-c", "pass"],
        env=dict(os.environ) | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "leaking\n"

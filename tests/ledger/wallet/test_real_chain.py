"""A payment made and announced by the JavaScript SDK is found and spent, on both real chains.

`tests/vectors/stealth_sdk_payments.json` has what the SDK would send for three payments.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from web3 import IPCProvider, Web3

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.deploy import Terms, deploy
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.embedded.start import running_chain
from bitsnode.ledger.local_key import LocalKey
from bitsnode.ledger.rpc import Rpc, RpcEndpoint
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.standing import Call
from bitsnode.ledger.testing_rpc import FakeCarrier
from bitsnode.ledger.transactions import POLL_SECONDS
from bitsnode.ledger.wallet.errors import DestinationRegistered, DestinationReused
from bitsnode.ledger.wallet.keystore import MIN_MEMORY, Cost
from bitsnode.ledger.wallet.service import Wallet
from bitsnode.ledger.wallet.testing import ETHER, at_once
from onion.isolation import Isolation
from zk.stealth import checksum_address

ROOT = Path(__file__).parents[3]
ANVIL = ROOT / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
SDK = json.loads((ROOT / "tests/vectors/stealth_sdk_payments.json").read_text())
CHEAP = Cost(memory=MIN_MEMORY, iterations=1, lanes=1)
PASSWORD = "correct horse"
PAYER = LocalKey(b"\x77" * 32)
CREATOR = LocalKey(b"\x78" * 32)  # has registered a meta-address, so is known to the public
FUNDS = 100 * ETHER
CONFIRMED = 100  # blocks; anvil calls final what is 64 deep
SECONDS = 60  # for a chain to start, or to mine


class SocketServer:
    """A chain behind a unix socket, as a carrier of the tests wants it."""

    def __init__(self, path: Path) -> None:
        self.isolations: list[Isolation] = []
        self.down, self.stalls, self.status = False, 0.0, 200
        self._path = path

    def handle(self, body: bytes) -> bytes:
        """Ask, and read until the answer is whole."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self._path))
            connection.sendall(body)
            answer = b""
            while True:
                answer += connection.recv(1 << 16)
                try:
                    json.loads(answer)
                except ValueError:
                    continue
                return answer

    def ask(self, method: str, *params: object) -> Any:
        """Ask one thing."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = json.loads(self.handle(json.dumps(request).encode()))
        assert "error" not in answer, answer
        return answer["result"]


@attrs.frozen
class Node:
    """What a node has of a chain, without tor."""

    server: SocketServer
    clock: Clock
    ledger: Ledger
    mine: Callable[[], None]

    @property
    def deployment(self) -> Deployment:
        """Where the contracts are."""
        return self.ledger.deployment

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine to its end, letting time pass while it waits."""
        results: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        until = time.monotonic() + SECONDS
        while not results and time.monotonic() < until:
            self.clock.advance(POLL_SECONDS)
        (result,) = results
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def send_as(self, signer: LocalKey, to: str, wei: int = 0, data: bytes = b"") -> None:
        """Send something as somebody else."""
        intent = f"test-{time.monotonic_ns()}"
        isolation = Isolation.fresh("test")
        call = Call(to, wei, data)
        self.run(self.ledger.send(signer, intent, call, isolation, ETHER))
        assert self.run(self.ledger.wait(intent, isolation)).succeeded

    def read_everything(self) -> None:
        """Make what happened final, and read it into the index."""
        self.mine()
        self.run(self.ledger.sync(Isolation.fresh("index")))


def start_anvil(path: Path) -> "subprocess.Popen[bytes]":
    """Start anvil and wait for its socket."""
    command = [str(ANVIL), "--port", "0", "--ipc", str(path), "--silent"]
    anvil = subprocess.Popen(command)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            SocketServer(path).ask("eth_chainId")
            break
        except OSError:
            os.sched_yield()
    return anvil


@pytest.fixture(params=["py-evm", "anvil"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The socket of a real chain."""
    if request.param == "py-evm":
        with running_chain(tmp_path / "chain") as child:
            yield child.socket_path
        return
    if not ANVIL.exists():
        pytest.skip("anvil is not installed; bin/setup --test installs it")
    anvil = start_anvil(tmp_path / "anvil.ipc")
    yield tmp_path / "anvil.ipc"
    anvil.kill()
    anvil.wait()


@pytest.fixture
def node(path: Path, tmp_path: Path) -> Iterator[Node]:
    """A node on a chain with the contracts of bits and two people with money."""
    server = SocketServer(path)
    anvil = path.suffix == ".ipc"
    for person in (PAYER, CREATOR):
        method = "anvil_setBalance" if anvil else "bits_fund"
        server.ask(method, person.address, hex(FUNDS))
    provider = IPCProvider(path)
    web3 = Web3(provider)
    terms = Terms(3600, (PAYER.address,), (PAYER.address,), (ETHER // 100,))
    deployment = deploy(web3, PAYER, terms)
    provider._socket.sock.close()

    def mine() -> None:
        for _ in range(1 if anvil else CONFIRMED):
            server.ask("anvil_mine", hex(CONFIRMED)) if anvil else server.ask("evm_mine")

    clock = Clock()
    clock.advance(time.clock_gettime(time.CLOCK_REALTIME))
    endpoint = RpcEndpoint("https://chain.example", own=True)
    rpc = Rpc(clock, FakeCarrier(clock, server), endpoint, deployment.chain_id)  # type: ignore[arg-type]
    ledger = Ledger(clock, [rpc], deployment, tmp_path / "ledger", at_once)
    node = Node(server, clock, ledger, mine)
    yield node
    node.run(ledger.stop())


def wallet_of(node: Node, folder: Path) -> Wallet:
    """Open the wallet."""
    return Wallet(folder, node.ledger, at_once, CHEAP)


def test_the_sdk_pays_and_the_wallet_spends(node: Node, tmp_path: Path) -> None:
    """From the SDK's call data to money at a fresh address, past all that must be refused."""
    wallet = wallet_of(node, tmp_path / "wallet")
    node.run(wallet.restore(SDK["words"], PASSWORD))
    assert node.run(wallet.addresses()).meta_address == SDK["meta_address"]
    announcer = node.deployment.address("ERC5564Announcer")
    for payment in SDK["payments"]:
        node.send_as(PAYER, payment["stealthAddress"], ETHER)
        node.send_as(PAYER, announcer, data=bytes.fromhex(payment["data"][2:]))
    registry = Web3().eth.contract(abi=[REGISTER])
    data = registry.encode_abi("registerKeys", [1, bytes.fromhex(SDK["meta_address"][9:])])
    node.send_as(CREATOR, node.deployment.address("ERC6538Registry"), data=bytes.fromhex(data[2:]))
    node.read_everything()

    balance = node.run(wallet.balance())
    expected = [payment["stealthAddress"] for payment in SDK["payments"]]
    assert [held.address for held in balance.payments] == expected
    assert {held.balance for held in balance.payments} == {ETHER}

    first, second, _ = expected
    fresh = checksum_address(os.urandom(20))
    for public in (CREATOR.address, PAYER.address, announcer):
        with pytest.raises(DestinationRegistered):
            node.run(wallet.withdraw(public, password=PASSWORD, source=first))
    (done,) = node.run(wallet.withdraw(fresh, password=PASSWORD, source=first))
    arrived = int(node.server.ask("eth_getBalance", fresh, "latest"), 16)
    assert arrived == done.amount == ETHER - done.fee_limit
    receipt = node.server.ask("eth_getTransactionReceipt", done.transaction_hash)
    assert receipt["from"] == first.lower()
    assert int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) == done.fee
    with pytest.raises(DestinationReused):
        node.run(wallet.withdraw(fresh, password=PASSWORD, source=second))
    rest = node.run(
        wallet.withdraw(
            checksum_address(os.urandom(20)), ETHER // 3, password=PASSWORD, accept=["split"]
        )
    )
    assert rest[0].amount == ETHER // 3
    wallet.close()


def test_announcements_of_a_real_chain_keep_their_order(node: Node) -> None:
    """The index gives what the scanner goes by."""
    announcer = node.deployment.address("ERC5564Announcer")
    for payment in SDK["payments"]:
        node.send_as(PAYER, announcer, data=bytes.fromhex(payment["data"][2:]))
    node.read_everything()
    lines = node.ledger.index.announcements(None, 10)
    assert [line.stealth_address for line in lines] == [
        payment["stealthAddress"].lower() for payment in SDK["payments"]
    ]
    for person, mentioned in ((PAYER, True), (CREATOR, False)):
        assert node.ledger.index.mentions(person.address) is mentioned
    assert node.ledger.index.mentions(SDK["payments"][0]["stealthAddress"])
    last = lines[1].cursor
    assert node.ledger.index.announcements(last, 10) == lines[2:]
    assert node.ledger.index.announcements(Cursor(last.block, last.log_index - 1), 1) == lines[1:2]


REGISTER = {
    "type": "function",
    "name": "registerKeys",
    "stateMutability": "nonpayable",
    "inputs": [{"name": "schemeId", "type": "uint256"}, {"name": "keys", "type": "bytes"}],
    "outputs": [],
}

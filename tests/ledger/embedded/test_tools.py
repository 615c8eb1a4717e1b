"""The chain's process as ordinary tools see it: web3, cast, signals, long paths, the timer."""

import json
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from twisted.internet.defer import Deferred
from web3 import IPCProvider, Web3
from web3.exceptions import ContractCustomError, TransactionNotFound, Web3RPCError

from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.process import _tick
from bitsnode.ledger.embedded.start import ChildChain, running_chain, start_chain

ROOT = Path(__file__).parents[3]
CAST = ROOT / "contracts/node_modules/@foundry-rs/cast-linux-amd64/bin/cast"
PROBE = json.loads((Path(__file__).parent / "probe.json").read_text())


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildChain]:
    """A chain's process."""
    with running_chain(tmp_path_factory.mktemp("c") / "chain") as running:
        yield running


@pytest.fixture
def web3(child: ChildChain) -> Iterator[Web3]:
    """web3 on its socket."""
    provider = IPCProvider(str(child.socket_path))
    yield Web3(provider)
    provider._socket.sock.close()


def test_web3_can_use_it(web3: Web3) -> None:
    """Fees, nonces, gas, a contract, its events and its custom errors work with web3's defaults."""
    account = Account.create()
    web3.provider.make_request("bits_fund", [account.address, hex(10**20)])  # type: ignore[arg-type]

    def send(built: Any) -> Any:
        signed = account.sign_transaction(built)
        sent = web3.eth.send_raw_transaction(signed.raw_transaction)
        return web3.eth.wait_for_transaction_receipt(sent, timeout=30)

    def fields() -> Any:
        return {
            "from": account.address,
            "nonce": web3.eth.get_transaction_count(account.address, "pending"),
            "chainId": web3.eth.chain_id,
        }

    factory = web3.eth.contract(abi=PROBE["abi"], bytecode=PROBE["bytecode"])
    made = send(factory.constructor("0x" + "00" * 20).build_transaction(fields()))
    probe = web3.eth.contract(made["contractAddress"], abi=PROBE["abi"])
    receipt = send(probe.functions.note(2).build_transaction(fields()))
    assert receipt["status"] == 1
    events = probe.events.Noted().get_logs(from_block=0)
    assert [event["args"]["number"] for event in events] == [0, 1]
    with pytest.raises(ContractCustomError) as caught:
        probe.functions.refuse(7).call()
    assert caught.value.data is not None
    raw = web3.eth.get_raw_transaction(receipt["transactionHash"])
    with pytest.raises(Web3RPCError, match="already known"):
        web3.eth.send_raw_transaction(raw)
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction("0x" + "00" * 32)  # type: ignore[arg-type]
    assert web3.eth.get_block("finalized")["number"] == web3.eth.block_number
    assert web3.is_connected()


def test_cast_can_use_it(child: ChildChain) -> None:
    """`cast block-number` and `cast send` work with the socket's path as the RPC URL."""
    cast = str(CAST) if CAST.exists() else shutil.which("cast")
    if cast is None:
        pytest.skip("cast is not installed; bin/setup --test installs it")

    def run(*arguments: str) -> str:
        command = [cast, *arguments, "--rpc-url", str(child.socket_path)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    account = Account.create()
    paid = run("rpc", "bits_fund", account.address, hex(10**18))
    assert len(paid.strip('"')) == 66
    height = int(run("block-number"))
    assert height > 0
    key = account.key.to_0x_hex()
    sent = run("send", "--private-key", key, "--value", "5", "0x" + "33" * 20, "--json")
    assert json.loads(sent)["status"] == "0x1"
    assert int(run("block-number")) == height + 1
    assert run("balance", "0x" + "33" * 20) == "5"


def test_http_on_the_socket(child: ChildChain) -> None:
    """The same socket speaks HTTP, and is the owner's alone."""
    assert stat.S_IMODE(child.socket_path.stat().st_mode) == 0o600
    body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(child.socket_path))
        line.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        said = b"".join(iter(lambda: line.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 200")
    assert hex(13370042).encode() in said


def test_a_term_signal_ends_it_cleanly(tmp_path: Path) -> None:
    """SIGTERM closes the database, so that no write-ahead log is left, in a long path too."""
    directory = tmp_path / ("d" * 100)
    child = start_chain(directory, "--chain-id", "77", "--block-seconds", "0")
    assert child.chain_id == 77
    assert (directory / "chain.sock").is_symlink()
    assert child.socket_path == (directory / "chain.sock").readlink()
    child.process.send_signal(signal.SIGTERM)
    child.process.wait(30)
    child.stop()
    assert not (directory / "chain.db-wal").exists()


class _AtOnce:
    def run(self, job: Any, *, local: bool) -> "Deferred[Any]":
        done: Deferred[Any] = Deferred()
        done.callback(job())
        return done


def test_the_timer_adds_blocks_only_when_nothing_else_does(
    chain: EmbeddedChain, now: list[int]
) -> None:
    """An empty block comes when the last is 15 seconds old, and not before."""

    def tick() -> None:
        _tick(chain, _AtOnce(), lambda: now[0], 15.0)  # type: ignore[arg-type]

    tick()
    now[0] += 14
    tick()
    assert chain.height == 0
    now[0] += 1
    tick()
    tick()
    assert (chain.height, chain.head.timestamp) == (1, now[0])

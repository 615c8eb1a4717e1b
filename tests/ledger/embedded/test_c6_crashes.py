"""C6 for the chain: killed at any point, every acknowledged transaction is there, and no half."""

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.start import running_chain, start_chain

BOB = b"\xbb" * 20
SIGNER = Account.from_key(b"\x07" * 32)
HASH = 32  # bytes of an acknowledgement
LONGEST = 0.08  # seconds that a chain lives at most after its first acknowledgement


def transfer(nonce: int, chain_id: int, price: int = 2 * 10**9) -> bytes:
    """Sign a transfer of one wei."""
    fields = {"to": BOB, "value": 1, "gas": 21_000, "gasPrice": price, "nonce": nonce}
    return bytes(SIGNER.sign_transaction({**fields, "chainId": chain_id}).raw_transaction)


def live_and_send(directory: Path, acknowledge: int) -> None:
    """Run a chain and send to it without end, writing each hash once it is acknowledged."""
    chain = EmbeddedChain(directory, clock=lambda: 1_800_000_000)
    sender = bytes.fromhex(SIGNER.address[2:])
    state: Any = chain.state(chain.head)
    if not state.get_balance(sender):
        chain.fund(sender, 10**21)
    nonce = state.get_nonce(sender)
    while True:
        os.write(acknowledge, chain.send_raw_transaction(transfer(nonce, chain.chain_id)))
        nonce += 1
        if nonce % 3 == 0:
            chain.mine()


def kill_one(directory: Path) -> bytes:
    """Fork a chain, kill it at a random moment, return the hashes that it acknowledged."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            live_and_send(directory, write)
        os._exit(1)
    os.close(write)
    patience = secrets.randbelow(10_000) / 10_000 * LONGEST
    if secrets.randbelow(8):  # else it is killed on its way to the first
        select.select([read], [], [], 20)
    select.select([], [], [], patience)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the chain ended by itself"
    said = b""
    while part := os.read(read, 65_536):
        said += part
    os.close(read)
    return said


def check(directory: Path, acknowledged: set[bytes]) -> int:
    """Open what is left: sound, whole, and with all that was acknowledged; return the height."""
    database = sqlite3.connect(directory / "chain.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
    chain = EmbeddedChain(directory, clock=lambda: 1_800_000_000)
    try:
        for known in acknowledged:
            assert chain.records.by_hash(known) is not None
        state: Any = chain.state(chain.head)
        sent = state.get_nonce(bytes.fromhex(SIGNER.address[2:]))
        assert state.get_balance(BOB) == sent >= len(acknowledged)
        (rows,) = chain._database.one("SELECT count(*) FROM transactions")
        assert rows in (sent, sent + 1)  # the faucet's payment
        for number in range(max(0, chain.height - 5), chain.height + 1):
            header: Any = chain.header(number)
            mined = chain.records.in_block(number)
            assert header.gas_used == sum(one.gas_used for one in mined)
        return chain.height
    finally:
        chain.close()


def kills(directory: Path, count: int) -> None:
    """Kill a chain so many times; every tenth time it starts from nothing."""
    highest = 0
    for turn in range(count):
        if turn % 10 == 0:
            place, acknowledged = directory / str(turn), set[bytes]()
        said = kill_one(place)
        whole = len(said) - len(said) % HASH
        acknowledged |= {said[at : at + HASH] for at in range(0, whole, HASH)}
        if (place / "chain.db").exists():
            highest = max(highest, check(place, acknowledged))
    assert highest > 1, "no transaction was ever sent"


def test_c6_twenty_kills(tmp_path: Path) -> None:
    """After each of 20 kills everything acknowledged is there, and the database is sound."""
    kills(tmp_path, 20)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_c6_a_thousand_kills(tmp_path: Path) -> None:
    """The same a thousand times."""
    kills(tmp_path, 1000)


def test_every_commit_is_synced(chain: EmbeddedChain) -> None:
    """The database waits for the disk at each commit: a power cut takes no more than a kill."""
    assert chain._database.one("PRAGMA synchronous") == (2,)
    assert chain._database.one("PRAGMA journal_mode") == ("wal",)


class Ipc:
    """A client of the unix socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")

    def ask(self, method: str, *params: Any) -> Any:
        """Ask one thing; return the result."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode())
        line = self._lines.readline()
        if not line:
            raise ConnectionResetError
        answer = json.loads(line)
        assert "error" not in answer, answer
        return answer["result"]

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()


def _load(path: Path, key: int, acknowledged: list[str], enough: threading.Event) -> None:
    signer, ipc = Account.from_key(bytes([key]) * 32), Ipc(path)
    try:
        chain_id = int(ipc.ask("eth_chainId"), 16)
        for nonce in range(1000):
            fields = {"to": BOB, "value": 1, "gas": 21_000, "gasPrice": 2 * 10**9, "nonce": nonce}
            signed = signer.sign_transaction({**fields, "chainId": chain_id})
            acknowledged.append(
                ipc.ask("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex())
            )
            if len(acknowledged) > 20:
                enough.set()
    except OSError:
        pass
    finally:
        ipc.close()


def test_c6_killed_under_load(tmp_path: Path) -> None:
    """The process, killed while several clients send, has all it acknowledged when it is back."""
    directory = tmp_path / "chain"
    acknowledged: list[str] = []
    enough = threading.Event()
    child = start_chain(directory)
    faucet = Ipc(child.socket_path)
    keys = range(1, 4)
    for key in keys:
        faucet.ask("bits_fund", Account.from_key(bytes([key]) * 32).address, hex(10**20))
    threads = [
        threading.Thread(target=_load, args=(child.socket_path, key, acknowledged, enough))
        for key in keys
    ]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    child.kill()
    for thread in threads:
        thread.join(60)
    faucet.close()
    with running_chain(directory) as again:
        client = Ipc(again.socket_path)
        for key in acknowledged:
            assert client.ask("eth_getTransactionReceipt", key)["status"] == "0x1"
        paid = int(client.ask("eth_getBalance", "0x" + BOB.hex(), "latest"), 16)
        assert paid >= len(acknowledged) > 20
        client.close()


def test_a_chain_in_use_says_so(tmp_path: Path, open_chain: Callable[..., EmbeddedChain]) -> None:
    """A second process on a directory ends with one sentence."""
    from bitsnode.ledger.embedded.errors import ChainFailed

    open_chain()
    with pytest.raises(ChainFailed, match=r"^A chain is already running on .*\.$"):
        start_chain(tmp_path / "chain")

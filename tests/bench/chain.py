"""The chain: logs at height 10,000 against height 1,000, and transactions against anvil.

All go through the unix sockets of two processes: ours, which has each block on the disk before it
answers, and Foundry's anvil, which keeps all in memory. Every block holds one log of the contract
asked about and one of another.
"""

import json
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak

from bitsnode.ledger.embedded.framing import JsonSplitter
from bitsnode.ledger.embedded.start import running_chain
from tests.bench.row import PeerMissing, Row, row

ROOT = Path(__file__).parents[2]
ANVIL = ROOT / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
PROBE = json.loads((ROOT / "tests/ledger/embedded/probe.json").read_text())
CHAIN_ID = 13_370_042
SIGNER = Account.from_key(b"\x0a" * 32)
LOW, HIGH = 1_000, 10_000  # blocks
RANGE = 1_000  # blocks asked for
ASKED = 7  # times each question is asked; the median counts
TRANSACTIONS = 200
GOAL_LOGS = 1.1  # times as long, the noise of one run
NOTE = keccak(b"note(uint256)")[:4] + encode(["uint256"], [1])


class _Client:
    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(120)
        self._socket.connect(str(path))
        self._splitter = JsonSplitter()
        self.nonce = 0

    def ask(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode())
        while not (answers := self._whole(self._socket.recv(1 << 20))):
            pass
        answer = json.loads(answers[0])
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def _whole(self, data: bytes) -> list[bytes]:
        return self._splitter.feed(data)

    def close(self) -> None:
        self._socket.close()

    def sign(self, **fields: Any) -> str:
        if isinstance(fields.get("to"), str):
            fields["to"] = bytes.fromhex(fields["to"][2:])
        plain = {"chainId": CHAIN_ID, "nonce": self.nonce, "gas": 2_000_000, "value": 0}
        signed = SIGNER.sign_transaction({**plain, "gasPrice": 3 * 10**9, **fields})
        self.nonce += 1
        raw: str = signed.raw_transaction.to_0x_hex()
        return raw

    def send(self, raw: str) -> dict[str, Any]:
        """Send and wait until it is mined."""
        key = self.ask("eth_sendRawTransaction", raw)
        while (receipt := self.ask("eth_getTransactionReceipt", key)) is None:
            pass
        found: dict[str, Any] = receipt
        return found

    def deploy(self) -> str:
        code = bytes.fromhex(PROBE["bytecode"]) + bytes(32)
        made: str = self.send(self.sign(data=code))["contractAddress"]
        return made

    def milliseconds(self, **fields: Any) -> float:
        """How long a transaction takes, sent and mined one after another."""
        signed = [self.sign(**fields) for _ in range(TRANSACTIONS)]
        began = time.perf_counter()
        for raw in signed:
            self.send(raw)
        return (time.perf_counter() - began) / TRANSACTIONS * 1000


class _LargeAnswers(_Client):
    """Answers of a megabyte and more end with a newline, and need no splitter."""

    _buffer = b""

    def _whole(self, data: bytes) -> list[bytes]:
        self._buffer += data
        if not self._buffer.endswith(b"\n"):
            return []
        whole, self._buffer = self._buffer, b""
        return [whole]


@contextmanager
def _ours() -> Iterator[_Client]:
    with (
        tempfile.TemporaryDirectory() as home,
        running_chain(Path(home) / "chain", "--block-seconds", "0") as child,
    ):
        client = _LargeAnswers(child.socket_path)
        client.ask("bits_fund", SIGNER.address, hex(10**24))
        yield client
        client.close()


@contextmanager
def _anvil() -> Iterator[_Client]:
    program = str(ANVIL) if ANVIL.exists() else shutil.which("anvil")
    if program is None:
        raise PeerMissing("anvil is not installed: bin/setup --bench installs it")
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "anvil.ipc"
        command = [program, "--port", "0", "--ipc", str(path), "--chain-id", str(CHAIN_ID)]
        command += ["--hardfork", "cancun", "--accounts", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                for line in process.stdout or []:
                    if line.startswith("Listening"):
                        break
                # It writes a line for each request, and stops when nobody reads them.
                threading.Thread(target=process.communicate, daemon=True).start()
                client = _Client(path)
                client.ask("anvil_setBalance", SIGNER.address, hex(10**24))
                yield client
                client.close()
            finally:
                process.kill()


def _height(client: _Client) -> int:
    return int(client.ask("eth_blockNumber"), 16)


def _fill(client: _Client, contract: str, height: int) -> None:
    while _height(client) < height:
        count = min(500, height - _height(client))
        for raw in [client.sign(to=contract, data=NOTE) for _ in range(count)]:
            client.ask("eth_sendRawTransaction", raw)


def _logs(client: _Client, contract: str) -> float:
    """Milliseconds to read the logs of the last thousand blocks."""
    last = _height(client)
    question = {
        "fromBlock": hex(last - RANGE + 1),
        "toBlock": hex(last),
        "address": contract,
        "topics": ["0x" + keccak(b"Plain(uint256)").hex()],
    }
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        found = client.ask("eth_getLogs", question)
        times.append((time.perf_counter() - began) * 1000)
        if len(found) != RANGE:
            raise RuntimeError("the chain does not find every log")
    return statistics.median(times)


def _against_anvil(what: str, times: list[float]) -> Row:
    ours, theirs = times
    return row(what, f"{ours:.1f} ms", f"{theirs:.1f} ms", ours / theirs, "none", True)


def rows() -> list[dict[str, Any]]:
    """Measure both chains."""
    with _ours() as ours, _anvil() as anvil:
        both = [ours, anvil]
        contracts = {client: client.deploy() for client in both}
        transfer = [client.milliseconds(to=b"\xbb" * 20, value=1) for client in both]
        note = [client.milliseconds(to=contracts[client], data=NOTE) for client in both]
        _fill(ours, contracts[ours], LOW + TRANSACTIONS * 2)
        low = _logs(ours, contracts[ours])
        _fill(ours, contracts[ours], HIGH)
        high = _logs(ours, contracts[ours])
    return [
        {
            "what": "eth_getLogs, 1,000 blocks: height 10,000 / 1,000",
            "measured": f"{high:.1f} ms",
            "baseline": f"{low:.1f} ms",
            "ratio": f"{high / low:.2f}",
            "goal": f"<= {GOAL_LOGS}",
            "met": high <= low * GOAL_LOGS,
        },
        _against_anvil("transfer, sent and mined, against anvil", transfer),
        _against_anvil("call with 2 logs, against anvil", note),
    ]

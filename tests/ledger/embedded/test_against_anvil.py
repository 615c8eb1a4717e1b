"""The same transactions here and on anvil: the same receipts, logs, gas, outputs and errors."""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak

from bitsnode.ledger.embedded import methods
from bitsnode.ledger.embedded.chain import CHAIN_ID, EmbeddedChain
from bitsnode.ledger.embedded.errors import RpcFault
from bitsnode.ledger.embedded.framing import JsonSplitter
from contracts import load

ROOT = Path(__file__).parents[3]
LOCKED = ROOT / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
PROBE = json.loads((Path(__file__).parent / "probe.json").read_text())
SPENDS = json.loads((ROOT / "contracts/test/fixtures/redemptions.json").read_text())
SIGNER = Account.from_key(b"\x09" * 32)
GAS_PRICE = 3 * 10**9
SAME = ("status", "gasUsed", "contractAddress", "to", "from", "type", "logsBloom")


def find_anvil() -> str | None:
    """Return the locked anvil, or one on the path."""
    return str(LOCKED) if LOCKED.exists() else shutil.which("anvil")


class Side:
    """One of the two chains: asked alike, errors as (code, data)."""

    def ask(self, method: str, *params: Any) -> Any:
        """Ask; return the result, or the error's code and data."""
        raise NotImplementedError

    def __init__(self) -> None:
        self.nonce = 0

    def send(self, to: bytes | None, data: bytes, **fields: Any) -> dict[str, Any]:
        """Send a transaction; return its receipt."""
        plain = {"chainId": CHAIN_ID, "nonce": self.nonce, "gas": 5_000_000, "value": 0}
        if "maxFeePerGas" not in fields:
            plain["gasPrice"] = GAS_PRICE
        if to is not None:
            plain["to"] = to  # type: ignore[assignment]
        signed = SIGNER.sign_transaction({**plain, "data": data, **fields})
        self.nonce += 1
        key = self.ask("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex())
        for _ in range(10_000):  # anvil answers a moment before it mines
            receipt: dict[str, Any] | None = self.ask("eth_getTransactionReceipt", key)
            if receipt is not None:
                return receipt
        raise AssertionError("not mined")


class Ours(Side):
    """The embedded chain."""

    def __init__(self, chain: EmbeddedChain) -> None:
        super().__init__()
        self._chain = chain
        chain.fund(bytes.fromhex(SIGNER.address[2:]), 10**20)

    def ask(self, method: str, *params: Any) -> Any:
        """Ask."""
        try:
            return methods.answer(self._chain, method, params, local=True)
        except RpcFault as fault:
            return (fault.code, None if fault.data is None else "0x" + fault.data.hex())


class Anvil(Side):
    """Foundry's."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._splitter = JsonSplitter()
        self.ask("anvil_setBalance", SIGNER.address, hex(10**20))

    def ask(self, method: str, *params: Any) -> Any:
        """Ask."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode())
        while not (values := self._splitter.feed(self._socket.recv(65_536))):
            pass
        answer = json.loads(values[0])
        if "error" in answer:
            return (answer["error"]["code"], answer["error"].get("data"))
        return answer["result"]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@pytest.fixture(scope="module")
def anvil_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running anvil's socket."""
    if (anvil := find_anvil()) is None:
        pytest.skip("anvil is not installed; bin/setup --test installs it")
    path = tmp_path_factory.mktemp("anvil") / "anvil.ipc"
    command = [anvil, "--port", "0", "--ipc", str(path), "--chain-id", str(CHAIN_ID)]
    command += ["--hardfork", "cancun", "--block-base-fee-per-gas", "1000000000"]
    command += ["--gas-limit", "30000000", "--accounts", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or []:
            if line.startswith("Listening"):
                break
        # It writes a line for each request, and stops when nobody reads them.
        reader = threading.Thread(target=process.communicate)
        reader.start()
        yield path
        process.kill()
        reader.join()


@pytest.fixture
def sides(chain: EmbeddedChain, anvil_path: Path) -> Iterator[tuple[Side, Side]]:
    """Both chains with the same account, whose nonce is the same."""
    ours, theirs = Ours(chain), Anvil(anvil_path)
    snapshot = theirs.ask("evm_snapshot")
    yield ours, theirs
    theirs.ask("evm_revert", snapshot)
    theirs.close()


def both(sides: tuple[Side, Side], to: bytes | None, data: bytes, **fields: Any) -> dict[str, Any]:
    """Send to both; check that the receipts say the same; return ours."""
    ours, theirs = (side.send(to, data, **fields) for side in sides)
    for name in SAME:
        assert ours[name] == theirs[name], name
    for mine, other in zip(ours["logs"], theirs["logs"], strict=True):
        for name in ("address", "topics", "data", "logIndex", "transactionIndex"):
            assert mine[name] == other[name], name
    return ours


def call(signature: str, *values: Any) -> bytes:
    """Encode a call."""
    kinds = signature[signature.index("(") + 1 : -1]
    return keccak(signature.encode())[:4] + encode(kinds.split(",") if kinds else [], values)


def made(receipt: dict[str, Any]) -> bytes:
    """The address of the contract that a transaction made."""
    return bytes.fromhex(receipt["contractAddress"][2:])


def test_a_life_of_a_contract(sides: tuple[Side, Side]) -> None:
    """Deploying, writing, freeing, nesting, logging and failing use the same gas on both."""
    code = bytes.fromhex(PROBE["bytecode"])
    probe = made(both(sides, None, code + bytes(32)))
    outer = made(both(sides, None, code + encode(["address"], [probe])))
    assert both(sides, probe, call("store(uint256,uint256,uint256)", 1, 20, 7))["status"] == "0x1"
    assert both(sides, probe, call("store(uint256,uint256,uint256)", 1, 20, 0))["status"] == "0x1"
    assert both(sides, outer, call("deep(uint256)", 9))["status"] == "0x1"
    assert len(both(sides, probe, call("note(uint256)", 5))["logs"]) == 10
    assert both(sides, probe, call("refuse(uint256)", 3))["status"] == "0x0"
    assert both(sides, probe, call("refuseWithText()"))["status"] == "0x0"
    assert both(sides, probe, call("panic(uint256)", 3))["status"] == "0x0"
    assert both(sides, probe, call("spin()"), gas=90_000)["gasUsed"] == hex(90_000)
    assert both(sides, probe, b"", value=5)["status"] == "0x1"
    assert both(sides, None, b"\xfe")["status"] == "0x0"
    dynamic = {"maxFeePerGas": GAS_PRICE, "maxPriorityFeePerGas": 1}
    entry = {"address": probe, "storageKeys": ["0x" + "00" * 31 + "05"]}
    listed = {**dynamic, "accessList": [entry]}
    assert both(sides, probe, call("note(uint256)", 1), **listed)["status"] == "0x1"


@pytest.mark.parametrize("which", range(1, 11))
def test_precompiles(sides: tuple[Side, Side], which: int) -> None:
    """Each precompile, on empty, short and odd inputs, costs and gives the same."""
    probe = made(both(sides, None, bytes.fromhex(PROBE["bytecode"]) + bytes(32)))
    point = (1).to_bytes(32, "big") + (2).to_bytes(32, "big")
    for data in (b"", b"\1", point, point + point, point + bytes(128), bytes(213), b"\xff" * 96):
        if which == 5 and data == b"\xff" * 96:
            continue  # lengths of 2^256 - 1: both fail, but spend their time differently
        both(sides, probe, call("precompile(uint160,bytes,uint256)", which, data, 300_000))


def test_a_real_proof(sides: tuple[Side, Side]) -> None:
    """Semaphore's verifier takes a real proof on both, for the same gas, and no twisted one."""
    verifier = made(both(sides, None, load("SemaphoreVerifier").bytecode, gas=20_000_000))
    spend = SPENDS["relayed"]
    points = [int(word, 16) for word in spend["points"]]

    def field(value: str) -> int:
        return int.from_bytes(keccak(bytes.fromhex(value[2:])), "big") >> 8

    public = [
        int(spend["roots"][0], 16),
        int(spend["nullifiers"][0], 16),
        field(spend["message"]),
        field(SPENDS["scope"]),
    ]
    kinds = ["uint256[2]", "uint256[2][2]", "uint256[2]", "uint256[4]", "uint256"]
    selector = keccak(f"verifyProof({','.join(kinds)})".encode())[:4]

    def proof(signals: list[int]) -> bytes:
        a, b, c = points[:2], [points[2:4], points[4:6]], points[6:8]
        return selector + encode(kinds, [a, b, c, signals, 20])

    for signals, answer in ((public, 1), ([*public[:3], public[3] ^ 1], 0)):
        both(sides, verifier, proof(signals), gas=1_000_000)
        question = {"to": "0x" + verifier.hex(), "data": "0x" + proof(signals).hex()}
        for side in sides:
            assert int(side.ask("eth_call", question, "latest"), 16) == answer


def test_errors_and_estimates(sides: tuple[Side, Side]) -> None:
    """Reverts carry the same code and data; our estimates are never above theirs."""
    code = bytes.fromhex(PROBE["bytecode"])
    probe = made(both(sides, None, code + bytes(32)))
    for text in ("refuse(uint256)", "panic(uint256)"):
        question = {
            "from": SIGNER.address,
            "to": "0x" + probe.hex(),
            "data": "0x" + call(text, 7).hex(),
        }
        errors = [side.ask("eth_call", question, "latest") for side in sides]
        assert errors[0] == errors[1]
        assert errors[0][0] == 3
    for data in (call("note(uint256)", 4), call("store(uint256,uint256,uint256)", 1, 9, 1)):
        question = {
            "from": SIGNER.address,
            "to": "0x" + probe.hex(),
            "data": "0x" + data.hex(),
        }
        ours, theirs = (int(side.ask("eth_estimateGas", question), 16) for side in sides)
        assert ours <= theirs

"""Two chains that speak JSON-RPC over a unix socket, and a hand that acts on them alike."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from web3 import IPCProvider, Web3
from web3.exceptions import ContractCustomError

import contracts

CHAIN_ID = 31337  # the proofs in the fixture are for it
STRANGER = to_checksum_address("0x" + "be" * 20)
GAS_PRICE = 2 * 10**9  # wei


@contextmanager
def embedded(directory: Path) -> Iterator[Web3]:
    """The embedded chain, as a process."""
    command = [sys.executable, "-m", "bitsnode.ledger.embedded", str(directory)]
    command += ["--chain-id", str(CHAIN_ID), "--block-seconds", "0"]
    with _running(command) as process:
        assert process.stdout is not None
        with _connected(json.loads(process.stdout.readline())["socket"]) as web3:
            yield web3


@contextmanager
def anvil(directory: Path, path: str) -> Iterator[Web3]:
    """Foundry's chain."""
    found = shutil.which("anvil", path=path)
    assert found is not None, "anvil is missing; run bin/setup --test"
    socket = directory / "anvil.ipc"
    command = [found, "--chain-id", str(CHAIN_ID), "--port", "0", "--hardfork", "prague"]
    command += ["--ipc", str(socket), "--gas-price", str(GAS_PRICE)]
    with _running(command) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Listening on" in line:
                break
        with _connected(str(socket)) as web3:
            yield web3


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def _connected(socket: str) -> Iterator[Web3]:
    provider = IPCProvider(socket, timeout=60)
    try:
        yield Web3(provider)
    finally:
        # web3 8.0.0 has no call that hangs up
        if provider._socket.sock is not None:
            provider._socket.sock.close()


class Hand:
    """Deploys and sends, and keeps a transcript that has to be the same on every chain."""

    def __init__(self, web3: Web3, fund: str) -> None:
        self.web3 = web3
        self.transcript: list[Any] = []
        self._fund = fund

    def account(self, key: bytes) -> LocalAccount:
        """An account with money."""
        account = Account.from_key(key)
        self.ask(self._fund, account.address, hex(10**20))
        return account

    def ask(self, method: str, *params: Any) -> Any:
        """A method that web3 has no name for."""
        return self.web3.provider.make_request(method, params)["result"]

    def deploy(self, account: LocalAccount, name: str, *args: Any, **libraries: str) -> Any:
        """Deploy a contract from its artifact."""
        artifact = contracts.load(name)
        factory = self.web3.eth.contract(abi=artifact.abi, bytecode=artifact.link(libraries))
        receipt = self._send(account, factory.constructor(*args))
        address = receipt["contractAddress"]
        assert artifact.recognises(bytes(self.web3.eth.get_code(address)))
        return self.web3.eth.contract(address=address, abi=artifact.abi)

    def send(self, account: LocalAccount, call: Any, value: int = 0) -> Any:
        """Send a call that works."""
        return self._send(account, call, value)

    def refused(self, call: Any) -> str:
        """Make a call that reverts; return its error's data."""
        try:
            call.call({"from": STRANGER})
        except ContractCustomError as error:
            data = str(error.data)
            self.transcript.append(("refused", data))
            return data
        raise AssertionError("it did not revert")

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.ask("evm_increaseTime", hex(seconds))
        self.ask("evm_mine")

    def note(self, what: str, value: Any) -> Any:
        """Take something that was read into the transcript."""
        self.transcript.append((what, value))
        return value

    def _send(self, account: LocalAccount, call: Any, value: int = 0) -> Any:
        fields = call.build_transaction(
            {
                "from": account.address,
                "nonce": self.web3.eth.get_transaction_count(account.address),
                "gas": 12_000_000,
                "gasPrice": GAS_PRICE,
                "value": value,
                "chainId": CHAIN_ID,
            }
        )
        signed = account.sign_transaction(fields)
        key = self.web3.eth.send_raw_transaction(signed.raw_transaction)
        receipt = self.web3.eth.wait_for_transaction_receipt(key, timeout=60, poll_latency=0.01)
        assert receipt["status"] == 1, call
        logs = [(log["address"], [t.hex() for t in log["topics"]], log["data"].hex())
                for log in receipt["logs"]]  # fmt: skip
        self.transcript.append((receipt["contractAddress"], receipt["gasUsed"], logs))
        return receipt

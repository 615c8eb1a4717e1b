"""A chain in a directory, a clock, signers, and a contract to try it with."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.execution import Call
from bitsnode.ledger.embedded.records import Log, LogQuestion, Mined

PROBE = json.loads((Path(__file__).parent / "probe.json").read_text())
START = 1_800_000_000  # Unix seconds of the tests' clocks
ETHER = 10**18


@define
class Hand:
    """A person with a chain, money and a contract: sends, calls, looks."""

    chain: EmbeddedChain
    account: LocalAccount = field(factory=lambda: Account.from_key(b"\x01" * 32))

    def sign(self, **fields: Any) -> bytes:
        """Sign a transaction with sensible defaults for what is not given."""
        head = self.chain.next_header()
        state = self.chain.state(self.chain.head)
        plain = {
            "chainId": self.chain.chain_id,
            "nonce": state.get_nonce(self.sender),
            "gas": 5_000_000,
            "value": 0,
            "data": b"",
        }
        if "gasPrice" not in fields:
            plain |= {"maxFeePerGas": 3 * head.base_fee_per_gas, "maxPriorityFeePerGas": 1}
        merged = {k: v for k, v in {**plain, **fields}.items() if v is not None}
        return bytes(self.account.sign_transaction(merged).raw_transaction)

    @property
    def sender(self) -> bytes:
        """Its address."""
        return bytes.fromhex(self.account.address[2:])

    def send(self, **fields: Any) -> Mined:
        """Send a transaction; return what became of it."""
        mined = self.chain.records.by_hash(self.chain.send_raw_transaction(self.sign(**fields)))
        assert mined is not None
        return mined

    def deploy(self, child: bytes = b"\0" * 20) -> bytes:
        """Deploy the probe; return its address."""
        made = self.send(data=bytes.fromhex(PROBE["bytecode"]) + encode(["address"], [child]))
        assert made.status == 1
        assert made.contract is not None
        return made.contract

    def call(self, to: bytes, data: bytes, **fields: Any) -> bytes:
        """Call a contract on the last state."""
        return self.chain.call(Call(self.sender, to, data=data, **fields), self.chain.head)

    def logs(self, **question: Any) -> list[Log]:
        """Return logs of all blocks."""
        return list(self.chain.records.logs(LogQuestion(0, self.chain.height, **question)))


def data(signature: str, *values: Any) -> bytes:
    """Encode a call, as of ``store(uint256,uint256)``."""
    kinds = signature[signature.index("(") + 1 : -1]
    return keccak(signature.encode())[:4] + encode(kinds.split(",") if kinds else [], values)


@pytest.fixture
def now() -> list[int]:
    """The tests' clock: its one number is the time."""
    return [START]


@pytest.fixture
def open_chain(tmp_path: Path, now: list[int]) -> Iterator[Callable[..., EmbeddedChain]]:
    """Open the chain of a directory; all are closed at the end."""
    opened: list[EmbeddedChain] = []

    def opening(directory: Path = tmp_path / "chain", **options: Any) -> EmbeddedChain:
        chain = EmbeddedChain(directory, clock=lambda: now[0], **options)
        opened.append(chain)
        return chain

    yield opening
    for chain in opened:
        chain.close()


@pytest.fixture
def chain(open_chain: Callable[..., EmbeddedChain]) -> EmbeddedChain:
    """A new chain."""
    return open_chain()


@pytest.fixture
def hand(chain: EmbeddedChain) -> Hand:
    """Somebody with 100 ether on a new chain."""
    person = Hand(chain)
    chain.fund(person.sender, 100 * ETHER)
    return person


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """Encode a call of a contract."""
    return data

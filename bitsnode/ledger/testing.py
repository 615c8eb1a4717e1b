"""A chain in memory that a test writes block by block, forks at will and asks like a real one."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
from eth_hash.auto import keccak

from bitsnode.ledger.bloom import bloom_of
from bitsnode.ledger.imports import tamed_imports

GAS_USED: Final = 21_000
BLOCK_SECONDS: Final = 12


def checksummed(address: bytes) -> str:
    """An address, 20 bytes, as hex with the checksum of EIP-55."""
    text = address.hex()
    digest = keccak(text.encode()).hex()
    return "0x" + "".join(
        c.upper() if int(d, 16) >= 8 else c for c, d in zip(text, digest, strict=False)
    )


@attrs.frozen
class FakeLog:
    """A log to be put into a block.

    Attributes:
        address: 20 bytes.
        topics: of 32 bytes each.
        data: any bytes.
        transaction: hash, 32 bytes; b"" for one of its own.
    """

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes = b""
    transaction: bytes = b""


@attrs.frozen
class FakeBlock:
    """A block of the fake chain."""

    number: int
    hash: bytes
    parent: bytes
    timestamp: int
    logs: tuple[FakeLog, ...]
    transactions: tuple[bytes, ...]  # raw
    reverted: frozenset[bytes]  # hashes

    def header(self, base_fee: int) -> dict[str, Any]:
        """As `eth_getBlockByNumber` gives it."""
        items = [item for log in self.logs for item in (log.address, *log.topics)]
        return {
            "number": hex(self.number),
            "hash": _hex(self.hash),
            "parentHash": _hex(self.parent),
            "timestamp": hex(self.timestamp),
            "logsBloom": _hex(bloom_of(items)),
            "baseFeePerGas": hex(base_fee),
            "transactions": [_hex(keccak(raw)) for raw in self.transactions],
        }

    def log_objects(self) -> list[dict[str, Any]]:
        """As `eth_getLogs` gives them."""
        return [
            {
                "address": _hex(log.address),
                "topics": [_hex(topic) for topic in log.topics],
                "data": _hex(log.data),
                "blockNumber": hex(self.number),
                "blockHash": _hex(self.hash),
                "transactionHash": _hex(log.transaction or keccak(self.hash + bytes([index]))),
                "transactionIndex": "0x0",
                "logIndex": hex(index),
                "removed": False,
            }
            for index, log in enumerate(self.logs)
        ]


class FakeChain:
    """Blocks, balances and a pool of transactions.

    Attributes:
        blocks: the canonical ones, the first at number 0.
        pool: raw transactions that wait to be mined, by hash.
        balances: wei by lower-case address.
        base_fee: wei per gas, now.
        tip: wei per gas that servers suggest for miners.
        finality: blocks behind the head that `finalized` is.
        received: every raw transaction that was sent to a server, in order.
    """

    def __init__(self, now: Callable[[], float], chain_id: int = 13370042) -> None:
        self.now = now
        self.chain_id = chain_id
        self.blocks: list[FakeBlock] = []
        self.pool: dict[bytes, bytes] = {}
        self.balances: dict[str, int] = {}
        self.base_fee = 10**9
        self.tip = 10**8
        self.finality = 4
        self.received: list[bytes] = []
        self.logs_of: dict[bytes, Sequence[FakeLog]] = {}
        self.reverting: set[bytes] = set()
        self._salt = 0
        self._make((), ())

    @property
    def head(self) -> FakeBlock:
        """The newest block."""
        return self.blocks[-1]

    def mine(self, *logs: FakeLog, count: int = 1) -> FakeBlock:
        """Add a block with these logs and all that waits in the pool, then empty ones."""
        waiting, self.pool = self.pool, {}
        block = self._make(logs, tuple(waiting.values()))
        for _ in range(count - 1):
            self._make((), ())
        return block

    def fork(self, depth: int) -> None:
        """Drop this many blocks; what is mined next is another chain. Their transactions are lost.

        Nothing goes back to the pool: a server that forked need not know them.
        """
        self._salt += 1
        del self.blocks[len(self.blocks) - depth :]

    def nonce(self, address: str, last: int | None = None) -> int:
        """How many transactions an account has sent up to a block; None counts the pool, too."""
        blocks = self.blocks if last is None else self.blocks[: last + 1]
        raws = [raw for block in blocks for raw in block.transactions]
        raws += list(self.pool.values()) if last is None else []
        return sum(1 for raw in raws if sender_and_nonce(raw)[0] == address.lower())

    def receipt(self, transaction: bytes) -> dict[str, Any] | None:
        """As `eth_getTransactionReceipt` gives it."""
        for block in self.blocks:
            if any(keccak(raw) == transaction for raw in block.transactions):
                return {
                    "transactionHash": _hex(transaction),
                    "blockNumber": hex(block.number),
                    "blockHash": _hex(block.hash),
                    "status": hex(transaction not in block.reverted),
                    "gasUsed": hex(GAS_USED),
                    "effectiveGasPrice": hex(self.base_fee + self.tip),
                }
        return None

    def _make(self, logs: Sequence[FakeLog], transactions: tuple[bytes, ...]) -> FakeBlock:
        number = len(self.blocks)
        parent = self.blocks[-1].hash if self.blocks else bytes(32)
        emitted = list(logs)
        for raw in transactions:
            emitted += self.logs_of.get(keccak(raw), ())
        stuff = repr((number, self._salt, emitted, transactions)).encode()
        made = FakeBlock(
            number=number,
            hash=keccak(parent + stuff),
            parent=parent,
            timestamp=int(self.now()),
            logs=tuple(emitted),
            transactions=transactions,
            reverted=frozenset(h for h in map(keccak, transactions) if h in self.reverting),
        )
        self.blocks.append(made)
        return made


def sender_and_nonce(raw: bytes) -> tuple[str, int]:
    """Who signed a transaction (lower-case hex), and its nonce."""
    with tamed_imports():
        from eth_account import Account
        from eth_account.typed_transactions.typed_transaction import TypedTransaction
        from hexbytes import HexBytes

    fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    return Account.recover_transaction(raw).lower(), int(fields["nonce"])


def _hex(data: bytes) -> str:
    return "0x" + data.hex()

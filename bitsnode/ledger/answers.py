"""What RPC servers answer, parsed once and strictly into frozen values. Pure.

Source: the JSON-RPC specification of Ethereum's execution API (quantities, data, blocks, logs,
receipts). Addresses are lower-case hex here, so that equal ones compare equal.
"""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs

from bitsnode.ledger.errors import RpcAnswerInvalid

T = TypeVar("T")
MAX_TOPICS: Final = 4  # Yellow Paper, LOG0-LOG4
# Bytes of one log. Anybody may make a log as long as a block's gas pays for, so a long one is no
# lie of the server; whoever keeps logs has a limit of their own.
MAX_LOG_DATA: Final = 1 << 24
BLOOM_SIZE: Final = 256  # bytes; Yellow Paper section 4.4.1
_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")


@attrs.frozen
class Header:
    """What is used of a block's header.

    Attributes:
        number: of the block.
        hash: 32 bytes.
        parent: hash of the block before, 32 bytes.
        timestamp: Unix time in seconds.
        bloom: of its logs, 256 bytes.
        base_fee: wei per gas; 0 on chains without EIP-1559.
    """

    number: int
    hash: bytes
    parent: bytes
    timestamp: int
    bloom: bytes = attrs.field(repr=False)
    base_fee: int


@attrs.frozen
class Log:
    """One log.

    Attributes:
        block: number of its block.
        block_hash: 32 bytes.
        index: among the logs of the block.
        transaction: hash, 32 bytes.
        address: of the contract, 20 bytes.
        topics: 0-4 of 32 bytes each.
        data: at most `MAX_LOG_DATA` bytes.
    """

    block: int
    block_hash: bytes
    index: int
    transaction: bytes
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@attrs.frozen
class MinedReceipt:
    """What the chain says of a transaction that is in it.

    Attributes:
        transaction: hash, 32 bytes.
        block: number of its block.
        block_hash: 32 bytes.
        succeeded: the contract did not refuse it.
        gas_used: in gas.
        gas_price: wei per gas that it paid.
    """

    transaction: bytes
    block: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    gas_price: int


def quantity(value: Any, limit: int = 1 << 256) -> int:
    """Read "0x1f" as a number below a limit.

    Raises:
        RpcAnswerInvalid: it is not one.
    """
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise RpcAnswerInvalid("not a number")
    number = int(value, 16)
    if number >= limit:
        raise RpcAnswerInvalid("a number that is too large")
    return number


def data(value: Any, size: int | None = None, limit: int = MAX_LOG_DATA) -> bytes:
    """Read "0x..." as bytes of an exact size, or of at most a limit.

    Raises:
        RpcAnswerInvalid: it is not that.
    """
    if not isinstance(value, str) or len(value) > 2 + 2 * (size or limit):
        raise RpcAnswerInvalid("not bytes, or too many")
    if not _DATA.match(value):
        raise RpcAnswerInvalid("not bytes")
    found = bytes.fromhex(value[2:])
    if size is not None and len(found) != size:
        raise RpcAnswerInvalid(f"not {size} bytes")
    return found


def block_number(value: Any) -> int:
    """Read the number of a block.

    Raises:
        RpcAnswerInvalid: it is not one.
    """
    return quantity(value, 1 << 63)  # what SQLite can hold


def header(value: Any) -> Header:
    """Read a block as `eth_getBlockByNumber` gives it.

    Raises:
        RpcAnswerInvalid: it is not one, or null.
    """
    found = _object(value)
    return Header(
        number=block_number(found.get("number")),
        hash=data(found.get("hash"), 32),
        parent=data(found.get("parentHash"), 32),
        timestamp=quantity(found.get("timestamp"), 1 << 63),
        bloom=data(found.get("logsBloom"), BLOOM_SIZE),
        base_fee=quantity(found.get("baseFeePerGas") or "0x0"),
    )


def logs(value: Any, limit: int) -> list[Log]:
    """Read the logs that `eth_getLogs` gives, in the order of the chain.

    Raises:
        RpcAnswerInvalid: they are not logs, more than the limit, twice the same, or removed ones.
    """
    if not isinstance(value, list) or len(value) > limit:
        raise RpcAnswerInvalid("not a list of logs, or too many")
    found = sorted((_log(each) for each in value), key=lambda log: (log.block, log.index))
    places = {(log.block, log.index) for log in found}
    if len(places) != len(found):
        raise RpcAnswerInvalid("a log twice")
    return found


def receipt(value: Any) -> MinedReceipt | None:
    """Read a receipt, None if the transaction is not in the chain.

    Raises:
        RpcAnswerInvalid: it is not one.
    """
    if value is None:
        return None
    found = _object(value)
    if found.get("blockNumber") is None:  # some servers give receipts of pending transactions
        return None
    return MinedReceipt(
        transaction=data(found.get("transactionHash"), 32),
        block=block_number(found.get("blockNumber")),
        block_hash=data(found.get("blockHash"), 32),
        succeeded=quantity(found.get("status"), 2) == 1,
        gas_used=quantity(found.get("gasUsed"), 1 << 63),
        gas_price=quantity(found.get("effectiveGasPrice") or "0x0"),
    )


def each(read: Callable[[Any], T], values: list[Any]) -> list[T]:
    """Read a list of answers of the same kind."""
    return [read(value) for value in values]


def _log(value: Any) -> Log:
    found = _object(value)
    topics = found.get("topics")
    if found.get("removed") not in (None, False):
        raise RpcAnswerInvalid("a removed log")
    if not isinstance(topics, list) or len(topics) > MAX_TOPICS:
        raise RpcAnswerInvalid("a log with wrong topics")
    return Log(
        block=block_number(found.get("blockNumber")),
        block_hash=data(found.get("blockHash"), 32),
        index=quantity(found.get("logIndex"), 1 << 31),
        transaction=data(found.get("transactionHash"), 32),
        address=data(found.get("address"), 20),
        topics=tuple(data(topic, 32) for topic in topics),
        data=data(found.get("data")),
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RpcAnswerInvalid("not an object")
    return value

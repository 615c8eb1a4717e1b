"""What an asker gives, parsed once: hex strings, blocks, calls, log questions."""

import re
from typing import Any, Final

from attrs import frozen
from eth.abc import BlockHeaderAPI
from eth_utils.address import is_checksum_address, is_checksum_formatted_address

from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.errors import INVALID_PARAMS, LIMIT_EXCEEDED, RpcFault, refused
from bitsnode.ledger.embedded.execution import Call
from bitsnode.ledger.embedded.records import LogQuestion

MAX_LOG_BLOCKS: Final = 10_000  # blocks of one eth_getLogs
MAX_ALTERNATIVES: Final = 1_000  # addresses, or values of one topic
_QUANTITY: Final = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")
_DATA: Final = re.compile(r"0x([0-9a-fA-F]{2})*\Z")
_HEAD_TAGS: Final = frozenset(("latest", "safe", "finalized"))
_CALL_FIELDS: Final = frozenset(
    "from to gas gasPrice maxFeePerGas maxPriorityFeePerGas value data input nonce chainId type"
    " accessList".split()
)
_ZERO: Final = b"\0" * 20


def invalid(what: str) -> RpcFault:
    """Return the error for an argument that is none."""
    return RpcFault(INVALID_PARAMS, f"invalid argument: {what}")


@frozen
class Params:
    """The arguments of a request: a list, with nothing known about its members."""

    values: tuple[Any, ...]

    def get(self, index: int) -> Any:
        """Return one, None if it is missing."""
        return self.values[index] if index < len(self.values) else None

    def at_most(self, count: int) -> None:
        """Check that there are no more than so many.

        Raises:
            RpcFault: there are.
        """
        if len(self.values) > count:
            raise RpcFault(INVALID_PARAMS, f"too many arguments, want at most {count}")

    def address(self, index: int) -> bytes:
        """Return 20 bytes."""
        return address(self.get(index))

    def hash(self, index: int) -> bytes:
        """Return 32 bytes."""
        return data(self.get(index), "a hash", 32)

    def quantity(self, index: int) -> int:
        """Return a number below 2^256."""
        return quantity(self.get(index))

    def flag(self, index: int) -> bool:
        """Return a truth value; False if it is missing."""
        value = self.get(index)
        if value is not None and not isinstance(value, bool):
            raise invalid("true or false expected")
        return bool(value)


def quantity(value: Any) -> int:
    """Parse a number: `0x` and hex digits without leading zeros, at most 256 bits."""
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise invalid("a number as 0x… without leading zeros expected")
    return int(value, 16)


def data(value: Any, what: str = "bytes", size: int | None = None) -> bytes:
    """Parse bytes: `0x` and an even number of hex digits."""
    if not isinstance(value, str) or not _DATA.match(value):
        raise invalid(f"{what} as 0x… expected")
    parsed = bytes.fromhex(value[2:])
    if size is not None and len(parsed) != size:
        raise invalid(f"{what} of {size} bytes expected")
    return parsed


def address(value: Any) -> bytes:
    """Parse an address; if it is written with a checksum (EIP-55), check it."""
    parsed = data(value, "an address", 20)
    if is_checksum_formatted_address(value) and not is_checksum_address(value):
        raise invalid("the address has a wrong checksum")
    return parsed


def slot(value: Any) -> int:
    """Parse a storage slot: a number, or 32 bytes (leading zeros are let pass, as by geth)."""
    if not isinstance(value, str) or not re.match(r"0x[0-9a-fA-F]{1,64}\Z", value):
        raise invalid("a storage slot as 0x… expected")
    return int(value, 16)


def header(chain: EmbeddedChain, value: Any, default: str = "latest") -> BlockHeaderAPI | None:
    """Find a block by tag, number or hash (EIP-1898); None if there is none such.

    A block here is final as soon as it is there, so `safe` and `finalized` are `latest`.

    Raises:
        RpcFault: the value names no block.
    """
    value = default if value is None else value
    if isinstance(value, dict):
        if set(value) <= {"blockHash", "requireCanonical"} and "blockHash" in value:
            return chain.header_by_hash(data(value["blockHash"], "a hash", 32))
        if set(value) != {"blockNumber"}:
            raise invalid("a block's tag, number or hash expected")
        value = value["blockNumber"]
    if not isinstance(value, str):
        raise invalid("a block's tag, number or hash expected")
    if value in _HEAD_TAGS:
        return chain.head
    if value == "pending":
        return chain.next_header()
    if value == "earliest":
        return chain.header(0)
    return chain.header(quantity(value))


def known_header(chain: EmbeddedChain, value: Any) -> BlockHeaderAPI:
    """Find a block as `header` does.

    Raises:
        RpcFault: there is none such.
    """
    if (found := header(chain, value)) is None:
        raise refused("header not found")
    return found


def call(value: Any) -> Call:
    """Parse a call or an unsigned transaction.

    Raises:
        RpcFault: a field is wrong, or one that this chain does not know.
    """
    if not isinstance(value, dict):
        raise invalid("a transaction object expected")
    given = {name: some for name, some in value.items() if some is not None}
    if unknown := set(given) - _CALL_FIELDS:
        raise invalid(f"unknown field {min(unknown)[:40]!r} of a transaction")
    inputs = {data(given[name], name) for name in ("data", "input") if name in given}
    if len(inputs) > 1:
        raise invalid("data and input differ")
    prices = [quantity(given[name]) for name in ("gasPrice", "maxFeePerGas") if name in given]
    if len(prices) > 1:
        raise invalid("both gasPrice and maxFeePerGas are given")
    return Call(
        sender=address(given["from"]) if "from" in given else _ZERO,
        to=address(given["to"]) if "to" in given else b"",
        gas=quantity(given["gas"]) if "gas" in given else None,
        gas_price=prices[0] if prices else 0,
        value=quantity(given["value"]) if "value" in given else 0,
        data=inputs.pop() if inputs else b"",
        access_list=_access_list(given.get("accessList", [])),
    )


def _access_list(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise invalid("an access list expected")
    parsed = []
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != {"address", "storageKeys"}:
            raise invalid("an access list has addresses and storageKeys")
        if not isinstance(entry["storageKeys"], list):
            raise invalid("an access list has addresses and storageKeys")
        slots = tuple(
            int.from_bytes(data(key, "a storage key", 32), "big") for key in entry["storageKeys"]
        )
        parsed.append((address(entry["address"]), slots))
    return tuple(parsed)


def log_question(chain: EmbeddedChain, value: Any) -> LogQuestion:
    """Parse the filter of eth_getLogs.

    Raises:
        RpcFault: it is none, spans too many blocks, or blocks that do not exist: an answer that
            left them out would read as "nothing happened there".
    """
    if not isinstance(value, dict):
        raise invalid("a filter object expected")
    if set(value) - {"fromBlock", "toBlock", "blockHash", "address", "topics"}:
        raise invalid("unknown field of a filter")
    if value.get("blockHash") is not None:
        if value.get("fromBlock") is not None or value.get("toBlock") is not None:
            raise invalid("cannot specify both blockHash and fromBlock/toBlock")
        found = chain.header_by_hash(data(value["blockHash"], "a hash", 32))
        if found is None:
            raise refused("unknown block")
        first = last = int(found.block_number)
    else:
        first = _log_bound(chain, value.get("fromBlock"))
        last = _log_bound(chain, value.get("toBlock"))
    if first > last:
        raise RpcFault(INVALID_PARAMS, "invalid block range params")
    if last > chain.height:
        raise RpcFault(INVALID_PARAMS, "block range extends beyond current head block")
    if last - first >= MAX_LOG_BLOCKS:
        raise RpcFault(LIMIT_EXCEEDED, f"block range is larger than {MAX_LOG_BLOCKS}")
    return LogQuestion(first, last, _addresses(value.get("address")), _topics(value.get("topics")))


def _log_bound(chain: EmbeddedChain, value: Any) -> int:
    if value is None:
        return chain.height
    if isinstance(value, str) and (value in _HEAD_TAGS or value == "pending"):
        return chain.height
    return 0 if value == "earliest" else quantity(value)


def _alternatives(value: Any) -> list[Any]:
    some = value if isinstance(value, list) else [value]
    if len(some) > MAX_ALTERNATIVES:
        raise RpcFault(LIMIT_EXCEEDED, f"more than {MAX_ALTERNATIVES} alternatives in a filter")
    return some


def _addresses(value: Any) -> tuple[bytes, ...]:
    return () if value is None else tuple(address(one) for one in _alternatives(value))


def _topics(value: Any) -> tuple[tuple[bytes, ...], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > 4:
        raise invalid("a list of at most 4 topics expected")
    parsed = []
    for position in value:
        some = [] if position is None else _alternatives(position)
        # A null among the alternatives takes everything, as in go-ethereum.
        parsed.append(() if None in some else tuple(data(one, "a topic", 32) for one in some))
    return tuple(parsed)

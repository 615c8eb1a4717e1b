"""The methods of the JSON-RPC, each a few lines over the chain."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import frozen
from eth.abc import BlockHeaderAPI
from eth_utils.crypto import keccak

from bitsnode.ledger.embedded import params as parse
from bitsnode.ledger.embedded import views
from bitsnode.ledger.embedded.chain import TIP, EmbeddedChain
from bitsnode.ledger.embedded.errors import (
    INVALID_PARAMS,
    LIMIT_EXCEEDED,
    METHOD_NOT_FOUND,
    RpcFault,
    refused,
)
from bitsnode.ledger.embedded.params import Params
from bitsnode.ledger.embedded.records import Log, LogQuestion, Mined
from bitsnode.ledger.embedded.views import Json

CLIENT: Final = "bits/py-evm"  # no version: who asks need not know how old we are
MAX_LOGS: Final = 10_000  # of one eth_getLogs
MAX_LOG_BYTES: Final = 4 * 1024 * 1024  # bytes of data in the logs of one answer
MAX_FEE_BLOCKS: Final = 1_024  # of one eth_feeHistory, as in go-ethereum
MAX_PERCENTILES: Final = 100

Method = Callable[["Methods", Params], Json]


@frozen
class Entry:
    """A method: the greatest number of its arguments, and whether only the socket may call it."""

    run: Method
    most: int
    local: bool


TABLE: Final[dict[str, Entry]] = {}


def _method(name: str, most: int = 0, *, local: bool = False) -> Callable[[Method], Method]:
    def enter(run: Method) -> Method:
        TABLE[name] = Entry(run, most, local)
        return run

    return enter


class Methods:
    """Answers requests from one chain; for the chain's thread."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain

    def answer(self, name: str, values: tuple[Any, ...], *, local: bool) -> Json:
        """Answer one request.

        Args:
            name: of the method.
            values: its arguments.
            local: the asker is on this machine and may move time and take from the faucet.

        Raises:
            RpcFault: as JSON-RPC knows them.
        """
        entry = TABLE.get(name)
        if entry is None or (entry.local and not local):
            known = f"the method {name[:64]} does not exist/is not available"
            raise RpcFault(METHOD_NOT_FOUND, known)
        params = Params(values)
        params.at_most(entry.most)
        return entry.run(self, params)

    def block(self, header: BlockHeaderAPI | None, *, full: bool) -> Json:
        """Show a block, with whole transactions or their hashes."""
        if header is None:
            return None
        if header.block_number > self.chain.height:
            return views.block(header, [], [], pending=True)
        mined = self.chain.records.in_block(header.block_number)
        shown = [self.transaction(one, header) if full else views.text(one.hash) for one in mined]
        return views.block(header, mined, shown)

    def transaction(self, mined: Mined, header: BlockHeaderAPI | None = None) -> Json:
        """Show a transaction."""
        return views.transaction(
            mined, self.chain.transaction(mined.raw), header or self.header_of(mined)
        )

    def receipt(self, mined: Mined) -> Json:
        """Show what became of a transaction."""
        found = self.chain.records.logs(LogQuestion(mined.block, mined.block))
        logs = [one for one in found if one.transaction_position == mined.position]
        decoded = self.chain.transaction(mined.raw)
        return views.receipt(mined, decoded, self.header_of(mined), logs)

    def header_of(self, mined: Mined) -> BlockHeaderAPI:
        """Return the header of the block of a transaction."""
        header = self.chain.header(mined.block)
        if header is None:
            raise RuntimeError("a transaction has no block")
        return header

    def logs(self, found: Iterable[Log]) -> list[Json]:
        """Show logs, in the order given.

        Raises:
            RpcFault: there are too many.
        """
        shown: list[Json] = []
        size, at, header = 0, -1, self.chain.head
        mined: dict[int, Mined] = {}
        for one in found:
            size += len(one.data)
            if len(shown) >= MAX_LOGS or size > MAX_LOG_BYTES:
                raise RpcFault(LIMIT_EXCEEDED, f"query returned more than {MAX_LOGS} results")
            if one.block != at:
                at, header = one.block, self.chain.header(one.block) or header
                mined = {each.position: each for each in self.chain.records.in_block(at)}
            shown.append(views.log(one, mined[one.transaction_position], header))
        return shown


@_method("web3_clientVersion")
def _client_version(rpc: Methods, params: Params) -> Json:
    return CLIENT


@_method("web3_sha3", 1)
def _sha3(rpc: Methods, params: Params) -> Json:
    return views.text(keccak(parse.data(params.get(0))))


@_method("net_version")
def _net_version(rpc: Methods, params: Params) -> Json:
    return str(rpc.chain.chain_id)


@_method("net_listening")
def _listening(rpc: Methods, params: Params) -> Json:
    return True


@_method("net_peerCount")
def _peer_count(rpc: Methods, params: Params) -> Json:
    return "0x0"


@_method("eth_chainId")
def _chain_id(rpc: Methods, params: Params) -> Json:
    return views.number(rpc.chain.chain_id)


@_method("eth_syncing")
def _syncing(rpc: Methods, params: Params) -> Json:
    return False


@_method("eth_accounts")
def _accounts(rpc: Methods, params: Params) -> Json:
    return []


@_method("eth_blockNumber")
def _block_number(rpc: Methods, params: Params) -> Json:
    return views.number(rpc.chain.height)


@_method("eth_gasPrice")
def _gas_price(rpc: Methods, params: Params) -> Json:
    return views.number(_base_fee(rpc) + TIP)


@_method("eth_maxPriorityFeePerGas")
def _priority_fee(rpc: Methods, params: Params) -> Json:
    return views.number(TIP)


@_method("eth_blobBaseFee")
def _blob_base_fee(rpc: Methods, params: Params) -> Json:
    return "0x1"


def _base_fee(rpc: Methods) -> int:
    fee: int = rpc.chain.next_header().base_fee_per_gas
    return fee


@_method("eth_feeHistory", 3)
def _fee_history(rpc: Methods, params: Params) -> Json:
    given: Any = params.get(0)
    plain = isinstance(given, int) and not isinstance(given, bool)
    count: int = given if plain else params.quantity(0)
    newest = parse.known_header(rpc.chain, params.get(1)).block_number
    last = min(newest, rpc.chain.height)
    percentiles = _percentiles(params.get(2))
    first = max(0, last + 1 - min(max(count, 0), MAX_FEE_BLOCKS))
    headers: list[Any] = [rpc.chain.header(number) for number in range(first, last + 1)]
    fees = [header.base_fee_per_gas for header in headers]
    following = rpc.chain.header(last + 1) or rpc.chain.next_header()
    answer = {
        "oldestBlock": views.number(first),
        "baseFeePerGas": [views.number(fee) for fee in (*fees, following.base_fee_per_gas)],
        "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        "baseFeePerBlobGas": ["0x1"] * (len(headers) + 1),
        "blobGasUsedRatio": [0.0] * len(headers),
    }
    if percentiles:
        answer["reward"] = [_rewards(rpc, header, percentiles) for header in headers]
    return answer


def _percentiles(value: Any) -> list[float]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MAX_PERCENTILES:
        raise parse.invalid(f"a list of at most {MAX_PERCENTILES} percentiles expected")
    for one in value:
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 100:
            raise parse.invalid("percentiles are numbers from 0 to 100")
    if value != sorted(value):
        raise parse.invalid("percentiles must not fall")
    return [float(one) for one in value]


def _rewards(rpc: Methods, header: Any, percentiles: list[float]) -> list[str]:
    mined = rpc.chain.records.in_block(header.block_number)
    tips = sorted((one.gas_price - header.base_fee_per_gas, one.gas_used) for one in mined)
    rewards = []
    for percentile in percentiles:
        threshold, total, tip = header.gas_used * percentile / 100, 0, 0
        for tip, used in tips:  # noqa: B007 - the last one counts
            total += used
            if total >= threshold:
                break
        rewards.append(views.number(tip))
    return rewards


@_method("eth_getBlockByNumber", 2)
def _block_by_number(rpc: Methods, params: Params) -> Json:
    return rpc.block(parse.header(rpc.chain, params.get(0)), full=params.flag(1))


@_method("eth_getBlockByHash", 2)
def _block_by_hash(rpc: Methods, params: Params) -> Json:
    return rpc.block(rpc.chain.header_by_hash(params.hash(0)), full=params.flag(1))


def _transactions_of(rpc: Methods, header: BlockHeaderAPI | None) -> list[Mined] | None:
    return None if header is None else rpc.chain.records.in_block(header.block_number)


@_method("eth_getBlockTransactionCountByNumber", 1)
def _count_by_number(rpc: Methods, params: Params) -> Json:
    found = _transactions_of(rpc, parse.header(rpc.chain, params.get(0)))
    return None if found is None else views.number(len(found))


@_method("eth_getBlockTransactionCountByHash", 1)
def _count_by_hash(rpc: Methods, params: Params) -> Json:
    found = _transactions_of(rpc, rpc.chain.header_by_hash(params.hash(0)))
    return None if found is None else views.number(len(found))


@_method("eth_getTransactionByBlockNumberAndIndex", 2)
def _transaction_by_number(rpc: Methods, params: Params) -> Json:
    return _nth(rpc, parse.header(rpc.chain, params.get(0)), params.quantity(1))


@_method("eth_getTransactionByBlockHashAndIndex", 2)
def _transaction_by_block(rpc: Methods, params: Params) -> Json:
    return _nth(rpc, rpc.chain.header_by_hash(params.hash(0)), params.quantity(1))


def _nth(rpc: Methods, header: BlockHeaderAPI | None, index: int) -> Json:
    found = _transactions_of(rpc, header) or []
    return rpc.transaction(found[index]) if index < len(found) else None


@_method("eth_getTransactionByHash", 1)
def _transaction_by_hash(rpc: Methods, params: Params) -> Json:
    mined = rpc.chain.records.by_hash(params.hash(0))
    return rpc.transaction(mined) if mined else None


@_method("eth_getRawTransactionByHash", 1)
def _raw_transaction(rpc: Methods, params: Params) -> Json:
    mined = rpc.chain.records.by_hash(params.hash(0))
    return views.text(mined.raw) if mined else None


@_method("eth_getTransactionReceipt", 1)
def _receipt(rpc: Methods, params: Params) -> Json:
    mined = rpc.chain.records.by_hash(params.hash(0))
    return rpc.receipt(mined) if mined else None


@_method("eth_getBlockReceipts", 1)
def _block_receipts(rpc: Methods, params: Params) -> Json:
    found = _transactions_of(rpc, parse.header(rpc.chain, params.get(0)))
    return None if found is None else [rpc.receipt(mined) for mined in found]


@_method("eth_getLogs", 1)
def _logs(rpc: Methods, params: Params) -> Json:
    return rpc.logs(rpc.chain.records.logs(parse.log_question(rpc.chain, params.get(0))))


@_method("eth_getBalance", 2)
def _balance(rpc: Methods, params: Params) -> Json:
    state: Any = rpc.chain.state(parse.known_header(rpc.chain, params.get(1)))
    return views.number(state.get_balance(params.address(0)))


@_method("eth_getCode", 2)
def _code(rpc: Methods, params: Params) -> Json:
    state: Any = rpc.chain.state(parse.known_header(rpc.chain, params.get(1)))
    return views.text(state.get_code(params.address(0)))


@_method("eth_getTransactionCount", 2)
def _transaction_count(rpc: Methods, params: Params) -> Json:
    state: Any = rpc.chain.state(parse.known_header(rpc.chain, params.get(1)))
    return views.number(state.get_nonce(params.address(0)))


@_method("eth_getStorageAt", 3)
def _storage(rpc: Methods, params: Params) -> Json:
    state: Any = rpc.chain.state(parse.known_header(rpc.chain, params.get(2)))
    value: int = state.get_storage(params.address(0), parse.slot(params.get(1)))
    return views.text(value.to_bytes(32, "big"))


@_method("eth_call", 4)
def _call(rpc: Methods, params: Params) -> Json:
    _no_overrides(params)
    header = parse.known_header(rpc.chain, params.get(1))
    return views.text(rpc.chain.call(parse.call(params.get(0)), header))


@_method("eth_estimateGas", 4)
def _estimate(rpc: Methods, params: Params) -> Json:
    _no_overrides(params)
    block = "pending" if params.get(1) is None else params.get(1)
    header = parse.known_header(rpc.chain, block)
    return views.number(rpc.chain.estimate_gas(parse.call(params.get(0)), header))


def _no_overrides(params: Params) -> None:
    if params.get(2) or params.get(3):
        raise RpcFault(INVALID_PARAMS, "state and block overrides are not supported")


@_method("eth_sendRawTransaction", 1)
def _send(rpc: Methods, params: Params) -> Json:
    return views.text(rpc.chain.send_raw_transaction(parse.data(params.get(0))))


@_method("evm_increaseTime", 1, local=True)
def _increase_time(rpc: Methods, params: Params) -> Json:
    value = params.get(0)
    plain = isinstance(value, int) and not isinstance(value, bool)
    return rpc.chain.increase_time(value if plain else params.quantity(0))


@_method("evm_mine", 0, local=True)
def _mine(rpc: Methods, params: Params) -> Json:
    rpc.chain.mine()
    return "0x0"


@_method("bits_fund", 2, local=True)
def _fund(rpc: Methods, params: Params) -> Json:
    return views.text(rpc.chain.fund(params.address(0), params.quantity(1)))


@_method("bits_faucet", 0, local=True)
def _faucet(rpc: Methods, params: Params) -> Json:
    if (address := rpc.chain.faucet) is None:
        raise refused("the faucet's key is gone")
    return views.text(address)

"""The methods of the JSON-RPC, each a few lines over the chain."""

from functools import partial
from typing import Any, Final

from eth.abc import BlockHeaderAPI
from eth_utils.crypto import keccak

from bitsnode.ledger.embedded import params as parse
from bitsnode.ledger.embedded import show, views
from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.errors import INVALID_PARAMS, METHOD_NOT_FOUND, RpcFault, refused
from bitsnode.ledger.embedded.fees import FEES
from bitsnode.ledger.embedded.params import Params
from bitsnode.ledger.embedded.records import Mined
from bitsnode.ledger.embedded.registry import Table, enter
from bitsnode.ledger.embedded.views import Json

CLIENT: Final = "bits/py-evm"  # no version: who asks need not know how old we are

TABLE: Final[Table] = dict(FEES)
method = partial(enter, TABLE)


def answer(chain: EmbeddedChain, name: str, values: tuple[Any, ...], *, local: bool) -> Json:
    """Answer one request; in the chain's thread.

    Args:
        chain: that is asked.
        name: of the method.
        values: its arguments.
        local: the asker is on this machine and may move time and take from the faucet.

    Raises:
        RpcFault: as JSON-RPC knows them.
    """
    entry = TABLE.get(name)
    if entry is None or (entry.local and not local):
        what = f"the method {name[:64]} does not exist/is not available"
        raise RpcFault(METHOD_NOT_FOUND, what)
    params = Params(values)
    params.at_most(entry.most)
    return entry.run(chain, params)


@method("web3_clientVersion")
def _client_version(chain: EmbeddedChain, params: Params) -> Json:
    return CLIENT


@method("web3_sha3", 1)
def _sha3(chain: EmbeddedChain, params: Params) -> Json:
    return views.text(keccak(parse.data(params.get(0))))


@method("net_version")
def _net_version(chain: EmbeddedChain, params: Params) -> Json:
    return str(chain.chain_id)


@method("net_listening")
def _listening(chain: EmbeddedChain, params: Params) -> Json:
    return True


@method("net_peerCount")
def _peer_count(chain: EmbeddedChain, params: Params) -> Json:
    return "0x0"


@method("eth_chainId")
def _chain_id(chain: EmbeddedChain, params: Params) -> Json:
    return views.number(chain.chain_id)


@method("eth_syncing")
def _syncing(chain: EmbeddedChain, params: Params) -> Json:
    return False


@method("eth_accounts")
def _accounts(chain: EmbeddedChain, params: Params) -> Json:
    return []


@method("eth_blockNumber")
def _block_number(chain: EmbeddedChain, params: Params) -> Json:
    return views.number(chain.height)


@method("eth_getBlockByNumber", 2)
def _block_by_number(chain: EmbeddedChain, params: Params) -> Json:
    return show.block(chain, parse.header(chain, params.get(0)), full=params.flag(1))


@method("eth_getBlockByHash", 2)
def _block_by_hash(chain: EmbeddedChain, params: Params) -> Json:
    return show.block(chain, chain.header_by_hash(params.hash(0)), full=params.flag(1))


def _transactions_of(chain: EmbeddedChain, header: BlockHeaderAPI | None) -> list[Mined] | None:
    return None if header is None else chain.records.in_block(header.block_number)


@method("eth_getBlockTransactionCountByNumber", 1)
def _count_by_number(chain: EmbeddedChain, params: Params) -> Json:
    found = _transactions_of(chain, parse.header(chain, params.get(0)))
    return None if found is None else views.number(len(found))


@method("eth_getBlockTransactionCountByHash", 1)
def _count_by_hash(chain: EmbeddedChain, params: Params) -> Json:
    found = _transactions_of(chain, chain.header_by_hash(params.hash(0)))
    return None if found is None else views.number(len(found))


@method("eth_getTransactionByBlockNumberAndIndex", 2)
def _transaction_by_number(chain: EmbeddedChain, params: Params) -> Json:
    return _nth(chain, parse.header(chain, params.get(0)), params.quantity(1))


@method("eth_getTransactionByBlockHashAndIndex", 2)
def _transaction_by_block(chain: EmbeddedChain, params: Params) -> Json:
    return _nth(chain, chain.header_by_hash(params.hash(0)), params.quantity(1))


def _nth(chain: EmbeddedChain, header: BlockHeaderAPI | None, index: int) -> Json:
    found = _transactions_of(chain, header) or []
    return show.transaction(chain, found[index]) if index < len(found) else None


@method("eth_getTransactionByHash", 1)
def _transaction_by_hash(chain: EmbeddedChain, params: Params) -> Json:
    mined = chain.records.by_hash(params.hash(0))
    return show.transaction(chain, mined) if mined else None


@method("eth_getRawTransactionByHash", 1)
def _raw_transaction(chain: EmbeddedChain, params: Params) -> Json:
    mined = chain.records.by_hash(params.hash(0))
    return views.text(mined.raw) if mined else None


@method("eth_getTransactionReceipt", 1)
def _receipt(chain: EmbeddedChain, params: Params) -> Json:
    mined = chain.records.by_hash(params.hash(0))
    return show.receipt(chain, mined) if mined else None


@method("eth_getBlockReceipts", 1)
def _block_receipts(chain: EmbeddedChain, params: Params) -> Json:
    found = _transactions_of(chain, parse.header(chain, params.get(0)))
    return None if found is None else [show.receipt(chain, mined) for mined in found]


@method("eth_getLogs", 1)
def _logs(chain: EmbeddedChain, params: Params) -> Json:
    return show.logs(chain, chain.records.logs(parse.log_question(chain, params.get(0))))


@method("eth_getBalance", 2)
def _balance(chain: EmbeddedChain, params: Params) -> Json:
    state: Any = chain.state(parse.known_header(chain, params.get(1)))
    return views.number(state.get_balance(params.address(0)))


@method("eth_getCode", 2)
def _code(chain: EmbeddedChain, params: Params) -> Json:
    state: Any = chain.state(parse.known_header(chain, params.get(1)))
    return views.text(state.get_code(params.address(0)))


@method("eth_getTransactionCount", 2)
def _transaction_count(chain: EmbeddedChain, params: Params) -> Json:
    state: Any = chain.state(parse.known_header(chain, params.get(1)))
    return views.number(state.get_nonce(params.address(0)))


@method("eth_getStorageAt", 3)
def _storage(chain: EmbeddedChain, params: Params) -> Json:
    state: Any = chain.state(parse.known_header(chain, params.get(2)))
    value: int = state.get_storage(params.address(0), parse.slot(params.get(1)))
    return views.text(value.to_bytes(32, "big"))


@method("eth_call", 4)
def _call(chain: EmbeddedChain, params: Params) -> Json:
    _no_overrides(params)
    header = parse.known_header(chain, params.get(1))
    return views.text(chain.call(parse.call(params.get(0)), header))


@method("eth_estimateGas", 4)
def _estimate(chain: EmbeddedChain, params: Params) -> Json:
    _no_overrides(params)
    block = "pending" if params.get(1) is None else params.get(1)
    header = parse.known_header(chain, block)
    return views.number(chain.estimate_gas(parse.call(params.get(0)), header))


def _no_overrides(params: Params) -> None:
    if params.get(2) or params.get(3):
        raise RpcFault(INVALID_PARAMS, "state and block overrides are not supported")


@method("eth_sendRawTransaction", 1)
def _send(chain: EmbeddedChain, params: Params) -> Json:
    return views.text(chain.send_raw_transaction(parse.data(params.get(0))))


@method("evm_increaseTime", 1, local=True)
def _increase_time(chain: EmbeddedChain, params: Params) -> Json:
    value = params.get(0)
    plain = isinstance(value, int) and not isinstance(value, bool)
    return chain.increase_time(value if plain else params.quantity(0))


@method("evm_mine", 0, local=True)
def _mine(chain: EmbeddedChain, params: Params) -> Json:
    chain.mine()
    return "0x0"


@method("bits_fund", 2, local=True)
def _fund(chain: EmbeddedChain, params: Params) -> Json:
    return views.text(chain.fund(params.address(0), params.quantity(1)))


@method("bits_faucet", 0, local=True)
def _faucet(chain: EmbeddedChain, params: Params) -> Json:
    if (address := chain.faucet) is None:
        raise refused("the faucet's key is gone")
    return views.text(address)

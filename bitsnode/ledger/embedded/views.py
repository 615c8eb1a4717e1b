"""Blocks, transactions, receipts and logs as Ethereum's JSON-RPC shows them."""

from typing import Any, Final

import rlp
from eth.abc import BlockHeaderAPI
from eth_bloom.bloom import BloomFilter

from bitsnode.ledger.embedded.records import Log, Mined

Json = Any
_EMPTY_BLOCK: Final = 6  # bytes that the lists of a block add to its header and transactions


def number(value: int) -> str:
    """Write a number."""
    return hex(value)


def text(value: bytes) -> str:
    """Write bytes."""
    return "0x" + value.hex()


def block(
    header: BlockHeaderAPI, mined: list[Mined], transactions: list[Json], *, pending: bool = False
) -> Json:
    """Show a block.

    Args:
        header: its header.
        mined: its transactions.
        transactions: how these shall be shown: hashes or objects.
        pending: it is not mined yet, so it has no hash.
    """
    shown: Any = header
    return {
        "number": number(shown.block_number),
        "hash": None if pending else text(shown.hash),
        "parentHash": text(shown.parent_hash),
        "nonce": None if pending else text(shown.nonce),
        "sha3Uncles": text(shown.uncles_hash),
        "logsBloom": text(shown.bloom.to_bytes(256, "big")),
        "transactionsRoot": text(shown.transaction_root),
        "stateRoot": text(shown.state_root),
        "receiptsRoot": text(shown.receipt_root),
        "miner": text(shown.coinbase),
        "difficulty": number(shown.difficulty),
        "totalDifficulty": "0x0",
        "extraData": text(shown.extra_data),
        "size": number(len(rlp.encode(shown)) + sum(len(one.raw) for one in mined) + _EMPTY_BLOCK),
        "gasLimit": number(shown.gas_limit),
        "gasUsed": number(shown.gas_used),
        "timestamp": number(shown.timestamp),
        "mixHash": text(shown.mix_hash),
        "baseFeePerGas": number(shown.base_fee_per_gas),
        "withdrawalsRoot": text(shown.withdrawals_root),
        "withdrawals": [],
        "blobGasUsed": number(shown.blob_gas_used),
        "excessBlobGas": number(shown.excess_blob_gas),
        "parentBeaconBlockRoot": text(shown.parent_beacon_block_root),
        "uncles": [],
        "transactions": transactions,
    }


def transaction(mined: Mined, decoded: Any, header: BlockHeaderAPI) -> Json:
    """Show a transaction; `decoded` is py-evm's form of it."""
    kind = mined.raw[0] if mined.raw[0] < 0x80 else 0
    shown = {
        "hash": text(mined.hash),
        "blockHash": text(header.hash),
        "blockNumber": number(mined.block),
        "transactionIndex": number(mined.position),
        "from": text(mined.sender),
        "to": text(decoded.to) if decoded.to else None,
        "nonce": number(decoded.nonce),
        "gas": number(decoded.gas),
        "value": number(decoded.value),
        "input": text(decoded.data),
        "type": number(kind),
        "chainId": number(decoded.chain_id),
        "gasPrice": number(mined.gas_price),
        "r": number(decoded.r),
        "s": number(decoded.s),
    }
    if kind == 0:
        return {**shown, "v": number(decoded.chain_id * 2 + 35 + decoded.y_parity)}
    parity = number(decoded.y_parity)
    shown |= {"v": parity, "yParity": parity, "accessList": _access_list(decoded.access_list)}
    if kind == 2:  # EIP-1559
        shown["maxFeePerGas"] = number(decoded.max_fee_per_gas)
        shown["maxPriorityFeePerGas"] = number(decoded.max_priority_fee_per_gas)
    return shown


def _access_list(entries: Any) -> Json:
    return [
        {
            "address": text(address),
            "storageKeys": [text(slot.to_bytes(32, "big")) for slot in slots],
        }
        for address, slots in entries
    ]


def receipt(mined: Mined, decoded: Any, header: BlockHeaderAPI, logs: list[Log]) -> Json:
    """Show what became of a transaction."""
    bloom = BloomFilter()
    for one in logs:
        bloom.extend((one.address, *one.topics))
    return {
        "transactionHash": text(mined.hash),
        "transactionIndex": number(mined.position),
        "blockHash": text(header.hash),
        "blockNumber": number(mined.block),
        "from": text(mined.sender),
        "to": text(decoded.to) if decoded.to else None,
        "contractAddress": text(mined.contract) if mined.contract else None,
        "status": number(mined.status),
        "gasUsed": number(mined.gas_used),
        "cumulativeGasUsed": number(mined.cumulative_gas),
        "effectiveGasPrice": number(mined.gas_price),
        "type": number(mined.raw[0] if mined.raw[0] < 0x80 else 0),
        "logs": [log(one, mined, header) for one in logs],
        "logsBloom": text(int(bloom).to_bytes(256, "big")),
    }


def log(one: Log, mined: Mined, header: BlockHeaderAPI) -> Json:
    """Show an event."""
    return {
        "address": text(one.address),
        "topics": [text(topic) for topic in one.topics],
        "data": text(one.data),
        "blockNumber": number(one.block),
        "blockHash": text(header.hash),
        "blockTimestamp": number(header.timestamp),
        "transactionHash": text(mined.hash),
        "transactionIndex": number(one.transaction_position),
        "logIndex": number(one.position),
        "removed": False,
    }

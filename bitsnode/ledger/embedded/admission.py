"""Which transactions are let in: the checks of go-ethereum's pool, in its words."""

from typing import Any, Final

from attrs import frozen
from eth.abc import BlockHeaderAPI, StateAPI
from eth.constants import SECPK1_N
from eth_utils.address import to_checksum_address

from bitsnode.ledger.embedded.errors import refused

MAX_TRANSACTION: Final = 131_072  # bytes, as in go-ethereum's pool
MAX_INIT_CODE: Final = 49_152  # bytes, EIP-3860
_LEGACY: Final = 0xC0  # an RLP list begins at or above this
_HALF_ORDER: Final = SECPK1_N // 2  # a higher s is the malleated twin of a signature, EIP-2
_TYPES: Final = (1, 2)  # access list (EIP-2930) and dynamic fee (EIP-1559)


@frozen
class Admitted:
    """A transaction that is well formed and signed for this chain.

    Attributes:
        raw: as it was sent.
        transaction: py-evm's.
        hash: 32 bytes.
        sender: 20 bytes.
    """

    raw: bytes
    transaction: Any
    hash: bytes
    sender: bytes


def decode(builder: Any, raw: bytes) -> Any:
    """Decode a transaction as it travels (EIP-2718).

    Args:
        builder: py-evm's transaction builder.
        raw: at most `MAX_TRANSACTION` bytes.

    Raises:
        RpcFault: it is none, or of a kind that this chain does not take.
    """
    if len(raw) > MAX_TRANSACTION:
        raise refused(f"oversized data: transaction size {len(raw)}, limit {MAX_TRANSACTION}")
    if not raw:
        raise refused("typed transaction too short")
    if raw[0] < _LEGACY and raw[0] not in _TYPES:
        raise refused("transaction type not supported")
    try:
        return builder.decode(raw)
    # py-evm raises whatever rlp, eth-utils and its own checks raise, without a common class.
    except Exception:
        raise refused("rlp: the transaction cannot be decoded") from None


def admit(builder: Any, raw: bytes, chain_id: int, gas_limit: int) -> Admitted:
    """Check what can be checked without the state.

    Raises:
        RpcFault: in go-ethereum's words.
    """
    transaction = decode(builder, raw)
    if transaction.chain_id is None:
        raise refused("only replay-protected (EIP-155) transactions allowed over RPC")
    if transaction.chain_id != chain_id:
        raise refused(f"invalid chain id for signer: have {transaction.chain_id} want {chain_id}")
    if transaction.gas > gas_limit:
        raise refused("exceeds block gas limit")
    if not transaction.to and len(transaction.data) > MAX_INIT_CODE:
        raise refused(
            f"max initcode size exceeded: code size {len(transaction.data)}, limit {MAX_INIT_CODE}"
        )
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
        raise refused(
            "max priority fee per gas higher than max fee per gas:"
            f" maxPriorityFeePerGas: {transaction.max_priority_fee_per_gas},"
            f" maxFeePerGas: {transaction.max_fee_per_gas}"
        )
    if transaction.gas < transaction.intrinsic_gas:
        raise refused(
            f"intrinsic gas too low: gas {transaction.gas},"
            f" minimum needed {transaction.intrinsic_gas}"
        )
    if transaction.s > _HALF_ORDER:
        raise refused("invalid transaction v, r, s values")
    try:
        transaction.validate()
        transaction.check_signature_validity()
        sender = bytes(transaction.sender)
    except Exception:  # as above: no common class
        raise refused("invalid transaction v, r, s values") from None
    return Admitted(raw, transaction, bytes(transaction.hash), sender)


def check_state(admitted: Admitted, state: StateAPI, header: BlockHeaderAPI) -> None:
    """Check what depends on the state before the block that shall hold the transaction.

    Raises:
        RpcFault: in go-ethereum's words.
    """
    transaction, sender = admitted.transaction, admitted.sender
    name = to_checksum_address(sender)
    nonce = state.get_nonce(sender)  # type: ignore[arg-type]
    if transaction.nonce < nonce:
        raise refused(f"nonce too low: next nonce {nonce}, tx nonce {transaction.nonce}")
    if transaction.nonce > nonce:
        raise refused(f"nonce too high: next nonce {nonce}, tx nonce {transaction.nonce}")
    if state.get_code(sender):  # type: ignore[arg-type]
        raise refused(f"sender not an eoa: address {name}")
    base_fee = header.base_fee_per_gas
    if transaction.max_fee_per_gas < base_fee:
        raise refused(
            f"max fee per gas less than block base fee: address {name},"
            f" maxFeePerGas: {transaction.max_fee_per_gas}, baseFee: {base_fee}"
        )
    have = state.get_balance(sender)  # type: ignore[arg-type]
    want = transaction.gas * transaction.max_fee_per_gas + transaction.value
    if have < want:
        raise refused(
            f"insufficient funds for gas * price + value: address {name} have {have} want {want}"
        )

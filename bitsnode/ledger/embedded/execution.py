"""Calls that change nothing: what eth_call and eth_estimateGas run."""

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from eth.abc import BlockHeaderAPI, ComputationAPI
from eth.exceptions import (
    InvalidInstruction,
    InvalidJumpDestination,
    OutOfGas,
    Revert,
    VMError,
    WriteProtection,
)
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode as abi_decode

from bitsnode.ledger.embedded.errors import REVERTED, RpcFault, refused
from bitsnode.ledger.embedded.vm import Deadline

GAS_CAP: Final = 30_000_000  # gas of a call, whatever the asker gives
ESTIMATE_ERROR: Final = 0.01  # of the result; geth's estimator stops at 0.015
_STIPEND: Final = 2_300  # gas a call with value gets for nothing
_ERROR: Final = bytes.fromhex("08c379a0")  # selector of Error(string)
_PANIC: Final = bytes.fromhex("4e487b71")  # selector of Panic(uint256)
# Solidity's documentation, "Panic via assert and Error via require", in go-ethereum's words.
_PANICS: Final = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}


@frozen
class Call:
    """What somebody wants to try.

    Attributes:
        sender: 20 bytes.
        to: 20 bytes, or none to make a contract.
        gas: what the call may use, None for the cap.
        gas_price: wei per gas; 0 costs the sender nothing.
        value: wei.
        data: bytes.
        access_list: addresses and slots that are warm, as py-evm takes them.
    """

    sender: bytes
    to: bytes
    gas: int | None = None
    gas_price: int = 0
    value: int = 0
    data: bytes = b""
    access_list: tuple[Any, ...] = ()


@frozen
class Tried:
    """How a call ended: what it used before refunds, what it would be charged, what it gave."""

    used: int
    charged: int
    output: bytes
    error: VMError | None


def attempt(chain: Any, header: BlockHeaderAPI, call: Call, gas: int, deadline: Deadline) -> Tried:
    """Run a call on the state after a block, and forget what it did.

    Args:
        chain: py-evm's.
        header: the block whose number and time the call sees.
        call: what to run.
        gas: limit of the run, that of the transaction itself included.
        deadline: when to give up.

    Raises:
        RpcFault: the sender cannot pay, the limit is below the fixed cost, or time is over.
    """
    vm = chain.get_vm(header)
    state = vm.state
    state.deadline = deadline
    want = gas * call.gas_price + call.value
    if (have := state.get_balance(call.sender)) < want:
        what = "gas * price + value" if call.gas_price else "transfer"
        raise refused(f"insufficient funds for {what}: have {have} want {want}")
    transaction = _spoof(vm, call, gas, state.get_nonce(call.sender))
    if gas < transaction.intrinsic_gas:
        raise refused(
            f"intrinsic gas too low: gas {gas}, minimum needed {transaction.intrinsic_gas}"
        )
    executor = state.get_transaction_executor()
    message = executor.build_evm_message(transaction)
    computation: ComputationAPI = executor.build_computation(message, transaction)
    used = gas - computation.get_gas_remaining()
    refund = executor.calculate_gas_refund(computation, used)
    error = computation.error if computation.is_error else None
    return Tried(used, used - refund, computation.output, error)


def _spoof(vm: Any, call: Call, gas: int, nonce: int) -> Any:
    if call.access_list:
        unsigned = vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=vm.chain_context.chain_id,
            nonce=nonce,
            max_priority_fee_per_gas=call.gas_price,
            max_fee_per_gas=call.gas_price,
            gas=gas,
            to=call.to,
            value=call.value,
            data=call.data,
            access_list=call.access_list,
        )
    else:
        unsigned = vm.create_unsigned_transaction(
            nonce=nonce,
            gas_price=call.gas_price,
            gas=gas,
            to=call.to,
            value=call.value,
            data=call.data,
        )
    return SpoofTransaction(unsigned, from_=call.sender)


def output_of(tried: Tried) -> bytes:
    """Return what a call gave.

    Raises:
        RpcFault: code 3 with data if it was reverted, -32000 if it failed otherwise.
    """
    if tried.error is None:
        return tried.output
    if isinstance(tried.error, Revert):
        reason = _reason(tried.output)
        text = f"execution reverted: {reason}" if reason else "execution reverted"
        raise RpcFault(REVERTED, text, tried.output)
    raise refused(_failure(tried.error))


def _reason(output: bytes) -> str | None:
    try:
        if output[:4] == _ERROR:
            return str(abi_decode(["string"], output[4:])[0])
        if output[:4] == _PANIC:
            code = int(abi_decode(["uint256"], output[4:])[0])
            return "panic: " + _PANICS.get(code, f"unknown panic code: {code:#x}")
    # The bytes are the contract's: eth_abi and the text's decoding raise without a common class.
    except Exception:
        return None
    return None


def _failure(error: VMError) -> str:
    words = {
        OutOfGas: "out of gas",
        InvalidInstruction: "invalid opcode",
        InvalidJumpDestination: "invalid jump destination",
        WriteProtection: "write protection",
    }
    for kind, text in words.items():
        if isinstance(error, kind):
            return text
    return "execution failed"


def estimate(run: Callable[[int], Tried], lowest: int, highest: int) -> int:
    """Return about the least gas limit with which a transaction does what it does with plenty.

    What is used before refunds is not always enough: a call passes on at most 63/64 of what is
    left (EIP-150). So that is tried first, and a bisection follows if it fails, until the result
    is no more than `ESTIMATE_ERROR` too high: each try of a large transaction takes a second.

    Args:
        run: tries the transaction with a limit.
        lowest: a limit that is never too high: the fixed cost of the transaction.
        highest: what it may use at most.

    Raises:
        RpcFault: it fails even with the highest limit.
    """
    first = run(highest)
    if isinstance(first.error, OutOfGas):
        raise refused(f"gas required exceeds allowance ({highest})")
    output_of(first)
    guess = max(first.used, lowest)
    if guess >= highest or run(guess).error is None:
        return min(guess, highest)
    low, high = guess, highest
    roomy = (guess + _STIPEND) * 64 // 63
    if roomy < high:
        low, high = (low, roomy) if run(roomy).error is None else (roomy, high)
    while high - low > high * ESTIMATE_ERROR:
        middle = (low + high) // 2
        if run(middle).error is None:
            high = middle
        else:
            low = middle
    return high

"""Native curve arithmetic: py-evm's own takes 2.5 s for a pairing check, revm's about 5 ms.

Gas and errors are py-evm's: only the arithmetic is asked of revm. The tests compare both on valid,
invalid and boundary points.
"""

from collections.abc import Callable
from typing import Any, Final

import pyrevm
from eth._utils.address import force_bytes_to_address
from eth.abc import ComputationAPI
from eth.exceptions import VMError
from eth_typing import Address

GAS_ADD: Final = 150  # EIP-1108, as the three below
GAS_MULTIPLY: Final = 6_000
GAS_PAIRING_BASE: Final = 45_000
GAS_PAIRING_POINT: Final = 34_000
PAIR: Final = 192  # bytes of a point of G1 and one of G2, EIP-197
ROUNDS: Final = 4  # bytes that say how many rounds, EIP-152
BLAKE2_INPUT: Final = 213  # bytes, EIP-152

_ENOUGH: Final = 1 << 50  # gas for revm: what it costs was counted before it is asked
_CALLER: Final = "0x" + "11" * 20
_EVM: Final = pyrevm.EVM()


def _ask(number: int, data: bytes) -> bytes:
    address = f"0x{number:040x}"
    try:
        return bytes(
            _EVM.message_call(_CALLER, address, calldata=data, gas=_ENOUGH, is_static=True)
        )
    except RuntimeError:
        raise VMError(f"Invalid input of precompile {number}") from None


def add(computation: ComputationAPI) -> ComputationAPI:
    """Add two points of alt_bn128 (EIP-196)."""
    computation.consume_gas(GAS_ADD, reason="ECADD Precompile")
    computation.output = _ask(6, computation.msg.data_as_bytes[:128])
    return computation


def multiply(computation: ComputationAPI) -> ComputationAPI:
    """Multiply a point of alt_bn128 by a number (EIP-196)."""
    computation.consume_gas(GAS_MULTIPLY, reason="ECMUL Precompile")
    computation.output = _ask(7, computation.msg.data_as_bytes[:96])
    return computation


def pairing(computation: ComputationAPI) -> ComputationAPI:
    """Check that the product of pairings is one (EIP-197)."""
    data = computation.msg.data_as_bytes
    if len(data) % PAIR:
        raise VMError("Invalid ECPAIRING parameters")
    gas = GAS_PAIRING_BASE + len(data) // PAIR * GAS_PAIRING_POINT
    computation.consume_gas(gas, reason="ECPAIRING Precompile")
    computation.output = _ask(8, data)
    return computation


def blake2(computation: ComputationAPI) -> ComputationAPI:
    """Compress by BLAKE2b (EIP-152): its gas buys rounds that take minutes in Python."""
    data = computation.msg.data_as_bytes
    if len(data) != BLAKE2_INPUT or data[-1] > 1:
        raise VMError("Invalid BLAKE2 parameters")
    gas = int.from_bytes(data[:ROUNDS], "big")
    computation.consume_gas(gas, reason="Blake2b Compress Precompile")
    computation.output = _ask(9, data)
    return computation


NATIVE: Final[dict[Address, Callable[[ComputationAPI], Any]]] = {
    force_bytes_to_address(bytes([number])): function
    for number, function in ((6, add), (7, multiply), (8, pairing), (9, blake2))
}

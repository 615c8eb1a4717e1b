"""Calls and estimates: what they give, how they fail, and that the least gas is found."""

from collections.abc import Callable
from typing import Any

import pytest
from eth_utils.crypto import keccak

from bitsnode.ledger.embedded.errors import RpcFault
from bitsnode.ledger.embedded.execution import ESTIMATE_ERROR, Call, estimate

ETHER = 10**18
BOB = b"\xbb" * 20


def fault(run: Callable[[], Any]) -> RpcFault:
    """Run what must fail; return the fault."""
    with pytest.raises(RpcFault) as caught:
        run()
    return caught.value


def test_custom_errors_come_with_their_data(hand: Any, encoded: Callable[..., bytes]) -> None:
    """A custom error is JSON-RPC code 3 with the bytes that the contract gave."""
    probe = hand.deploy()
    error = fault(lambda: hand.call(probe, encoded("refuse(uint256)", 42)))
    assert (error.code, error.message) == (3, "execution reverted")
    selector = keccak(b"ProbeRefused(uint256,address)")[:4]
    assert error.data == selector + (42).to_bytes(32, "big") + b"\0" * 12 + hand.sender


def test_reasons_are_read_out(hand: Any, encoded: Callable[..., bytes]) -> None:
    """Texts of require and the codes of panics are in the message, in geth's words."""
    probe = hand.deploy()
    text = fault(lambda: hand.call(probe, encoded("refuseWithText()")))
    assert (text.code, text.message) == (3, "execution reverted: not today")
    panic = fault(lambda: hand.call(probe, encoded("panic(uint256)", 1)))
    assert panic.message == "execution reverted: panic: division or modulo by zero"


def test_calls_change_nothing(hand: Any, encoded: Callable[..., bytes]) -> None:
    """A call that writes leaves the state as it was."""
    probe = hand.deploy()
    root = hand.chain.state(hand.chain.head).state_root
    hand.call(probe, encoded("store(uint256,uint256,uint256)", 1, 3, 9))
    assert hand.call(probe, encoded("slots(uint256)", 1)) == b"\0" * 32
    assert hand.chain.state(hand.chain.head).state_root == root


def test_calls_on_old_blocks(hand: Any, encoded: Callable[..., bytes]) -> None:
    """The state of an older block can be asked."""
    probe = hand.deploy()
    old = hand.chain.head
    hand.send(to=probe, data=encoded("store(uint256,uint256,uint256)", 1, 1, 9))
    question = Call(hand.sender, probe, data=encoded("slots(uint256)", 1))
    assert hand.chain.call(question, old) == b"\0" * 32
    assert hand.chain.call(question, hand.chain.head)[-1] == 9


def test_a_call_cannot_spend_what_nobody_has(hand: Any) -> None:
    """Value and gas price of a call need funds, in geth's words."""
    value = fault(lambda: hand.chain.call(Call(BOB, BOB, value=1), hand.chain.head))
    assert value.message.startswith("insufficient funds for transfer")
    price = fault(lambda: hand.chain.call(Call(BOB, BOB, gas_price=10**9), hand.chain.head))
    assert price.message.startswith("insufficient funds for gas * price + value")


def test_endless_calls_are_ended(hand: Any, encoded: Callable[..., bytes]) -> None:
    """A call runs out of the gas cap or of time, whichever is first."""
    probe = hand.deploy()
    question = Call(hand.sender, probe, gas=10**15, data=encoded("spin()"))
    gone = fault(lambda: hand.chain.call(question, hand.chain.head, seconds=0.05))
    assert gone.message == "execution aborted (timeout)"
    less = Call(hand.sender, probe, gas=200_000, data=encoded("spin()"))
    assert fault(lambda: hand.chain.call(less, hand.chain.head)).message == "out of gas"
    assert hand.send(to=BOB).status == 1


def least(hand: Any, question: Call) -> int:
    """Estimate, and prove it: that limit does, `ESTIMATE_ERROR` less does not."""
    chain = hand.chain
    gas = chain.estimate_gas(question, chain.next_header())
    assert chain.call(Call(**{**_fields(question), "gas": gas}), chain.next_header()) is not None
    short = gas - 1 - int(gas * ESTIMATE_ERROR)
    with pytest.raises(RpcFault):
        chain.call(Call(**{**_fields(question), "gas": short}), chain.next_header())
    mined = hand.send(to=question.to or None, value=question.value, data=question.data, gas=gas)
    assert mined.status == 1
    return gas


def _fields(question: Call) -> dict[str, Any]:
    return {name: getattr(question, name) for name in ("sender", "to", "value", "data")}


def test_estimate_of_a_transfer(hand: Any) -> None:
    """A plain transfer needs 21,000."""
    assert least(hand, Call(hand.sender, BOB, value=1)) == 21_000


def test_estimate_with_refunds(hand: Any, encoded: Callable[..., bytes]) -> None:
    """A transaction that frees storage needs more in hand than it is charged."""
    probe = hand.deploy()
    hand.send(to=probe, data=encoded("store(uint256,uint256,uint256)", 1, 10, 7))
    clear = encoded("store(uint256,uint256,uint256)", 1, 10, 0)
    gas = least(hand, Call(hand.sender, probe, data=clear))
    used = hand.chain.records.in_block(hand.chain.height)[0].gas_used
    assert used < gas


def test_estimate_with_nested_calls(hand: Any, encoded: Callable[..., bytes]) -> None:
    """A call through several contracts, each passing on 63/64, gets what the last one needs."""
    probe = hand.deploy()
    for _ in range(6):
        probe = hand.deploy(probe)
    question = Call(hand.sender, probe, data=encoded("deep(uint256)", 30))
    gas = least(hand, question)
    used = hand.chain.records.in_block(hand.chain.height)[0].gas_used
    assert used < gas


def test_estimate_of_a_deployment(hand: Any) -> None:
    """Making a contract is estimated as tightly."""
    import json
    from pathlib import Path

    probe = json.loads((Path(__file__).parent / "probe.json").read_text())
    code = bytes.fromhex(probe["bytecode"]) + b"\0" * 32
    assert least(hand, Call(hand.sender, b"", data=code)) > 300_000


def test_estimate_of_what_fails(hand: Any, encoded: Callable[..., bytes]) -> None:
    """What is reverted is reverted here too, with its data; what never ends exceeds the limit."""
    probe = hand.deploy()
    refuse = Call(hand.sender, probe, data=encoded("refuse(uint256)", 1))
    assert fault(lambda: hand.chain.estimate_gas(refuse, hand.chain.head)).code == 3
    spin = Call(hand.sender, probe, gas=100_000, data=encoded("spin()"))
    error = fault(lambda: hand.chain.estimate_gas(spin, hand.chain.head))
    assert error.message == "gas required exceeds allowance (100000)"


@pytest.mark.parametrize("needed", [21_000, 21_001, 50_000, 100_000, 9_999_999, 10_000_000])
def test_the_search_finds_the_edge(needed: int) -> None:
    """Whatever the run reports as used, the search ends just above the least limit that does."""
    from eth.exceptions import OutOfGas

    from bitsnode.ledger.embedded.execution import Tried

    def run(gas: int) -> Tried:
        return Tried(21_000, 21_000, b"", None if gas >= needed else OutOfGas("x"))

    found = estimate(run, 21_000, 10_000_000)
    assert needed <= found <= needed + found * ESTIMATE_ERROR

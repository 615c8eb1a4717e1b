"""Invoices on the embedded chain and on anvil: addresses as Python says, and the same results."""

from typing import Any

import attrs
import pytest
from eth_utils.address import to_checksum_address
from web3.logs import DISCARD

import contracts
from bitsnode.ledger.invoice import (
    InvoiceFields,
    account_of,
    invoice_address_text,
    recover_data,
    sweep_data,
)
from tests.contracts.chain_tools import STRANGER, Hand, anvil, embedded
from tests.contracts.test_on_chains import change, selector
from tests.contracts.test_python_proofs import deployed

SUM, FEE = 10**17, 10**15  # wei
INVOICE = InvoiceFields(b"\xfa" * 20, b"\x02" + b"\x11" * 32, 0x7A, FEE, b"\x55" * 32)


def struct(fields: InvoiceFields) -> tuple[Any, ...]:
    """The fields as web3 takes them."""
    key = fields.ephemeral_public_key
    return (
        to_checksum_address(fields.payee),
        key[0],
        key[1:],
        bytes([fields.view_tag]),
        fields.fee,
        fields.salt,
    )


def pay(hand: Hand, account: Any, address: str, value: int) -> int:
    """Pay as an ordinary wallet does; returns the gas."""
    fields = {
        "from": account.address,
        "to": to_checksum_address(address),
        "value": value,
        "nonce": hand.web3.eth.get_transaction_count(account.address),
        "gasPrice": 2 * 10**9,
        "chainId": hand.web3.eth.chain_id,
    }
    fields["gas"] = hand.web3.eth.estimate_gas(fields)  # type: ignore[arg-type]
    key = hand.web3.eth.send_raw_transaction(account.sign_transaction(fields).raw_transaction)
    receipt = hand.web3.eth.wait_for_transaction_receipt(key, timeout=60, poll_latency=0.01)
    assert receipt["status"] == 1
    return int(hand.note("payment", receipt["gasUsed"]))


def live(hand: Hand) -> None:
    """A life of some invoices."""
    someone, buyer, relay = (hand.account(bytes([n]) * 32) for n in (7, 8, 9))
    vouchers = deployed(hand, someone)[0]
    factory = hand.deploy(someone, "InvoiceFactory", vouchers.address)
    functions, at = factory.functions, bytes.fromhex(factory.address[2:])
    assert functions.account().call() == to_checksum_address(account_of(at))

    for fields in (INVOICE, attrs.evolve(INVOICE, fee=0), attrs.evolve(INVOICE, salt=bytes(32))):
        found = functions.addressOf(struct(fields)).call()
        assert hand.note("address", found) == invoice_address_text(at, fields)
    call = functions.sweep(struct(INVOICE)).build_transaction({"gas": 1, "gasPrice": 1})
    assert call["data"] == "0x" + sweep_data(INVOICE).hex()
    call = functions.recover(struct(INVOICE), STRANGER).build_transaction({"gas": 1, "gasPrice": 1})
    assert call["data"] == "0x" + recover_data(INVOICE, b"\xbe" * 20).hex()

    place = invoice_address_text(at, INVOICE)
    payee = to_checksum_address(INVOICE.payee)
    nothing = hand.refused(functions.sweep(struct(INVOICE)))
    assert nothing.startswith(selector("InvoicesNothingToSweep(address)"))
    assert pay(hand, buyer, place, SUM) == 21_000
    before = hand.web3.eth.get_balance(relay.address)
    receipt = hand.send(relay, functions.sweep(struct(INVOICE)))
    cost = receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert hand.web3.eth.get_balance(relay.address) == before + FEE - cost
    assert hand.note("payee", hand.web3.eth.get_balance(payee)) == (SUM - FEE) * 95 // 100
    (swept,) = factory.events.Swept().process_receipt(receipt, DISCARD)
    assert (swept["args"]["invoice"], swept["args"]["payee"]) == (place, payee)
    assert (swept["args"]["gross"], swept["args"]["fee"]) == (SUM, FEE)

    # again, after a second payment, with other shares: those of the moment
    assert pay(hand, buyer, place, 3) > 21_000
    abi = contracts.load("TimelockController").abi
    timelock = hand.web3.eth.contract(vouchers.functions.timelock().call(), abi=abi)
    change(hand, someone, timelock, vouchers, (500, 0))
    pay(hand, buyer, place, SUM - 3)
    accrued = functions.accrued().call()
    hand.send(relay, functions.sweep(struct(INVOICE)))
    after = hand.note("accrued", functions.accrued().call())
    assert [after[n] - accrued[n] for n in (0, 1)] == [(SUM - FEE) // 20, 0]
    hand.send(someone, functions.collect())
    assert hand.web3.eth.get_balance(factory.address) == 0

    none = hand.refused(functions.recover(struct(INVOICE), STRANGER))
    assert none.startswith(selector("InvoicesNotAContract(address)"))


@pytest.fixture(scope="module")
def transcripts(
    tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Any]]:
    """What happened on each of the two chains."""
    found: dict[str, list[Any]] = {}
    with embedded(tmp_path_factory.mktemp("embedded")) as web3:
        hand = Hand(web3, "bits_fund")
        live(hand)
        found["embedded"] = hand.transcript
    with anvil(tmp_path_factory.mktemp("anvil"), tools["PATH"]) as web3:
        hand = Hand(web3, "anvil_setBalance")
        live(hand)
        found["anvil"] = hand.transcript
    return found


def test_both_chains_give_the_same_results(transcripts: dict[str, list[Any]]) -> None:
    """Addresses, gas, logs, states and errors are the same on the embedded chain and on anvil."""
    for ours, theirs in zip(transcripts["embedded"], transcripts["anvil"], strict=True):
        assert ours == theirs

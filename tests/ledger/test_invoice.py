"""Invoices as the contract takes them: the same address and call data, and one spelling only."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
from bitsnode.ledger.answers import Log
from bitsnode.ledger.contracts import event_topic
from bitsnode.ledger.invoice import (
    SWEEP_SIZE,
    SWEPT,
    InvoiceFields,
    MalformedInvoice,
    account_of,
    fee_of,
    invoice_address_text,
    read_sweep_data,
    read_swept,
    recover_data,
    sweep_data,
)
from bitsnode.ledger.voucher_events import MalformedEvent
from zk.stealth import checksum_address

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "invoices.json").read_text())
FACTORY = bytes.fromhex(VECTORS["factory"][2:])
FIELDS = InvoiceFields(b"\x01" * 20, b"\x02" + b"\x03" * 32, 4, 5, b"\x06" * 32)


def fields(case: dict[str, Any]) -> InvoiceFields:
    """The fields of a case."""
    return InvoiceFields(
        bytes.fromhex(case["payee"][2:]),
        bytes.fromhex(case["ephemeral_public_key"]),
        case["view_tag"],
        int(case["fee"]),
        bytes.fromhex(case["salt"]),
    )


@pytest.mark.parametrize("case", VECTORS["invoices"])
def test_address_and_calls_are_those_of_foundry(case: dict[str, Any]) -> None:
    """Foundry's tools compute the same address, and write the same calls."""
    invoice = fields(case)
    assert checksum_address(account_of(FACTORY)) == VECTORS["account"]
    assert invoice_address_text(FACTORY, invoice) == case["address"]
    assert "0x" + sweep_data(invoice).hex() == case["sweep"]
    assert "0x" + recover_data(invoice, FACTORY).hex() == case["recover"]
    assert read_sweep_data(bytes.fromhex(case["sweep"][2:])) == invoice


@given(st.integers(0, SWEEP_SIZE - 1), st.integers(1, 255))
def test_a_call_has_one_spelling(place: int, change: int) -> None:
    """A changed byte makes another invoice, or none; never the same."""
    data = bytearray(sweep_data(FIELDS))
    data[place] ^= change
    try:
        assert sweep_data(read_sweep_data(bytes(data))) == bytes(data)
    except MalformedInvoice:
        return


@given(st.binary(max_size=2 * SWEEP_SIZE))
def test_garbage_is_no_invoice(data: bytes) -> None:
    """Whatever the bytes are, they are a call or a clear refusal."""
    for each in (data, sweep_data(FIELDS)[:4] + data):
        try:
            assert sweep_data(read_sweep_data(each)) == each
        except MalformedInvoice:
            continue


@pytest.mark.parametrize(
    "change",
    [
        {"payee": bytes(20)},
        {"payee": b"\x01" * 19},
        {"ephemeral_public_key": b"\x04" + b"\x03" * 32},
        {"ephemeral_public_key": b"\x02" * 32},
        {"view_tag": 256},
        {"view_tag": -1},
        {"fee": 1 << 96},
        {"fee": -1},
        {"salt": bytes(31)},
    ],
)
def test_fields_have_their_sizes(change: dict[str, Any]) -> None:
    """What the contract would refuse, or could not hold, is no invoice."""
    with pytest.raises(MalformedInvoice):
        attrs.evolve(FIELDS, **change)


def test_the_fee_is_cut_to_a_tenth() -> None:
    """As the contract does it."""
    invoice = attrs.evolve(FIELDS, fee=100)
    assert [fee_of(invoice, gross) for gross in (0, 9, 10, 999, 1000, 10**20)] == [
        *(0, 0, 1, 99, 100, 100)
    ]


def test_the_event_is_that_of_the_interface() -> None:
    """Its topic and fields are the artifact's."""
    (entry,) = (e for e in contracts.load("InvoiceFactory").abi if e.get("name") == "Swept")
    assert event_topic(entry) == SWEPT
    assert [each["name"] for each in entry["inputs"]] == [
        *("invoice", "payee", "gross", "fee", "treasuryAmount", "poolAmount")
    ]


def swept(**changes: Any) -> Log:
    """A log of a sweep."""
    log = Log(
        block=7,
        index=2,
        block_hash=bytes(32),
        transaction=b"\x0c" * 32,
        address=FACTORY,
        topics=(SWEPT, bytes(12) + b"\x0a" * 20, bytes(12) + b"\x0b" * 20),
        data=b"".join(number.to_bytes(32, "big") for number in (1000, 10, 29, 19)),
    )
    return attrs.evolve(log, **changes)


def test_a_sweep_is_read() -> None:
    """All that the event says."""
    found = read_swept(swept())
    assert (found.invoice, found.payee) == (b"\x0a" * 20, b"\x0b" * 20)
    assert (found.gross, found.fee, found.treasury, found.pool) == (1000, 10, 29, 19)
    assert (found.cursor.block, found.cursor.log_index, found.transaction[:1]) == (7, 2, b"\x0c")


@pytest.mark.parametrize(
    "changes",
    [
        {"data": bytes(127)},
        {"data": bytes(160)},
        {"topics": (SWEPT,)},
        {"topics": (SWEPT, b"\x01" * 32, bytes(32))},
        {"topics": (SWEPT, bytes(32), b"\x01" * 32)},
    ],
)
def test_a_log_of_another_form_was_made_up(changes: dict[str, Any]) -> None:
    """These are our own contracts: only a server can be wrong."""
    with pytest.raises(MalformedEvent):
        read_swept(swept(**changes))

"""Invoices as visitors see them: what is shown follows from what came."""

import pytest

from bitsnode.ids import ContentId
from bitsnode.market.invoice import Invoice, InvoiceState, InvoiceStatus

SUM = 5 * 10**16  # wei
# the example address of ERC-681 and EIP-55
ADDRESS = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


@pytest.fixture
def invoice() -> Invoice:
    """Five hundredths of a coin."""
    return Invoice(bytes(16), ContentId(bytes(32)), ADDRESS, SUM, 1000, 2000, 31337)


def test_uri_is_that_of_erc_681(invoice: Invoice) -> None:
    """Address, chain and sum; nothing that names what is bought."""
    assert invoice.uri == f"ethereum:{ADDRESS}@31337?value=50000000000000000"


@pytest.mark.parametrize(
    ("received", "pending", "state", "missing", "over"),
    [
        (0, 0, InvoiceState.OPEN, SUM, 0),
        (0, 1, InvoiceState.SEEN, SUM - 1, 0),
        (0, SUM, InvoiceState.SEEN, 0, 0),
        (1, 0, InvoiceState.PART, SUM - 1, 0),
        (1, 2, InvoiceState.SEEN, SUM - 3, 0),
        (SUM - 1, 0, InvoiceState.PART, 1, 0),
        (SUM, 0, InvoiceState.PAID, 0, 0),
        (SUM, 7, InvoiceState.PAID, 0, 0),
        (2 * SUM, 0, InvoiceState.PAID, 0, SUM),
    ],
)
def test_what_came_says_how_it_stands(
    invoice: Invoice, received: int, pending: int, state: InvoiceState, missing: int, over: int
) -> None:
    """Nothing, too little, enough, too much; only what is final opens the content."""
    status = InvoiceStatus.of(invoice, received=received, pending=pending)
    assert (status.state, status.missing, status.over) == (state, missing, over)
    assert status.opens == (received >= SUM)


def test_time_ends_only_what_was_not_paid(invoice: Invoice) -> None:
    """Over time and empty is expired; a part payment and a late one are what they are."""
    assert InvoiceStatus.of(invoice, over_time=True).state is InvoiceState.EXPIRED
    part = InvoiceStatus.of(invoice, received=1, over_time=True)
    assert part.state is InvoiceState.PART
    late = InvoiceStatus.of(invoice, received=SUM, over_time=True, late=True)
    assert (late.state, late.late, late.opens) == (InvoiceState.PAID, True, True)


def test_what_was_paid_once_stays_open(invoice: Invoice) -> None:
    """Swept, or told otherwise by a chain that is rewritten: the content stays the payer's."""
    swept = InvoiceStatus.of(invoice, received=SUM, swept=True)
    assert (swept.state, swept.opens, swept.missing) == (InvoiceState.SWEPT, True, 0)
    assert InvoiceStatus.of(invoice, paid=True).opens

"""Invoices that were swept, read out of the chain. Pure."""

from typing import Final

import attrs

from bitsnode.ledger.invoice import (
    SWEPT,
    InvoiceFields,
    MalformedInvoice,
    read_sweep_data,
    read_swept,
)
from tests.observers.facts import event
from tests.observers.views import Transaction, View

FACTORY: Final = "InvoiceFactory"


@attrs.frozen
class Sweep:
    """A sweep of one invoice.

    Attributes:
        transaction: that did it.
        invoice: address, 20 bytes.
        gross: wei.
        fields: of the call.
        paid: the plain transfers to the address, before.
    """

    transaction: Transaction
    invoice: bytes
    gross: int
    fields: InvoiceFields
    paid: tuple[Transaction, ...]

    @property
    def marks(self) -> tuple[bytes, ...]:
        """What names it, and nothing else: the account that paid is the payer's own affair."""
        fields = self.fields
        own = (self.transaction.hash, self.invoice, fields.payee, fields.salt)
        return (*own, fields.ephemeral_public_key[1:], *(each.hash for each in self.paid))

    @property
    def name(self) -> str:
        """For people."""
        return "invoice " + self.invoice.hex()[:8]


def read_sweeps(view: View) -> tuple[Sweep, ...]:
    """Every sweep of a view, in the chain's order."""
    factory = view.contracts.get(FACTORY)
    found = []
    for each in view.transactions:
        for number, log in enumerate(each.logs):
            if log.address != factory or log.topics[:1] != (SWEPT,):
                continue
            try:
                fields = read_sweep_data(each.data)
            except MalformedInvoice:  # swept through another contract
                continue
            swept = read_swept(event(each, log, number))
            paid = tuple(
                other
                for other in view.transactions
                if other.to == swept.invoice and other.value and other.block <= each.block
            )
            found.append(Sweep(each, swept.invoice, swept.gross, fields, paid))
    return tuple(found)

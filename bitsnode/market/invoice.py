"""An invoice as a visitor sees it, and how it stands. Pure.

An invoice is a one-time address for buyers without a node: any wallet pays it by a plain transfer.
It never stops working. What comes late, in parts, or beyond the sum counts all the same and is
told; one that was paid once opens its content for ever.
"""

from enum import Enum
from typing import Final, Self

import attrs

from bitsnode.ids import ContentId
from bitsnode.ledger.invoice_uri import payment_uri

ID_SIZE: Final = 16  # bytes
UNKNOWN: Final = bytes(32)  # digest instead of a content id that was lost


class InvoiceState(Enum):
    """Where an invoice stands.

    OPEN: nothing came yet. SEEN: money is in a block that may still be taken back. PART: what came
    is final, and too little. PAID: it is final, and enough. EXPIRED: its time is over and nothing
    came; it can be paid all the same. SWEPT: paid, and the money is with the creator.
    """

    OPEN = "open"
    SEEN = "seen"
    PART = "part"
    PAID = "paid"
    EXPIRED = "expired"
    SWEPT = "swept"


@attrs.frozen
class Invoice:
    """What is to be paid, and where.

    Attributes:
        id: random, 16 bytes; says nothing.
        content: what it pays for; `UNKNOWN` in one that was found again after a restore.
        address: where to pay, 20 bytes in hex with 0x, checksummed; of this invoice alone.
        amount: wei; 0 in one that was found again: whatever came is enough.
        created: Unix time in seconds.
        expires: likewise; until then the price holds. The address works ever after.
        chain_id: as in EIP-155.
    """

    id: bytes
    content: ContentId
    address: str
    amount: int
    created: int
    expires: int
    chain_id: int

    @property
    def known(self) -> bool:
        """Whether it is known what it pays for."""
        return self.content.digest != UNKNOWN

    @property
    def uri(self) -> str:
        """What a QR code says (ERC-681)."""
        return payment_uri(self.address, self.chain_id, self.amount)


@attrs.frozen
class InvoiceStatus:
    """How an invoice stands.

    Attributes:
        invoice: which.
        state: see `InvoiceState`.
        received: wei that are final, those that were swept among them.
        pending: wei in blocks that are not final.
        missing: wei that are still to be paid, beyond what is received and pending.
        over: wei that came beyond the sum.
        late: what was missing at the end of its time came after it.
        undone: money was seen that a reorganisation of the chain took back.
        opens: the content is the payer's: it was paid, finally.
    """

    invoice: Invoice
    state: InvoiceState
    received: int
    pending: int
    missing: int
    over: int
    late: bool
    undone: bool
    opens: bool

    @classmethod
    def of(
        cls,
        invoice: Invoice,
        *,
        received: int = 0,
        pending: int = 0,
        swept: bool = False,
        paid: bool = False,
        over_time: bool = False,
        late: bool = False,
        undone: bool = False,
    ) -> Self:
        """Return what follows from what is known.

        Args:
            invoice: which.
            received: final wei.
            pending: wei that are not final.
            swept: nothing of it is at the address any more.
            paid: it was paid once, finally: that stays.
            over_time: `invoice.expires` is past.
            late: see the class.
            undone: see the class.
        """
        paid = paid or received >= max(invoice.amount, 1)
        if paid:
            state = InvoiceState.SWEPT if swept else InvoiceState.PAID
        elif pending:
            state = InvoiceState.SEEN
        elif received:
            state = InvoiceState.PART
        else:
            state = InvoiceState.EXPIRED if over_time else InvoiceState.OPEN
        missing = 0 if paid else max(0, invoice.amount - received - pending)
        over = max(0, received - invoice.amount) if invoice.amount else 0
        return cls(
            invoice, state, received, pending, missing, over, late=late, undone=undone, opens=paid
        )

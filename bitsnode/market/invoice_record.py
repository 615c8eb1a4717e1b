"""What is kept of an invoice, and what a look at the chain changes in it. Pure.

Sums only grow: `received` is final, so nothing can take it back, and what was paid once stays
paid. What is not final may go again, and is then told as undone.
"""

from typing import Final

import attrs

from bitsnode.ids import ContentId
from bitsnode.ledger.invoice import InvoiceFields, invoice_address, invoice_address_text
from bitsnode.market.invoice import ID_SIZE, UNKNOWN, Invoice, InvoiceStatus
from bitsnode.market.invoice_keys import Drawn
from bitsnode.wire.messages import MAX_TIME
from bitsnode.wire.relay_messages import AMOUNT_SIZE
from bitsnode.wire.schema import BigUint, Bytes, Optional, Uint, field
from zk.stealth import ADDRESS_SIZE, PUBLIC_KEY_SIZE

LEAST_SECONDS: Final = 10.0  # between two looks at one invoice
MOST_SECONDS: Final = 86_400.0
WIDENING: Final = 10  # an invoice this many times as old as the pause is looked at again
LATE_SECONDS: Final = 900  # after the end of its time before a payment is called late
REST_SECONDS: Final = 86_400  # after its end before a part payment is swept
_WEI: Final = BigUint(32)


@attrs.frozen
class Record:
    """All that is known of one invoice.

    Attributes:
        id: 16 bytes.
        content: digest of the content id, 32 bytes; `UNKNOWN` if it was lost.
        amount: wei; 0 if it was lost.
        created: Unix time in seconds.
        expires: likewise.
        payee: stealth address, 20 bytes.
        ephemeral: R, 33 bytes. Its scalar is not kept: the wallet's viewing key finds the payee
            by R alone.
        view_tag: of ERC-5564.
        fee: wei for whoever sweeps.
        salt: of the address, 32 bytes.
        received: final wei, all together.
        pending: wei beyond that, not final.
        seen: the most wei that were ever seen, final or not.
        swept: wei of it that are with the payee, fee and shares, finally.
        in_time: wei that were there when its time was over; None before.
        handed: when it was last given to somebody to sweep, Unix time; 0 if nothing is under way.
        handed_to: onion key of the relay, or nothing for oneself.
        handed_swept: `swept` at that time.
    """

    id: bytes = field(1, Bytes(ID_SIZE, ID_SIZE))
    content: bytes = field(2, Bytes(32, 32))
    amount: int = field(3, _WEI)
    created: int = field(4, Uint(MAX_TIME))
    expires: int = field(5, Uint(MAX_TIME))
    payee: bytes = field(6, Bytes(ADDRESS_SIZE, ADDRESS_SIZE), secret=True)
    ephemeral: bytes = field(7, Bytes(PUBLIC_KEY_SIZE, PUBLIC_KEY_SIZE), secret=True)
    view_tag: int = field(8, Uint(255), secret=True)
    fee: int = field(9, BigUint(AMOUNT_SIZE))
    salt: bytes = field(10, Bytes(32, 32), secret=True)
    received: int = field(11, _WEI)
    pending: int = field(12, _WEI)
    seen: int = field(13, _WEI)
    swept: int = field(14, _WEI)
    in_time: int | None = field(15, Optional(_WEI))
    handed: int = field(16, Uint(MAX_TIME))
    handed_to: bytes = field(17, Bytes(0, 32), secret=True)
    handed_swept: int = field(18, _WEI)

    @property
    def paid(self) -> bool:
        """It was paid, finally: `received` only grows."""
        return self.received >= max(self.amount, 1)

    @property
    def fields(self) -> InvoiceFields:
        """What its address is made of."""
        return InvoiceFields(self.payee, self.ephemeral, self.view_tag, self.fee, self.salt)

    def address(self, factory: bytes) -> bytes:
        """Where it is paid, 20 bytes."""
        return invoice_address(factory, self.fields)

    def invoice(self, factory: bytes, chain_id: int) -> Invoice:
        """What is to be paid, and where."""
        return Invoice(
            id=self.id,
            content=ContentId(self.content),
            address=invoice_address_text(factory, self.fields),
            amount=self.amount,
            created=self.created,
            expires=self.expires,
            chain_id=chain_id,
        )

    def status(self, factory: bytes, chain_id: int, now: float) -> InvoiceStatus:
        """How it stands at a Unix time."""
        total = self.received + self.pending
        in_time = self.amount if self.in_time is None else self.in_time
        return InvoiceStatus.of(
            self.invoice(factory, chain_id),
            received=self.received,
            pending=self.pending,
            swept=0 < self.received <= self.swept,
            over_time=now >= self.expires,
            late=in_time < self.amount and total > in_time,
            # while it is swept money is on its way from one book to the other
            undone=not self.handed and total < self.seen,
        )

    @property
    def rest(self) -> int:
        """Final wei that are still at the address."""
        return max(0, self.received - self.swept)


def recovered(drawn: Drawn, fee: int, now: int, received: int, swept: int) -> Record:
    """Return an invoice of which only what is on the chain is known.

    Args:
        drawn: what it is made of.
        fee: wei.
        now: Unix time in seconds; its own time is over.
        received: wei that are final, those that were swept among them.
        swept: wei that were swept, finally.
    """
    return Record(
        id=drawn.id,
        content=UNKNOWN,
        amount=0,
        created=now,
        expires=now,
        payee=drawn.payee,
        ephemeral=drawn.ephemeral,
        view_tag=drawn.view_tag,
        fee=fee,
        salt=drawn.salt,
        received=received,
        pending=0,
        seen=received,
        swept=swept,
        in_time=None,
        handed=0,
        handed_to=b"",
        handed_swept=0,
    )


def looked(record: Record, now: float, latest: int, final: int, swept: int) -> Record:
    """Return what a look at the chain makes of it.

    Args:
        record: what was known.
        now: Unix time.
        latest: wei that there were at any time, as one server has it now.
        final: wei of them that are final and certain; what was known before stays.
        swept: wei that were swept, finally.
    """
    received = max(record.received, final)
    total = max(latest, received)
    in_time = record.in_time
    if in_time is None and now >= record.expires + LATE_SECONDS:
        in_time = total
    return attrs.evolve(
        record,
        received=received,
        pending=total - received,
        seen=max(record.seen, total),
        swept=max(record.swept, swept),
        in_time=in_time,
    )


def handed_back(record: Record) -> Record:
    """Return it without what is under way, if it was swept meanwhile, or nothing is left."""
    if record.handed and (record.swept > record.handed_swept or not record.rest):
        return attrs.evolve(record, handed=0, handed_to=b"")
    return record


def pause_after(record: Record, now: float) -> float:
    """Return the seconds until it should be looked at again, give or take.

    It grows with its age; what is under way is looked at as often as what is new.
    """
    if record.pending or record.rest:
        return LEAST_SECONDS
    age = now - record.created
    return min(max(age / WIDENING, LEAST_SECONDS), MOST_SECONDS)


def is_worth_sweeping(record: Record, now: float) -> bool:
    """Whether it should be swept: when it is paid, or long after its end, and a fee is in it.

    What is too little for the fee stays; it is swept with what comes later.
    """
    if record.rest == 0 or record.rest < 10 * record.fee:
        return False
    return record.paid or now >= record.expires + REST_SECONDS

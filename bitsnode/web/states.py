"""What a visitor is told of an invoice. Pure."""

from typing import Final

import attrs

from bitsnode.market.invoice import InvoiceState, InvoiceStatus

# seconds between two looks of a browser without scripts, by the age of the invoice: it is pressing
# at first, and forgotten later
_PAUSES: Final = ((2 * 60, 10), (10 * 60, 20), (60 * 60, 60), (24 * 60 * 60, 300))
SEEN_PAUSE: Final = 20  # seconds at most, while a payment is on its way


@attrs.frozen
class Told:
    """What is said of an invoice.

    Attributes:
        name: of its texts, ``state.NAME.title`` and ``state.NAME.text``.
        notes: names of further sentences, ``note.NAME``.
        refresh: seconds after which to look again; 0 for never.
        minutes_left: for which the price still holds, rounded up; 0 if it is over or paid.
    """

    name: str
    notes: tuple[str, ...]
    refresh: int
    minutes_left: int


def told(status: InvoiceStatus, now: float) -> Told:
    """Return what to say of an invoice at a Unix time."""
    notes = ["late"] * status.late + ["over"] * (status.over > 0)
    if status.opens:
        return Told("paid", tuple(notes), 0, 0)
    name = _name(status)
    if status.undone and name != "undone":
        notes.append("undone")
    left = max(0, -int(-(status.invoice.expires - now) // 60))
    if not left and name != "expired":
        notes.append("expired")
    return Told(name, tuple(notes), _refresh(status, now), left)


def _name(status: InvoiceStatus) -> str:
    if status.state is InvoiceState.SEEN:
        return "seen_part" if status.missing else "seen"
    if status.state is InvoiceState.PART:
        return "part"
    if status.undone:
        return "undone"
    return "expired" if status.state is InvoiceState.EXPIRED else "open"


def _refresh(status: InvoiceStatus, now: float) -> int:
    age = now - status.invoice.created
    pause = next((seconds for until, seconds in _PAUSES if age < until), 0)
    if status.state is InvoiceState.SEEN:
        return min(pause or SEEN_PAUSE, SEEN_PAUSE)
    return pause

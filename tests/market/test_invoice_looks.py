"""When invoices are looked at, and how many at a time."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.market.invoice_errors import InvoicesUnwritable
from bitsnode.market.invoice_looks import AGAIN_SECONDS, AT_ONCE, InvoiceLooks


class Looked:
    """Looks that take as long as they are let."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.under_way: dict[bytes, Deferred[float]] = {}
        self.seen: list[bytes] = []
        self.looks = InvoiceLooks(self.clock, lambda low, high: (low + high) / 2, self.look)

    async def look(self, invoice: bytes) -> float:
        """Look until told to end."""
        waiting = self.under_way[invoice] = Deferred()
        try:
            pause = await waiting
        finally:
            del self.under_way[invoice]
        self.seen.append(invoice)
        return pause

    def end_all(self) -> None:
        """End those under way."""
        for waiting in list(self.under_way.values()):
            waiting.callback(1000.0)


def test_no_more_than_some_are_under_way_and_none_is_forgotten() -> None:
    """A flood of orders does not become a flood of circuits."""
    looked = Looked()
    invoices = [bytes([number]) for number in range(2 * AT_ONCE + 3)]
    for invoice in invoices:
        looked.looks.begin(invoice, 10.0)
    looked.clock.advance(10.0)
    assert len(looked.under_way) == AT_ONCE
    for _ in range(3):
        looked.end_all()
        looked.clock.advance(6.0)
    assert sorted(looked.seen) == invoices


def test_a_disk_that_refuses_ends_no_timer() -> None:
    """It is looked at again a minute later."""
    looked = Looked()
    looked.looks.begin(b"one", 10.0)
    looked.clock.advance(10.0)
    looked.under_way[b"one"].errback(InvoicesUnwritable())
    assert not looked.under_way
    looked.clock.advance(AGAIN_SECONDS)
    assert list(looked.under_way) == [b"one"]


def test_stopped_it_leaves_nothing_behind() -> None:
    """Neither a timer nor a look; one that is told of afterwards is not looked at."""
    looked = Looked()
    looked.looks.begin(b"one", 10.0)
    looked.clock.advance(10.0)
    looked.looks.begin(b"two", 10.0)
    looked.looks.stop()
    looked.looks.begin(b"three", 10.0)
    assert not looked.under_way
    assert not looked.clock.getDelayedCalls()

"""Invoices: late, short, over, twice, undone, restarted; what a visitor is told of each."""

import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.ledger.errors import LedgerFileForeign
from bitsnode.ledger.invoice import invoice_address_text
from bitsnode.ledger.service import Ledger
from bitsnode.ledger.testing import checksummed
from bitsnode.ledger.testing_rpc import fake_rpc
from bitsnode.market import invoices as module
from bitsnode.market.invoice import Invoice, InvoiceState, InvoiceStatus
from bitsnode.market.invoice_chain import LedgerInvoices
from bitsnode.market.invoice_errors import (
    InvoicePriceTooLow,
    InvoicesSealed,
    InvoicesUnwritable,
    NoSuchInvoice,
    TooManyInvoices,
)
from bitsnode.market.invoice_fees import usual_fee
from bitsnode.market.invoice_record import LATE_SECONDS, REST_SECONDS
from bitsnode.market.invoice_store import InvoiceStore
from bitsnode.market.invoice_sweeping import HANDED_SECONDS, Sweeping
from bitsnode.market.invoice_testing import (
    CHAIN_ID,
    FACTORY,
    RELAY_FEE,
    FakeRelays,
    InvoiceBlocks,
    InvoiceServer,
    invoice_deployment,
)
from bitsnode.market.invoices import VALID_SECONDS, Invoices, InvoiceTools
from onion.isolation import Isolation
from zk.stealth import MetaAddress, check, public_key

NOW = 1_800_000_000
SUM = 5 * 10**16  # wei
NET = (SUM - RELAY_FEE) * 95 // 100  # wei for the creator
KEY = b"\x07" * 32
SPENDING, VIEWING = b"\x11" * 32, b"\x12" * 32
META = MetaAddress(public_key(SPENDING), public_key(VIEWING))
CONTENT = ContentId(b"\x0c" * 32)
FINALITY = 4  # blocks
STEP = 0.25  # seconds
BREATH = 1.0  # seconds: what is asked within it may be of one


class World:
    """A chain, two servers on it, a ledger on them, relays, and a shop's invoices."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.clock.advance(NOW)
        self.chain = InvoiceBlocks(now=self.clock.seconds)
        self.chain.finality = FINALITY
        self.servers = [InvoiceServer(self.chain), InvoiceServer(self.chain)]
        self.relays = FakeRelays(self.chain)
        self.started = 0
        self.draw: Callable[[float, float], float] = lambda low, high: (low + high) / 2
        self.start()

    def start(self) -> None:
        """Start the node."""
        self.started += 1
        rpcs = [fake_rpc(self.clock, each, f"s{n}") for n, each in enumerate(self.servers)]
        folder = self.folder / "ledger"
        folder.mkdir(exist_ok=True)
        self.ledger = Ledger(self.clock, rpcs, invoice_deployment(), folder, execute)
        chain = LedgerInvoices(self.ledger, at_once, Isolation("events", "me"))
        self.store = InvoiceStore(self.folder / "invoices.db", KEY, CHAIN_ID, FACTORY)
        self.tools = tools = InvoiceTools(
            self.clock, at_once, CHAIN_ID, FACTORY, chain, payee, self.relays, self._draw
        )
        self.sweeping = Sweeping(self.clock, self.relays, uniform=lambda low, _high: low)
        self.invoices = Invoices(tools, self.store, self.sweeping)

    def _draw(self, low: float, high: float) -> float:
        return self.draw(low, high)

    def stop(self) -> None:
        """Stop it, as kill -9 would: nothing is said, the files stay as they are."""
        self.done(self.ledger.stop())
        self.invoices.stop()
        self.store.close()

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def done(self, coroutine: Any) -> Any:
        """What a coroutine returns, the clock moved as it needs."""
        results: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        for _ in range(1000):
            if results:
                break
            self.clock.advance(0.25)
        assert results, "it waits for something"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def issue(self, price: int = SUM) -> Invoice:
        """An invoice."""
        found: Invoice = self.done(self.invoices.issue(CONTENT, price))
        return found

    def look(self, invoice: Invoice, seconds: float = 30.0, due: bool = True) -> InvoiceStatus:
        """Let time pass and the node look at all invoices; how this one stands then."""
        self.clock.rightNow += seconds
        # old blocks are not believed; after a long time new ones have come, and then the timers
        self.chain.mine(count=1 if seconds < 7000 else FINALITY + 1)
        self.looked()
        if due:
            hurry(self.invoices)
            self.looked()
        self.done(self.invoices.tend())
        found: InvoiceStatus = self.done(self.invoices.status(invoice.id))
        return found

    def looked(self) -> None:
        """Let the looks that are due come to their end."""
        self.clock.advance(0)
        while self.invoices._looks._under_way:
            self.clock.advance(0.25)

    def final(self, invoice: Invoice, seconds: float = 30.0) -> InvoiceStatus:
        """The same, when all that was there is final."""
        self.clock.advance(seconds)
        self.chain.mine(count=FINALITY)
        return self.look(invoice, 1.0)


def hurry(invoices: Invoices) -> None:
    """As if all pauses between looks were over, which have a test of their own."""
    for timer in invoices._looks._timers.values():
        timer.reset(0.0)


async def payee() -> MetaAddress:
    """Where the creator is paid."""
    return META


async def at_once(work: Callable[[], Any]) -> Any:
    """Run blocking work here."""
    return work()


@pytest.fixture
def world(tmp_path: Path, no_fsync: None) -> Iterator[World]:
    """A shop whose relays cannot be found, so that nothing is swept."""
    found = World(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def still(world: World) -> World:
    """The same, with an invoice's fee known and relays gone: nothing is swept."""
    world.issue()
    world.relays.down = True
    return world


def test_an_invoice_pays_a_fresh_address_of_the_creator(world: World) -> None:
    """Two invoices share nothing, and the viewing key alone finds the payee of each."""
    first, second = world.issue(), world.issue()
    assert first.address != second.address
    assert (first.amount, first.content, first.chain_id) == (SUM, CONTENT, CHAIN_ID)
    assert first.expires == first.created + VALID_SECONDS
    for record in world.store.all():
        fields = record.fields
        assert invoice_address_text(FACTORY, fields) in (first.address, second.address)
        announced = Announced(
            checksummed(fields.payee), fields.ephemeral_public_key, bytes([fields.view_tag])
        )
        check(VIEWING, META.spending_public_key, announced)
        assert fields.fee == RELAY_FEE
    payees = {record.payee for record in world.store.all()}
    salts = {record.salt for record in world.store.all()}
    assert len(payees) == len(salts) == 2


@attrs.frozen
class Announced:
    """What the contract announces."""

    stealth_address: str
    ephemeral_public_key: bytes
    metadata: bytes
    scheme_id: int = 1


def test_it_is_written_down_before_it_is_shown(world: World) -> None:
    """A disk that refuses lets no address out: nobody pays what would be forgotten."""
    world.done(world.invoices.all())

    def refuse(statement: str) -> None:
        if statement.startswith("INSERT"):
            raise sqlite3.OperationalError("database or disk is full")

    world.store.database.before = refuse
    with pytest.raises(InvoicesUnwritable):
        world.issue()
    world.store.database.before = lambda _statement: None
    assert world.done(world.invoices.all()) == []


def test_a_full_disk_loses_no_payment(world: World) -> None:
    """What cannot be written down is neither told nor swept; with room again it is both."""
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)

    def refuse(statement: str) -> None:
        if statement.startswith("INSERT"):
            raise sqlite3.OperationalError("database or disk is full")

    world.store.database.before = refuse
    assert world.final(invoice).state is InvoiceState.OPEN
    assert world.relays.asked == []
    world.store.database.before = lambda _statement: None
    assert world.final(invoice).opens
    world.store.database.before = refuse
    with pytest.raises(InvoicesUnwritable):
        world.final(invoice)  # it is swept, and that cannot be written down either
    world.store.database.before = lambda _statement: None
    assert world.final(invoice).state is InvoiceState.SWEPT
    ((record),) = world.store.all()
    assert record.handed == 0


def test_paid(still: World) -> None:
    """Seen while it is not final, paid when it is, and not a moment before."""
    invoice = still.issue()
    assert still.look(invoice, 60).state is InvoiceState.OPEN
    still.chain.pay(invoice.address, SUM)
    seen = still.look(invoice, 60)
    assert (seen.state, seen.pending, seen.missing, seen.opens) == (
        *(InvoiceState.SEEN, SUM, 0, False),
    )
    paid = still.final(invoice)
    assert (paid.state, paid.received, paid.pending, paid.opens) == (
        *(InvoiceState.PAID, SUM, 0, True),
    )
    assert (paid.late, paid.undone, paid.over) == (False, False, 0)


def test_short_and_then_the_rest(still: World) -> None:
    """Too little says how much is missing; the rest may come at any time."""
    invoice = still.issue()
    still.chain.pay(invoice.address, SUM - 7)
    part = still.final(invoice)
    assert (part.state, part.missing, part.opens) == (InvoiceState.PART, 7, False)
    still.chain.pay(invoice.address, 7)
    seen = still.look(invoice)
    assert (seen.state, seen.received, seen.pending) == (InvoiceState.SEEN, SUM - 7, 7)
    assert still.final(invoice).state is InvoiceState.PAID


def test_over_and_twice(still: World) -> None:
    """Too much is told, and a second payment, too."""
    invoice = still.issue()
    still.chain.pay(invoice.address, SUM + 1)
    assert still.final(invoice).over == 1
    still.chain.pay(invoice.address, SUM)
    twice = still.final(invoice)
    assert (twice.state, twice.over, twice.opens) == (InvoiceState.PAID, SUM + 1, True)


def test_late(still: World) -> None:
    """What comes after the end counts all the same, and is called late."""
    invoice = still.issue()
    assert still.look(invoice, VALID_SECONDS + 60).state is InvoiceState.EXPIRED
    assert still.look(invoice, VALID_SECONDS).state is InvoiceState.EXPIRED
    still.chain.pay(invoice.address, SUM)
    seen = still.look(invoice)
    assert (seen.state, seen.late) == (InvoiceState.SEEN, True)
    late = still.final(invoice)
    assert (late.state, late.late, late.opens) == (InvoiceState.PAID, True, True)


def test_what_came_in_time_is_not_late_however_late_it_is_seen(still: World) -> None:
    """A node that slept, and a rest that came later: only the rest is late."""
    punctual, partly = still.issue(), still.issue()
    still.chain.pay(punctual.address, SUM)
    still.chain.pay(partly.address, SUM - 1)
    still.chain.mine(count=FINALITY)
    assert not still.look(punctual, VALID_SECONDS + LATE_SECONDS + 60).late
    part = still.done(still.invoices.status(partly.id))
    assert (part.state, part.late) == (InvoiceState.PART, False)
    still.chain.pay(partly.address, 1)
    late = still.final(partly)
    assert (late.state, late.late) == (InvoiceState.PAID, True)


def test_undone_by_a_reorganisation(still: World) -> None:
    """What was seen and is gone is told; nothing was opened; paid again, all is well."""
    invoice = still.issue()
    still.chain.pay(invoice.address, SUM)
    assert still.look(invoice, 60).state is InvoiceState.SEEN
    still.chain.fork(2)
    still.chain.mine(count=3)
    gone = still.look(invoice, 60)
    assert (gone.state, gone.undone, gone.pending, gone.opens) == (
        *(InvoiceState.OPEN, True, 0, False),
    )
    still.chain.pay(invoice.address, SUM)
    again = still.final(invoice)
    assert (again.state, again.undone, again.opens) == (InvoiceState.PAID, False, True)


def test_a_server_that_invents_a_payment_opens_nothing(still: World) -> None:
    """One server may say what it likes: final is what two say."""
    invoice = still.issue()
    still.servers[0].faults["eth_getBalance"] = lambda _address, _tag: hex(SUM)
    still.chain.mine(count=FINALITY)
    told = still.look(invoice, 60)
    assert not told.opens
    assert told.received == 0


def test_the_wrong_token_changes_nothing(still: World) -> None:
    """A token is no payment: its contract has logs, the invoice's address has no coin."""
    invoice = still.issue()
    from bitsnode.ledger.testing import FakeLog

    transfer = FakeLog(b"\x77" * 20, (b"\x01" * 32, bytes(12) + bytes.fromhex(invoice.address[2:])))
    still.chain.mine(transfer)
    assert still.final(invoice).state is InvoiceState.OPEN


def test_a_restart_between_payment_and_claim(still: World) -> None:
    """Paid while the node is down, or known before: it is paid after the start."""
    first, second = still.issue(), still.issue()
    still.chain.pay(first.address, SUM)
    assert still.final(first).opens
    still.chain.pay(second.address, SUM)
    still.chain.mine(count=FINALITY)
    still.restart()
    assert still.done(still.invoices.status(first.id)).opens
    assert still.look(second, 60).opens


def test_what_was_paid_stays_open_whatever_servers_say_later(still: World) -> None:
    """Servers that forget, or go away, take nothing back."""
    invoice = still.issue()
    still.chain.pay(invoice.address, SUM)
    assert still.final(invoice).opens
    for server in still.servers:
        server.faults["eth_getBalance"] = lambda _address, _tag: "0x0"
    assert still.look(invoice).opens
    for server in still.servers:
        server.down = True
    still.restart()
    found = still.look(invoice)
    assert (found.state, found.received) == (InvoiceState.PAID, SUM)


def test_swept_to_the_creator(world: World) -> None:
    """When it is paid a relay sweeps it; the creator has all but fee and shares."""
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)
    assert world.final(invoice).opens
    assert [relay for relay, _fields, _isolation in world.relays.asked] == [world.relays.names[0]]
    swept = world.final(invoice)
    assert (swept.state, swept.received, swept.over) == (InvoiceState.SWEPT, SUM, 0)
    assert not swept.undone
    ((record),) = world.store.all()
    assert world.chain.wei(checksummed(record.payee)) == NET
    assert world.final(invoice).received == SUM


def test_a_second_payment_after_the_sweep(world: World) -> None:
    """It is told as paid twice, and swept like the first."""
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)
    world.final(invoice)
    assert world.final(invoice).state is InvoiceState.SWEPT
    world.chain.pay(invoice.address, SUM)
    assert world.look(invoice).pending == SUM
    twice = world.final(invoice)
    assert (twice.received, twice.over) == (2 * SUM, SUM)
    world.look(invoice, 3600)
    swept = world.final(invoice)
    assert (swept.state, swept.received) == (InvoiceState.SWEPT, 2 * SUM)
    assert len(world.relays.asked) == 2


def test_books_of_different_moments_count_nothing_twice(world: World) -> None:
    """The index knows the sweep; the servers agree on a balance of a block before it."""
    invoice = world.issue()
    paid = world.chain.pay(invoice.address, SUM)
    assert world.final(invoice).opens
    assert world.final(invoice).state is InvoiceState.SWEPT
    world.chain.pay(invoice.address, 1)
    world.servers[1].behind = world.chain.head.number + 1 - paid.number
    found = world.final(invoice)
    assert (found.received, found.pending, found.over) == (SUM, 1, 0)
    world.servers[1].behind = 0
    assert world.final(invoice).over == 1


def test_looks_do_not_wait_for_the_nodes_own_rounds(world: World) -> None:
    """Else a server sees them right after a round of logs; the next round tells of the sweep."""
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)
    world.final(invoice)
    world.ledger.follow(Isolation("chain", "node"), 1000.0)
    world.clock.advance(1.0)  # the first round
    before = [server.count("eth_getLogs") for server in world.servers]
    for _ in range(5):
        assert world.look(invoice, 10.0).state is InvoiceState.PAID
    assert [server.count("eth_getLogs") for server in world.servers] == before
    world.final(invoice)
    states = [world.look(invoice, 400.0).state for _ in range(3)]
    assert states[-1] is InvoiceState.SWEPT


def test_one_at_a_time_with_pauses_and_other_circuits(world: World) -> None:
    """Never two under way; the next only after the pause; no two share a circuit."""
    world.relays.idle = frozenset(world.relays.names)
    invoices = [world.issue() for _ in range(3)]
    for invoice in invoices:
        world.chain.pay(invoice.address, SUM)
    world.final(invoices[0])
    for _ in range(5):
        world.look(invoices[0], 60)
    assert len(world.relays.asked) == 1
    world.chain.sweep(world.relays.asked[0][1])
    world.relays.idle = frozenset()
    world.final(invoices[0], 10)
    world.look(invoices[0], 100)
    assert len(world.relays.asked) == 1
    world.look(invoices[0], 300)
    assert len(world.relays.asked) == 2
    world.final(invoices[0], 10)
    world.look(invoices[0], 400)
    assert len(world.relays.asked) == 3
    keys = {isolation.key for _relay, _fields, isolation in world.relays.asked}
    assert len(keys) == 3
    asked = [i for server in world.servers for i in server.isolations if i.purpose == "invoice"]
    assert len({isolation.key for isolation in asked}) >= 3


def test_a_relay_that_does_nothing_is_followed_by_another(world: World) -> None:
    """After half an hour; that the first does it then as well does no harm."""
    world.relays.idle = frozenset([world.relays.names[0]])
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)
    world.final(invoice)
    assert len(world.relays.asked) == 1
    world.look(invoice, HANDED_SECONDS + 60)
    assert [relay for relay, _, _ in world.relays.asked] == list(world.relays.names)
    with pytest.raises(BitsError):
        world.chain.sweep(world.relays.asked[0][1])
    assert world.final(invoice).state is InvoiceState.SWEPT


def test_refusals_and_own_account(world: World) -> None:
    """Who refuses is passed over; one's own account only where the person accepted it."""
    world.relays.refusing = frozenset(world.relays.names)
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)
    world.final(invoice)
    assert len(world.relays.asked) == 2
    assert world.look(invoice, 60).state is InvoiceState.PAID
    ((record),) = world.store.all()
    assert record.handed == 0

    async def own(fields: Any) -> None:
        world.chain.sweep(fields)

    low = world.sweeping._uniform
    world.invoices._sweeping = Sweeping(world.clock, world.relays, own, uniform=low)
    world.look(invoice, 200)
    assert world.final(invoice).state is InvoiceState.SWEPT


def test_part_payments_are_swept_long_after_the_end(world: World) -> None:
    """They are the creator's; what is too little for the fee waits for more."""
    part, dust = world.issue(), world.issue()
    world.chain.pay(part.address, SUM // 2)
    world.chain.pay(dust.address, 10 * RELAY_FEE - 1)
    assert world.final(part).state is InvoiceState.PART
    assert world.relays.asked == []
    for _ in range(4):
        world.look(part, VALID_SECONDS + REST_SECONDS)
        world.chain.mine(count=FINALITY)
    assert len(world.relays.asked) == 1
    status = world.look(part)
    assert (status.state, status.received) == (InvoiceState.PART, SUM // 2)
    assert world.chain.wei(part.address) == 0
    assert world.chain.wei(dust.address) == 10 * RELAY_FEE - 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_a_sweep(world: World, when: str) -> None:
    """Killed before or after a relay has it: nothing is lost, and it is swept once in effect."""
    invoice = world.issue()
    world.chain.pay(invoice.address, SUM)

    class Killed(BaseException):
        """As if the process had ended."""

    def die() -> None:
        if when == "after":
            world.chain.sweep(world.relays.asked[-1][1])
        world.relays.before = lambda: None
        raise Killed

    world.relays.before = die
    with pytest.raises(Killed):
        world.final(invoice)
    world.restart()
    world.final(invoice, 10)
    world.look(invoice, HANDED_SECONDS + 60)
    swept = world.final(invoice)
    assert (swept.state, swept.received) == (InvoiceState.SWEPT, SUM)
    ((record),) = world.store.all()
    assert world.chain.wei(checksummed(record.payee)) == NET


def test_killed_at_each_statement(world: World) -> None:
    """At every write of a whole life: afterwards it is paid, open and swept."""

    class Killed(BaseException):
        """As if the process had ended."""

    for stop_at in range(1, 20):
        count = 0

        def die(_statement: str, stop_at: int = stop_at) -> None:
            nonlocal count
            count += 1
            if count >= stop_at:  # who is dead writes nothing more
                raise Killed

        invoice = world.issue()
        world.chain.pay(invoice.address, SUM)
        world.store.database.before = die
        try:
            for _ in range(3):
                world.final(invoice, 4000)
                if count >= stop_at:  # it was a look that died, and took nobody along
                    raise Killed
        except Killed:
            world.restart()
        world.store.database.before = lambda _statement: None
        for _ in range(4):
            status = world.final(invoice, 4000)
        assert (status.state, status.received) == (InvoiceState.SWEPT, SUM), stop_at


def test_a_visitor_causes_no_question(world: World) -> None:
    """Status, list and watching ask nobody; nor does an unknown id."""
    invoice = world.issue()
    world.look(invoice, 60)
    before = sum(len(server.log) for server in world.servers)
    world.done(world.invoices.status(invoice.id))
    world.done(world.invoices.all())
    world.invoices.watch(invoice.id, lambda _status: None)()
    with pytest.raises(NoSuchInvoice):
        world.done(world.invoices.status(b"\xff" * 16))
    assert sum(len(server.log) for server in world.servers) == before


def test_who_watches_is_told_of_each_change(still: World) -> None:
    """Seen, paid, and the end of its time; nothing after it was stopped."""
    invoice = still.issue()
    told: list[InvoiceStatus] = []
    stop = still.invoices.watch(invoice.id, told.append)
    still.look(invoice, 60)
    assert told == []
    still.look(invoice, VALID_SECONDS)
    still.chain.pay(invoice.address, SUM)
    still.look(invoice)
    still.final(invoice)
    assert [status.state for status in told] == [
        *(InvoiceState.EXPIRED, InvoiceState.SEEN, InvoiceState.PAID)
    ]
    stop()
    still.chain.pay(invoice.address, SUM)
    still.final(invoice)
    assert len(told) == 3


def test_looks_widen_with_age(still: World) -> None:
    """An old one is asked about once a day, a new one every few seconds; none is forgotten."""
    old = still.issue()

    def asked(address: str) -> int:
        return sum(
            params[0].lower() == address.lower()
            for server in still.servers
            for name, params in server.log
            if name == "eth_getBalance"
        )

    def looks(seconds: float, steps: int) -> int:
        before = asked(old.address)
        for _ in range(steps):
            still.look(old, seconds / steps, due=False)
        return asked(old.address) - before

    assert 20 <= looks(600, 60) <= 60
    looks(40 * 86_400, 4)
    assert 3 <= looks(4 * 86_400, 40) <= 6


def test_looks_at_two_invoices_do_not_go_together(still: World) -> None:
    """Made in one second, found again in one start: a server's log does not show them as one's."""
    still.draw = random.Random(1).uniform

    def moments(invoices: Sequence[Invoice], seconds: float) -> list[list[float]]:
        found: list[list[float]] = [[] for _ in invoices]
        for _ in range(int(seconds / STEP)):
            for server in still.servers:
                server.log.clear()
            still.clock.advance(STEP)
            said = str([server.log for server in still.servers]).lower()
            for invoice, when in zip(invoices, found, strict=True):
                when += [still.clock.seconds()] * (invoice.address.lower() in said)
        return found

    many = [still.issue() for _ in range(8)]
    looks = moments(many, 1000)
    assert min(map(len, looks)) > 20
    for one, other in itertools.combinations(looks, 2):
        beside = sum(any(abs(a - b) < BREATH for b in other) for a in one)
        assert beside / len(one) < 0.4  # by chance a fifth
    still.restart()
    still.chain.mine()
    again = [still.issue() for _ in range(8)]
    first = sorted(when[0] for when in moments(many + again, 120))
    assert max(b - a for a, b in itertools.pairwise(first)) < 30  # they did not come in heaps,
    assert sum(b - a > BREATH for a, b in itertools.pairwise(first)) >= 8  # nor in one


def test_limits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many open ones, and a price that the fee would eat, are refused with a sentence."""
    with pytest.raises(InvoicePriceTooLow):
        world.issue(10 * RELAY_FEE - 1)
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    first = world.issue()
    world.issue()
    with pytest.raises(TooManyInvoices):
        world.issue()
    world.chain.pay(first.address, SUM)
    world.final(first)
    world.issue()


def test_without_a_relay_the_fee_is_a_usual_one(world: World) -> None:
    """A shop sells while no relay answers; round sums say nothing of whose they are."""
    world.relays.down = True
    world.issue()
    ((record),) = world.store.all()
    assert record.fee == usual_fee(SUM) == 2 * 10**15
    assert [usual_fee(price) for price in (0, 19, 20, 39, 40, 100, 10**16)] == [
        *(0, 0, 1, 1, 2, 5, 5 * 10**14)
    ]


def test_relays_are_asked_their_fee_by_the_clock(world: World) -> None:
    """Visitors make nobody ask, but for the first invoice after a start; a fee of before holds."""
    first = world.issue()
    for _ in range(10):
        world.issue()
        world.look(first, 10)
    assert world.relays.fees_asked == 1
    world.relays.wanted = 2 * RELAY_FEE
    world.look(first, 600)
    world.issue()
    assert world.relays.fees_asked == 2
    world.relays.down = True
    world.look(first, 600)
    world.issue()
    fees = sorted(record.fee for record in world.store.all())
    assert fees == [RELAY_FEE] * 11 + [2 * RELAY_FEE] * 2


def test_the_file_is_sealed_and_somebodys(world: World) -> None:
    """Neither payee, content nor address is in it; another key or factory is refused."""
    invoice = world.issue()
    ((record),) = world.store.all()
    world.stop()
    data = b"".join(
        path.read_bytes() for path in world.folder.iterdir() if path.name.startswith("invoices.db")
    )
    secrets = (record.payee, record.salt, record.content, record.id, record.ephemeral[1:])
    for secret in (*secrets, bytes.fromhex(invoice.address[2:])):
        assert secret not in data
        assert secret.hex() not in repr(record).lower() or secret in (record.content, record.id)
    other = InvoiceStore(world.folder / "invoices.db", b"\x08" * 32, CHAIN_ID, FACTORY)
    with pytest.raises(InvoicesSealed):
        other.all()
    other.close()
    with pytest.raises(LedgerFileForeign):
        InvoiceStore(world.folder / "invoices.db", KEY, CHAIN_ID, b"\x01" * 20)
    world.start()

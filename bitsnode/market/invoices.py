"""Invoices of a shop: made, looked after, swept.

A visitor never causes a question to the chain: invoices are looked at by the clock alone, each
over circuits of its own, the newest first, at pauses that widen with age.
"""

import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import attrs
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from bitsnode.ids import ContentId
from bitsnode.ledger.announcements import Cursor
from bitsnode.market import invoice_record
from bitsnode.market.invoice import Invoice, InvoiceStatus
from bitsnode.market.invoice_errors import InvoicePriceTooLow, NoSuchInvoice, TooManyInvoices
from bitsnode.market.invoice_fees import is_covered, tier_of, usual_fee
from bitsnode.market.invoice_needs import TROUBLES, InvoiceChain, Payee, Run, SweepRelays
from bitsnode.market.invoice_record import Record
from bitsnode.market.invoice_store import InvoiceStore
from bitsnode.market.invoice_sweeping import Sweeping
from bitsnode.market.purchase_needs import pause
from onion.isolation import Isolation

VALID_SECONDS: Final = 86_400  # for which the price of an invoice holds
MAX_OPEN: Final = 2_000  # invoices whose time is not over and that nobody paid
LOOKS: Final = 32  # in one round
SPREAD_SECONDS: Final = 0.5  # at most, between two looks of one round
FEE_SECONDS: Final = 600.0  # between two times that relays are asked their fee

Changed = Callable[[InvoiceStatus], None]
_log = Logger()


@attrs.frozen
class InvoiceTools:
    """What invoices work with.

    Attributes:
        clock: the reactor's time; its seconds are Unix time.
        run: carries out in a thread what waits for the disk.
        chain_id: as in EIP-155.
        factory: contract, 20 bytes.
        chain: where they are paid.
        payee: says where the creator is paid.
        relays: sweep.
        uniform: draws a number from a range.
    """

    clock: IReactorTime
    run: Run
    chain_id: int
    factory: bytes
    chain: InvoiceChain
    payee: Payee
    relays: SweepRelays
    uniform: Callable[[float, float], float] = secrets.SystemRandom().uniform


class Invoices:
    """All invoices of a node.

    Args:
        tools: of the node.
        store: of the invoices.
        sweeping: brings what was paid to the creator; None leaves it where it is.
    """

    def __init__(
        self, tools: InvoiceTools, store: InvoiceStore, sweeping: Sweeping | None = None
    ) -> None:
        self._tools = tools
        self._store = store
        self._sweeping = sweeping
        self._records: dict[bytes, Record] | None = None
        self._by_address: dict[bytes, bytes] = {}
        self._isolations: dict[bytes, Isolation] = {}
        self._due: dict[bytes, float] = {}
        self._watchers: dict[bytes, list[Changed]] = {}
        self._told: dict[bytes, InvoiceStatus] = {}
        self._swept: dict[bytes, list[tuple[int, int]]] = {}  # block and wei, by address
        self._cursor: Cursor | None = None
        self._fee: int | None = None  # wei that relays named last
        self._fee_asked = -FEE_SECONDS  # when they were asked
        self._loading = DeferredLock()
        self._tending = DeferredLock()

    async def issue(self, content: ContentId, price: int) -> Invoice:
        """Make an invoice, and write it down before anybody knows its address.

        Args:
            content: what it pays for.
            price: wei.

        Raises:
            TooManyInvoices: too many are open.
            InvoicePriceTooLow: sweeping it would cost more than a tenth of it.
            InvoicesUnwritable: the disk refuses, and then nobody is told an address.
            bitsnode.errors.BitsError: there is no wallet.
        """
        records, now = await self._all(), self._tools.clock.seconds()
        if sum(not r.paid and now < r.expires for r in records.values()) >= MAX_OPEN:
            raise TooManyInvoices
        fee = await self._fee_of(price)
        meta = await self._tools.payee()
        index = await self._tools.run(self._store.take)
        drawn = self._store.keys.draw(meta, index)
        record = Record(
            id=drawn.id,
            content=content.digest,
            amount=price,
            created=int(now),
            expires=int(now) + VALID_SECONDS,
            payee=drawn.payee,
            ephemeral=drawn.ephemeral,
            view_tag=drawn.view_tag,
            fee=fee,
            salt=drawn.salt,
            received=0,
            pending=0,
            seen=0,
            swept=0,
            in_time=None,
            handed=0,
            handed_to=b"",
            handed_swept=0,
        )
        await self._keep(record)
        return record.invoice(self._tools.factory, self._tools.chain_id)

    async def status(self, id: bytes) -> InvoiceStatus:
        """Return how an invoice stands, as far as it is known; asks nobody.

        Raises:
            NoSuchInvoice: there is none of this id.
        """
        record = (await self._all()).get(id)
        if record is None:
            raise NoSuchInvoice
        return self._status(record)

    async def all(self) -> list[InvoiceStatus]:
        """Return how all invoices stand, the newest first."""
        return [self._status(record) for record in _newest_first((await self._all()).values())]

    def watch(self, id: bytes, changed: Changed) -> Callable[[], None]:
        """Have `changed` called whenever an invoice stands otherwise; returns what ends that."""
        watchers = self._watchers.setdefault(id, [])
        watchers.append(changed)
        if self._records is not None and id in self._records:
            self._told.setdefault(id, self._status(self._records[id]))

        def stop() -> None:
            if changed in watchers:
                watchers.remove(changed)
            if not watchers:
                self._watchers.pop(id, None)
                self._told.pop(id, None)

        return stop

    async def adopt(self, record: Record) -> None:
        """Take up an invoice that was found again, with what was swept of it before.

        Raises:
            InvoicesUnwritable: the disk refuses.
        """
        await self._tending.acquire()
        try:
            if record.id not in await self._all():
                await self._keep(record)
                self._cursor = None  # so that the sweeps of all blocks are read again
                self._swept.clear()
        finally:
            self._tending.release()

    async def tend(self) -> None:
        """Look at the invoices that are due, and sweep one if it is time; every few seconds."""
        await self._tending.acquire()
        try:
            records = await self._all()
            await self._follow_sweeps(any(r.handed or r.rest for r in records.values()))
            for record in self._next(records.values()):
                await self._look(record)
                await pause(self._tools.clock, self._tools.uniform(0.0, SPREAD_SECONDS))
            await self._ask_fee()
            if self._sweeping is not None:
                await self._sweeping.step(list(records.values()), self._keep)
        finally:
            self._tending.release()

    # Inside

    async def _all(self) -> dict[bytes, Record]:
        await self._loading.acquire()
        try:
            if self._records is None:
                found = await self._tools.run(self._store.all)
                self._records = {record.id: record for record in found}
                for record in found:
                    self._by_address[record.address(self._tools.factory)] = record.id
            return self._records
        finally:
            self._loading.release()

    async def _keep(self, record: Record) -> None:
        """Write it down, then show it."""
        records = await self._all()
        before = records.get(record.id)
        if before == record:
            return
        await self._tools.run(partial(self._store.put, record))
        records[record.id] = record
        self._by_address[record.address(self._tools.factory)] = record.id

    def _tell(self, record: Record) -> None:
        """Tell those who watch it, if there is news; that its time is over is news, too."""
        if record.id not in self._watchers:
            return
        status = self._status(record)
        if self._told.get(record.id) != status:
            self._told[record.id] = status
            for changed in list(self._watchers[record.id]):
                changed(status)

    def _next(self, records: Iterable[Record]) -> list[Record]:
        """Return those to be looked at in this round: new ones, and those that wait longest."""
        now = self._tools.clock.seconds()
        due = _newest_first(r for r in records if self._due.get(r.id, r.created) <= now)
        newest, rest = due[: LOOKS // 2], due[LOOKS // 2 :]
        rest.sort(key=lambda record: self._due.get(record.id, record.created))
        return newest + rest[: LOOKS // 2]

    async def _look(self, record: Record) -> None:
        """Look at one, and say when it is looked at again."""
        clock = self._tools.clock
        try:
            found = invoice_record.handed_back(await self._asked(record))
            await self._keep(found)
        except TROUBLES as error:
            _log.info("An invoice could not be looked at: {reason}", reason=str(error))
            found = record
        after = invoice_record.pause_after(found, clock.seconds())
        self._tell(found)
        self._due[record.id] = clock.seconds() + after * self._tools.uniform(0.75, 1.25)

    async def _asked(self, record: Record) -> Record:
        place = record.address(self._tools.factory)
        text = record.invoice(self._tools.factory, self._tools.chain_id).address
        isolation = self._isolations.setdefault(record.id, Isolation.fresh("invoice"))
        latest = await self._tools.chain.latest(text, isolation) + self._swept_of(place)
        final = 0
        if latest > record.received:
            certain = await self._tools.chain.final(text, isolation)
            # sweeps after that block took what is counted in the balance already
            final = certain.wei + self._swept_of(place, certain.block)
        now = self._tools.clock.seconds()
        return invoice_record.looked(record, now, latest, final, self._swept_of(place))

    def _swept_of(self, place: bytes, until: int | None = None) -> int:
        found = self._swept.get(place, ())
        return sum(wei for block, wei in found if until is None or block <= until)

    async def _follow_sweeps(self, fresh: bool) -> None:
        """Read the sweeps that are new; of others' invoices there is nothing to remember."""
        chain = self._tools.chain
        try:
            if fresh:
                await chain.refresh()
            found = await chain.swept(self._cursor)
        except TROUBLES as error:
            _log.info("Sweeps could not be looked at: {reason}", reason=str(error))
            return
        records = await self._all()
        for event in found:
            self._cursor = event.cursor
            mine = self._by_address.get(event.invoice)
            if mine is None:
                continue
            self._swept.setdefault(event.invoice, []).append((event.cursor.block, event.gross))
            swept = self._swept_of(event.invoice)
            now, record = self._tools.clock.seconds(), records[mine]
            # what was swept was there, and is final
            record = invoice_record.looked(record, now, swept, swept, swept)
            await self._keep(invoice_record.handed_back(record))
            self._tell(records[mine])

    async def _fee_of(self, price: int) -> int:
        """Return the fee to write into an invoice: what relays wanted last, or a usual part."""
        if self._fee is None:
            await self._ask_fee()
        if self._fee is None:
            return usual_fee(price)
        if not is_covered(price, self._fee):
            raise InvoicePriceTooLow
        return self._fee

    async def _ask_fee(self) -> None:
        """Ask relays their fee, unless that was done a while ago: by the clock, not by visitors."""
        now = self._tools.clock.seconds()
        if now < self._fee_asked + FEE_SECONDS:
            return
        self._fee_asked = now
        try:
            named = await self._tools.relays.fee(Isolation.fresh("relay-terms"))
            self._fee = tier_of(named)
        except TROUBLES as error:
            _log.info("No relay says its fee: {reason}", reason=str(error))

    def _status(self, record: Record) -> InvoiceStatus:
        tools = self._tools
        return record.status(tools.factory, tools.chain_id, tools.clock.seconds())


def _newest_first(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.created, reverse=True)

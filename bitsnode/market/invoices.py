"""Invoices of a shop: made, looked after, swept.

A visitor never causes a question to the chain: invoices are looked at by the clock alone, each
over circuits and by a timer of its own, at pauses that widen with age.
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
from bitsnode.market.invoice_errors import NoSuchInvoice, TooManyInvoices
from bitsnode.market.invoice_looks import InvoiceLooks
from bitsnode.market.invoice_needs import TROUBLES, InvoiceChain, Payee, Run, SweepRelays
from bitsnode.market.invoice_record import Record
from bitsnode.market.invoice_relay_fee import RelayFee
from bitsnode.market.invoice_store import InvoiceStore
from bitsnode.market.invoice_sweeping import Sweeping
from onion.isolation import Isolation

VALID_SECONDS: Final = 86_400  # for which the price of an invoice holds
MAX_OPEN: Final = 2_000  # invoices whose time is not over and that nobody paid

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
        self._watchers: dict[bytes, list[Changed]] = {}
        self._told: dict[bytes, InvoiceStatus] = {}
        self._swept: dict[bytes, list[tuple[int, int]]] = {}  # block and wei, by address
        self._cursor: Cursor | None = None
        self._fee = RelayFee(tools.clock, tools.relays)
        self._loading = DeferredLock()
        self._tending = DeferredLock()
        self._changing = DeferredLock()
        self._looks = InvoiceLooks(tools.clock, tools.uniform, self._look)

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
        fee = await self._fee.of(price)
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
        self._looks.begin(record.id, invoice_record.pause_after(record, now))
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
                self._looks.resume(record.id, self._pause_after(record))
                self._cursor = None  # so that the sweeps of all blocks are read again
                self._swept.clear()
        finally:
            self._tending.release()

    async def tend(self) -> None:
        """Follow what was swept, and sweep one if it is time; to be called every few seconds."""
        await self._tending.acquire()
        try:
            records = await self._all()
            await self._follow_sweeps(any(r.handed or r.rest for r in records.values()))
            await self._fee.ask()
            if self._sweeping is not None:
                await self._sweeping.step(list(records.values()), self._change)
        finally:
            self._tending.release()

    def stop(self) -> None:
        """Look at none any more."""
        self._looks.stop()

    # Inside

    async def _all(self) -> dict[bytes, Record]:
        await self._loading.acquire()
        try:
            if self._records is None:
                found = await self._tools.run(self._store.all)
                self._records = {record.id: record for record in found}
                for record in found:
                    self._by_address[record.address(self._tools.factory)] = record.id
                    self._looks.resume(record.id, self._pause_after(record))
            return self._records
        finally:
            self._loading.release()

    async def _change(self, id: bytes, change: Callable[[Record], Record]) -> None:
        """Change what is kept now, as a look and a sweep may both be under way."""
        await self._changing.acquire()
        try:
            before = (await self._all())[id]
            after = change(before)
            if after != before:
                await self._keep(after)
        finally:
            self._changing.release()

    async def _keep(self, record: Record) -> None:
        """Write it down, then show it."""
        records = await self._all()
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

    async def _look(self, id: bytes) -> float:
        """Look at one, and say after how many seconds to look again."""
        records = await self._all()
        try:
            latest, final = await self._asked(records[id])
        except TROUBLES as error:
            _log.info("An invoice could not be looked at: {reason}", reason=str(error))
        else:
            await self._change(id, partial(self._seen, latest=latest, final=final))
        self._tell(records[id])
        return self._pause_after(records[id])

    def _pause_after(self, record: Record) -> float:
        return invoice_record.pause_after(record, self._tools.clock.seconds())

    async def _asked(self, record: Record) -> tuple[int, int]:
        """Return what was ever there, as one server says; if that is news, what of it is final."""
        place = record.address(self._tools.factory)
        text = record.invoice(self._tools.factory, self._tools.chain_id).address
        isolation = self._isolations.setdefault(record.id, Isolation.fresh("invoice"))
        latest = await self._tools.chain.latest(text, isolation) + self._swept_of(place)
        final = 0
        if latest > record.received:
            certain = await self._tools.chain.final(text, isolation)
            # sweeps after that block took what is counted in the balance already
            final = certain.wei + self._swept_of(place, certain.block)
        return latest, final

    def _seen(self, record: Record, latest: int, final: int) -> Record:
        now, place = self._tools.clock.seconds(), record.address(self._tools.factory)
        found = invoice_record.looked(record, now, latest, final, self._swept_of(place))
        return invoice_record.handed_back(found)

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
            # what was swept was there, and is final
            await self._change(mine, partial(self._seen, latest=swept, final=swept))
            self._tell(records[mine])

    def _status(self, record: Record) -> InvoiceStatus:
        tools = self._tools
        return record.status(tools.factory, tools.chain_id, tools.clock.seconds())


def _newest_first(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.created, reverse=True)

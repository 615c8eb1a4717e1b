"""Finding invoices that were issued after the last backup: their fields follow from the seed.

First in the sweeps of everybody, which this node has, so that nobody learns anything; then, if the
person wants that, by asking for balances, each over circuits of its own. What is found is kept, and
then looked after and swept as any other.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import attrs

from bitsnode.ledger.invoice import invoice_address, invoice_address_text
from bitsnode.market.invoice_fees import TIERS, tier_of
from bitsnode.market.invoice_keys import Drawn
from bitsnode.market.invoice_needs import TROUBLES
from bitsnode.market.invoice_record import Record, recovered
from bitsnode.market.invoice_store import InvoiceStore
from bitsnode.market.invoices import MAX_OPEN, Invoices, InvoiceTools
from bitsnode.market.purchase_needs import pause
from onion.isolation import Isolation
from zk.stealth import MetaAddress

GAP: Final = 100  # indices beyond the last found whose balances are asked for
MAX_GAP: Final = 10_000
INDEX_GAP: Final = MAX_OPEN  # likewise in the sweeps: so many unpaid ones may lie between two
JITTER_SECONDS: Final = 4.0  # at most, between two questions to a server of somebody else
ATTEMPTS: Final = 3  # to ask for a balance
AGAIN_SECONDS: Final = 10.0  # between two of them
_STEP: Final = 50  # indices looked up in one go


@attrs.frozen
class InvoicesLookedFor:
    """How far the search is.

    Attributes:
        done: indices looked at.
        asked: addresses whose balance a server was asked for.
        found: invoices.
    """

    done: int
    asked: int
    found: int


@attrs.frozen
class Wanted:
    """How far a search goes.

    Attributes:
        ask: ask for balances, too.
        all_fees: with every tier of the fee; else with those that are likely.
        own: all servers are one's own, so that there is no need for pauses.
        gap: indices beyond the last found.
    """

    ask: bool
    all_fees: bool
    own: bool
    gap: int = GAP


@attrs.frozen
class Found:
    """An invoice that was not known.

    Attributes:
        address: checksummed.
        wei: that came, finally, as far as they were seen.
        swept: wei of them that are with the creator, fee and shares.
    """

    address: str
    wei: int
    swept: int


@attrs.frozen
class Search:
    """What came of it.

    Attributes:
        found: invoices that were not known before.
        asked: addresses whose balance a server was asked for.
    """

    found: tuple[Found, ...]
    asked: int


class Recovery:
    """One search.

    Args:
        tools: of the invoices.
        store: where the counter is.
        invoices: take what is found.
        wanted: how far it goes.
        on_event: is told how far it is.
    """

    def __init__(
        self,
        tools: InvoiceTools,
        store: InvoiceStore,
        invoices: Invoices,
        wanted: Wanted,
        on_event: Callable[[InvoicesLookedFor], None] = lambda _event: None,
    ) -> None:
        self._tools = tools
        self._store = store
        self._invoices = invoices
        self._wanted = wanted
        self._on_event = on_event
        self._known: set[bytes] = set()
        self._swept: dict[bytes, Counter[bytes]] = {}  # wei by address, by payee
        self._fees: list[int] = []  # the likely ones first
        self._found: list[Found] = []
        self._done = self._asked = 0

    async def run(self) -> Search:
        """Search, and keep what is found as soon as it is found.

        Raises:
            bitsnode.errors.BitsError: there is no wallet, the chain does not answer, or the disk
                refuses.
        """
        tools = self._tools
        await tools.chain.refresh()
        for event in await tools.chain.swept(None):
            self._swept.setdefault(event.payee, Counter())[event.invoice] += event.gross
        records = await tools.run(self._store.all)
        self._known = {record.id for record in records}
        meta = await tools.payee()
        starts = await tools.run(self._store.unknown)
        await self._think_of_fees(records)
        for start in starts:
            await self._search(meta, start)
        return Search(tuple(self._found), self._asked)

    async def _search(self, meta: MetaAddress, start: int) -> None:
        """Look from an index on, in sweeps and balances by turns, until both find nothing more."""
        last, in_sweeps, in_balances = start - 1, start, start
        while True:
            before = last
            while in_sweeps <= last + INDEX_GAP:
                look = partial(self._look_up, meta, in_sweeps)
                for index, record in await self._tools.run(look):
                    last = max(last, index)
                    await self._keep(record)
                in_sweeps += _STEP
                self._tell(_STEP)
            while self._wanted.ask and in_balances <= last + self._wanted.gap:
                if await self._ask(self._store.keys.draw(meta, in_balances)):
                    last = max(last, in_balances)
                in_balances += 1
                self._tell(1)
            if last == before:
                return

    def _look_up(self, meta: MetaAddress, start: int) -> list[tuple[int, Record | None]]:
        """Return which of the next indices were swept, or are known; asks nobody."""
        found: list[tuple[int, Record | None]] = []
        for index in range(start, start + _STEP):
            drawn = self._store.keys.draw(meta, index)
            if drawn.id in self._known:
                found.append((index, None))
                continue
            # a sweep names the payee, so there is nothing to be tried for those that have none
            for fee in TIERS if drawn.payee in self._swept else ():
                address = invoice_address(self._tools.factory, drawn.fields(fee))
                if wei := self._swept[drawn.payee][address]:
                    found.append((index, self._record(drawn, fee, wei, wei)))
        return found

    async def _ask(self, drawn: Drawn) -> bool:
        """Whether there is money at an address of an index, or it is known."""
        if drawn.id in self._known:
            return True
        for fee in self._fees:
            if not self._wanted.own:
                seconds = self._tools.uniform(0.0, JITTER_SECONDS)
                await pause(self._tools.clock, seconds)
            address = invoice_address_text(self._tools.factory, drawn.fields(fee))
            self._asked += 1
            wei = await self._wei(address)
            if wei:
                await self._keep(self._record(drawn, fee, wei))
                return True
        return False

    async def _wei(self, address: str) -> int:
        """Return the final wei of an address; a server that fails now and then ends no search."""
        for _attempt in range(ATTEMPTS - 1):
            try:
                return await self._certain_wei(address)
            except TROUBLES:
                await pause(self._tools.clock, AGAIN_SECONDS)
        return await self._certain_wei(address)

    async def _certain_wei(self, address: str) -> int:
        # one server that sees money everywhere would otherwise make the search go on for ever
        chain, isolation = self._tools.chain, Isolation.fresh("invoice")
        if not await chain.latest(address, isolation):
            return 0
        return (await chain.final(address, isolation)).wei

    def _record(self, drawn: Drawn, fee: int, received: int, swept: int = 0) -> Record:
        return recovered(drawn, fee, int(self._tools.clock.seconds()), received, swept)

    async def _keep(self, record: Record | None) -> None:
        if record is not None and record.id not in self._known:
            await self._invoices.adopt(record)
            self._known.add(record.id)
            address = invoice_address_text(self._tools.factory, record.fields)
            self._found.append(Found(address, record.received, record.swept))

    async def _think_of_fees(self, records: Iterable[Record]) -> None:
        """Say with which fees balances are asked for: those of before and of now, or every tier."""
        if not self._wanted.ask:
            return
        newest = sorted(records, key=lambda record: record.created, reverse=True)
        fees = [record.fee for record in newest]
        try:
            fees.append(tier_of(await self._tools.relays.fee(Isolation.fresh("relay-terms"))))
        except TROUBLES:
            pass  # then it is those of before
        if self._wanted.all_fees or not fees:
            fees += TIERS
        self._fees = list(dict.fromkeys(fees))

    def _tell(self, indices: int) -> None:
        self._done += indices
        self._on_event(InvoicesLookedFor(self._done, self._asked, len(self._found)))

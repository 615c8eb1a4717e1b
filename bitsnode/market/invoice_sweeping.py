"""Bringing what was paid to the creator: one invoice at a time, at pauses that say nothing.

Whoever saw two invoices swept together would know that they are one creator's. A sweep that is
asked for twice takes place once: the contract divides what is there, and there is nothing more.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from bitsnode.market.invoice_needs import TROUBLES, OwnSweeper, SweepRelays
from bitsnode.market.invoice_record import Record, is_worth_sweeping
from onion.isolation import Isolation

PAUSES: Final = (300.0, 3600.0)  # seconds between two sweeps, drawn anew each time
HANDED_SECONDS: Final = 1800  # for one relay to have it in a final block; on some chains 15 minutes
RETRY_SECONDS: Final = 120.0  # after nobody took it

DRAW: Final = secrets.SystemRandom().uniform
Change = Callable[[bytes, Callable[[Record], Record]], Awaitable[None]]
_log = Logger()


class Sweeping:
    """Sweeps the invoices of a node.

    Args:
        clock: its seconds are Unix time.
        relays: sweep.
        own: sweeps from an account of one's own, where the person has accepted that this account
            shows on the chain; None waits for a relay instead.
        pauses: the least and the most seconds between two sweeps.
        uniform: draws a number from a range.
    """

    def __init__(
        self,
        clock: IReactorTime,
        relays: SweepRelays,
        own: OwnSweeper | None = None,
        pauses: tuple[float, float] = PAUSES,
        uniform: Callable[[float, float], float] = DRAW,
    ) -> None:
        self._clock = clock
        self._relays = relays
        self._own = own
        self._pauses = pauses
        self._uniform = uniform
        self._under_way: bytes | None = None
        # a restart says nothing either
        self._not_before = clock.seconds() + uniform(0.0, pauses[0])

    async def step(self, records: Sequence[Record], change: Change) -> None:
        """Hand over one invoice, if it is time and none is under way.

        Args:
            records: all invoices.
            change: writes down what changes in one.
        """
        now = self._clock.seconds()
        handed = [record for record in records if record.handed]
        if self._under_way is not None and not handed:
            self._under_way = None  # it is swept
            self._not_before = now + self._uniform(*self._pauses)
        if handed:
            self._under_way = handed[0].id
            if now < handed[0].handed + HANDED_SECONDS or now < self._not_before:
                return
            await self._hand_over(handed[0], change)
        elif now >= self._not_before:
            worth = [record for record in records if is_worth_sweeping(record, now)]
            if worth:
                await self._hand_over(secrets.choice(worth), change)

    async def _hand_over(self, record: Record, change: Change) -> None:
        """Give it to a relay that has not had it last; written down before it is told anything."""
        isolation = Isolation.fresh("sweep")
        now = int(self._clock.seconds())
        try:
            found = await self._relays.find(record.fee, isolation)
        except TROUBLES as error:
            _log.info("No relay was found for a sweep: {reason}", reason=str(error))
            found = []
        others = [relay for relay in found if relay != record.handed_to] or found
        for relay in others:
            await change(record.id, partial(_handed, now=now, relay=relay))
            try:
                await self._relays.submit(relay, record.fields, isolation)
            except TROUBLES as error:
                _log.info("A relay does not sweep: {reason}", reason=str(error))
                continue
            self._under_way = record.id
            return
        if self._own is not None:
            await change(record.id, partial(_handed, now=now, relay=b""))
            try:
                await self._own(record.fields)
            except TROUBLES as error:
                _log.warn("An invoice could not be swept: {reason}", reason=str(error))
            else:
                self._under_way = record.id
                return
        self._not_before = now + RETRY_SECONDS
        if not record.handed:
            await change(record.id, partial(attrs.evolve, handed=0, handed_to=b""))


def _handed(record: Record, now: int, relay: bytes) -> Record:
    return attrs.evolve(record, handed=now, handed_to=relay, handed_swept=record.swept)

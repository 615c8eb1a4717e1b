"""Looks through all announcements for payments to the meta-address.

It asks the local index for all of them, never the RPC for some: so no server learns what is ours.
"""

import os
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import attrs

from bitsnode.ledger.announcements import Announcement
from bitsnode.ledger.wallet.chain import Index, RunInThread
from bitsnode.ledger.wallet.history import History, Payment, Place
from bitsnode.ledger.wallet.keys import ViewingKeys
from bitsnode.ledger.wallet.progress import OnEvent, Scanning, StartingOver
from zk.stealth import checksum_address, scan

T = TypeVar("T")
BATCH: Final = 4096  # announcements; about a third of a second on one core
ADDRESS_DIGITS: Final = slice(2, 42)


class Scanner:
    """Scans from where it stood.

    Args:
        history: where payments and the place reached are kept.
        index: all announcements.
        run: runs blocking work in a thread.
        threads: to scan in; coincurve lets go of the interpreter.
    """

    def __init__(
        self, history: History, index: Index, run: RunInThread, threads: int | None = None
    ) -> None:
        self._history = history
        self._index = index
        self._run = run
        self._threads = threads or os.cpu_count() or 1

    async def scan(self, keys: ViewingKeys, on_event: OnEvent) -> int:
        """Look at what is new and return the number of payments found in it.

        May be stopped anywhere: what was looked at is remembered batch by batch.
        """
        place = await self._run(self._history.place)
        if place is not None and not await self._run(_call(self._is_still_there, place)):
            on_event(StartingOver())
            await self._run(self._history.start_over)
            place = None
        looked = found = 0
        while True:
            after = None if place is None else place.cursor
            batch = await self._run(_call(self._index.announcements, after, BATCH))
            if not batch:
                return found
            payments = await self._ours(keys, batch)
            place = _place(batch[-1])
            await self._run(_call(self._history.add_scanned, payments, place))
            looked, found = looked + len(batch), found + len(payments)
            on_event(Scanning(place.cursor.block, looked, found))

    def _is_still_there(self, place: Place) -> bool:
        before = attrs.evolve(place.cursor, log_index=place.cursor.log_index - 1)
        again = self._index.announcements(before, 1)
        return bool(again) and _place(again[0]) == place

    async def _ours(self, keys: ViewingKeys, batch: Sequence[Announcement]) -> list[Payment]:
        step = -(-len(batch) // self._threads)
        parts = [batch[at : at + step] for at in range(0, len(batch), step)]
        jobs = [self._run(_call(_scan_part, keys, part)) for part in parts]
        return [payment for job in jobs for payment in await job]


def _scan_part(keys: ViewingKeys, part: Sequence[Announcement]) -> list[Payment]:
    ours = scan(keys.viewing_private_key, keys.meta_address.spending_public_key, part)
    return [
        Payment(
            checksum_address(bytes.fromhex(line.stealth_address[ADDRESS_DIGITS])),
            line.ephemeral_public_key,
            line.cursor.block,
            line.cursor.log_index,
            f"0x{line.transaction.hex()}",
        )
        for line in ours
    ]


def _place(line: Announcement) -> Place:
    return Place(line.cursor, line.transaction)


def _call(function: Callable[..., T], *arguments: object) -> Callable[[], T]:
    return lambda: function(*arguments)

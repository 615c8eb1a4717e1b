"""What is known of a node whose index we follow, and what it may cost us. Pure."""

from collections import OrderedDict
from typing import Final

import attrs

from bitsnode.peer.budgets import Bucket
from bitsnode.warm.index import GroupIndex, short_id, worth_of
from bitsnode.warm.plan import Plan
from bitsnode.wire.card import SignedCard
from bitsnode.wire.messages import Request
from bitsnode.wire.record import SignedRecord
from bitsnode.wire.warm_messages import (
    EPOCH_SIZE,
    MAX_NUMBER,
    MAX_PULLED,
    AskIndex,
    IndexPage,
    PullRecords,
)

MAX_WANTED: Final = 4096  # entries of a neighbour that wait to be pulled
FAILURES: Final = 2  # questions without an answer after which another neighbour is taken
ABOUT: Final = 640  # bytes that a record has on average, of an index whose length alone is known


class Lied(Exception):
    """A neighbour sent what no honest node sends."""


@attrs.define(eq=False)
class Neighbour:
    """One node of our group.

    Attributes:
        card: of the node.
        until: Unix time in seconds at which another takes its place.
        bucket: bytes that may be pulled from it.
        due: when it is looked at next.
        epoch: of its numbers, 8 bytes.
        after: number of its last entry that was read; None while the end is not known.
        reading: it is being read from the beginning.
        at_end: there was nothing more when it was last looked at.
        wanted: short ids to pull and the worth claimed of each.
        strikes: faults.
        failures: questions in a row without an answer.
    """

    card: SignedCard
    until: float
    bucket: Bucket
    due: float
    epoch: bytes = bytes(EPOCH_SIZE)
    after: int | None = None
    reading: bool = False
    at_end: bool = False
    wanted: OrderedDict[bytes, int] = attrs.Factory(OrderedDict)
    strikes: int = 0
    failures: int = 0

    @property
    def onion_key(self) -> bytes:
        """Its onion key, 32 bytes."""
        return self.card.card.onion_key

    def question(self) -> Request:
        """Return what to ask for the next entries, or for the end of its index."""
        return AskIndex(self.epoch, MAX_NUMBER if self.after is None else self.after)

    def read_from_start(self, plan: Plan, now: float) -> None:
        """Read the whole index, at a pace of its own."""
        self.after, self.reading, self.at_end = 0, True, False
        share = max(1, plan.full_reads)
        self.bucket = Bucket(plan.fill_rate / share, plan.index_burst / share, now)

    def took_page(self, page: IndexPage, index: GroupIndex) -> bool:
        """Take what was answered; returns whether more is to be asked at once.

        Raises:
            Lied: the numbers do not go on.
        """
        if page.epoch != self.epoch:
            # it began anew: its first pages are most likely known, so that the end is enough
            begun, self.after = self.after, None
            self.epoch = page.epoch
            if begun is not None:
                return True
        if self.after is None:
            self.after = page.last
            return False
        if page.last < self.after or (page.entries and page.last == self.after):
            raise Lied
        self.after = page.last
        for entry in page.entries:
            short = entry[2:]
            if len(self.wanted) < MAX_WANTED and index.lacks(entry[0], entry[1], short):
                self.wanted[short] = entry[1]
        self.at_end = not page.more
        return page.more

    def next_pull(self, index: GroupIndex) -> PullRecords | None:
        """Return what to pull next, or None: other neighbours may have given the rest."""
        ids: list[bytes] = []
        for short in list(self.wanted):
            if index.has(short):
                del self.wanted[short]
            elif len(ids) < MAX_PULLED:
                ids.append(short)
        return PullRecords(tuple(ids)) if ids else None

    def took_records(
        self, asked: tuple[bytes, ...], records: list[SignedRecord], index: GroupIndex, now: float
    ) -> None:
        """Take checked records that were pulled.

        Raises:
            Lied: one was not asked for, or is not what it was said to be.
        """
        for signed in records:
            short = short_id(signed.data)
            if short not in asked or short not in self.wanted:
                raise Lied
            claimed = self.wanted.pop(short)
            if worth_of(signed.record.work, len(signed.data)) != claimed:
                raise Lied
            if not index.place.holds(signed.record.key):
                raise Lied
            index.put(signed, now)
        if not records:
            # named, and not there: an entry may go before it is pulled, not all of them for long
            self.strikes += 1
            for short in asked:
                self.wanted.pop(short, None)
        elif asked[0] in self.wanted:
            # an answer holds the first ones that are there, as many as fit
            del self.wanted[asked[0]]
        if records:
            self.strikes = max(0, self.strikes - 1)

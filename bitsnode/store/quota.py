"""How much is kept, for whom and until when: pure rules, and the sum."""

import threading
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from bitsnode.store.shares import HEADER_SIZE, Geometry, ShareKey

DAY: Final = 86_400  # seconds
LIGHT_NODE: Final = 1_000_000_000  # bytes; the hard cap of a light node
# What a share costs the disk beyond its bytes: the rest of its last 4-KiB block, and its row.
OVERHEAD: Final = 4096 + 512  # bytes
MAX_GAPS: Final = 4096  # stretches of one upload; 1 GB in the worst order of 256-KiB pieces


@attrs.frozen
class Limits:
    """What an operator gives, and what one asker may take.

    Attributes:
        total: bytes that all shares may have together, with their overhead.
        unpaid: bytes of these for shares that nobody pays for.
        longest: seconds of the longest lease of an unpaid share.
        spare: bytes of the disk that are left free in any case.
        uploads: uploads open at once.
        uploads_each: uploads open at once by one connection.
        bytes_each: bytes of uploads open at once by one connection.
        stall: seconds without data after which an upload is given up; a share crosses a slow
            circuit in many small requests, each of which starts them anew.
    """

    total: int = LIGHT_NODE
    unpaid: int = LIGHT_NODE // 4
    longest: int = 31 * DAY
    spare: int = 64 << 20
    uploads: int = 64
    uploads_each: int = 8
    bytes_each: int = 512 << 20
    stall: int = 600

    @classmethod
    def of(cls, total: int) -> "Limits":
        """Return the usual limits for so many bytes in all."""
        return cls(total=total, unpaid=total // 4)


def charge(geometry: Geometry) -> int:
    """Return the bytes that a share without records counts for."""
    return HEADER_SIZE + geometry.size + OVERHEAD


@attrs.frozen
class Usage:
    """Bytes in use, those of open uploads included."""

    paid: int = 0
    unpaid: int = 0

    @property
    def total(self) -> int:
        """All bytes in use."""
        return self.paid + self.unpaid

    def plus(self, size: int, *, paid: bool) -> "Usage":
        """Return the usage with so many bytes more, or fewer."""
        if paid:
            return attrs.evolve(self, paid=self.paid + size)
        return attrs.evolve(self, unpaid=self.unpaid + size)

    def room(self, limits: Limits, *, paid: bool) -> int:
        """Return the bytes that may be added, negative if the limits were lowered."""
        room = limits.total - self.total
        return room if paid else min(room, limits.unpaid - self.unpaid)


def granted(asked: int, now: float, limits: Limits, *, paid: bool) -> int:
    """Return until when a lease is granted: as asked, but an unpaid one not for too long."""
    return asked if paid else min(asked, int(now) + limits.longest)


@attrs.frozen
class Lease:
    """A share as the rules of eviction see it."""

    key: ShareKey
    charge: int
    until: int
    paid: bool


def victims(unpaid: Iterable[Lease], need: int) -> Iterator[Lease]:
    """Choose the unpaid shares that make way for ``need`` more bytes, as few as are enough.

    Asked only when what has expired is gone, and only for those who pay or when the operator
    lowered the limits. A promise to one who does not pay thus holds against all others who do
    not: nobody can wash unpaid shares out with more unpaid ones. Paid shares never make way.

    Args:
        unpaid: leases, those that end first leading.
        need: bytes.
    """
    for lease in unpaid:
        if need <= 0:
            return
        need -= lease.charge
        yield lease


class Account:
    """The bytes in use, safe to change from any thread.

    Args:
        limits: what may be used.
        usage: what is in use at the start.
    """

    def __init__(self, limits: Limits, usage: Usage) -> None:
        self._lock = threading.Lock()
        self._limits = limits
        self._usage = usage

    @property
    def usage(self) -> Usage:
        """What is in use."""
        with self._lock:
            return self._usage

    def room(self, *, paid: bool) -> int:
        """Return the bytes that may be added, negative if the limits were lowered."""
        return self.usage.room(self._limits, paid=paid)

    def take(self, size: int, *, paid: bool) -> bool:
        """Use so many bytes more, if they fit; say whether they did."""
        with self._lock:
            if size > self._usage.room(self._limits, paid=paid):
                return False
            self._usage = self._usage.plus(size, paid=paid)
            return True

    def give_back(self, size: int, *, paid: bool) -> None:
        """Use so many bytes less."""
        with self._lock:
            self._usage = self._usage.plus(-size, paid=paid)

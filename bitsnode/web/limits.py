"""How much of the shop one may have at once. Pure: the time is an argument.

Over Tor nobody can be told apart by an address, so the budgets are of all together, and of each
cookie that the shop itself has given out. Who has ordered something draws on a reserve that a
flood of strangers cannot empty. Tor's own defence (proof of work for a circuit) stands before it.
"""

from collections import OrderedDict
from typing import Final

import attrs

from bitsnode.web.errors import TooMany

MAX_KEYS: Final = 4_096  # visitors whose budgets are remembered; the longest unseen make way


@attrs.frozen
class Limits:
    """What the shop allows.

    Attributes:
        connections: open at once; beyond, the one that is idle for longest is closed.
        per_second: requests of all together, on average.
        burst: requests at once, after a quiet time.
        patience_seconds: for which a request beyond that waits; one that would wait for longer is
            refused. With `per_second` it bounds how many wait, well below `connections`.
        reserve_per_second: further requests for those who have ordered.
        reserve_burst: likewise, at once.
        each_per_second: requests of one visitor.
        each_burst: of one visitor, at once: a page and its thumbnails, several times.
        receive_seconds: within which a request has arrived whole.
        idle_seconds: for which a connection without a request stays open.
        stall_seconds: after which a reader who takes nothing is let go.
        streams: contents sent at once.
        streams_each: of them, for one order.
        listeners: pages that wait for news at once.
        listeners_each: of them, for one order.
        listen_seconds: for which one waits before it asks anew.
        orders_per_minute: on average; each costs an invoice.
        orders_burst: at once.
    """

    connections: int = 512
    per_second: float = 200.0
    burst: float = 600.0
    patience_seconds: float = 2.0
    reserve_per_second: float = 50.0
    reserve_burst: float = 100.0
    each_per_second: float = 20.0
    each_burst: float = 150.0
    receive_seconds: float = 30.0
    idle_seconds: float = 60.0
    stall_seconds: float = 90.0
    streams: int = 32
    streams_each: int = 6
    listeners: int = 128
    listeners_each: int = 3
    listen_seconds: float = 600.0
    orders_per_minute: float = 10.0
    orders_burst: float = 30.0


@attrs.define
class Bucket:
    """A token bucket.

    Attributes:
        rate: tokens that come back in a second.
        most: tokens that it holds.
        left: tokens in it at `at`; below zero while some wait for theirs.
        at: seconds, on the clock that is given to its methods.
    """

    rate: float
    most: float
    left: float
    at: float

    @classmethod
    def full(cls, rate: float, most: float, now: float) -> "Bucket":
        """Return a bucket that nobody has drawn on."""
        return cls(rate, most, most, now)

    def wait(self, now: float) -> float:
        """Return in how many seconds the next token is there."""
        if now > self.at:
            self.left = min(self.most, self.left + (now - self.at) * self.rate)
        self.at = now
        return max(0.0, (1 - self.left) / self.rate)

    def take(self, now: float, patience: float = 0.0) -> bool:
        """Take the next token, if it is there within so many seconds."""
        if self.wait(now) > patience:
            return False
        self.left -= 1
        return True


class Throttle:
    """The budgets of requests.

    Args:
        limits: of the shop.
        now: seconds.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._all = Bucket.full(limits.per_second, limits.burst, now)
        self._reserve = Bucket.full(limits.reserve_per_second, limits.reserve_burst, now)
        self._orders = Bucket.full(limits.orders_per_minute / 60, limits.orders_burst, now)
        self._each: OrderedDict[str, Bucket] = OrderedDict()

    def admit(self, now: float, visitor: str | None, ordered: bool) -> float:
        """Take a request into account; returns the seconds that it shall wait.

        Args:
            now: seconds.
            visitor: cookie that the shop gave out; None for a stranger.
            ordered: the cookie came with an order.

        Raises:
            TooMany: the visitor's budget is used up, or that of all.
        """
        patience, mine = self._limits.patience_seconds, 0.0
        if visitor is not None:
            bucket = self._of(visitor, now)
            mine = bucket.wait(now)
            if not bucket.take(now, patience):
                raise TooMany
        common = self._all.wait(now)
        if common and ordered and self._reserve.take(now):
            return mine
        if not self._all.take(now, patience):
            raise TooMany
        return max(mine, common)

    def admit_order(self, now: float) -> None:
        """Take a new order into account.

        Raises:
            TooMany: too many were made lately.
        """
        if not self._orders.take(now):
            raise TooMany

    def _of(self, visitor: str, now: float) -> Bucket:
        found = self._each.get(visitor)
        if found is None:
            limits = self._limits
            found = Bucket.full(limits.each_per_second, limits.each_burst, now)
            self._each[visitor] = found
            while len(self._each) > MAX_KEYS:
                self._each.popitem(last=False)
        self._each.move_to_end(visitor)
        return found


class Places:
    """Places that are taken and given back: so many in all, so many for one order."""

    def __init__(self, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._taken: dict[str, int] = {}

    @property
    def taken(self) -> int:
        """How many are taken."""
        return sum(self._taken.values())

    def take(self, key: str) -> bool:
        """Take one, if there is one."""
        mine = self._taken.get(key, 0)
        if self.taken >= self._most or mine >= self._most_each:
            return False
        self._taken[key] = mine + 1
        return True

    def give_back(self, key: str) -> None:
        """Give one back."""
        left = self._taken.get(key, 0) - 1
        if left > 0:
            self._taken[key] = left
        else:
            self._taken.pop(key, None)

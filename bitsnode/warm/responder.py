"""Answers what other nodes ask of warm links: to seek a key, and what our index holds."""

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final

from bitsnode.peer.budgets import Bucket
from bitsnode.warm.plan import Plan
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import MAX_RECORDS, FailureCode, Request
from bitsnode.wire.record import SignedRecord
from bitsnode.wire.warm_messages import Seek, Sought

MAX_CALLERS: Final = 1024  # connections whose budgets are remembered

# asks on with the hops that are left, and returns the records of the key that verify
HandOn = Callable[[bytes, int], Coroutine[Any, Any, list[SignedRecord]]]


class SeekResponder:
    """See `bitsnode.wire.exchange.Responder`.

    Args:
        plan: the numbers.
        here: returns the signed records of a key that this node has.
        hand_on: asks on, with the hops that are left.
        now: returns the Unix time in seconds.
    """

    def __init__(
        self,
        plan: Plan,
        here: Callable[[bytes], tuple[bytes, ...]],
        hand_on: HandOn,
        now: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._here = here
        self._hand_on = hand_on
        self._now = now
        self._buckets: OrderedDict[int, Bucket] = OrderedDict()
        self._under_way = 0

    async def handle(self, request: Request, caller: Caller) -> Sought:
        """Answer `Seek`: one question in is one question out, or the last time a few.

        Raises:
            Refused: UNKNOWN_REQUEST for another request.
        """
        if not isinstance(request, Seek):
            raise Refused(FailureCode.UNKNOWN_REQUEST)
        found = self._here(request.key)
        if found or request.hops == 0 or not self._may_hand_on(caller.connection):
            return Sought(found)
        self._under_way += 1
        try:
            told = await self._hand_on(request.key, request.hops - 1)
        finally:
            self._under_way -= 1
        return Sought(tuple(signed.data for signed in told)[:MAX_RECORDS])

    def _may_hand_on(self, connection: int) -> bool:
        now = self._now()
        bucket = self._buckets.pop(connection, None)
        if bucket is None:
            bucket = Bucket(self._plan.forward_rate, self._plan.forward_burst, now)
        self._buckets[connection] = bucket
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        if self._under_way >= self._plan.forwards or bucket.wait(now) > 0:
            return False
        bucket.take(1)
        return True

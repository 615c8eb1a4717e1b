"""Answers what other nodes ask of warm links: to seek a key, and what our index holds."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final

from bitsnode.peer.budgets import Bucket
from bitsnode.warm.gossip import size_of
from bitsnode.warm.index import GroupIndex
from bitsnode.warm.plan import Plan
from bitsnode.warm.traffic import Traffic
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import MAX_RECORDS, FailureCode, Request
from bitsnode.wire.record import SignedRecord
from bitsnode.wire.warm_messages import (
    EPOCH_SIZE,
    MAX_NUMBER,
    AskIndex,
    IndexPage,
    Pulled,
    PullRecords,
    Seek,
    Sought,
)

MOST_PULLED: Final = 256 * 1024  # bytes of records in one answer
LATER: Final = 60  # seconds after which a neighbour may pull again when too much was pulled
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


class IndexResponder:
    """Lets nodes of our group read our index. See `bitsnode.wire.exchange.Responder`.

    Args:
        plan: the numbers.
        index: ours.
        traffic: told of what is exchanged.
        now: returns the Unix time in seconds.
    """

    def __init__(
        self, plan: Plan, index: GroupIndex, traffic: Traffic, now: Callable[[], float]
    ) -> None:
        self._index = index
        self._traffic = traffic
        self._now = now
        self._epoch = secrets.token_bytes(EPOCH_SIZE)  # our numbers begin anew with each start
        self._bucket = Bucket(plan.serve_rate, plan.serve_burst, now())

    async def handle(self, request: Request, caller: Caller) -> IndexPage | Pulled:
        """Answer `AskIndex` or `PullRecords`.

        Raises:
            Refused: REFUSED for a caller that shows no card of our group, BUSY when too much was
                pulled of late, UNKNOWN_REQUEST for another request.
        """
        # The card proves little, but costs whoever wants to list a group an identity in it.
        if caller.card is None or not self._index.place.holds(caller.card.card.node_id):
            raise Refused(FailureCode.REFUSED)
        if self._bucket.wait(self._now()) > 0:
            raise Refused(FailureCode.BUSY, LATER)
        reply: IndexPage | Pulled
        if isinstance(request, AskIndex):
            known = request.epoch == self._epoch or request.after == MAX_NUMBER
            reply = IndexPage(self._epoch, *self._index.page(request.after if known else 0))
        elif isinstance(request, PullRecords):
            reply = Pulled(tuple(self._index.pull(request.ids, MOST_PULLED)))
        else:
            raise Refused(FailureCode.UNKNOWN_REQUEST)
        sent, received = size_of(reply), size_of(request)
        self._bucket.take(sent)
        self._traffic.exchanged(sent, received)
        return reply

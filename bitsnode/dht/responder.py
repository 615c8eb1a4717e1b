"""Answers what other nodes ask about contacts and records."""

from collections.abc import Callable, Sequence
from typing import Protocol

from bitsnode.config import Network
from bitsnode.dht.records import RecordTable
from bitsnode.dht.routing import RoutingTable
from bitsnode.errors import RemoteProtocolError
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import (
    MAX_RECORDS,
    Contacts,
    Done,
    FailureCode,
    FindNode,
    FindValue,
    K,
    Ping,
    PutRecord,
    Records,
    Request,
)
from bitsnode.wire.record import SignedRecord


class Beside(Protocol):
    """What else knows records: it hears of those that are put, and is asked like the table."""

    def took(self, signed: SignedRecord, now: float) -> None:
        """Hear of a checked record that somebody put here."""

    def walked(self, cards: Sequence[SignedCard]) -> None:
        """Hear which nodes answered on a walk under the node's own isolation."""

    def more(self, key: bytes, count: int, now: float) -> list[bytes]:
        """Return up to ``count`` signed records of a key that have not expired."""


class DhtResponder:
    """See `bitsnode.wire.exchange.Responder`.

    Args:
        network: for the difficulty of record puzzles.
        table: whose contacts are handed out.
        records: where records are kept.
        now: returns the Unix time in seconds.
        on_card: told of each card that a caller showed; nothing about it is proven.

    Attributes:
        beside: who else knows records, if there is one.
    """

    def __init__(
        self,
        network: Network,
        table: RoutingTable,
        records: RecordTable,
        now: Callable[[], float],
        on_card: Callable[[SignedCard], None],
    ) -> None:
        self._network = network
        self._table = table
        self._records = records
        self._now = now
        self._on_card = on_card
        self.beside: Beside | None = None

    async def handle(self, request: Request, caller: Caller) -> Contacts | Records | Done:
        """Answer `Ping`, `FindNode`, `FindValue` or `PutRecord`.

        Raises:
            Refused: MALFORMED, STALE or FULL for a record, UNKNOWN_REQUEST for another request.
        """
        if caller.card is not None:
            self._on_card(caller.card)
        if isinstance(request, FindNode):
            return Contacts(self._nearest(request.target))
        if isinstance(request, FindValue):
            return Records(self.found(request.key), self._nearest(request.key))
        if isinstance(request, PutRecord):
            self._put(request.record)
            return Done()
        if isinstance(request, Ping):
            return Done()
        raise Refused(FailureCode.UNKNOWN_REQUEST)

    def _nearest(self, target: bytes) -> tuple[bytes, ...]:
        return tuple(card.data for card in self._table.nearest(target, K, self._now()))

    def found(self, key: bytes) -> tuple[bytes, ...]:
        """Return the signed records that an answer about a key (32 bytes) holds."""
        now = self._now()
        found = [signed.data for signed in self._records.sample(key, MAX_RECORDS, now)]
        if self.beside is not None and len(found) < MAX_RECORDS:
            found += self.beside.more(key, MAX_RECORDS, now)
        return tuple(dict.fromkeys(found))[:MAX_RECORDS]

    def _put(self, data: bytes) -> None:
        now = self._now()
        try:
            signed = SignedRecord.parse(data, puzzle_bits=self._network.record_bits, now=now)
        except RemoteProtocolError as error:
            raise Refused(FailureCode.MALFORMED, reason=str(error)) from error
        if self.beside is not None:
            self.beside.took(signed, now)
        self._records.put(signed, now)

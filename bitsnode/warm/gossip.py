"""Follows the indexes of a few nodes of our group: what they took of late is pulled.

All of it is a node's duty: it goes out under the node's own isolation, on connections that show
its card. Who asks decides when and how much, so that nobody can be flooded.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime

from bitsnode.config import Network
from bitsnode.dht.contacts import address_of
from bitsnode.dht.questions import NoAnswer, tells_of_node
from bitsnode.dht.side_by_side import all_of
from bitsnode.errors import BitsError, RemoteProtocolError
from bitsnode.peer.budgets import Bucket
from bitsnode.warm.asking import Peers
from bitsnode.warm.index import GroupIndex, reread
from bitsnode.warm.neighbours import ABOUT, FAILURES, Lied, Neighbour
from bitsnode.warm.plan import Plan
from bitsnode.warm.traffic import Traffic
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import Request
from bitsnode.wire.record import SignedRecord
from bitsnode.wire.warm_messages import (
    ENTRY_SIZE,
    EPOCH_SIZE,
    SHORT_ID,
    AskIndex,
    IndexPage,
    Pulled,
    PullRecords,
)
from onion.isolation import Isolation

LOOK_SECONDS: Final = 5.0  # between looks at which neighbours are due
PAGES: Final = 8  # of one neighbour in one look
ANSWER_SECONDS: Final = 30.0  # for 256 KiB over a slow circuit
_STEPS: Final = 1024  # of a random time


class Gossip:
    """Keeps the index of our group like those of our neighbours.

    Args:
        clock: the time.
        peers: asks other nodes.
        network: what records must pay.
        plan: the numbers.
        index: ours.
        contacts: returns the cards of the routing table's live contacts.
        node_isolation: of all that is done here.
        traffic: told of what is exchanged.
    """

    def __init__(
        self,
        clock: IReactorTime,
        peers: Peers,
        network: Network,
        plan: Plan,
        index: GroupIndex,
        contacts: Callable[[], list[SignedCard]],
        node_isolation: Isolation,
        traffic: Traffic,
    ) -> None:
        self._clock = clock
        self._peers = peers
        self._network = network
        self._plan = plan
        self._index = index
        self._contacts = contacts
        self._isolation = node_isolation
        self._traffic = traffic
        self._neighbours: dict[bytes, Neighbour] = {}  # by onion key
        self._barred: dict[bytes, float] = {}
        self._began = clock.seconds()
        self._reads = 0  # indexes read from the beginning
        self._read_at = -plan.read_again

    @property
    def neighbours(self) -> int:
        """How many nodes are followed."""
        return len(self._neighbours)

    def begin_anew(self) -> None:
        """Take other neighbours, and read their indexes: our group is another one."""
        self._neighbours.clear()
        self._reads = 0

    async def look(self) -> None:
        """Take neighbours if some are missing, and look at those that are due."""
        now = self._clock.seconds()
        self._choose(now)
        due = [one for one in self._neighbours.values() if one.due <= now]
        await all_of(self._visit(one) for one in due)

    def _choose(self, now: float) -> None:
        for key, one in list(self._neighbours.items()):
            if one.until <= now or not self._index.place.holds(one.card.card.node_id):
                del self._neighbours[key]
        self._barred = {key: until for key, until in self._barred.items() if until > now}
        missing = self._plan.neighbours - len(self._neighbours)
        if missing <= 0:
            return
        known = [
            card
            for card in self._contacts()
            if self._index.place.holds(card.card.node_id)
            and card.card.onion_key not in self._neighbours
            and card.card.onion_key not in self._barred
        ]
        secrets.SystemRandom().shuffle(known)
        for card in known[:missing]:
            least, most = self._plan.neighbour_life
            until = now + least + (most - least) * secrets.randbelow(_STEPS) / _STEPS
            self._neighbours[card.card.onion_key] = Neighbour(card, until, self._bucket(now), now)

    def _bucket(self, now: float) -> Bucket:
        """Return a budget of its own for each, so that none can use up that of the others."""
        share = self._plan.neighbours
        return Bucket(self._plan.index_rate / share, self._plan.index_burst / share, now)

    async def _visit(self, one: Neighbour) -> None:
        """Read what is new at a neighbour, and pull what we lack."""
        now = self._clock.seconds()
        one.due = now + self._plan.poll * (0.5 + secrets.randbelow(_STEPS) / _STEPS)
        try:
            await self._read(one)
            await self._pull(one)
        except Lied:
            self._drop(one, self._plan.barred)
        except Refused:
            self._drop(one, self._plan.retry[1])  # its group is not ours, or it has enough to do
        except BitsError as error:
            if tells_of_node(error):
                one.failures += 1
            if one.failures >= FAILURES:
                self._drop(one, self._plan.retry[1])
        else:
            one.failures = 0
            if one.strikes >= self._plan.strikes:
                self._drop(one, self._plan.barred)

    def _drop(self, one: Neighbour, seconds: float) -> None:
        if self._neighbours.get(one.onion_key) is one:
            del self._neighbours[one.onion_key]
            self._barred[one.onion_key] = self._clock.seconds() + seconds

    async def _read(self, one: Neighbour) -> None:
        for _ in range(PAGES):
            if one.bucket.wait(self._clock.seconds()) > 0:
                return
            page = await self._ask(one, one.question())
            if not isinstance(page, IndexPage):
                raise RemoteProtocolError
            met = one.after is None
            more = one.took_page(page, self._index)
            if met and self._should_read(page.last):
                one.read_from_start(self._plan, self._clock.seconds())
                more = True
            if not more:
                return
        one.due = self._clock.seconds()  # there is more

    def _should_read(self, entries: int) -> bool:
        """Return whether to read an index of so many entries from its beginning now."""
        if entries * ABOUT <= self._plan.small:
            return True  # its list alone is small, and of the records only those we lack are pulled
        now = self._clock.seconds()
        reading = sum(one.reading for one in self._neighbours.values())
        if self._reads + reading >= self._plan.full_reads:
            return not reading and now - self._read_at >= self._plan.read_again
        return now - self._began >= self._plan.settled

    async def _pull(self, one: Neighbour) -> None:
        while (request := one.next_pull(self._index)) is not None:
            if one.bucket.wait(self._clock.seconds()) > 0:
                return
            pulled = await self._ask(one, request)
            if not isinstance(pulled, Pulled):
                raise RemoteProtocolError
            records = self._checked(one, pulled.records)
            one.took_records(request.ids, records, self._index, self._clock.seconds())
            if one.strikes >= self._plan.strikes:
                return
        if one.reading and one.at_end:
            one.reading = False
            one.bucket = self._bucket(self._clock.seconds())
            self._reads += 1
            self._read_at = self._clock.seconds()

    def _checked(self, one: Neighbour, records: tuple[bytes, ...]) -> list[SignedRecord]:
        """Return the good ones; who passes on what it cannot have checked itself lies."""
        now, good = self._clock.seconds(), []
        for data in records:
            try:
                good.append(
                    SignedRecord.parse(data, puzzle_bits=self._network.record_bits, now=now)
                )
            except RemoteProtocolError as error:
                if not _has_expired(data, now):
                    raise Lied from error
                one.strikes += 1  # its clock, or ours
        return good

    async def _ask(self, one: Neighbour, request: Request) -> Any:
        """Ask a neighbour, and count what that costs."""
        most = self._network.connect_seconds + ANSWER_SECONDS + 30.0  # for a turn to dial
        asking = Deferred.fromCoroutine(
            self._peers.request(address_of(one.card), request, self._isolation, ANSWER_SECONDS)
        )
        try:
            reply = await asking.addTimeout(most, self._clock)
        except DeferredTimeout as error:
            raise NoAnswer from error
        sent, received = size_of(request), size_of(reply)
        self._traffic.exchanged(sent, received)
        one.bucket.take(sent + received)
        return reply


def size_of(message: object) -> int:
    """Return about how many bytes a message of gossip has."""
    if isinstance(message, IndexPage):
        return 32 + (ENTRY_SIZE + 1) * len(message.entries)
    if isinstance(message, Pulled):
        return 16 + sum(len(data) + 3 for data in message.records)
    if isinstance(message, PullRecords):
        return 16 + (SHORT_ID + 1) * len(message.ids)
    return 16 + EPOCH_SIZE if isinstance(message, AskIndex) else 16


def _has_expired(data: bytes, now: float) -> bool:
    try:
        return reread(data).record.expires <= now
    except (RemoteProtocolError, TypeError, LookupError):
        return False

"""For tests: holders with real share stores in memory-joined reach, on a clock that is driven."""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from bitsnode.config import LOCAL
from bitsnode.content.service import ContentService
from bitsnode.peer.errors import ConnectionLost, RequestTimedOut, Unreachable
from bitsnode.store.intake import Prices
from bitsnode.store.quota import Limits
from bitsnode.store.responder import StoreResponder
from bitsnode.store.store import Store
from bitsnode.wire.card import Capability, NodeCard, SignedCard
from bitsnode.wire.exchange import Caller
from bitsnode.wire.messages import Data, Part, ReadShare, Request
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.errors import TorUnavailable
from onion.isolation import Isolation
from onion.keys import OnionKey

NOW: Final = 1_800_000_000  # Unix time in seconds at which the clock begins
LATENCY: Final = 0.05  # seconds between a request and its answer

T = TypeVar("T")


def run_now(call: Callable[[], T]) -> Deferred[T]:
    """Carry out a call at once: a `Run` without threads."""
    return succeed(None).addCallback(lambda _: call())


def drive(clock: Clock, work: Coroutine[Deferred[Any], Any, T], limit: float = 100_000.0) -> T:
    """Advance the clock from one due call to the next until ``work`` is done.

    Args:
        clock: injected everywhere.
        work: what to wait for.
        limit: seconds of the clock that it may take.

    Raises:
        BaseException: what ``work`` raises.
        AssertionError: it waits for nothing, or takes too long.
    """
    outcome: list[Any] = []
    done = Deferred.fromCoroutine(work)
    done.addBoth(outcome.append)
    end = clock.seconds() + limit
    while not outcome:
        calls = clock.getDelayedCalls()
        if not calls or calls[0].getTime() > end:
            raise AssertionError("the work hangs")
        clock.advance(max(0.0, min(call.getTime() for call in calls) - clock.seconds()))
    result = outcome[0]
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result  # type: ignore[no-any-return]


@attrs.define(eq=False)
class MemoryHolder:
    """A node that stores, and the knobs of its faults.

    Attributes:
        key: of its onion.
        store: its real store.
        dead: it cannot be reached.
        hangs: it takes requests and never answers.
        latency: seconds before each answer.
        change: is given each reply to a read, and returns what is sent.
        read_bytes: of shares served.
        requests: how many it got, by class.
        reads: offset and size of each stretch of a share served.
    """

    key: OnionKey
    store: Store
    responder: StoreResponder
    dead: bool = False
    hangs: bool = False
    latency: float = LATENCY
    change: Callable[[ReadShare, Data], Data] = lambda _request, data: data
    read_bytes: int = 0
    requests: Counter[str] = attrs.Factory(Counter)
    reads: list[tuple[int, int]] = attrs.Factory(list)

    @property
    def address(self) -> OnionAddress:
        """Its onion address."""
        return self.key.address


class MemoryNetwork:
    """Holders, the peers that ask them, and a DHT with one table. See `Peers` and `Dht`.

    Args:
        clock: drives everything.
        home: folder for the stores.
        count: how many holders.
        limits: of each store.

    Attributes:
        tor_down: every request fails as if our tor were gone.
        before: called with each request before it is carried out.
        isolations: of every request and DHT call.
        closed: isolations that were closed.
        asked: addresses, once for each request.
        records: those put, by key, kind and slot.
        taken: how many nodes say that they took a record.
    """

    def __init__(self, clock: Clock, home: Path, count: int, limits: Limits | None = None) -> None:
        self.clock = clock
        self.tor_down = False
        self.before: Callable[[MemoryHolder, Request], None] = lambda _holder, _request: None
        self.isolations: set[Isolation] = set()
        self.closed: set[Isolation] = set()
        self.asked: list[OnionAddress] = []
        self.records: dict[tuple[bytes, int, bytes], SignedRecord] = {}
        self.taken = 20
        self.holders: list[MemoryHolder] = []
        self.limits = limits or Limits()
        self._waiting: set[Deferred[None]] = set()
        self._connections: dict[tuple[OnionAddress, Isolation], int] = {}
        for number in range(count):
            self.add(home / f"holder-{number}")

    def add(self, home: Path) -> MemoryHolder:
        """Add a holder whose store is below ``home``."""
        home.mkdir(parents=True, exist_ok=True)
        seed = home / "seed"
        key = OnionKey(seed.read_bytes()) if seed.exists() else OnionKey.generate()
        seed.write_bytes(key.seed)
        prices = Prices(key.public_key, LOCAL.share_bits, LOCAL.record_bits)
        store = Store(home, prices, self.limits, lambda _sentence: None)
        responder = StoreResponder(store, self.clock.seconds, run_now)
        holder = MemoryHolder(key, store, responder)
        self.holders.append(holder)
        return holder

    def close_stores(self) -> None:
        """Close every store."""
        for holder in self.holders:
            holder.store.close()

    def lose_tor(self) -> None:
        """Kill our tor: what is under way is lost, and nothing can be asked."""
        self.tor_down = True
        for waiting in list(self._waiting):
            waiting.errback(ConnectionLost())

    def holder_of(self, address: OnionAddress) -> MemoryHolder | None:
        """Return the holder at an address."""
        return next((each for each in self.holders if each.address == address), None)

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """See `bitsnode.content.asking.Peers.request`."""
        self.isolations.add(isolation)
        self.asked.append(address)
        holder = self.holder_of(address)
        if self.tor_down:  # at once, as the dialer does
            raise Unreachable(address, "tor is down") from TorUnavailable()
        if holder is None or holder.dead:
            await self._wait(LATENCY)
            raise Unreachable(address, "no such service")
        if holder.hangs:
            await self._wait(timeout or 60.0)
            raise RequestTimedOut
        await self._wait(holder.latency)
        if holder.dead:
            raise ConnectionLost
        holder.requests[type(message).__name__] += 1
        self.before(holder, message)
        number = self._connections.setdefault((address, isolation), len(self._connections))
        reply = await holder.responder.handle(message, Caller(number))
        if isinstance(message, ReadShare) and isinstance(reply, Data):
            if message.part == Part.SHARE:
                holder.read_bytes += len(reply.data)
                holder.reads.append((message.offset, len(reply.data)))
            reply = holder.change(message, reply)
        return reply

    async def _wait(self, seconds: float) -> None:
        waiting: Deferred[None] = Deferred()
        timer = self.clock.callLater(seconds, lambda: waiting.callback(None))
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)
            if timer.active():
                timer.cancel()

    def close(self, isolation: Isolation) -> None:
        """See `bitsnode.content.asking.Peers.close`."""
        self.closed.add(isolation)

    async def get_records(self, key: bytes, isolation: Isolation) -> list[SignedRecord]:
        """See `bitsnode.content.asking.Dht.get_records`."""
        self.isolations.add(isolation)
        if self.tor_down:
            raise Unreachable(self.holders[0].address) from TorUnavailable()
        return [record for (at, _, _), record in self.records.items() if at == key]

    async def put_records(self, records: Sequence[SignedRecord], isolation: Isolation) -> list[int]:
        """See `bitsnode.content.asking.Dht.put_records`."""
        self.isolations.add(isolation)
        return [self._put(record) for record in records]

    def _put(self, record: SignedRecord) -> int:
        checked = SignedRecord.parse(
            record.data, puzzle_bits=LOCAL.record_bits, now=self.clock.seconds()
        )
        if self.taken:
            self.records[checked.record.key, checked.record.kind, checked.record.slot] = checked
        return self.taken

    async def find_storers(self, count: int, isolation: Isolation) -> list[SignedCard]:
        """See `bitsnode.content.asking.Dht.find_storers`."""
        self.isolations.add(isolation)
        return [_card(holder) for holder in self.holders][:count]

    def service(self, home: Path, own_key: bytes | None = None) -> ContentService:
        """Return the content service of a node on this network."""
        return ContentService(self.clock, run_now, self, self, LOCAL, home, own_key)


def _card(holder: MemoryHolder) -> SignedCard:
    card = NodeCard(
        version=1,
        network=LOCAL.name,
        onion_key=holder.key.public_key,
        signing_key=bytes(32),
        sealing_key=bytes(32),
        capabilities=Capability.STORAGE,
        nonce=bytes(16),
        sequence=1,
        expires=NOW + 3600,
    )
    return SignedCard.sign(card, holder.key.sign)

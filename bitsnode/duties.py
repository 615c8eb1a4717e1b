"""What a running node does by itself, again and again."""

import secrets
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from bitsnode.config import Network
from bitsnode.dht.service import DhtService
from bitsnode.errors import BitsError
from bitsnode.events import PeersKnown
from bitsnode.identity import NodeIdentity
from bitsnode.store.store import Store
from bitsnode.wire.record import SignedRecord
from onion.errors import OnionError
from onion.isolation import Isolation

RENEW_CARD: Final = 24 * 3600.0  # seconds
KEEP_HOUSE: Final = 600.0  # seconds between sweeps of the store and looks at due records
FLUSH: Final = 30.0  # seconds of served bytes that a crash may forget
WATCH_PEERS: Final = 0.5  # seconds

T = TypeVar("T")
_log = Logger()


class Duties:
    """Keeps the card fresh, the store swept, and the records of kept shares in the DHT.

    Args:
        clock: the time; its seconds are Unix time.
        identity: renews its card.
        store: is swept, and says which records are due.
        dht: takes them.
        network: what records must pay.
        isolation: of this node's duties.
        run: carries out in a thread what waits for the disk.
    """

    def __init__(
        self,
        clock: IReactorTime,
        identity: NodeIdentity,
        store: Store,
        dht: DhtService,
        network: Network,
        isolation: Isolation,
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._clock = clock
        self._identity = identity
        self._store = store
        self._dht = dht
        self._network = network
        self._isolation = isolation
        self._run = run

    def all(self) -> list[Coroutine[Any, Any, None]]:
        """Return the duties of a node with a card; each runs until it is cancelled."""
        return [
            self._every(RENEW_CARD, self._renew_card),
            self._every(KEEP_HOUSE, self._keep_house),
            self._every(FLUSH, self._flush),
        ]

    async def watch_peers(self, report: Callable[[PeersKnown], None]) -> None:
        """Tell whenever the number of nodes known has changed."""
        known = 0
        while True:
            if (count := self._dht.status().contacts) != known:
                known = count
                report(PeersKnown(count))
            await deferLater(self._clock, WATCH_PEERS)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do work again and again, with jitter, so that nodes do not fall into step."""
        while True:
            await deferLater(self._clock, seconds * (0.75 + secrets.randbelow(500) / 1000))
            try:
                await work()
            except (BitsError, OnionError, OSError) as error:
                _log.error("a duty failed: {error}", error=str(error))

    async def _renew_card(self) -> None:
        self._identity.renew(self._clock.seconds())

    async def _flush(self) -> None:
        await self._run(self._store.flush)

    async def _keep_house(self) -> None:
        now, store = self._clock.seconds(), self._store
        await self._run(store.refresh_deny_list)
        await self._run(lambda: store.sweep(now))
        for due in await self._run(lambda: store.records_due(now)):
            stored = await self._put_again(due.data, now)
            await self._run(partial(store.mark_republished, due, now, stored=stored))

    async def _put_again(self, data: bytes, now: float) -> bool:
        try:
            record = SignedRecord.parse(data, puzzle_bits=self._network.record_bits, now=now)
            return await self._dht.put_record(record, self._isolation) > 0
        except (BitsError, OnionError) as error:
            _log.info("a record was not put again: {error}", error=str(error))
            return False

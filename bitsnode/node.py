"""A node: the only place that wires. Builds every service and hands responders to the server."""

import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from bitsnode.api.socket import listen
from bitsnode.config import LOCAL, PEER_PORT, Settings
from bitsnode.content.service import ContentService
from bitsnode.control import NodeControl
from bitsnode.dht.service import DhtService, NoPeers
from bitsnode.errors import BitsError
from bitsnode.home import HomeLock
from bitsnode.identity import NodeIdentity
from bitsnode.peer.client import PeerClient
from bitsnode.peer.server import PeerServer
from bitsnode.store.intake import Prices
from bitsnode.store.quota import Limits
from bitsnode.store.responder import REQUESTS as STORE_REQUESTS
from bitsnode.store.responder import StoreResponder
from bitsnode.store.store import Store
from bitsnode.wire.card import Capability, SignedCard
from bitsnode.wire.exchange import Responder
from bitsnode.wire.messages import FindNode, FindValue, PutRecord, Request
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.dialer import LOCAL_TIMES, PUBLIC_TIMES
from onion.errors import OnionError
from onion.events import OnionEvent
from onion.isolation import Isolation
from onion.localnet import load_client_options
from onion.running import TorSettings
from onion.service import LOCAL_SERVICE_TIMES, PUBLIC_SERVICE_TIMES
from onion.tor import TorNetwork

THREADS: Final = 4  # for disk, hashing and coding; two cores do not keep more busy
RENEW_CARD: Final = 24 * 3600.0  # seconds
WATCH_PEERS: Final = 0.5  # seconds
HOUSEKEEPING: Final = 600.0  # seconds between sweeps of the store and looks at due records

T = TypeVar("T")
_log = Logger()


@attrs.frozen
class NodeIdentified:
    """The node's keys were read or made.

    Attributes:
        peer_onion: where it will be reached.
    """

    peer_onion: OnionAddress


@attrs.frozen
class PuzzleBegun:
    """The admission puzzle is being solved; until then the node is a client only.

    Attributes:
        bits: its difficulty.
    """

    bits: int


@attrs.frozen
class PeersUnknown:
    """There is neither a bootstrap address nor a saved table."""


@attrs.frozen
class PeersKnown:
    """The number of nodes that this node knows and has reached has changed.

    Attributes:
        count: how many there are now.
    """

    count: int


@attrs.frozen
class NodeReachable:
    """A connection through the network came back to this node.

    Attributes:
        peer_onion: where it is reached.
    """

    peer_onion: OnionAddress


NodeEvent = OnionEvent | NodeIdentified | PuzzleBegun | PeersUnknown | PeersKnown | NodeReachable


class Node:
    """One node on one home.

    Args:
        reactor: runs everything.
        settings: of this node.
        report: is told every event.
    """

    def __init__(
        self, reactor: Any, settings: Settings, report: Callable[[NodeEvent], None]
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._report = report
        self._threads = ThreadPool(0, THREADS, "bits")
        self._lock: HomeLock | None = None
        self._api: IListeningPort | None = None
        self._parts: _Parts | None = None
        self._background: list[Deferred[Any]] = []

    async def start(self) -> None:
        """Run; returns when the node is reachable or, as a client, when tor is ready.

        Raises:
            BitsError: what is wrong with the home or the settings.
            OnionError: what is wrong with tor.
        """
        bootstrap = [OnionAddress.parse(text) for text in self._settings.bootstrap]
        self._lock = HomeLock(self._settings.home)
        self._threads.start()
        self._parts = parts = _Parts.build(
            self._reactor, self._settings, self._report, self._in_thread
        )
        self._report(NodeIdentified(parts.identity.onion_key.address))
        control = NodeControl(self._settings, parts, self._reactor.seconds)
        self._api = listen(self._reactor, self._settings.home, control.commands())
        solving = self._spawn(parts.identity.solve(self._in_thread))  # while tor starts
        await parts.tor.start()
        if not parts.identity.solved:
            self._report(PuzzleBegun(self._settings.network.card_bits))
            self._join(parts, bootstrap)
            await solving
            # what was opened as a client showed no card
            parts.client.close(parts.isolation)
        await self._serve(parts, bootstrap)

    async def _serve(self, parts: "_Parts", bootstrap: list[OnionAddress]) -> None:
        """Take up the duties of a node: a card, a service, a place in the DHT."""
        parts.identity.renew(self._reactor.seconds())
        publishing = parts.tor.publish(parts.identity.onion_key, PEER_PORT, parts.server)
        if not parts.joined:
            self._join(parts, bootstrap)
        self._every(RENEW_CARD, self._renew_card)
        self._every(HOUSEKEEPING, self._keep_house)
        service = await publishing
        await service.when_reachable()
        self._report(NodeReachable(service.address))

    def _join(self, parts: "_Parts", bootstrap: list[OnionAddress]) -> None:
        parts.joined = True
        parts.dht.start()
        self._spawn(self._watch_peers(parts.dht))
        if bootstrap:
            self._spawn(parts.dht.bootstrap(bootstrap))
        elif not parts.dht.contacts():
            self._report(PeersUnknown())

    async def stop(self) -> None:
        """Withdraw from the network and leave everything on the disk; safe at any time."""
        background, self._background = self._background, []
        for running in background:
            running.cancel()
        if self._api is not None:
            await maybeDeferred(self._api.stopListening)
        if self._parts is not None:
            await self._parts.stop()
        if self._threads.started:
            self._threads.stop()
        if self._lock is not None:
            self._lock.release()

    async def _watch_peers(self, dht: DhtService) -> None:
        known = 0
        while True:
            if (count := dht.status().contacts) != known:
                known = count
                self._report(PeersKnown(count))
            await deferLater(self._reactor, WATCH_PEERS)

    async def _renew_card(self, parts: "_Parts") -> None:
        parts.identity.renew(self._reactor.seconds())

    async def _keep_house(self, parts: "_Parts") -> None:
        """Sweep what expired, and put the records of kept shares into the DHT again."""
        now = self._reactor.seconds()
        store = parts.store
        await self._in_thread(store.refresh_deny_list)
        await self._in_thread(lambda: store.sweep(now))
        await self._in_thread(store.flush)
        for due in await self._in_thread(lambda: store.records_due(now)):
            stored = await self._put_again(parts, due.data, now)
            await self._in_thread(partial(store.mark_republished, due, now, stored=stored))

    async def _put_again(self, parts: "_Parts", data: bytes, now: float) -> bool:
        try:
            bits = self._settings.network.record_bits
            record = SignedRecord.parse(data, puzzle_bits=bits, now=now)
            return await parts.dht.put_record(record, parts.isolation) > 0
        except (BitsError, OnionError) as error:
            _log.info("a record was not put again: {error}", error=str(error))
            return False

    def _every(self, seconds: float, work: "Callable[[_Parts], Awaitable[None]]") -> None:
        """Do work again and again, with jitter, so that nodes do not fall into step."""

        async def again(parts: "_Parts") -> None:
            while True:
                await deferLater(self._reactor, seconds * (0.75 + secrets.randbelow(500) / 1000))
                try:
                    await work(parts)
                except (BitsError, OnionError, OSError) as error:
                    _log.error("housekeeping failed: {error}", error=str(error))

        if self._parts is not None:
            self._spawn(again(self._parts))

    def _spawn(self, work: Any) -> Deferred[Any]:
        running: Deferred[Any] = Deferred.fromCoroutine(work)
        self._background.append(running)

        def ended(result: Any) -> None:
            if running in self._background:
                self._background.remove(running)
            if hasattr(result, "check") and not result.check(CancelledError, NoPeers):
                _log.failure("a task of the node failed", failure=result)

        running.addBoth(ended)
        return running

    def _in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return deferToThreadPool(self._reactor, self._threads, work)


@attrs.define
class _Parts:
    """The services of a node."""

    identity: NodeIdentity
    tor: TorNetwork
    store: Store
    client: PeerClient
    dht: DhtService
    content: ContentService
    server: PeerServer
    isolation: Isolation
    joined: bool = False

    @classmethod
    def build(
        cls,
        reactor: Any,
        settings: Settings,
        report: Callable[[NodeEvent], None],
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> "_Parts":
        home, network = settings.home, settings.network
        capabilities = Capability.STORAGE if settings.storage else 0
        identity = NodeIdentity(home / "keys", network, capabilities)
        tor = _tor(reactor, settings, report)
        isolation = Isolation.fresh("node")

        def card() -> SignedCard | None:
            return identity.card

        def shown() -> SignedCard:
            return identity.card or identity.renew(reactor.seconds())

        client = PeerClient(reactor, tor, network, card, isolation)
        dht = DhtService(reactor, client, network, card, home / "dht.sqlite", isolation)
        prices = Prices(identity.onion_key.public_key, network.share_bits, network.record_bits)
        store = Store(home, prices, Limits.of(settings.storage), _tell_fault)
        keeper = StoreResponder(store, reactor.seconds, run)
        server = PeerServer(reactor, network, shown, _responders(dht.responder, keeper))
        own = identity.onion_key.public_key
        content = ContentService(reactor, run, client, dht, network, home, own)
        return cls(identity, tor, store, client, dht, content, server, isolation)

    async def stop(self) -> None:
        if self.joined:
            await self.dht.stop()
        await self.client.stop()
        await self.server.stop()
        await self.tor.stop()
        self.store.close()


def _responders(dht: Responder, store: Responder) -> dict[type[Request], Responder]:
    table: dict[type[Request], Responder] = dict.fromkeys(STORE_REQUESTS, store)
    table.update({FindNode: dht, FindValue: dht, PutRecord: dht})
    return table


def _tell_fault(sentence: str) -> None:
    _log.error("{sentence}", sentence=sentence)


def _tor(reactor: Any, settings: Settings, report: Callable[[NodeEvent], None]) -> TorNetwork:
    local = settings.network == LOCAL
    options = {}
    if local and settings.tor_control is None:
        options = load_client_options(settings.localnet / "tor")
    return TorNetwork(
        reactor,
        TorSettings(settings.home, settings.tor_control, extra_options=options),
        report,
        LOCAL_TIMES if local else PUBLIC_TIMES,
        LOCAL_SERVICE_TIMES if local else PUBLIC_SERVICE_TIMES,
    )

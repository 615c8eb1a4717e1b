"""A node: the only place that wires. Builds every service and hands responders to the server."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from bitsnode.api.socket import listen
from bitsnode.backup.restore import complete
from bitsnode.backup_control import BackupControl
from bitsnode.chain_access import ChainAccess
from bitsnode.config import PEER_PORT, Settings
from bitsnode.content.service import ContentService
from bitsnode.control import NodeControl
from bitsnode.dht.service import DhtService, NoPeers
from bitsnode.dht.status import DhtState
from bitsnode.duties import Duties
from bitsnode.events import NodeEvent, NodeIdentified, NodeReachable, PeersUnknown, PuzzleBegun
from bitsnode.home import HomeLock
from bitsnode.identity import NodeIdentity
from bitsnode.market.relay_responder import REQUESTS as RELAY_REQUESTS
from bitsnode.market.responder import REQUESTS as CUSTODY_REQUESTS
from bitsnode.market_access import MarketAccess, OnDemand
from bitsnode.market_control import MarketControl
from bitsnode.own_tor import own_tor
from bitsnode.peer.budgets import Budgets
from bitsnode.peer.client import PeerClient
from bitsnode.peer.server import PeerServer
from bitsnode.shop_access import ShopAccess
from bitsnode.shop_control import ShopControl
from bitsnode.store.intake import Prices
from bitsnode.store.quota import Limits
from bitsnode.store.responder import REQUESTS as STORE_REQUESTS
from bitsnode.store.responder import StoreResponder
from bitsnode.store.store import Store
from bitsnode.voucher_control import VoucherControl
from bitsnode.wallet_control import WalletControl
from bitsnode.warm.asking import PURPOSE as WARM
from bitsnode.warm.service import WarmService
from bitsnode.warm_control import WarmControl
from bitsnode.wire.card import Capability, SignedCard
from bitsnode.wire.exchange import Responder
from bitsnode.wire.messages import FindNode, FindValue, Ping, PutRecord, Request
from onion.address import OnionAddress
from onion.http import HttpClient
from onion.isolation import Isolation
from onion.tor import TorNetwork
from onion.url import Url

THREADS: Final = 4  # for disk, hashing and coding; two cores do not keep more busy
CONNECTIONS: Final = 512  # dialled and open at a time: 222 warm links at most, and all else
CALLERS: Final = 1024  # connections of others; of each node's warm links as many lead here
UNHURRIED: Final = frozenset({WARM})
READERS: Final = 2  # threads for reading shares, which must not wait behind a slow fsync

T = TypeVar("T")
_log = Logger()


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
        self._readers = ThreadPool(0, READERS, "bits-readers")
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
        complete(self._settings.home)
        self._threads.start()
        self._readers.start()
        self._parts = parts = _Parts.build(
            self._reactor, self._settings, self._report, self._in_thread, self._in_reader
        )
        self._report(NodeIdentified(parts.identity.onion_key.address))
        await parts.content.start()
        control = NodeControl(self._settings, parts, self._reactor.seconds)
        purse = WalletControl(parts.chain.wallet, parts.chain.sync)
        chain = parts.chain
        vouchers = VoucherControl(
            chain.wallet, chain.vouchers, chain.redeeming, parts.market.invoiced
        )
        market = MarketControl(
            parts.content,
            chain.wallet,
            parts.market.selling,
            parts.market.purchases,
            parts.market.check_complaint,
            lambda: chain.vouchers().denominations(),
        )
        shop = ShopControl(parts.shop, lambda: chain.vouchers().denominations())
        backup = BackupControl(
            self._settings.home, chain.wallet, self._in_thread, self._reactor.seconds
        )
        warm = WarmControl(parts.warm)
        controls = (control, shop, purse, vouchers, market, backup, warm)
        commands = {name: run for each in controls for name, run in each.commands().items()}
        self._api = listen(self._reactor, self._settings.home, commands)
        solving = self._spawn(parts.identity.solve(self._in_thread))  # while tor starts
        await parts.tor.start()
        self._spawn(parts.chain.tend())
        self._spawn(parts.market.tend())
        self._spawn(parts.shop.keep_open())
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
        for duty in parts.duties.all():
            self._spawn(duty)
        service = await publishing
        await service.when_reachable()
        self._report(NodeReachable(service.address))

    def _join(self, parts: "_Parts", bootstrap: list[OnionAddress]) -> None:
        parts.joined = True
        parts.dht.start()
        if parts.warm is not None:
            parts.warm.start()
        self._spawn(parts.duties.watch_peers(self._report))
        if bootstrap:
            self._spawn(parts.dht.bootstrap(bootstrap))
        elif parts.dht.status().state is DhtState.NO_PEERS:
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
        for pool in (self._threads, self._readers):
            if pool.started:
                pool.stop()
        if self._lock is not None:
            self._lock.release()

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

    def _in_reader(self, work: Callable[[], T]) -> Awaitable[T]:
        return deferToThreadPool(self._reactor, self._readers, work)


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
    duties: Duties
    chain: ChainAccess
    market: MarketAccess
    shop: ShopAccess
    isolation: Isolation
    warm: WarmService | None
    joined: bool = False

    @classmethod
    def build(
        cls,
        reactor: Any,
        settings: Settings,
        report: Callable[[NodeEvent], None],
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
        read: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> "_Parts":
        home, network = settings.home, settings.network
        capabilities = Capability.STORAGE | Capability.CUSTODY if settings.storage else 0
        capabilities |= Capability.RELAY if settings.relay else 0
        identity = NodeIdentity(home / "keys", network, capabilities)
        tor = own_tor(reactor, settings, home, report, exits=_needs_exits(settings))
        isolation = Isolation.fresh("node")

        def card() -> SignedCard | None:
            return identity.card

        def shown() -> SignedCard:
            return identity.card or identity.renew(reactor.seconds())

        client = PeerClient(
            reactor, tor, network, card, isolation, connections=CONNECTIONS, unhurried=UNHURRIED
        )
        dht = DhtService(reactor, client, network, card, home / "dht.sqlite", isolation)
        warm = None
        if settings.warm_links:
            file = home / "index.sqlite"
            warm = WarmService(reactor, client, dht, network, card, isolation, path=file)
        prices = Prices(identity.onion_key.public_key, network.share_bits, network.record_bits)
        store = Store(home, prices, Limits.of(settings.storage), _tell_fault)
        keeper = StoreResponder(store, reactor.seconds, run, read)
        own = identity.onion_key.public_key
        content = ContentService(reactor, run, client, dht, network, home, own, warm)
        duties = Duties(reactor, identity, store, dht, network, isolation, run)
        chain = ChainAccess(reactor, settings, HttpClient(reactor, tor, tor.exits), run)
        market = MarketAccess(reactor, settings, chain, identity, client, dht, content, run)
        shop = ShopAccess(reactor, settings, chain, market, content, report)
        table = _responders(dht.responder, keeper)
        if warm is not None:
            table |= warm.responders()
        if settings.storage:
            table |= dict.fromkeys(CUSTODY_REQUESTS, OnDemand(market.custody))
        if settings.relay:
            table |= dict.fromkeys(RELAY_REQUESTS, OnDemand(market.relay))
        server = PeerServer(reactor, network, shown, table, Budgets(connections=CALLERS))
        return cls(
            identity,
            tor,
            store,
            client,
            dht,
            content,
            server,
            duties,
            chain,
            market,
            shop,
            isolation,
            warm,
        )

    async def stop(self) -> None:
        if self.joined:
            if self.warm is not None:
                await self.warm.stop()
            await self.dht.stop()
        await self.client.stop()
        await self.server.stop()
        await self.shop.stop()
        await self.market.stop()
        await self.chain.stop()
        await self.tor.stop()
        self.store.close()


def _responders(dht: Responder, store: Responder) -> dict[type[Request], Responder]:
    table: dict[type[Request], Responder] = dict.fromkeys(STORE_REQUESTS, store)
    table.update({Ping: dht, FindNode: dht, FindValue: dht, PutRecord: dht})
    return table


def _tell_fault(sentence: str) -> None:
    _log.error("{sentence}", sentence=sentence)


def _needs_exits(settings: Settings) -> bool:
    """Whether an RPC server is outside of onion services; else tor gets no port for the outside."""
    urls = [Url.parse(url) for url in (*settings.rpc, settings.own_rpc) if url]
    return any(url.onion is None for url in urls)

"""The door of a shop: its own tor process and its own onion, which nothing ties to the node's.

Another key, another tor with another data directory, other guards and circuits. When the node
starts, the door opens after a time drawn by lot, and it is shut for some minutes now and then, so
that neither a restart of the node nor a time at which both are there shows the one by the other.
"""

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import deferLater

from bitsnode.config import LOCAL, Settings
from bitsnode.errors import BitsError
from bitsnode.events import ShopEvent, ShopLost, ShopOpening, ShopReachable
from bitsnode.own_tor import own_tor
from bitsnode.shop.errors import ShopError
from onion.address import OnionAddress
from onion.errors import OnionError
from onion.events import OnionEvent, ServiceLost, ServiceReachable, TorBootstrapping, TorLost
from onion.keys import OnionKey, load_or_create_seed
from onion.network import ServiceOptions, ServiceState
from onion.sockets import private_directory
from onion.tor import TorNetwork

SHOP_PORT: Final = 80  # virtual port on the onion: plain HTTP, since Tor encrypts and proves it
# seconds between the start of the node and that of the shop; of a localnet there is nothing to hide
LONGEST_DELAY: Final = 600.0
LONGEST_LOCAL_DELAY: Final = 0.5
# Seconds that its tor runs before it is shut for a while, and for how long. A shop is gone when its
# node is; who watches for that finds that it is gone at other times as well.
OPEN_SECONDS: Final = (12 * 3600.0, 48 * 3600.0)
SHUT_SECONDS: Final = (60.0, 600.0)
RESTING: Final = "shut for some minutes, as it is now and then"
FIRST_PAUSE: Final = 5.0  # seconds after a tor that did not start, doubled each time
LONGEST_PAUSE: Final = 600.0
OPTIONS: Final = ServiceOptions(
    # A browser has six connections to a site; a circuit that wants many more is no browser's.
    max_streams=64,
    proof_of_work=True,
    # Introductions that are answered without a puzzle (proposal 327): each costs this tor a circuit
    # and some 10 ms of a core. Beyond, visitors work for their place.
    queue_rate=25,
    queue_burst=250,
)


class ShopNotOpened(ShopError):
    """The shop could not be opened."""


@attrs.frozen
class DoorStatus:
    """How the door stands.

    Attributes:
        state: of the onion service, or what its tor is doing.
        tor: version of its tor, None before that has run.
        percent: 0-100, how far its tor has joined the network.
        fault: why it could not be opened; "" when all is well.
    """

    state: str
    tor: str | None
    percent: int
    fault: str


class ShopDoor:
    """The onion of a shop.

    Args:
        reactor: runs everything.
        settings: of the node.
        home: of the shop; its tor and its key live there.
        report: is told what becomes of it.
        make_tor: makes the way to Tor; replaced by tests.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        home: Path,
        report: Callable[[ShopEvent], None],
        make_tor: Callable[..., TorNetwork] = own_tor,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._home = home
        self._make_tor = make_tor
        self._listeners = [report]
        self._waiting: list[Deferred[None]] = []
        self._tor: TorNetwork | None = None
        self._fault = ""
        self._resting = False

    @property
    def address(self) -> OnionAddress:
        """Where the shop is, or will be."""
        return self._key().address

    async def keep_open(
        self, pages: Callable[[], Awaitable[IProtocolFactory]], *, at_once: bool
    ) -> None:
        """Publish the pages; returns when that is done, and its tor looks after it from then on.

        Args:
            pages: returns what serves visitors.
            at_once: and not after a time drawn by lot, as when the node starts.
        """
        if not at_once:
            local = self._settings.network == LOCAL
            longest = LONGEST_LOCAL_DELAY if local else LONGEST_DELAY
            await deferLater(self._reactor, _drawn(0.0, longest))
        await self._open_at_last(pages)

    async def shut_now_and_then(self, pages: Callable[[], Awaitable[IProtocolFactory]]) -> None:
        """Be gone for some minutes at times drawn by lot, until this is cancelled."""
        if self._settings.network == LOCAL or self._settings.shop_tor_control is not None:
            return  # a localnet has nothing to hide, and an attached tor is not ours to stop
        while True:
            await deferLater(self._reactor, _drawn(*OPEN_SECONDS))
            await self.stop()
            self._resting = True
            await deferLater(self._reactor, _drawn(*SHUT_SECONDS))
            self._resting = False
            await self._open_at_last(pages)

    async def until_reachable(self, on_event: Callable[[ShopEvent], None]) -> None:
        """Return when the shop can be reached through Tor; ``on_event`` is told of progress.

        Raises:
            ShopNotOpened: its tor does not start, or cannot publish it.
        """
        if self.status().state == ServiceState.REACHABLE.value:
            return
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        self._listeners.append(on_event)
        try:
            await waiting
        finally:
            self._listeners.remove(on_event)

    def status(self) -> DoorStatus:
        """Return how it stands."""
        if self._tor is None:
            return DoorStatus(RESTING if self._resting else "closed", None, 0, self._fault)
        tor = self._tor.status()
        service = tor.services.get(self.address)
        state = service.value if service else "tor is starting"
        return DoorStatus(state, tor.version, tor.percent, self._fault)

    async def stop(self) -> None:
        """Close it for now."""
        tor, self._tor = self._tor, None
        if tor is not None:
            await tor.stop()

    async def _open_at_last(self, pages: Callable[[], Awaitable[IProtocolFactory]]) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._open(await pages())
            except (BitsError, OnionError, OSError) as error:
                self._fail(str(error))
            await deferLater(self._reactor, pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _open(self, pages: IProtocolFactory) -> None:
        # a tor of its own even where the node attaches to one that was there
        settings = attrs.evolve(self._settings, tor_control=self._settings.shop_tor_control)
        self._tor = tor = self._make_tor(self._reactor, settings, self._home, self._hear)
        await tor.start()
        self._fault = ""
        await tor.publish(self._key(), SHOP_PORT, pages, OPTIONS)

    def _hear(self, event: OnionEvent) -> None:
        match event:
            case TorBootstrapping(percent=percent, summary=summary):
                self._tell(ShopOpening(percent, summary))
            case TorLost(reason=reason) | ServiceLost(reason=reason):
                self._tell(ShopLost(reason))
            case ServiceReachable(address=address):
                self._tell(ShopReachable(address))
                for waiting in self._take_waiting():
                    waiting.callback(None)

    def _fail(self, reason: str) -> None:
        self._fault = reason
        self._tell(ShopLost(reason))
        for waiting in self._take_waiting():
            waiting.errback(ShopNotOpened(f"The shop could not be opened: {reason}"))

    def _take_waiting(self) -> list[Deferred[None]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _tell(self, event: ShopEvent) -> None:
        for listener in list(self._listeners):
            listener(event)

    def _key(self) -> OnionKey:
        return OnionKey(load_or_create_seed(private_directory(self._home / "keys") / "onion.seed"))


def _drawn(least: float, most: float) -> float:
    return least + (most - least) * secrets.randbelow(1000) / 1000

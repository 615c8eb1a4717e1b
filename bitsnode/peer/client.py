"""Asks other nodes, over connections that it keeps and shares."""

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from bitsnode.config import PEER_PORT, Network
from bitsnode.peer.budgets import Times
from bitsnode.peer.dials import DialBudget
from bitsnode.peer.errors import (
    ClientStopped,
    ConnectionLost,
    PeerError,
    ProtocolBroken,
    Unreachable,
    WrongCard,
)
from bitsnode.peer.outgoing import OutgoingConnection
from bitsnode.peer.pool import Route
from bitsnode.wire.card import SignedCard
from bitsnode.wire.messages import Request
from bitsnode.wire.session import Role, Session
from onion.address import OnionAddress
from onion.errors import OnionError
from onion.isolation import Isolation
from onion.network import Dialer

MAX_CONNECTIONS: Final = 256  # open at a time; the one unused for longest makes room

_Key = tuple[OnionAddress, Isolation]


class _Outgoing(Factory):
    """Makes a protocol for each attempt of a dial."""

    noisy = False

    def __init__(self, make: Callable[[], OutgoingConnection]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> OutgoingConnection:
        return self._make()


class PeerClient:
    """Asks other nodes.

    Connections are kept by (address, isolation): what was asked under one isolation shares
    nothing with what is asked under another, and a connection that showed our card carries
    no anonymous request.

    Args:
        clock: of the reactor; its seconds are Unix time.
        dialer: the way out.
        network: the one we belong to.
        card: our card now; None while we have none.
        node_isolation: of our duties as a node: the only one whose connections show our card.
        times: limits.
        connections: open at a time.
        unhurried: purposes of isolations whose dials wait behind all others, as the node's own do,
            and whose connections are not pinged here: who keeps them open does that.
    """

    def __init__(
        self,
        clock: IReactorTime,
        dialer: Dialer,
        network: Network,
        card: Callable[[], SignedCard | None],
        node_isolation: Isolation,
        times: Times | None = None,
        connections: int = MAX_CONNECTIONS,
        unhurried: frozenset[str] = frozenset(),
    ) -> None:
        self._clock = clock
        self._dialer = dialer
        self._network = network
        self._card = card
        self._node_isolation = node_isolation
        self._times = times or Times(hello=network.connect_seconds)
        self._connections = connections
        self._unhurried = unhurried
        self._dials = DialBudget(clock, network.circuits) if network.circuits else None
        self._routes: dict[_Key, Route] = {}
        self._stopped = False

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """Ask a node something; connects if need be. Cancelling gives the request up.

        Args:
            address: of the node.
            message: what to ask.
            isolation: whose question it is.
            timeout: seconds from the moment the request is written; to connect has limits of
                its own, those of the dialler and `Times.hello`.

        Returns:
            The reply, an instance of ``message.REPLY``.

        Raises:
            Refused: the node said no. BUSY was waited for and tried again a few times.
            PeerError: Unreachable, RequestTimedOut, ConnectionLost, ClientStopped, or
                ProtocolBroken, which is a RemoteProtocolError too.
        """
        connection = await self._connected(address, isolation)
        limit = self._times.request if timeout is None else timeout
        return await connection.request(message, limit)

    async def card(self, address: OnionAddress, isolation: Isolation) -> SignedCard:
        """Return a node's card, which it showed on connecting; connects if need be.

        Raises:
            PeerError: as in `request`.
        """
        card = (await self._connected(address, isolation)).card
        if card is None:
            raise ConnectionLost
        return card

    def is_open(self, address: OnionAddress, isolation: Isolation) -> bool:
        """Return whether a request would go out at once, over a connection that is open."""
        route = self._routes.get((address, isolation))
        return route is not None and route.live is not None

    def close(self, isolation: Isolation) -> None:
        """Drop every connection of an isolation; what waits on them gets ConnectionLost."""
        for (_, other), route in list(self._routes.items()):
            if other == isolation:
                route.close(ConnectionLost())

    async def stop(self) -> None:
        """Drop every connection, and ask nothing any more."""
        self._stopped = True
        if self._dials is not None:
            self._dials.stop()
        for route in list(self._routes.values()):
            route.close(ClientStopped())

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return sum(route.live is not None for route in self._routes.values())

    def _connected(
        self, address: OnionAddress, isolation: Isolation
    ) -> Deferred[OutgoingConnection]:
        if self._stopped:
            raise ClientStopped
        key = (address, isolation)
        route = self._routes.get(key)
        if route is None:
            self._make_room()
            route = Route(
                lambda: Deferred.fromCoroutine(self._connect(address, isolation)),
                lambda unused: self._forget(key, unused),
            )
            self._routes[key] = route
        return route.connection()

    def _forget(self, key: _Key, unused: Route) -> None:
        if self._routes.get(key) is unused:
            del self._routes[key]

    def _make_room(self) -> None:
        live = [route.live for route in self._routes.values() if route.live is not None]
        if len(live) >= self._connections:
            idle = [connection for connection in live if not connection.in_use]
            if idle:
                min(idle, key=lambda c: c.last_used).abort(ConnectionLost())

    async def _turn(self, isolation: Isolation) -> None:
        """Wait until one more dial may be made; raises OnionError if that takes too long."""
        if self._dials is not None:
            duty = isolation == self._node_isolation or isolation.purpose in self._unhurried
            await self._dials.turn(urgent=not duty)

    async def _connect(self, address: OnionAddress, isolation: Isolation) -> OutgoingConnection:
        shown = self._card() if isolation == self._node_isolation else None

        times = self._times
        if isolation.purpose in self._unhurried:
            times = attrs.evolve(times, keepalive=times.idle)  # who keeps them pings them

        def make() -> OutgoingConnection:
            return OutgoingConnection(
                self._clock,
                Session(Role.DIALLER, self._network.name),
                times,
                None if shown is None else shown.data,
                lambda data: self._check(data, address),
            )

        try:
            await self._turn(isolation)
            dial = self._dialer.dial(address, PEER_PORT, isolation, _Outgoing(make))
            connection = await dial
        except OnionError as error:
            raise Unreachable(address, error) from error
        if not isinstance(connection, OutgoingConnection):
            raise TypeError("the dialler returned a protocol that is not of our factory")
        try:
            await connection.opened
        except PeerError as error:
            if isinstance(error, ProtocolBroken):
                raise
            raise Unreachable(address, error) from error
        return connection

    def _check(self, data: bytes, address: OnionAddress) -> SignedCard:
        """Return the card of the node dialled; the address is the key that must have signed it."""
        card = SignedCard.parse(
            data,
            network=self._network.name,
            puzzle_bits=self._network.card_bits,
            now=self._clock.seconds(),
        )
        if card.card.onion_key != address.public_key:
            raise WrongCard
        return card

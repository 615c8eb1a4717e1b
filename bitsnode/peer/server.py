"""Accepts connections of other nodes and hands their requests to the rooms that answer them."""

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from bitsnode.config import Network
from bitsnode.peer.budgets import Budgets, Times
from bitsnode.peer.errors import ConnectionLost
from bitsnode.peer.incoming import IncomingConnection
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Responder
from bitsnode.wire.messages import Request
from bitsnode.wire.session import Role, Session


class PeerServer(Factory):
    """The protocol factory of the node's onion service.

    Args:
        clock: of the reactor; its seconds are Unix time.
        network: the one we belong to.
        card: our card now.
        responders: who answers which class of request; others get UNKNOWN_REQUEST.
        budgets: what callers may cost.
        times: limits.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        network: Network,
        card: Callable[[], SignedCard],
        responders: Mapping[type[Request], Responder],
        budgets: Budgets | None = None,
        times: Times | None = None,
    ) -> None:
        self.responders = responders
        self.budgets = budgets or Budgets()
        self.log = Logger("bitsnode.peer")
        self._clock = clock
        self._network = network
        self._card = card
        self._times = times or Times()
        self._connections: dict[int, IncomingConnection] = {}
        self._tasks: set[Deferred[None]] = set()
        self._numbers = 0
        self._stopped = False

    def buildProtocol(self, addr: IAddress | None) -> IncomingConnection | None:
        """Take a connection, or None when there is no room or we are stopping."""
        if self._stopped or not self._has_room():
            return None
        self._numbers += 1
        session = Session(Role.LISTENER, self._network.name)
        return IncomingConnection(self._clock, session, self._times, self._numbers, self)

    async def stop(self) -> None:
        """Close every connection and take no more; requests being worked on are cancelled."""
        self._stopped = True
        for connection in list(self._connections.values()):
            connection.abort(ConnectionLost())
        for task in list(self._tasks):
            task.cancel()

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def _has_room(self) -> bool:
        if len(self._connections) < self.budgets.connections:
            return True
        oldest = self._clock.seconds() - self.budgets.evict_after
        idle = [c for c in self._connections.values() if not c.in_use and c.last_used <= oldest]
        if idle:
            min(idle, key=lambda connection: connection.last_used).abort(ConnectionLost())
        return bool(idle)

    # See incoming.Host

    def greeting_card(self) -> bytes:
        """Return our signed card."""
        return self._card().data

    def check_card(self, data: bytes) -> SignedCard:
        """Return a caller's card; it is a hint of a contact, whose address is not proven yet.

        Raises:
            RemoteProtocolError: it is not in order.
        """
        return SignedCard.parse(
            data,
            network=self._network.name,
            puzzle_bits=self._network.card_bits,
            now=self._clock.seconds(),
        )

    def begin(self, task: Deferred[None]) -> None:
        """Count a request that is worked on until its Deferred fires."""

        def ended(_result: object) -> None:
            self._tasks.discard(task)

        self._tasks.add(task)
        # `_answer` raises nothing but a cancellation, which is ours
        task.addBoth(ended)

    def too_busy(self) -> bool:
        """Return whether as many requests are worked on as may be."""
        return len(self._tasks) >= self.budgets.running

    def opened(self, connection: IncomingConnection) -> None:
        """Count a connection."""
        self._connections[connection.number] = connection

    def closed(self, connection: IncomingConnection) -> None:
        """Count it no more."""
        self._connections.pop(connection.number, None)

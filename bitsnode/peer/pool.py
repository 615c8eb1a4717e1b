"""The way to one node under one isolation: at most one connection, dialled when it is needed."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from bitsnode.peer.errors import ConnectionLost, PeerError
from bitsnode.peer.outgoing import OutgoingConnection


class Route:
    """Shares a connection, and the dial that makes it, among all who ask.

    Args:
        connect: dials; fires with an open connection or fails with a PeerError. Cancelling it
            closes what was opened.
        unused: called when neither a connection nor anybody waiting is left.
    """

    def __init__(
        self,
        connect: Callable[[], Deferred[OutgoingConnection]],
        unused: Callable[["Route"], None],
    ) -> None:
        self._connect = connect
        self._unused = unused
        self._dial: Deferred[Any] | None = None
        self._waiting: list[Deferred[OutgoingConnection]] = []
        self.live: OutgoingConnection | None = None

    def connection(self) -> Deferred[OutgoingConnection]:
        """Return the open connection, now or when it was dialled."""
        if self.live is not None:
            return succeed(self.live)
        waiter: Deferred[OutgoingConnection] = Deferred(self._gave_up)
        self._waiting.append(waiter)
        if self._dial is None:
            dial = self._dial = self._connect()
            dial.addCallbacks(self._connected, self._failed)
        return waiter

    def close(self, error: PeerError) -> None:
        """Drop the connection or the dial; whoever waits gets the error."""
        if self.live is not None:
            self.live.abort(error)
        waiting, self._waiting = self._waiting, []
        if self._dial is not None:
            self._dial.cancel()
        for waiter in waiting:
            waiter.errback(error)

    def _connected(self, connection: OutgoingConnection) -> None:
        self._dial = None
        if connection.over:
            self._failed(ConnectionLost())
            return
        self.live = connection
        connection.ended = self._ended
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(connection)

    def _failed(self, failure: Failure | Exception) -> None:
        self._dial = None
        waiting, self._waiting = self._waiting, []
        self._unused(self)
        for waiter in waiting:
            waiter.errback(failure)

    def _ended(self, _connection: OutgoingConnection) -> None:
        self.live = None
        self._unused(self)

    def _gave_up(self, waiter: Deferred[OutgoingConnection]) -> None:
        self._waiting.remove(waiter)
        if not self._waiting and self._dial is not None:
            self._dial.cancel()

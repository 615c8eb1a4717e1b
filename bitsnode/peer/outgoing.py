"""The dialling side of a connection: many requests under way, each with its own time-out."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bitsnode.errors import LocalProtocolError
from bitsnode.peer.budgets import Times
from bitsnode.peer.connection import Connection
from bitsnode.peer.errors import ConnectionLost, PeerError, RequestTimedOut
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode, Ping, Request
from bitsnode.wire.session import (
    Event,
    FailureReceived,
    HelloReceived,
    ReplyReceived,
    Session,
)

UNDER_WAY: Final = 32  # requests of a connection at a time; 32 x 256 KiB fill 8 MiB/s at 1 s
BUSY_TRIES: Final = 3  # times a request is sent before BUSY is told to who asked
BUSY_WAIT: Final = 10  # seconds; a node that wants a longer pause is reported at once


@attrs.define(eq=False)
class _Asked:
    """A request that someone waits for, or waited for.

    Attributes:
        answer: fires with the reply.
        received: bytes the connection had received when the request was written.
    """

    message: Request
    timeout: float
    answer: Deferred[Any]
    tries: int = 0
    received: int = 0
    timer: IDelayedCall | None = None

    def stop_timer(self) -> None:
        if self.timer is not None and self.timer.active():
            self.timer.cancel()


class OutgoingConnection(Connection):
    """A connection that we dialled.

    Args:
        clock: of the reactor.
        session: a new one, for the dialler.
        times: limits.
        shown: our card's bytes, or None to stay anonymous.
        check: returns the other side's card if it is in order and the one expected, else
            raises RemoteProtocolError.

    Attributes:
        opened: fires with the other side's card when its hello was found in order.
        ended: called with the connection when it is gone.
        card: of the other side, once opened.
    """

    def __init__(
        self,
        clock: IReactorTime,
        session: Session,
        times: Times,
        shown: bytes | None,
        check: Callable[[bytes], SignedCard],
    ) -> None:
        super().__init__(clock, session, times)
        self._shown = shown
        self._check = check
        self._queue: deque[_Asked] = deque()  # not yet written
        self._asked: dict[int, _Asked] = {}  # written; those given up keep their id until answered
        self.opened: Deferred[SignedCard] = Deferred(lambda _: self.abort(ConnectionLost()))
        self.ended: Callable[[OutgoingConnection], None] = lambda _: None
        self.card: SignedCard | None = None

    def request(self, message: Request, timeout: float) -> Deferred[Any]:
        """Ask something.

        Args:
            message: what to ask.
            timeout: seconds from the moment it is written, which may be later than now.

        Returns:
            A Deferred of the reply, or of a failure: RequestTimedOut, ConnectionLost, Refused,
            ProtocolBroken. Cancelling it forgets the request.
        """
        if self.over:
            return fail(ConnectionLost())
        self.last_used = self._clock.seconds()
        return self._ask(message, timeout)

    def _ask(self, message: Request, timeout: float) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred(lambda _: self._forget(asked))
        asked = _Asked(message, timeout, answer)
        self._queue.append(asked)
        self._send_queued()
        return answer

    def _forget(self, asked: _Asked) -> None:
        # One already written keeps its id and its timer: the answer may still come, and if the
        # whole connection is silent it is to be found out.
        if asked in self._queue:
            self._queue.remove(asked)

    def _send_queued(self) -> None:
        while self._queue and self._may_send():
            asked = self._queue.popleft()
            try:
                number, data = self._session.request(asked.message)
            except LocalProtocolError as error:
                asked.answer.errback(error)
                continue
            asked.tries += 1
            asked.received = self.received
            asked.timer = self._clock.callLater(asked.timeout, self._too_late, asked)
            self._asked[number] = asked
            self._write(data)

    def _may_send(self) -> bool:
        held = self._full or "hold" in self._timers
        return not (self.over or held or self.card is None or len(self._asked) >= UNDER_WAY)

    def _too_late(self, asked: _Asked) -> None:
        if not asked.answer.called:
            asked.answer.errback(RequestTimedOut())
        given_up = sum(other.answer.called for other in self._asked.values())
        # Nothing came at all, or nothing more can be asked: the connection is of no more use.
        if self.received == asked.received or given_up >= UNDER_WAY:
            self.abort(ConnectionLost())

    # See Connection

    def _greeting(self) -> bytes:
        return self._session.hello(self._shown)

    def _greeted(self, hello: HelloReceived) -> None:
        # the session lets no hello of a listener through that shows no card
        self.card = self._check(hello.card or b"")
        self._start("keepalive", self._times.keepalive, self._keep_alive)
        self.opened.callback(self.card)
        self._send_queued()

    def _heard(self, event: Event) -> None:
        if not isinstance(event, ReplyReceived | FailureReceived):
            raise TypeError(f"a {type(event).__name__} on the dialling side")
        asked = self._asked.pop(event.id)
        asked.stop_timer()
        self.last_used = self._clock.seconds() if not self._is_own(asked) else self.last_used
        if not asked.answer.called:
            self._settle(asked, event)
        self._send_queued()

    def _settle(self, asked: _Asked, event: ReplyReceived | FailureReceived) -> None:
        if isinstance(event, ReplyReceived):
            asked.answer.callback(event.reply)
            return
        failure = event.failure
        busy = failure.code == FailureCode.BUSY and 0 < failure.retry_after <= BUSY_WAIT
        if busy:
            self._hold(failure.retry_after)
        if busy and asked.tries < BUSY_TRIES:
            self._queue.appendleft(asked)
        else:
            asked.answer.errback(Refused(failure.code, failure.retry_after))

    def _hold(self, seconds: int) -> None:
        """Send nothing for a while: the other side asked for it."""
        if "hold" not in self._timers:
            self._start("hold", seconds, self._send_queued)

    def _wants_more(self) -> bool:
        return True  # all that comes was asked for, and only so much is

    @property
    def in_use(self) -> bool:
        """Whether somebody waits for an answer, or one is still to come."""
        return any(not self._is_own(a) for a in self._asked.values()) or bool(self._queue)

    def _drained(self) -> None:
        self._send_queued()

    def _ended(self, error: PeerError) -> None:
        waiting = [*self._asked.values(), *self._queue]
        self._asked.clear()
        self._queue.clear()
        self.ended(self)
        for asked in waiting:
            asked.stop_timer()
            if not asked.answer.called:
                asked.answer.errback(error)
        if not self.opened.called:
            self.opened.errback(error)

    # Pings of our own, which do not count as use

    def _keep_alive(self) -> None:
        left = self.last_used + self._times.keepalive - self._clock.seconds()
        wait = left if left > 0 else self._times.keepalive
        self._start("keepalive", wait, self._keep_alive)
        if left <= 0 and not self._asked and not self._queue:
            # how it fails does not matter: silence ends the connection, see _too_late
            self._ask(_OWN_PING, self._times.request).addErrback(lambda _: None)

    @staticmethod
    def _is_own(asked: _Asked) -> bool:
        return asked.message is _OWN_PING


_OWN_PING: Final = Ping()

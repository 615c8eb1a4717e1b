"""The listening side of a connection: answers requests within the caller's budgets."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from traceback import extract_tb
from typing import Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from bitsnode.errors import LocalProtocolError, RemoteProtocolError
from bitsnode.peer.budgets import Budgets, Meter, Metered, Times
from bitsnode.peer.connection import Connection
from bitsnode.peer.errors import PeerError, ProtocolBroken
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Caller, Refused, Responder
from bitsnode.wire.messages import Failure, FailureCode, Request
from bitsnode.wire.session import (
    Event,
    HelloReceived,
    MalformedRequestReceived,
    RequestReceived,
    Session,
    UnknownRequestReceived,
)

SOON: Final = 1  # seconds after which a caller may try again when the whole server is busy


class Host(Protocol):
    """What an incoming connection needs of the server it belongs to."""

    responders: Mapping[type[Request], Responder]
    budgets: Budgets
    log: Logger

    def greeting_card(self) -> bytes:
        """Return our signed card."""

    def check_card(self, data: bytes) -> SignedCard:
        """Return a caller's card if it is in order, else raise RemoteProtocolError."""

    def begin(self, task: Deferred[None]) -> None:
        """Count a request that is worked on until its Deferred fires."""

    def too_busy(self) -> bool:
        """Return whether so many requests of all connections are worked on that one must wait."""

    def opened(self, connection: "IncomingConnection") -> None:
        """Count a connection."""

    def closed(self, connection: "IncomingConnection") -> None:
        """Count it no more."""


class IncomingConnection(Connection):
    """A connection that somebody else dialled.

    Args:
        clock: of the reactor.
        session: a new one, for the listener.
        times: limits.
        number: what this process calls the connection.
        host: the server.
        cpu: seconds of CPU that the reactor's thread has used.
    """

    def __init__(
        self,
        clock: IReactorTime,
        session: Session,
        times: Times,
        number: int,
        host: Host,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        super().__init__(clock, session, times)
        self._host = host
        self._cpu = cpu
        self._meter = Meter(host.budgets, clock.seconds())
        self._measuring = False
        self._running = 0
        self._caller = Caller(number)
        self.number = number

    def connectionMade(self) -> None:
        """See `Connection.connectionMade`."""
        self._host.opened(self)
        super().connectionMade()

    # See Connection

    def _greeting(self) -> bytes:
        return self._session.hello(self._host.greeting_card())

    def _greeted(self, hello: HelloReceived) -> None:
        if hello.card is not None:
            self._caller = Caller(self.number, self._host.check_card(hello.card))

    def _heard(self, event: Event) -> None:
        self.last_used = self._clock.seconds()
        if not isinstance(
            event, RequestReceived | UnknownRequestReceived | MalformedRequestReceived
        ):
            raise TypeError(f"a {type(event).__name__} on the listening side")
        wait = self._meter.admit(self.last_used)
        if self._meter.flooding:
            raise ProtocolBroken("The other node went on asking after it was told to wait.")
        if wait or self._host.too_busy():
            self._refuse(event.id, FailureCode.BUSY, wait or SOON)
        elif isinstance(event, MalformedRequestReceived):
            self._refuse(event.id, FailureCode.MALFORMED)
        elif isinstance(event, UnknownRequestReceived):
            self._refuse(event.id, FailureCode.UNKNOWN_REQUEST)
        else:
            self._begin(event.id, event.request)

    def _begin(self, number: int, request: Request) -> None:
        responder = self._host.responders.get(type(request))
        if responder is None:
            self._refuse(number, FailureCode.UNKNOWN_REQUEST)
            return
        self._running += 1
        self._host.begin(Deferred.fromCoroutine(self._answer(number, request, responder)))

    async def _answer(self, number: int, request: Request, responder: Responder) -> None:
        """Work on a request and answer it; raises nothing but a cancellation."""
        try:
            failure = FailureCode.INTERNAL, 0
            try:
                handling = responder.handle(request, self._caller)
                reply = await Metered(handling, self._cpu, self._worked)
                if self.over:
                    return
                with self._measured():
                    self._send(self._session.reply(number, reply))
                return
            except Refused as error:
                failure = error.code, error.retry_after
            except RemoteProtocolError:
                failure = FailureCode.MALFORMED, 0  # in a part that the responder read itself
            except CancelledError:
                if self.over:  # the server stops
                    raise
            except Exception as error:
                self._log(request, error)
            self._refuse(number, *failure)
        finally:
            self._running -= 1
            self._pump()

    def _refuse(self, number: int, code: int, retry_after: int = 0) -> None:
        if self.over:
            return
        try:
            data = self._session.fail(number, Failure(code, retry_after))
        except LocalProtocolError:  # a responder's code or time out of range
            data = self._session.fail(number, Failure(FailureCode.INTERNAL, 0))
        self._send(data)

    def _send(self, data: bytes) -> None:
        self._meter.answered(len(data))
        self._write(data)

    def _log(self, request: Request, error: Exception) -> None:
        # Where it happened, but neither the error's text nor the request: they may say what
        # somebody stores or reads.
        frames = extract_tb(error.__traceback__)
        self._host.log.error(
            "Answering {request} failed: {error} at {file}:{line}.",
            request=type(request).__name__,
            error=type(error).__name__,
            file=frames[-1].filename,
            line=frames[-1].lineno,
        )

    def _wants_more(self) -> bool:
        return not self._full and self._running < self._host.budgets.concurrent

    @property
    def in_use(self) -> bool:
        """Whether a request is worked on."""
        return self._running > 0

    def _drained(self) -> None:
        self._pump()

    def _pump(self) -> None:
        with self._measured():
            super()._pump()

    def _ended(self, error: PeerError) -> None:
        self._host.closed(self)

    # CPU

    @contextmanager
    def _measured(self) -> Iterator[None]:
        """Charge the caller for what is done inside; within another such block it does nothing."""
        if self._measuring:
            yield
            return
        self._measuring = True
        begun = self._cpu()
        try:
            yield
        finally:
            self._measuring = False
            self._meter.worked(self._cpu() - begun)

    def _worked(self, seconds: float) -> None:
        if not self._measuring:
            self._meter.worked(seconds)

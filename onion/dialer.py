"""Dials through tor: time limits, and a second attempt when the first is slow."""

# mypy: disallow-untyped-calls=False

import hashlib
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from onion.address import OnionAddress
from onion.errors import (
    DialError,
    DialFailed,
    DialTimedOut,
    IntroductionFailed,
    RendezvousFailed,
)
from onion.isolation import Isolation
from onion.network import Dialer, ExitDialer
from onion.socks import SocksHandshake, SocksStream, StreamLimits, open_stream

WINDOW = 128  # recent connect times that the 95th percentile is taken of
ENOUGH = 8  # connect times below which the first guess stands
WORTH_ANOTHER = (DialTimedOut, IntroductionFailed, RendezvousFailed, DialFailed)

FindSocks: TypeAlias = Callable[[], IStreamClientEndpoint]
"""Where tor's SOCKS port is now; raises TorUnavailable when there is no tor."""


@attrs.frozen
class DialTimes:
    """Limits of a dial, all in seconds.

    Attributes:
        handshake: for tor itself to answer.
        attempt: for the network to answer one attempt.
        total: for the whole dial.
        hedge_guess: when to start a second attempt while too few connect times are known.
        hedge_floor: never start it sooner; streams on open circuits would pull it to nothing.
    """

    handshake: float
    attempt: float
    total: float
    hedge_guess: float
    hedge_floor: float


LOCAL_TIMES = DialTimes(handshake=10, attempt=10, total=20, hedge_guess=2, hedge_floor=0.5)
# On the public network others measured a median of 14.6 s and a 95th percentile of 27 s for a
# first connection to an onion service.
PUBLIC_TIMES = DialTimes(handshake=10, attempt=60, total=90, hedge_guess=27, hedge_floor=3)


class ConnectTimes:
    """A bounded memory of how long dials took."""

    def __init__(self, times: DialTimes) -> None:
        self._times = times
        self._recent: deque[float] = deque(maxlen=WINDOW)

    def add(self, seconds: float) -> None:
        """Remember one dial that succeeded."""
        self._recent.append(seconds)

    def hedge_after(self) -> float:
        """Seconds after which a dial is slower than 95 of 100."""
        if len(self._recent) < ENOUGH:
            return self._times.hedge_guess
        ordered = sorted(self._recent)
        rank = -(-95 * len(ordered) // 100)  # nearest rank, rounded up
        return max(self._times.hedge_floor, ordered[rank - 1])


@implementer(IAddress)
@attrs.frozen
class OnionPeer:
    """What a protocol of `dial` is told about its other end."""

    address: OnionAddress
    port: int


@implementer(IAddress)
@attrs.frozen
class ExitPeer:
    """What a protocol of `dial_out` is told about its other end."""

    host: str
    port: int


class _SocksPort:
    """Opens streams through one SOCKS port."""

    def __init__(self, clock: IReactorTime, find_socks: FindSocks, times: DialTimes) -> None:
        self._clock = clock
        self._find_socks = find_socks
        self._times = times
        self.connect_times = ConnectTimes(times)

    def open(
        self, host: str, port: int, peer: IAddress, isolation: Isolation, factory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        """Connect; a second attempt starts when the first is unusually slow."""
        limits = StreamLimits(self._times.handshake, self._times.attempt)
        started = self._clock.seconds()

        def attempt(number: int) -> Deferred[SocksStream]:
            identity = isolation if number == 0 else _second_identity(isolation)
            handshake = SocksHandshake(host, port, identity)
            return open_stream(self._find_socks(), handshake, self._clock, limits)

        def connected(stream: SocksStream) -> IProtocol:
            self.connect_times.add(self._clock.seconds() - started)
            return stream.hand_over(factory, peer)

        hedge_after = self.connect_times.hedge_after()
        race = _Race(self._clock, attempt, hedge_after, self._times.total)
        return race.start().addCallback(connected)


class SocksDialer(_SocksPort, Dialer):
    """Dials onion services through the SOCKS port of one tor, and knows no other way."""

    def dial(
        self,
        address: OnionAddress,
        port: int,
        isolation: Isolation,
        factory: IProtocolFactory,
    ) -> Deferred[IProtocol]:
        """See `Dialer.dial`."""
        return self.open(address.host, port, OnionPeer(address, port), isolation, factory)


class SocksExitDialer(_SocksPort, ExitDialer):
    """Dials names outside through the SOCKS port that one tor has for that."""

    def dial_out(
        self, host: str, port: int, isolation: Isolation, factory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        """See `ExitDialer.dial_out`."""
        return self.open(host, port, ExitPeer(host, port), isolation, factory)


def _second_identity(isolation: Isolation) -> Isolation:
    """Credentials for a second attempt: under the first ones tor would wait for the same circuit.

    They depend on the first ones alone, so second attempts of two identities stay apart too.
    """
    key = hashlib.sha256(b"bits/second-attempt/v1" + isolation.password).hexdigest()
    return Isolation(isolation.purpose, key)


class _Race:
    """At most two attempts; the first to succeed wins and the other is closed."""

    def __init__(
        self,
        clock: IReactorTime,
        attempt: Callable[[int], Deferred[SocksStream]],
        hedge_after: float,
        total: float,
    ) -> None:
        self._attempt = attempt
        self._started = 0
        self._running: list[Deferred[SocksStream]] = []
        self._done: Deferred[SocksStream] = Deferred(lambda _cancelled: self._stop())
        self._over = False
        self._timers: list[IDelayedCall] = [
            clock.callLater(hedge_after, self._launch),
            clock.callLater(total, self._too_late, total),
        ]

    def start(self) -> Deferred[SocksStream]:
        """Begin; the Deferred fires with the winner."""
        self._launch()
        return self._done

    def _launch(self) -> None:
        if self._over or self._started == 2:
            return
        number, self._started = self._started, self._started + 1
        try:
            running = self._attempt(number)
        except DialError:
            self._finish_badly(Failure())
            return
        self._running.append(running)
        running.addCallbacks(
            self._won, self._failed, callbackArgs=(running,), errbackArgs=(running,)
        )

    def _won(self, stream: SocksStream, attempt: Deferred[SocksStream]) -> None:
        self._running.remove(attempt)
        self._stop()
        self._done.callback(stream)

    def _failed(self, failure: Failure, attempt: Deferred[SocksStream]) -> None:
        if self._over:
            failure.trap(CancelledError, DialError)
            return
        self._running.remove(attempt)
        if failure.check(*WORTH_ANOTHER) is None:
            self._finish_badly(failure)
            return
        self._launch()
        if not self._running and not self._over:
            self._finish_badly(failure)

    def _too_late(self, total: float) -> None:
        self._finish_badly(Failure(DialTimedOut(f"{total:g} s")))

    def _finish_badly(self, failure: Failure) -> None:
        if not self._over:
            self._stop()
            self._done.errback(failure)

    def _stop(self) -> None:
        self._over = True
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        running, self._running = self._running, []
        for attempt in running:
            attempt.cancel()

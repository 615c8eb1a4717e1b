"""One onion service: published, probed through the network, and published anew when it is lost."""

# mypy: disallow-untyped-calls=False

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from txtorcon import TorProtocolError

from onion.add_onion import ServiceKeys, add_onion, del_onion, is_current
from onion.address import OnionAddress
from onion.control import TorControl
from onion.errors import DialError, PublishFailed, TorUnavailable
from onion.events import OnEvent, OnionEvent, ServiceLost, ServicePublishing, ServiceReachable
from onion.isolation import Isolation
from onion.network import Dialer, OnionService, ServiceState
from onion.turn import NextTurn

PROBE_PURPOSE = "probe"
FIRST_PAUSE = 0.25  # seconds between probes of a new descriptor, doubled each time
LONGEST_PAUSE = 60.0  # seconds


@attrs.frozen
class ServiceTimes:
    """How a service is looked after, in seconds.

    Attributes:
        upload: for the first upload of a descriptor.
        appear: for a new descriptor to be found by a probe.
        check: between looks at tor's list of services.
        probe: between probes through the network.
        failures: probes in a row that must fail before a service counts as lost.
    """

    upload: float = 90
    appear: float = 120
    check: float = 10
    probe: float = 300
    failures: int = 3


PUBLIC_SERVICE_TIMES = ServiceTimes()
LOCAL_SERVICE_TIMES = ServiceTimes(upload=30, appear=30, probe=60)

Withdraw: TypeAlias = Callable[["TorService"], None]


class TorService(OnionService):
    """A service that tor publishes onto a unix socket of ours."""

    _log = Logger()

    def __init__(
        self,
        keys: ServiceKeys,
        listening: IListeningPort,
        dialer: Dialer,
        clock: Any,
        slots: DeferredSemaphore,
        times: ServiceTimes,
        next_turn: NextTurn,
        on_event: OnEvent,
        on_stop: Withdraw,
    ) -> None:
        self._keys = keys
        self._listening = listening
        self._dialer = dialer
        self._clock = clock
        self._slots = slots
        self._times = times
        self._next_turn = next_turn
        self._listener = on_event
        self._on_stop = on_stop
        self._state = ServiceState.PUBLISHING
        self._control: TorControl | None = None
        self._round: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._was_uploaded = False
        self.uploaded: Deferred[OnionService] = Deferred(lambda _cancelled: self._abandon())

    @property
    def address(self) -> OnionAddress:
        """See `OnionService.address`."""
        return self._keys.address

    @property
    def state(self) -> ServiceState:
        """See `OnionService.state`."""
        return self._state

    def when_reachable(self) -> Deferred[None]:
        """See `OnionService.when_reachable`."""
        done: Deferred[None] = Deferred(lambda cancelled: self._waiting.remove(cancelled))
        if self._state is ServiceState.REACHABLE:
            done.callback(None)
        else:
            self._waiting.append(done)
        return done

    def tor_is_up(self, control: TorControl) -> None:
        """Publish through this tor, and go on looking after the service."""
        self._control = control
        self._round = Deferred.fromCoroutine(self._look_after(control))
        self._round.addErrback(self._round_failed)

    def tor_is_gone(self, reason: str) -> None:
        """There is no tor for now."""
        self._control = None
        self._end_round()
        self._lose(reason)

    def give_up(self, failure: Failure) -> None:
        """It was never published, and will not be."""
        if not self.uploaded.called:
            self.uploaded.errback(failure)
        self._abandon()

    async def stop(self) -> None:
        """See `OnionService.stop`."""
        if self._state is ServiceState.STOPPED:
            return
        self._state = ServiceState.STOPPED
        if not self.uploaded.called:
            self.uploaded.errback(CancelledError())
        self._end_round()
        self._on_stop(self)
        if self._control is not None:
            await del_onion(self._control, self._keys)
        await _fired(self._listening.stopListening())
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.cancel()

    def _abandon(self) -> None:
        Deferred.fromCoroutine(self.stop())

    def _end_round(self) -> None:
        if self._round is not None:
            self._round.cancel()
            self._round = None

    def _round_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError, TorUnavailable) is not None:
            return  # stopped, or tor went away: `tor_is_gone` comes or has come
        self._round = None
        if self._was_uploaded:
            self._log.failure("looking after a service failed", failure)
        else:
            self.give_up(failure)

    async def _look_after(self, control: TorControl) -> None:
        pause = FIRST_PAUSE
        while True:
            self._state = ServiceState.PUBLISHING
            self._tell(ServicePublishing(self.address))
            try:
                reason = await self._publish(control)
                if reason is None:
                    self._was_uploaded = True
                    self._next_turn.call(self._fire_uploaded)
                if reason is None and await self._appears():
                    pause = FIRST_PAUSE
                    self._reach()
                    reason = await self._watch(control)
            except TorProtocolError as error:
                if not self._was_uploaded:
                    raise PublishFailed(str(error.text).strip()) from error
                reason = str(error.text).strip()
            self._lose(reason or "nobody can find its descriptor")
            await self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _publish(self, control: TorControl) -> str | None:
        """Have a descriptor uploaded; returns what went wrong, None if it was uploaded."""
        await self._slots.acquire()
        try:
            uploaded = await control.expect_upload(self.address)
            uploaded.addTimeout(self._times.upload, self._clock)
            try:
                await add_onion(control, self._keys)
                await uploaded
            except DeferredTimeout:
                return "no descriptor could be uploaded"
            finally:
                if not uploaded.called:
                    uploaded.addErrback(lambda _failure: None)
                    uploaded.cancel()
        finally:
            self._slots.release()
        return None

    async def _appears(self) -> bool:
        """Probe until a new descriptor is found."""
        deadline = self._clock.seconds() + self._times.appear
        pause = FIRST_PAUSE
        while not await self._probe():
            if self._clock.seconds() + pause > deadline:
                return False
            await self._sleep(pause)
            pause *= 2
        return True

    async def _watch(self, control: TorControl) -> str:
        """Look after a reachable service; returns why it is lost."""
        failures = 0
        next_probe = self._clock.seconds() + self._times.probe
        while True:
            await self._sleep(self._times.check)
            if not await is_current(control, self.address):
                return "tor has forgotten it"
            if self._clock.seconds() < next_probe:
                continue
            failures = 0 if await self._probe() else failures + 1
            if failures >= self._times.failures:
                return f"{failures} probes in a row failed"
            # After a failure the next look is a probe too.
            next_probe = self._clock.seconds() + (0 if failures else self._times.probe)

    async def _probe(self) -> bool:
        """Whether a fresh connection through the network comes back to our own socket."""
        try:
            protocol = await self._dialer.dial(
                self.address, self._keys.port, Isolation.fresh(PROBE_PURPOSE), _PROBES
            )
        except TorUnavailable:
            raise
        except DialError:
            return False
        transport: Any = getattr(protocol, "transport", None)
        transport.loseConnection()
        return True

    async def _sleep(self, seconds: float) -> None:
        await deferLater(self._clock, seconds)

    def _reach(self) -> None:
        self._state = ServiceState.REACHABLE
        self._tell(ServiceReachable(self.address))
        self._next_turn.call(self._fire_reachable)

    def _fire_uploaded(self) -> None:
        if not self.uploaded.called:
            self.uploaded.callback(self)

    def _fire_reachable(self) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)

    def _tell(self, event: OnionEvent) -> None:
        self._next_turn.call(self._listener, event)

    def _lose(self, reason: str) -> None:
        if self._state in (ServiceState.REACHABLE, ServiceState.PUBLISHING):
            self._state = ServiceState.LOST
            self._tell(ServiceLost(self.address, reason))


async def _fired(result: Any) -> None:
    if isinstance(result, Deferred):
        await result


_PROBES = Factory.forProtocol(Protocol)
_PROBES.noisy = False

"""What one connection may cost, and how its costs are counted."""

import math
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

import attrs

MAX_RETRY: Final = 60  # seconds; the longest wait that a budget asks for


@attrs.frozen
class Times:
    """Limits of time on a connection, all in seconds of the injected clock.

    Attributes:
        hello: for the other side's hello.
        window: in which a frame that was begun must make progress...
        progress: ...of this many bytes. A whole frame is always progress.
        stall: for the other side to take the bytes written to it.
        idle: without a request, after which a connection is closed.
        keepalive: of silence, after which a dialler pings.
        request: for an answer, from the moment the request is written.
    """

    hello: float = 30.0
    window: float = 15.0
    progress: int = 1024
    stall: float = 180.0  # 2 MiB of answers take 100 s at 20 KiB/s, a slow circuit
    idle: float = 900.0
    keepalive: float = 120.0
    request: float = 60.0


@attrs.frozen
class Budgets:
    """What callers may cost a server. Rates are refilled steadily, up to their burst.

    Attributes:
        requests: per second and connection.
        request_burst: requests at once.
        answered: bytes of answers per second and connection.
        answered_burst: bytes of answers at once.
        cpu: seconds of the reactor's thread per second and connection.
        cpu_burst: seconds at once.
        concurrent: requests of a connection that are worked on at a time; with so many
            unanswered nothing more is read from it.
        running: requests of all connections together that are worked on at a time.
        connections: open at a time.
        evict_after: seconds without a request after which a connection may be closed to make
            room for a new one.
    """

    requests: float = 500.0
    request_burst: float = 2000.0
    answered: float = 64.0 * (1 << 20)
    answered_burst: float = 1024.0 * (1 << 20)
    cpu: float = 0.25
    cpu_burst: float = 10.0
    concurrent: int = 8
    running: int = 256
    connections: int = 256
    evict_after: float = 30.0


class Bucket:
    """A token bucket that is charged after the fact, so it may fall below empty.

    Args:
        rate: units refilled per second.
        burst: units it holds when full.
        now: seconds of the clock; it begins full.
    """

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, units: float) -> None:
        """Charge a cost, never deeper than the burst below empty, so that no wait is endless."""
        self._level = max(self._level - units, -self._burst)

    def wait(self, now: float) -> float:
        """Refill, and return the seconds until it is not empty: 0 if that is so now, else >= 1."""
        self._level = min(self._burst, self._level + self._rate * max(0.0, now - self._at))
        self._at = now
        return 0.0 if self._level > 0 else max(1.0, -self._level / self._rate)

    @property
    def exhausted(self) -> bool:
        """Whether a whole burst more was taken than there was."""
        return self._level <= -self._burst


class Meter:
    """Counts what one connection costs."""

    def __init__(self, budgets: Budgets, now: float) -> None:
        self._requests = Bucket(budgets.requests, budgets.request_burst, now)
        self._answered = Bucket(budgets.answered, budgets.answered_burst, now)
        self._cpu = Bucket(budgets.cpu, budgets.cpu_burst, now)

    def admit(self, now: float) -> int:
        """Count a request; return 0, or the seconds after which to ask again."""
        buckets = (self._requests, self._answered, self._cpu)
        wait = max(bucket.wait(now) for bucket in buckets)
        self._requests.take(1)
        return min(MAX_RETRY, math.ceil(wait))

    def answered(self, size: int) -> None:
        """Count the bytes of an answer."""
        self._answered.take(size)

    def worked(self, seconds: float) -> None:
        """Count seconds of the reactor's thread."""
        self._cpu.take(seconds)

    @property
    def flooding(self) -> bool:
        """Whether the caller goes on although it was told a whole burst of times to wait."""
        return self._requests.exhausted


class Metered:
    """Awaits a coroutine and hears how long each of its steps held the thread."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, object],
        cpu: Callable[[], float],
        worked: Callable[[float], None],
    ) -> None:
        self._coroutine = coroutine
        self._cpu = cpu
        self._worked = worked

    def __await__(self) -> Generator[Any, Any, object]:
        step: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            begun = self._cpu()
            try:
                waited = step(value)
            except StopIteration as done:
                return done.value
            finally:
                self._worked(self._cpu() - begun)
            try:
                value = yield waited
                step = self._coroutine.send
            except BaseException as error:
                value, step = error, self._coroutine.throw

"""How fast this node opens circuits: no faster than the relays of Tor bear.

A relay that sees one client make more than 3 circuits a second, after a burst of 90, takes it for
an attack and refuses it for an hour (tor(1): DoSCircuitCreationRate, DoSCircuitCreationBurst,
DoSCircuitCreationDefenseTimePeriod). A guard sees all circuits of a node.
"""

from collections import deque
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from bitsnode.peer.budgets import Bucket
from onion.errors import TorUnavailable

CIRCUITS: Final = 3  # of one dial: to the directory, to an introduction point, to a rendezvous
BURST: Final = 60  # circuits at once
WAIT: Final = 30.0  # seconds that a dial is held back at most


class DialBudget:
    """Lets dials through one after another: the urgent ones first, then by age.

    Args:
        clock: the time.
        rate: circuits a second.
        burst: circuits at once.
    """

    def __init__(self, clock: IReactorTime, rate: float, burst: float = BURST) -> None:
        self._clock = clock
        self._bucket = Bucket(rate / CIRCUITS, burst / CIRCUITS, clock.seconds())
        self._urgent: deque[Deferred[None]] = deque()
        self._others: deque[Deferred[None]] = deque()
        self._call: IDelayedCall | None = None

    def turn(self, *, urgent: bool) -> Deferred[None]:
        """Return what fires when a dial may begin.

        It fails with TorUnavailable after `WAIT` seconds: that says nothing of the node dialled.

        Args:
            urgent: somebody waits for it; a node's duties can wait.
        """
        queue = self._urgent if urgent else self._others
        waiting: Deferred[None] = Deferred(queue.remove)
        too_late = self._clock.callLater(WAIT, self._give_up, queue, waiting)

        def stop(result: object) -> object:
            if too_late.active():
                too_late.cancel()
            return result

        queue.append(waiting)
        waiting.addBoth(stop)
        self._let_through()
        return waiting

    def _give_up(self, queue: deque[Deferred[None]], waiting: Deferred[None]) -> None:
        queue.remove(waiting)
        waiting.errback(TorUnavailable("too many nodes are being dialled"))

    def _let_through(self) -> None:
        """Let go as many as the bucket allows, and come back when it allows the next."""
        while self._urgent or self._others:
            wait = self._bucket.wait(self._clock.seconds())
            if wait > 0:
                self._come_back(wait)
                return
            self._bucket.take(1)
            (self._urgent or self._others).popleft().callback(None)

    def _come_back(self, seconds: float) -> None:
        def again() -> None:
            self._call = None
            self._let_through()

        if self._call is None:
            self._call = self._clock.callLater(seconds, again)

    def stop(self) -> None:
        """Let nothing through any more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        for waiting in [*self._urgent, *self._others]:
            waiting.cancel()

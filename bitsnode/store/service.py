"""The store's clockwork: sweeping, noting counters, and watching the deny list."""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from bitsnode.store.errors import BadDenyList
from bitsnode.store.responder import Run
from bitsnode.store.store import Store

SWEEP: Final = 600.0  # seconds; uploads stall for as long before they are given up
NOTE: Final = 60.0  # seconds between flushes, and between looks at the deny list


class StoreService:
    """Runs what the store must do from time to time, each in a thread.

    Args:
        clock: of this node.
        store: does it.
        run: runs a call in a thread.
        report: is given one sentence when the deny list cannot be understood.
    """

    def __init__(
        self, clock: IReactorTime, store: Store, run: Run, report: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._store = store
        self._run = run
        self._report = report
        self._deny_fault = ""
        self._loops = (
            (LoopingCall(lambda: Deferred.fromCoroutine(self._sweep())), SWEEP),
            (LoopingCall(lambda: Deferred.fromCoroutine(self._note())), NOTE),
        )

    def start(self) -> None:
        """Begin; the first sweep is now."""
        for loop, seconds in self._loops:
            loop.clock = self._clock
            loop.start(seconds)

    async def stop(self) -> None:
        """Write what was served and close the store; call it after the last request."""
        for loop, _ in self._loops:
            if loop.running:
                loop.stop()
        await self._run(self._store.close)

    async def _sweep(self) -> None:
        now = self._clock.seconds()
        await self._run(lambda: self._store.sweep(now))

    async def _note(self) -> None:
        await self._run(self._store.flush)
        try:
            await self._run(self._store.refresh_deny_list)
        except BadDenyList as error:
            if str(error) != self._deny_fault:
                self._deny_fault = str(error)
                self._report(self._deny_fault)
        else:
            self._deny_fault = ""

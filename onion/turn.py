"""Calls into code of others, made where no coroutine of ours is half-way."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import ParamSpec

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

P = ParamSpec("P")


class NextTurn:
    """Makes calls in order in the next turn of the reactor.

    Who hears of an event may stop what told of it. Called from within a coroutine, that would
    cancel the coroutine while it runs, which Twisted cannot do.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: deque[Callable[[], None]] = deque()

    def call(self, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call a function in the next turn; what it raises is logged."""
        if not self._calls:
            self._clock.callLater(0, self._run)
        self._calls.append(partial(function, *args, **kwargs))

    def _run(self) -> None:
        calls = list(self._calls)
        self._calls.clear()
        for call in calls:
            try:
                call()
            except Exception:
                self._log.failure("a listener failed")

"""Answers what peers ask of the share store. Knows neither Twisted nor the network."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from bitsnode.store.store import Store
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import (
    Allocate,
    AskTerms,
    AttachRecords,
    Commit,
    Done,
    FailureCode,
    PutData,
    ReadShare,
    Request,
)

T = TypeVar("T")

# What this responder answers, for the one who hands responders to the peer server.
REQUESTS: Final[tuple[type[Request], ...]] = (
    AskTerms,
    Allocate,
    PutData,
    Commit,
    AttachRecords,
    ReadShare,
)


class Run(Protocol):
    """Runs a call that may wait for the disk, in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Return what the call returns, once it has; raise what it raises."""


class StoreResponder:
    """A `bitsnode.wire.exchange.Responder`.

    Args:
        store: does what is asked.
        seconds: returns the Unix time in seconds.
        run: runs what writes; may be slow.
        run_read: runs what only reads. With threads of their own, reads do not queue behind
            writes that wait for a slow disk. ``run`` is used if there is none.
    """

    def __init__(
        self, store: Store, seconds: Callable[[], float], run: Run, run_read: Run | None = None
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._run = run
        self._run_read = run_read or run

    async def handle(self, request: Request, caller: Caller) -> object:
        """Answer one request; see `bitsnode.wire.exchange.Responder`."""
        store, now = self._store, self._seconds()
        if isinstance(request, ReadShare):
            return await self._run_read(partial(store.read, request, now))
        if isinstance(request, AskTerms):
            return await self._run_read(store.terms)
        if isinstance(request, Allocate):
            return await self._run(partial(store.allocate, request, caller.connection, now))
        if isinstance(request, PutData):
            await self._run(partial(store.put, request, now))
        elif isinstance(request, Commit):
            await self._run(partial(store.commit, request, now))
        elif isinstance(request, AttachRecords):
            await self._run(partial(store.attach, request, now))
        else:
            raise Refused(FailureCode.UNKNOWN_REQUEST)
        return Done()

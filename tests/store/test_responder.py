"""The responder puts each request to the store, in the thread it was given."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs
import pytest

from bitsnode.store.responder import REQUESTS, StoreResponder
from bitsnode.store.testing import NOW, PRICES, SampleShare, sample_record
from bitsnode.wire import messages, registry
from bitsnode.wire.exchange import Caller, Refused
from bitsnode.wire.messages import (
    AskTerms,
    AttachRecords,
    Commit,
    Done,
    FailureCode,
    Ping,
    Terms,
)

T = TypeVar("T")
CALLER = Caller(1)


def result(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that waits for nothing returns."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for something")


class Threads:
    """Runs calls at once and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, call: Callable[[], T], /) -> T:
        """Run it."""
        self.calls += 1
        return call()


def test_a_share_goes_in_and_out(store):
    """Terms, place, data, commit, records, read: every reply is of its request's class."""
    writes, reads = Threads(), Threads()
    responder = StoreResponder(store, lambda: float(NOW), writes, reads)
    share = SampleShare.make()

    terms = result(responder.handle(AskTerms(), CALLER))
    assert isinstance(terms, Terms)
    assert terms.puzzle_bits == PRICES.share_bits
    assert terms.largest >= len(share.parts[0])
    place = result(responder.handle(share.request, CALLER))
    for piece in share.pieces(place.upload):
        assert result(responder.handle(piece, CALLER)) == Done()
    assert result(responder.handle(Commit(place.upload, ()), CALLER)) == Done()
    attach = AttachRecords(*attrs.astuple(share.key), (sample_record().data,))
    assert result(responder.handle(attach, CALLER)) == Done()
    data = result(responder.handle(share.stretch(0, 0, 100), CALLER))
    assert data == messages.Data(share.parts[0][:100], len(share.parts[0]))
    assert (writes.calls, reads.calls) == (6, 2)


def test_requests_of_other_rooms_are_unknown(store):
    """What is not for the store is said to be unknown, and the list of requests is right."""
    responder = StoreResponder(store, lambda: float(NOW), Threads())
    with pytest.raises(Refused, check=lambda error: error.code == FailureCode.UNKNOWN_REQUEST):
        result(responder.handle(Ping(), CALLER))
    assert set(REQUESTS) == {kind for kind in registry.REQUESTS if 32 <= kind.TYPE < 48}

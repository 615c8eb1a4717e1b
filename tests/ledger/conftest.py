"""What the tests of the chain client share: a fake chain, a server on it, and results at once."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bitsnode.ledger import database
from bitsnode.ledger.deployment import CONTRACTS, Deployed, Deployment
from bitsnode.ledger.testing import FakeChain, checksummed
from bitsnode.ledger.testing_rpc import FakeServer

SOME_DAY = 1_800_000_000  # Unix time at which tests begin


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill leaves what was written to the system, so tests of kills need not wait for disks."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at some day."""
    clock = Clock()
    clock.advance(SOME_DAY)
    return clock


@pytest.fixture
def fake_chain(clock: Clock) -> FakeChain:
    """A chain with nothing on it."""
    return FakeChain(clock.seconds)


@pytest.fixture
def fake_server(fake_chain: FakeChain) -> FakeServer:
    """An honest RPC server of it."""
    return FakeServer(fake_chain)


@pytest.fixture
def got() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """The result of a coroutine that ends without waiting; what it raises is raised."""

    def get(coroutine: Coroutine[Any, Any, Any]) -> Any:
        results: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        assert results, "it waits for something"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    return get


@pytest.fixture
def deployment() -> Deployment:
    """A deployment whose contracts have addresses 0x0101… to 0x0909…, from block 1 on."""
    contracts = {
        name: Deployed(checksummed(bytes([number]) * 20), 1, "0x" + "00" * 32)
        for number, name in enumerate(CONTRACTS, start=1)
    }
    return Deployment(13370042, contracts)

"""Circuits are opened no faster than relays bear."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.config import LOCAL, PUBLIC
from bitsnode.peer.client import PeerClient
from bitsnode.peer.dials import BURST, CIRCUITS, WAIT, DialBudget
from bitsnode.wire.messages import Ping
from onion.errors import TorUnavailable
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.testing import MemoryOnionNetwork

NODE = Isolation("node", "own")


class Dials:
    """A budget, and what it let through at which second."""

    def __init__(self, rate: float = 2.0) -> None:
        self.clock = Clock()
        self.budget = DialBudget(self.clock, rate)
        self.through: list[tuple[float, str]] = []
        self.failed: list[Any] = []

    def ask(self, name: str, *, urgent: bool = False) -> Any:
        """Ask for a turn."""
        turn = self.budget.turn(urgent=urgent)
        turn.addCallbacks(
            lambda _: self.through.append((self.clock.seconds(), name)), self.failed.append
        )
        return turn

    def pass_time(self, seconds: int) -> None:
        """Let seconds pass, one at a time."""
        for _ in range(seconds):
            self.clock.advance(1)


def test_m3_a_hundred_dials_a_minute_make_two_circuits_a_second() -> None:
    """After a burst the rate holds; what waits too long is given up, and no node is blamed."""
    dials = Dials()
    for _ in range(60):
        for _ in range(5):
            dials.ask("dial")
        dials.pass_time(2)
    made = CIRCUITS * len(dials.through)
    assert BURST < made <= BURST + 2 * dials.clock.seconds() + CIRCUITS
    assert all(failure.check(TorUnavailable) for failure in dials.failed)
    dials.pass_time(int(WAIT) + 1)
    assert len(dials.through) + len(dials.failed) == 300
    assert not dials.clock.getDelayedCalls()


def test_m3_who_waits_for_an_answer_goes_before_a_nodes_duties() -> None:
    """A flood of duties does not hold up a lookup that somebody waits for."""
    dials = Dials()
    for number in range(40):
        dials.ask(f"duty {number}")
    waiting = dials.ask("lookup", urgent=True)
    gone = dials.ask("cancelled", urgent=True)
    gone.cancel()
    dials.pass_time(2)
    assert dials.through[BURST // CIRCUITS][1] == "lookup"
    assert waiting.called
    assert "cancelled" not in [name for _, name in dials.through]
    dials.budget.stop()
    assert not dials.clock.getDelayedCalls()


@pytest.mark.parametrize("network", [PUBLIC, LOCAL])
def test_m3_a_client_on_the_public_network_keeps_to_it(network: Any) -> None:
    """It dials a burst and then waits; on a private network, whose relays are ours, it does not."""
    clock = Clock()
    onions = MemoryOnionNetwork(clock)
    client = PeerClient(clock, onions.dialer(), network, lambda: None, NODE)
    for _ in range(50):
        address = OnionKey.generate().address
        asked = client.request(address, Ping(), Isolation.fresh("test"))
        Deferred.fromCoroutine(asked).addErrback(lambda _: None)
    onions.flush()
    expected = 50 if network is LOCAL else BURST // CIRCUITS
    assert len(onions.dials) == expected
    Deferred.fromCoroutine(client.stop())


def test_m3_links_that_are_kept_warm_are_dialled_after_what_somebody_waits_for() -> None:
    """They keep to the same two circuits a second, and a fetch does not stand behind them."""
    clock = Clock()
    onions = MemoryOnionNetwork(clock)
    unhurried = frozenset({"warm"})
    client = PeerClient(clock, onions.dialer(), PUBLIC, lambda: None, NODE, unhurried=unhurried)

    def ask(purpose: str) -> None:
        address = OnionKey.generate().address
        asked = client.request(address, Ping(), Isolation.fresh(purpose))
        Deferred.fromCoroutine(asked).addErrback(lambda _: None)

    for _ in range(BURST // CIRCUITS + 10):
        ask("warm")
    ask("fetch")
    onions.flush()
    assert len(onions.dials) == BURST // CIRCUITS
    clock.advance(CIRCUITS / PUBLIC.circuits)
    onions.flush()
    assert onions.dials[-1].isolation.purpose == "fetch"
    clock.advance(10 * CIRCUITS / PUBLIC.circuits)
    onions.flush()
    assert len(onions.dials) == BURST // CIRCUITS + 11
    Deferred.fromCoroutine(client.stop())

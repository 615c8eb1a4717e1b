"""The door of a shop: when it opens, and what happens when it cannot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock

from bitsnode.config import LOCAL, Settings
from bitsnode.events import ShopLost, ShopOpening, ShopReachable
from bitsnode.shop_door import (
    FIRST_PAUSE,
    LONGEST_DELAY,
    LONGEST_LOCAL_DELAY,
    OPEN_SECONDS,
    OPTIONS,
    RESTING,
    SHOP_PORT,
    SHUT_SECONDS,
    ShopDoor,
    ShopNotOpened,
)
from onion.errors import OnionError, TorStartTimedOut
from onion.events import ServiceLost, ServiceReachable, TorBootstrapping
from onion.network import ServiceState
from onion.tor import TorStatus


class Tor:
    """A tor that does what the test says."""

    def __init__(
        self, tors: "Tors", settings: Settings, home: Path, tell: Callable[[Any], None]
    ) -> None:
        self.tors, self.settings, self.home, self.tell = tors, settings, home, tell
        self.published: list[tuple[Any, ...]] = []
        self.running = False

    async def start(self) -> None:
        """See `onion.tor.TorNetwork`."""
        if self.tors.failure is not None:
            raise self.tors.failure
        self.running = True

    async def publish(self, *what: Any) -> None:
        """See `onion.tor.TorNetwork`."""
        self.published.append(what)

    async def stop(self) -> None:
        """See `onion.tor.TorNetwork`."""
        self.running = False

    def status(self) -> TorStatus:
        """See `onion.tor.TorNetwork`."""
        services = {what[0].address: ServiceState.REACHABLE for what in self.published}
        return TorStatus(self.running, False, "0.4.9", 100, "Done", services)


class Tors:
    """Makes them; while there is a failure none starts."""

    def __init__(self) -> None:
        self.made: list[Tor] = []
        self.failure: OnionError | None = None

    def __call__(
        self, _reactor: Any, settings: Settings, home: Path, tell: Callable[[Any], None]
    ) -> Any:
        """See `bitsnode.own_tor.own_tor`."""
        self.made.append(Tor(self, settings, home, tell))
        return self.made[-1]


@attrs.define
class Porch:
    """A door in front of a test."""

    door: ShopDoor
    clock: Clock
    tors: Tors
    told: list[Any]
    pages: Factory

    def open(self, *, at_once: bool) -> None:
        """Have it opened."""

        async def pages() -> Factory:
            return self.pages

        Deferred.fromCoroutine(self.door.keep_open(pages, at_once=at_once))

    def rest(self) -> None:
        """Have it shut now and then."""

        async def pages() -> Factory:
            return self.pages

        Deferred.fromCoroutine(self.door.shut_now_and_then(pages))


@pytest.fixture
def porch(tmp_path: Path) -> Callable[..., Porch]:
    """Make doors."""

    def make(**values: Any) -> Porch:
        (tmp_path / "shop").mkdir(mode=0o700)
        settings = attrs.evolve(Settings.load(home=tmp_path), **values)
        clock, tors, told = Clock(), Tors(), []
        door = ShopDoor(clock, settings, tmp_path / "shop", told.append, tors)
        return Porch(door, clock, tors, told, Factory())

    return make


def test_a_new_shop_opens_at_once_under_its_own_key(
    porch: Callable[..., Porch], tmp_path: Path
) -> None:
    """By a tor of its own in its own home, with puzzles, on the port of the web."""
    made = porch(tor_control=Path("/run/tor/control"))
    made.open(at_once=True)
    (tor,) = made.tors.made
    assert (tor.home, tor.settings.tor_control) == (tmp_path / "shop", None)
    ((key, port, pages, options),) = tor.published
    assert (key.address, port, pages) == (made.door.address, SHOP_PORT, made.pages)
    assert options is OPTIONS
    assert options.proof_of_work
    assert key.seed == (tmp_path / "shop" / "keys" / "onion.seed").read_bytes()


@pytest.mark.parametrize(
    ("network", "most"), [("public", LONGEST_DELAY), ("local", LONGEST_LOCAL_DELAY)]
)
def test_after_the_start_of_the_node_it_waits(
    porch: Callable[..., Porch], network: str, most: float
) -> None:
    """For a time drawn by lot, so that not every restart shows whose shop it is."""
    made = porch(network=Settings.load(network=network).network)
    made.open(at_once=False)
    (waiting,) = made.clock.getDelayedCalls()
    assert 0 <= waiting.getTime() <= most
    made.clock.advance(most)
    assert len(made.tors.made) == 1


def test_a_tor_that_does_not_start_is_tried_again(porch: Callable[..., Porch]) -> None:
    """At growing pauses; who waits for the shop is told why it is not there."""
    made = porch()
    made.tors.failure = refused = TorStartTimedOut("it said nothing")
    failures: list[BaseException] = []
    waiting = Deferred.fromCoroutine(made.door.until_reachable(lambda _event: None))
    waiting.addErrback(lambda failure: failures.append(failure.value))
    made.open(at_once=True)
    assert isinstance(failures[0], ShopNotOpened)
    assert str(refused) in str(failures[0])
    assert made.door.status().fault == str(refused)
    made.clock.advance(FIRST_PAUSE)
    made.clock.advance(FIRST_PAUSE)
    assert len(made.tors.made) == 2
    made.tors.failure = None
    made.clock.advance(FIRST_PAUSE)
    assert len(made.tors.made) == 3
    assert made.door.status().fault == ""
    assert made.told == [ShopLost(str(refused))] * 2


def test_who_waits_is_told_until_it_is_reachable(porch: Callable[..., Porch]) -> None:
    """And not after that; who stops waiting is forgotten."""
    made = porch()
    heard: list[Any] = []
    done: list[None] = []
    waiting = Deferred.fromCoroutine(made.door.until_reachable(heard.append))
    waiting.addCallback(done.append)
    given_up = Deferred.fromCoroutine(made.door.until_reachable(lambda _event: None))
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    given_up.cancel()
    made.open(at_once=True)
    (tor,) = made.tors.made
    tor.tell(TorBootstrapping(50, "loading"))
    assert done == []
    tor.tell(ServiceReachable(made.door.address))
    assert done == [None]
    tor.tell(ServiceLost(made.door.address, "gone"))
    reached = [ShopOpening(50, "loading"), ShopReachable(made.door.address)]
    assert heard == reached
    assert made.told == [*reached, ShopLost("gone")]


def test_it_is_closed_with_its_tor(porch: Callable[..., Porch]) -> None:
    """And says so."""
    made = porch()
    assert made.door.status().state == "closed"
    made.open(at_once=True)
    assert made.door.status().state == "reachable"
    Deferred.fromCoroutine(made.door.stop())
    assert not made.tors.made[0].running
    assert made.door.status().state == "closed"


def test_it_is_shut_for_some_minutes_now_and_then(porch: Callable[..., Porch]) -> None:
    """So that the times at which it is gone are not those of the node alone."""
    made = porch()
    made.open(at_once=True)
    made.rest()
    made.clock.advance(OPEN_SECONDS[0] - 1)
    assert made.tors.made[0].running
    made.clock.advance(OPEN_SECONDS[1])
    assert [tor.running for tor in made.tors.made] == [False]
    assert made.door.status().state == RESTING
    made.clock.advance(SHUT_SECONDS[1])
    assert [tor.running for tor in made.tors.made] == [False, True]
    assert made.tors.made[0].published[0][0].address == made.tors.made[1].published[0][0].address


@pytest.mark.parametrize(
    "values", [{"shop_tor_control": Path("/run/tor/control")}, {"network": LOCAL}]
)
def test_a_tor_that_is_not_its_own_is_not_stopped(
    porch: Callable[..., Porch], values: dict[str, Any]
) -> None:
    """Others may use it; and on a localnet there is nothing to hide."""
    made = porch(**values)
    made.open(at_once=True)
    made.rest()
    made.clock.advance(2 * OPEN_SECONDS[1])
    assert [tor.running for tor in made.tors.made] == [True]

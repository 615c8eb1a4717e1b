"""A service is looked after: published, probed, lost, published anew; on a fake tor."""

import base64
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from txtorcon import TorProtocolError

from onion.add_onion import ServiceKeys
from onion.address import OnionAddress
from onion.errors import PublishFailed
from onion.events import ServiceLost, ServicePublishing, ServiceReachable
from onion.keys import OnionKey
from onion.network import ServiceOptions, ServiceState
from onion.service import ServiceTimes, TorService
from onion.testing import MemoryOnionNetwork, MemoryService
from onion.turn import NextTurn

PORT = 7
TIMES = ServiceTimes(upload=30, appear=10, check=10, probe=60, failures=3)


class _Control:
    """A tor that publishes into a network in memory, by the words of its control port."""

    def __init__(self, network: MemoryOnionNetwork) -> None:
        self.network = network
        self.said: list[str] = []
        self.current: dict[str, MemoryService] = {}
        self.uploads: dict[OnionAddress, list[Deferred[None]]] = defaultdict(list)
        self.knows_proof_of_work = True
        self.refusal: str | None = None
        self.key = OnionKey(b"s" * 32)

    async def command(self, line: str) -> str:
        self.said.append(line.split()[0])
        word, *rest = line.split()
        if word == "ADD_ONION":
            if self.refusal:
                raise TorProtocolError(551, self.refusal)
            if "PoW" in line and not self.knows_proof_of_work:
                raise TorProtocolError(512, "Unrecognized argument")
            factory = Factory.forProtocol(Protocol)
            address = self.key.address
            service = MemoryService(self.network, address, PORT, factory, lambda _event: None)
            self.current[address.host[:56]] = service
        if word == "DEL_ONION":
            if rest[0] not in self.current:
                raise TorProtocolError(552, "Unknown Onion Service id")
            self.current.pop(rest[0]).vanish()
        return ""

    async def get(self, key: str) -> str:
        assert key == "onions/current"
        return "\n".join(self.current)

    async def expect_upload(self, address: OnionAddress) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.uploads[address].append(done)
        return done

    def uploaded(self, address: OnionAddress, findable: bool = True) -> None:
        """Tor says that it uploaded a descriptor; probes find it if it is findable."""
        if findable:
            self.current[address.host[:56]].return_()
        for done in self.uploads.pop(address, []):
            if not done.called:
                done.callback(None)


class _Port:
    """A listening socket that was never opened."""

    def __init__(self) -> None:
        self.closed = False

    def stopListening(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)


class _World:
    """One service on a fake tor."""

    def __init__(self, options: ServiceOptions = ServiceOptions()) -> None:  # noqa: B008
        self.clock = Clock()
        self.network = MemoryOnionNetwork(self.clock)
        self.control = _Control(self.network)
        self.address = self.control.key.address
        self.events: list[object] = []
        self.stop_on: type | None = None
        self.port = _Port()
        self.stopped: list[TorService] = []
        self.slots = DeferredSemaphore(1)
        self.service = TorService(
            ServiceKeys(self.control.key, PORT, Path("/run/x.sock"), options),
            self.port,  # type: ignore[arg-type]
            self.network.dialer(),
            self.clock,
            self.slots,
            TIMES,
            NextTurn(self.clock),
            self.heard,
            self.stopped.append,
        )
        self.result: list[Any] = []
        self.service.uploaded.addBoth(self.result.append)

    def heard(self, event: object) -> None:
        self.events.append(event)
        if type(event) is self.stop_on:
            Deferred.fromCoroutine(self.service.stop())

    def up(self) -> None:
        self.service.tor_is_up(self.control)  # type: ignore[arg-type]
        self.network.flush()

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)
            self.network.flush()


@pytest.fixture
def world() -> _World:
    """One service on a fake tor."""
    return _World()


def test_reachable_when_a_probe_has_come_back(world: _World) -> None:
    """Publishing, then uploaded, then a probe with a fresh identity makes it reachable."""
    world.up()
    reachable = world.service.when_reachable()
    assert world.events == [ServicePublishing(world.address)]
    assert world.result == []
    world.control.uploaded(world.address, findable=False)
    world.network.flush()
    assert world.result == [world.service]
    world.advance(1)
    assert not reachable.called
    world.control.uploaded(world.address)
    world.advance(2)
    assert reachable.called
    assert world.service.state is ServiceState.REACHABLE
    assert world.events[-1] == ServiceReachable(world.address)
    isolations = [dial.isolation for dial in world.network.dials]
    assert len(set(isolations)) == len(isolations) > 1
    assert world.network.live_connections(world.address) == 0


def _reach(world: _World) -> None:
    world.up()
    world.control.uploaded(world.address)
    world.advance(1)
    assert world.service.state is ServiceState.REACHABLE
    world.events.clear()


def test_a_service_that_tor_forgot_is_published_anew(world: _World) -> None:
    """Gone from tor's list: lost within one look, and published anew."""
    _reach(world)
    world.control.current.clear()
    world.advance(TIMES.check + 1)
    assert world.events == [
        ServiceLost(world.address, "tor has forgotten it"),
        ServicePublishing(world.address),
    ]
    world.control.uploaded(world.address)
    world.advance(1)
    assert world.service.state is ServiceState.REACHABLE


def test_a_service_that_probes_cannot_find_is_published_anew(world: _World) -> None:
    """One failed probe is bad luck, three in a row are a lost service."""
    _reach(world)
    world.network.cut(world.address)
    world.advance(TIMES.probe + TIMES.check)
    assert world.events == []
    world.advance(2 * TIMES.check)
    assert world.events[0] == ServiceLost(world.address, "3 probes in a row failed")
    world.advance(1)
    assert world.service.state is ServiceState.PUBLISHING


def test_an_upload_that_never_comes_is_tried_again(world: _World) -> None:
    """A descriptor that nobody takes counts as lost after its time, and frees its slot."""
    world.up()
    world.advance(TIMES.upload)
    assert ServiceLost(world.address, "no descriptor could be uploaded") in world.events
    world.advance(1)
    assert world.control.said.count("ADD_ONION") == 2
    assert world.slots.tokens == 0
    world.control.uploaded(world.address)
    world.advance(1)
    assert world.service.state is ServiceState.REACHABLE
    assert world.slots.tokens == 1


def test_losing_tor_ends_the_round_and_its_return_starts_one(world: _World) -> None:
    """While tor is away nothing is tried; when it returns, the service is published anew."""
    _reach(world)
    world.service.tor_is_gone("killed")
    world.network.flush()
    assert world.events == [ServiceLost(world.address, "killed")]
    said = len(world.control.said)
    world.advance(300)
    assert len(world.control.said) == said
    assert world.clock.getDelayedCalls() == []
    _reach(world)


def test_losing_tor_while_publishing_frees_the_slot(world: _World) -> None:
    """A service that waits for its upload when tor goes away does not hold up the others."""
    world.up()
    assert world.slots.tokens == 0
    world.service.tor_is_gone("killed")
    assert world.slots.tokens == 1
    assert world.result == []


def test_what_tor_refuses_is_told_and_cleared_away(world: _World) -> None:
    """A refusal of the first publish fails it with tor's words, and stops listening."""
    world.control.refusal = "Failed to add Onion Service"
    world.up()
    assert world.result[0].check(PublishFailed)
    assert "Failed to add Onion Service" in str(world.result[0].value)
    assert world.port.closed
    assert world.stopped == [world.service]


def test_an_older_tor_publishes_without_the_puzzle(world: _World) -> None:
    """A tor that does not know the words for the puzzle gets the command without them."""
    world.control.knows_proof_of_work = False
    _reach(world)
    assert world.control.said.count("ADD_ONION") == 2


def test_stopping_withdraws_everything(world: _World) -> None:
    """A stopped service leaves tor, its socket and the clock."""
    _reach(world)
    stopped = Deferred.fromCoroutine(world.service.stop())
    assert stopped.called
    assert world.control.current == {}
    assert world.port.closed
    assert world.service.state is ServiceState.STOPPED
    assert world.clock.getDelayedCalls() == []


def test_cancelling_a_publish_withdraws_it(world: _World) -> None:
    """Nobody waits for it any more, so nothing of it is left."""
    world.up()
    world.service.uploaded.cancel()
    assert world.result[0].check(CancelledError)
    assert world.port.closed
    assert world.control.current == {}


def test_the_command_says_what_was_asked() -> None:
    """Limits, puzzle and clients are in the words of the control specification."""
    client = PrivateKey.generate().public_key
    options = ServiceOptions(max_streams=8, queue_rate=10, queue_burst=20, clients=(bytes(client),))
    keys = ServiceKeys(OnionKey(b"s" * 32), PORT, Path("/run/x.sock"), options)
    words = keys.command(proof_of_work=True).split()
    assert words[:2] == ["ADD_ONION", OnionKey(b"s" * 32).tor_blob()]
    assert words[2] == "Flags=DiscardPK,MaxStreamsCloseCircuit,V3Auth"
    assert {"Port=7,unix:/run/x.sock", "MaxStreams=8"} <= set(words)
    assert {"PoWDefensesEnabled=1", "PoWQueueRate=10", "PoWQueueBurst=20"} <= set(words)
    clients = [word.removeprefix("ClientAuthV3=") for word in words if "ClientAuthV3" in word]
    assert len(clients) == 2
    assert base64.b32decode(clients[0] + "====") == bytes(client)
    assert "PoW" not in keys.command(proof_of_work=False)


def test_an_open_service_asks_for_no_client_key() -> None:
    """Without clients there is no authorisation, and without a limit no limit."""
    options = ServiceOptions(max_streams=0)
    command = ServiceKeys(OnionKey(b"s" * 32), PORT, Path("/run/x.sock"), options).command(True)
    assert "Flags=DiscardPK " in command
    assert "ClientAuthV3" not in command
    assert "MaxStreams" not in command


@pytest.mark.parametrize("kind", [ServicePublishing, ServiceReachable, ServiceLost])
def test_it_may_be_stopped_by_who_hears_of_it(kind: type) -> None:
    """Stopping a service from within one of its own events ends it as at any other time."""
    world = _World()
    world.stop_on = kind
    world.up()
    if world.service.state is not ServiceState.STOPPED:
        world.control.uploaded(world.address)
        world.advance(1)
    world.control.current.clear()
    world.advance(TIMES.check + 1)
    assert world.service.state is ServiceState.STOPPED
    assert world.port.closed
    assert world.control.current == {}
    world.advance(TIMES.upload)
    assert world.clock.getDelayedCalls() == []

"""Our tor, or one that we attach to, on a real private network."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from nacl.public import PrivateKey
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from onion import errors, events
from onion.dialer import LOCAL_TIMES
from onion.heartbeat import HeartbeatTimes
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.localnet import PrivateTorNetwork
from onion.network import ServiceOptions, ServiceState
from onion.running import TorSettings
from onion.service import LOCAL_SERVICE_TIMES
from onion.sockets import clear_directory, socket_directory
from onion.tor import TorNetwork

pytestmark = pytest.mark.tor

PORT = 7
QUICK = HeartbeatTimes(every=1, answer=4)
NEVER = HeartbeatTimes(every=3600)
_DONE = Failure(ConnectionDone())


class _Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class _Asker(Protocol):
    """Sends a question and keeps the answer."""

    def __init__(self) -> None:
        self.answer: Deferred[bytes] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def ask(self, question: bytes) -> Deferred[bytes]:
        assert self.transport is not None
        self.transport.write(question)
        return self.answer

    def dataReceived(self, data: bytes) -> None:
        self.answer.callback(data)

    def connectionLost(self, reason: Failure = _DONE) -> None:
        self.ended.callback(None)


class _Events:
    """Keeps events, and tells when one of a kind arrives."""

    def __init__(self) -> None:
        self.seen: list[events.OnionEvent] = []
        self._waiting: list[tuple[type, Deferred[Any]]] = []

    def __call__(self, event: events.OnionEvent) -> None:
        self.seen.append(event)
        due = [waiter for waiter in self._waiting if isinstance(event, waiter[0])]
        for waiter in due:
            self._waiting.remove(waiter)
            waiter[1].callback(event)

    def next(self, kind: type) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self._waiting.append((kind, done))
        return done

    def kinds(self) -> list[type]:
        return [type(event) for event in self.seen]


def _reactor() -> Any:
    from twisted.internet import reactor  # pytest-twisted's

    return reactor


@asynccontextmanager
async def _tor(
    network: PrivateTorNetwork,
    home: Path,
    control: Path | None = None,
    heartbeat: HeartbeatTimes | None = None,
) -> AsyncIterator[tuple[TorNetwork, _Events]]:
    """A started tor of its own on the private network, or one attached to."""
    seen = _Events()
    options = network.client_options()
    times = heartbeat or HeartbeatTimes()
    settings = TorSettings(home, control=control, extra_options=options, heartbeat=times)
    tor = TorNetwork(_reactor(), settings, seen, LOCAL_TIMES, LOCAL_SERVICE_TIMES)
    await tor.start()
    try:
        yield tor, seen
    finally:
        await tor.stop()


def _ask(tor: TorNetwork, key: OnionKey, isolation: Isolation) -> Deferred[bytes]:
    """Dial, ask, and close."""

    async def run() -> bytes:
        asker: Any = await tor.dial(key.address, PORT, isolation, Factory.forProtocol(_Asker))
        answer: bytes = await asker.ask(b"anybody there?")
        asker.transport.loseConnection()
        await asker.ended
        return answer

    return Deferred.fromCoroutine(run())


def _sockets(home: Path) -> Path:
    """Where the tor of a home has its sockets; the paths of pytest are too long for them."""
    return socket_directory(home) / "tor"


def _echo() -> Factory:
    return Factory.forProtocol(_Echo)


@pytest_twisted.ensureDeferred
async def test_what_one_tor_publishes_another_dials(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """A service is published, found reachable, and answers a dial from another tor."""
    key = OnionKey.generate()
    async with (
        _tor(private_tor, tmp_path / "a") as (a, seen),
        _tor(private_tor, tmp_path / "b") as (b, _),
    ):
        service = await a.publish(key, PORT, _echo())
        await service.when_reachable()
        assert service.state is ServiceState.REACHABLE
        assert await _ask(b, key, Isolation("peer", "b")) == b"anybody there?"
        assert events.ServicePublishing(key.address) in seen.seen
        assert seen.seen[-1] == events.ServiceReachable(key.address)
        with pytest.raises(errors.ServiceRefused):
            await b.dial(key.address, 80, Isolation("peer", "b"), Factory.forProtocol(_Asker))
        with pytest.raises(errors.ServiceNotFound):
            await _ask(b, OnionKey.generate(), Isolation("peer", "b"))
        await service.stop()
        assert a.status().services == {}
        assert list((socket_directory(tmp_path / "a") / "services").iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_p3_a_crowd_that_comes_in_one_moment_is_not_turned_away(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """While this process is busy, as it is in this test, they wait until it takes them up."""
    async with _tor(private_tor, tmp_path / "a") as (a, _):
        await a.publish(OnionKey.generate(), PORT, _echo())
        (path,) = (socket_directory(tmp_path / "a") / "services").iterdir()
        with ExitStack() as crowd:
            for _ in range(500):
                stream = crowd.enter_context(socket.socket(socket.AF_UNIX))
                stream.setblocking(False)
                stream.connect(str(path))  # as tor does; raises BlockingIOError beyond the queue


@pytest_twisted.ensureDeferred
async def test_our_tor_opens_no_tcp_port(private_tor: PrivateTorNetwork, tmp_path: Path) -> None:
    """The only listeners of our tor are unix sockets that nobody else may use."""
    async with _tor(private_tor, tmp_path / "a") as (tor, _):
        assert tor._running is not None
        control = tor._running.control
        kinds = "or dir socks trans natd dns control extor httptunnel metrics"
        listeners = [await control.get(f"net/listeners/{kind}") for kind in kinds.split()]
        names = [listener for text in listeners for listener in text.split()]
        assert len(names) == 2
        assert all(name.startswith('"unix:') for name in names)
        sockets = [path for path in _sockets(tmp_path / "a").iterdir() if path.is_socket()]
        assert {path.name for path in sockets} == {"control.sock", "socks.sock"}
        for directory in (_sockets(tmp_path / "a"), tmp_path / "a" / "tor"):
            assert directory.stat().st_mode & 0o777 == 0o700


@pytest_twisted.ensureDeferred
async def test_n7_two_identities_share_no_circuit(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """Tor sees distinct SOCKS credentials for two isolations, and gives them no common circuit."""
    key = OnionKey.generate()
    streams: dict[str, set[str]] = {}
    logins: dict[str, str] = {}

    def stream_changed(text: str) -> None:
        number, status, circuit, *_rest = text.split()
        if status == "SUCCEEDED" and circuit != "0":
            login = next(word for word in text.split() if word.startswith("SOCKS_PASSWORD="))
            user = next(word for word in text.split() if word.startswith("SOCKS_USERNAME="))
            logins[number] = user + login
            streams.setdefault(user + login, set()).add(circuit)

    async with (
        _tor(private_tor, tmp_path / "a") as (a, _),
        _tor(private_tor, tmp_path / "b") as (b, _),
    ):
        await (await a.publish(key, PORT, _echo())).when_reachable()
        assert b._running is not None
        await b._running.control.listen("STREAM", stream_changed)
        one, other = Isolation("peer", "one"), Isolation("peer", "other")
        for isolation in (one, other, one, other):
            assert await _ask(b, key, isolation) == b"anybody there?"
    assert len(logins) == 4
    assert len(streams) == 2
    first, second = streams.values()
    assert first.isdisjoint(second)


@pytest_twisted.ensureDeferred
async def test_a_killed_tor_comes_back_with_its_services(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """After kill -9 of our tor: lost at once, dials fail, then back and reachable by itself."""
    key = OnionKey.generate()
    async with _tor(private_tor, tmp_path / "a") as (tor, seen):
        service = await tor.publish(key, PORT, _echo())
        await service.when_reachable()
        lost = gatherResults([seen.next(events.TorLost), seen.next(events.ServiceLost)])
        lost.addTimeout(2, _reactor())
        assert tor.pid is not None
        os.kill(tor.pid, signal.SIGKILL)
        await lost
        assert not tor.status().running
        assert service.state is ServiceState.LOST
        with pytest.raises(errors.TorUnavailable):
            await _ask(tor, key, Isolation.fresh("peer"))
        await seen.next(events.TorBack)
        await service.when_reachable()
        assert await _ask(tor, key, Isolation.fresh("peer")) == b"anybody there?"
        kinds = seen.kinds()[seen.kinds().index(events.TorLost) :]
        order = [kind for kind in kinds if kind is not events.TorBootstrapping]
        assert order[:5] == [
            events.TorLost,
            events.ServiceLost,
            events.TorStarting,
            events.TorBack,
            events.ServicePublishing,
        ]


@pytest_twisted.ensureDeferred
async def test_a_tor_that_hangs_is_replaced(private_tor: PrivateTorNetwork, tmp_path: Path) -> None:
    """A stopped process keeps its sockets and answers nobody: it is killed, and another comes."""
    key = OnionKey.generate()
    async with _tor(private_tor, tmp_path / "a", heartbeat=QUICK) as (tor, seen):
        service = await tor.publish(key, PORT, _echo())
        await service.when_reachable()
        lost, hung = seen.next(events.TorLost), tor.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        assert await lost == events.TorLost("it does not answer")
        assert service.state is ServiceState.LOST
        await seen.next(events.TorBack)
        await service.when_reachable()
        assert await _ask(tor, key, Isolation.fresh("peer")) == b"anybody there?"
        with pytest.raises(ProcessLookupError):
            os.kill(hung, 0)


@pytest_twisted.ensureDeferred
async def test_a_node_stops_although_its_tor_hangs(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """It waits a while for its services to be withdrawn, and then it kills."""
    async with _tor(private_tor, tmp_path / "a", heartbeat=NEVER) as (tor, _):
        await tor.publish(OnionKey.generate(), PORT, _echo())
        hung = tor.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
    with pytest.raises(ProcessLookupError):
        os.kill(hung, 0)


@pytest_twisted.ensureDeferred
async def test_an_attached_tor_that_hangs_is_used_again_when_it_answers(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """It is not ours to kill."""
    key = OnionKey.generate()
    async with _tor(private_tor, tmp_path / "theirs") as (theirs, _):
        control = _sockets(tmp_path / "theirs") / "control.sock"
        async with _tor(private_tor, tmp_path / "ours", control, QUICK) as (ours, seen):
            service = await ours.publish(key, PORT, _echo())
            await service.when_reachable()
            lost = seen.next(events.TorLost)
            assert theirs.pid is not None
            os.kill(theirs.pid, signal.SIGSTOP)
            try:
                assert await lost == events.TorLost("it does not answer")
                assert not ours.status().running
            finally:
                os.kill(theirs.pid, signal.SIGCONT)
            await seen.next(events.TorBack)
            await service.when_reachable()
            assert await _ask(ours, key, Isolation.fresh("peer")) == b"anybody there?"


@pytest_twisted.ensureDeferred
async def test_a_service_that_tor_forgets_is_published_anew(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """When the service is gone from tor's list, it is lost, published and reachable again."""
    key = OnionKey.generate()
    async with _tor(private_tor, tmp_path / "a") as (tor, seen):
        service = await tor.publish(key, PORT, _echo())
        await service.when_reachable()
        assert tor._running is not None
        lost = seen.next(events.ServiceLost)
        await tor._running.control.command(f"DEL_ONION {key.address.host.removesuffix('.onion')}")
        assert await lost == events.ServiceLost(key.address, "tor has forgotten it")
        await service.when_reachable()
        assert await _ask(tor, key, Isolation.fresh("peer")) == b"anybody there?"


@pytest_twisted.ensureDeferred
async def test_attaches_to_a_running_tor_and_again_when_it_returns(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """A tor of somebody else's is used through its sockets, let go, and used again."""
    key = OnionKey.generate()
    async with _tor(private_tor, tmp_path / "theirs") as (theirs, _):
        control = _sockets(tmp_path / "theirs") / "control.sock"
        async with _tor(private_tor, tmp_path / "ours", control) as (ours, seen):
            service = await ours.publish(key, PORT, _echo())
            await service.when_reachable()
            assert ours.status().attached
            assert ours.pid is None
            assert not (tmp_path / "ours" / "tor").exists()
            lost = seen.next(events.TorLost)
            assert theirs.pid is not None
            os.kill(theirs.pid, signal.SIGKILL)
            await lost
            await seen.next(events.TorBack)
            await service.when_reachable()
            assert await _ask(ours, key, Isolation.fresh("peer")) == b"anybody there?"
        assert theirs.pid is not None
        assert theirs._running is not None
        assert await theirs._running.control.get("onions/detached") == ""


@pytest_twisted.ensureDeferred
async def test_client_authorisation_admits_only_who_has_the_key(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """With the client key the service answers; without it, or with another, tor says why not."""
    key, client = OnionKey.generate(), PrivateKey.generate()
    options = ServiceOptions(clients=(bytes(client.public_key),))
    async with (
        _tor(private_tor, tmp_path / "a") as (a, _),
        _tor(private_tor, tmp_path / "b") as (b, _),
    ):
        await (await a.publish(key, PORT, _echo(), options)).when_reachable()
        with pytest.raises(errors.ClientKeyMissing):
            await _ask(b, key, Isolation.fresh("peer"))
        await b.add_client_key(key.address, PrivateKey.generate())
        with pytest.raises(errors.ClientKeyWrong):
            await _ask(b, key, Isolation.fresh("peer"))
        await b.add_client_key(key.address, client)
        assert await _ask(b, key, Isolation.fresh("peer")) == b"anybody there?"


@pytest_twisted.ensureDeferred
async def test_twelve_services_are_published_at_once(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """More services than one batch, asked for together, are all uploaded and reachable."""
    keys = [OnionKey.generate() for _ in range(12)]
    async with _tor(private_tor, tmp_path / "a") as (tor, _):
        services: list[Any] = await gatherResults([tor.publish(k, PORT, _echo()) for k in keys])
        assert [service.address for service in services] == [k.address for k in keys]
        await gatherResults([service.when_reachable() for service in services])
        assert set(tor.status().services.values()) == {ServiceState.REACHABLE}


@pytest_twisted.ensureDeferred
async def test_a_home_with_a_long_path_works(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """A home too deep for unix sockets, and with a space, gets its sockets elsewhere."""
    home = tmp_path / "my files" / ("d" * 120)
    key = OnionKey.generate()
    async with _tor(private_tor, home) as (tor, _):
        service = await tor.publish(key, PORT, _echo())
        await service.when_reachable()
        assert await _ask(tor, key, Isolation.fresh("peer")) == b"anybody there?"


@pytest.fixture
def started(private_tor: PrivateTorNetwork, tmp_path: Path) -> Callable[[Path], TorNetwork]:
    """A tor to be attached to at a control socket of the test's choice."""

    def make(control: Path) -> TorNetwork:
        return TorNetwork(_reactor(), TorSettings(tmp_path / "home", control=control))

    return make


@pytest_twisted.ensureDeferred
async def test_attaching_explains_what_is_wrong(
    private_tor: PrivateTorNetwork, tmp_path: Path, started: Callable[[Path], TorNetwork]
) -> None:
    """A missing socket, a tor without SOCKS on a unix socket and an unreadable cookie are named."""
    with pytest.raises(errors.ControlSocketMissing, match="ControlSocket"):
        await started(tmp_path / "nowhere").start()
    async with _tor(private_tor, tmp_path / "theirs") as (theirs, _):
        directory = tmp_path / "theirs" / "tor"
        control = _sockets(tmp_path / "theirs") / "control.sock"
        assert theirs._running is not None
        await theirs._running.control.command("SETCONF SocksPort=0")
        with pytest.raises(errors.SocksSocketMissing, match="SocksPort unix:"):
            await started(control).start()
        cookie = (directory / "cookie").read_bytes()
        (directory / "cookie").write_bytes(bytes(32))
        with pytest.raises(errors.ControlAuthenticationFailed):
            await started(control).start()
        (directory / "cookie").unlink()
        with pytest.raises(errors.CookieUnreadable, match="cookie"):
            await started(control).start()
        (directory / "cookie").write_bytes(cookie)


_NODE = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from onion.running import TorSettings
from onion.tor import TorNetwork

async def start():
    tor = TorNetwork(reactor, TorSettings(Path(sys.argv[1]), extra_options={"DisableNetwork": "1"}))
    started = Deferred.fromCoroutine(tor.start())
    while tor.pid is None:
        waiting = Deferred()
        reactor.callLater(0.05, waiting.callback, None)
        await waiting
    print(tor.pid, flush=True)
    await started

Deferred.fromCoroutine(start())
reactor.run()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to wait for a process")
def test_our_tor_dies_with_us_even_when_we_are_killed(tmp_path: Path) -> None:
    """After kill -9 of the node its tor ends within seconds, too."""
    command = [sys.executable, "-c", _NODE, str(tmp_path / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as node:
        assert node.stdout is not None
        tor = os.pidfd_open(int(node.stdout.readline()))
        node.kill()
        ended, _, _ = select.select([tor], [], [], 5)
    os.close(tor)
    clear_directory(_sockets(tmp_path / "home"))
    assert ended


@pytest_twisted.ensureDeferred
async def test_a_tor_that_refuses_its_options_is_explained(tmp_path: Path) -> None:
    """What tor has against its options is in the error, and nothing is left running."""
    settings = TorSettings(tmp_path / "home", extra_options={"NoSuchOption": "1"})
    tor = TorNetwork(_reactor(), settings)
    with pytest.raises(errors.TorExited, match="NoSuchOption"):
        await tor.start()
    assert tor.pid is None
    missing = TorSettings(tmp_path / "home", binary="no-such-tor")
    with pytest.raises(errors.TorNotFound, match="no-such-tor"):
        await TorNetwork(_reactor(), missing).start()

"""The private Tor network, with real tors."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from onion.localnet import (
    LocalnetProgress,
    PrivateTorNetwork,
    Stage,
    is_running,
    load_client_options,
    load_network,
)
from onion.localnet.errors import (
    BootTimedOut,
    LocalnetError,
    NetworkAlreadyRunning,
    NoRunningNetwork,
    RelayExited,
)
from tests.integration.tor_client import ClientTor, echo_service, socks_over_tcp

pytestmark = pytest.mark.tor

SUPERVISOR = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from onion.localnet import PrivateTorNetwork

network = PrivateTorNetwork(reactor, Path(sys.argv[1]))
started = Deferred.fromCoroutine(network.start())
started.addCallback(lambda _: print("ready", flush=True))
reactor.run()
"""


def _network(directory: Path, **options: object) -> PrivateTorNetwork:
    from twisted.internet import reactor  # pytest-twisted's

    return PrivateTorNetwork(reactor, directory, **options)  # type: ignore[arg-type]


def _reach_an_onion(directory: Path, options: dict[str, str | list[str]]) -> None:
    """Publish an onion service at one client tor and exchange a word through another."""
    with (
        ClientTor(directory / "a", options) as server,
        ClientTor(directory / "b", options) as client,
        echo_service(server) as service,
    ):
        client.wait_ready()
        with client.connect(service.host, 7) as stream:
            stream.sendall(b"light")
            assert stream.recv(5) == b"light"


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_until_ended(pids: dict[str, int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(map(_lives, pids.values())):
        assert time.monotonic() < deadline, "a tor outlived its network"
        threading.Event().wait(0.05)


@pytest_twisted.ensureDeferred
async def test_a_running_network_tells_nodes_how_to_join(private_tor: PrivateTorNetwork) -> None:
    """A node started beside a running network finds in its directory how to join it."""
    assert load_client_options(private_tor.directory) == private_tor.client_options()
    network = load_network(private_tor.directory)
    assert set(network.pids) == {"authority", "relay0", "relay1", "relay2", "relay3"}
    assert network.tor_version == private_tor.tor_version
    assert network.supervisor == os.getpid()


@pytest_twisted.ensureDeferred
async def test_one_onion_is_reached_from_another_tor(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """Client tors with the network's options publish to each other and connect."""
    await deferToThread(_reach_an_onion, tmp_path, private_tor.client_options())


@pytest_twisted.ensureDeferred
async def test_a_browser_reaches_onions_and_nothing_else(tmp_path: Path) -> None:
    """The tor for browsers takes SOCKS on a TCP port, for onion addresses alone, and ends too."""
    network = _network(tmp_path / "net")
    await network.start()
    port = await network.browse()
    await deferToThread(_browse, tmp_path, network.client_options(), port)
    await network.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def _browse(directory: Path, options: dict[str, str | list[str]], port: int) -> None:
    with ClientTor(directory / "a", options) as server, echo_service(server) as service:
        with socks_over_tcp(port, service.host, 7) as stream:
            stream.sendall(b"light")
            assert stream.recv(5) == b"light"
        with pytest.raises(ConnectionRefusedError):
            socks_over_tcp(port, "127.0.0.1", port)


@pytest_twisted.ensureDeferred
async def test_a_directory_with_a_live_network_is_refused(private_tor: PrivateTorNetwork) -> None:
    """A second start in the same directory says so and leaves the first alone."""
    with pytest.raises(NetworkAlreadyRunning, match="already running"):
        await _network(private_tor.directory).start()
    assert load_client_options(private_tor.directory) == private_tor.client_options()


@pytest_twisted.ensureDeferred
async def test_two_networks_boot_side_by_side_and_stop_cleanly(tmp_path: Path) -> None:
    """Neither ports nor keys clash, even in a deep directory; nothing runs on afterwards."""
    told: list[LocalnetProgress] = []
    networks = [_network(tmp_path / "a"), _network(tmp_path / ("d" * 60) / ("e" * 60))]
    starts = [Deferred.fromCoroutine(network.start(told.append)) for network in networks]
    for start in starts:
        await start
    first, second = [network.client_options() for network in networks]
    assert first["DirAuthority"] != second["DirAuthority"]
    seen = [stage for stage in Stage if any(progress.stage is stage for progress in told)]
    assert seen == list(Stage)
    pids = [pid for net in networks for pid in load_network(net.directory).pids.values()]
    for network in networks:
        await network.stop()
        await network.stop()  # a second time is no error
        assert not is_running(network.directory)
    assert not any(map(_lives, pids))


@pytest_twisted.ensureDeferred
async def test_a_killed_supervisor_takes_its_tors_along_and_is_recovered(tmp_path: Path) -> None:
    """After kill -9 no tor stays, no node joins the remains, and the directory starts anew."""
    home = tmp_path / "net"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(home)], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    with supervisor:
        assert supervisor.stdout is not None
        assert await deferToThread(supervisor.stdout.readline) == b"ready\n"
        pids = load_network(home).pids
        supervisor.kill()
    await deferToThread(_wait_until_ended, pids, 60.0)
    with pytest.raises(NoRunningNetwork):
        load_client_options(home)
    network = _network(home)
    await network.start()
    await deferToThread(_reach_an_onion, tmp_path, network.client_options())
    await network.stop()


@pytest_twisted.ensureDeferred
async def test_a_tor_that_dies_later_is_reported(tmp_path: Path) -> None:
    """Whoever runs the network hears which tor it lost."""
    lost: Deferred[LocalnetError] = Deferred()
    network = _network(tmp_path, on_lost=lost.callback)
    await network.start()
    os.kill(load_network(tmp_path).pids["relay2"], signal.SIGKILL)
    assert "relay2" in str(await lost)
    await network.stop()


@pytest_twisted.ensureDeferred
async def test_a_tor_that_cannot_start_is_named_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port taken by somebody else since it was chosen: one sentence, and nothing runs on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [taken.getsockname()[1], *range(25_001, 25_006)]
        monkeypatch.setattr("onion.localnet.config.free_ports", lambda *_: ports)
        network = _network(tmp_path)
        with pytest.raises(RelayExited, match=r"stopped by itself.*authority: .*\[(warn|err)\]"):
            await network.start()
    assert not is_running(tmp_path)


@pytest_twisted.ensureDeferred
async def test_a_boot_that_takes_too_long_says_where_it_stuck(tmp_path: Path) -> None:
    """The sentence names the stage."""
    network = _network(tmp_path, timeout=2.0)
    with pytest.raises(BootTimedOut, match="2 s, still "):
        await network.start()
    assert not is_running(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest_twisted.ensureDeferred
async def test_ten_networks_in_a_row_come_up(tmp_path: Path) -> None:
    """A boot does not depend on luck: each ends with an onion connection."""
    for boot in range(10):
        network = _network(tmp_path / "net")
        await network.start()
        await deferToThread(_reach_an_onion, tmp_path / str(boot), network.client_options())
        await network.stop()

"""N1: the harness itself; a leak that it did not catch would prove nothing."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from onion.localnet import PrivateTorNetwork
from tests.integration.namespaces import (
    Namespace,
    assert_no_inet_socket,
    node_namespace,
    run_traced,
    socket_calls,
    start_tor_namespace,
    why_not,
)
from tests.integration.tor_client import ClientTor, echo_service

pytestmark = [pytest.mark.root]

CONNECT = "import socket; socket.create_connection(('127.0.0.1', 9))"


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace in which nothing is up."""
    if reason := why_not():
        pytest.skip(reason)
    with node_namespace() as made:
        yield made


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_PACKET"])
def test_n1_control_a_program_that_opens_one_inet_socket_is_caught(
    namespace: Namespace, tmp_path: Path, family: str
) -> None:
    """One socket that could leave the machine fails the check, though it is never used."""
    program = f"import socket; socket.socket(socket.{family}, socket.SOCK_DGRAM).close()"
    run = run_traced(namespace, [sys.executable, "-c", program], tmp_path / "trace")
    assert run.returncode == 0, run.stderr
    with pytest.raises(AssertionError, match=family):
        assert_no_inet_socket(tmp_path / "trace")


def test_n1_control_a_leak_in_a_grandchild_is_caught(namespace: Namespace, tmp_path: Path) -> None:
    """What a child of a child opens counts as well."""
    leak = f'{sys.executable} -c "import socket; socket.socket()"'
    run = run_traced(namespace, ["sh", "-c", f"sh -c '{leak}'; true"], tmp_path / "trace")
    assert run.returncode == 0, run.stderr
    with pytest.raises(AssertionError, match="AF_INET"):
        assert_no_inet_socket(tmp_path / "trace")


def test_n1_control_a_node_namespace_reaches_nothing(namespace: Namespace, tmp_path: Path) -> None:
    """From a node's namespace not even 127.0.0.1 can be reached."""
    run = run_traced(namespace, [sys.executable, "-c", CONNECT], tmp_path / "trace")
    assert run.returncode == 1
    assert "Network is unreachable" in run.stderr
    assert "ENETUNREACH" in (tmp_path / "trace").read_text()


def test_n1_control_unix_sockets_pass(namespace: Namespace, tmp_path: Path) -> None:
    """A program that uses unix sockets only passes the check."""
    program = "import socket; a, b = socket.socketpair(); s = socket.socket(socket.AF_UNIX)"
    run = run_traced(namespace, [sys.executable, "-c", program], tmp_path / "trace")
    assert run.returncode == 0, run.stderr
    assert_no_inet_socket(tmp_path / "trace")


def test_n1_control_a_trace_without_a_run_proves_nothing(tmp_path: Path) -> None:
    """An empty trace, as of a program that never started, fails the check."""
    (tmp_path / "trace").write_text("")
    with pytest.raises(AssertionError, match="proves nothing"):
        assert_no_inet_socket(tmp_path / "trace")


def test_n1_control_every_way_to_leave_is_read_from_a_trace() -> None:
    """Interrupted calls, inherited sockets and io_uring are found; unix and netlink are not."""
    trace = """\
10 socket(AF_INET, SOCK_STREAM, IPPROTO_IP <unfinished ...>
10 <... socket resumed>) = 3
11 sendto(4, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53)}, 28) = 1
12 io_uring_setup(8, {flags=0}) = 5
13 socket(AF_UNIX, SOCK_STREAM, 0) = 3
13 connect(3, {sa_family=AF_UNIX, sun_path="/tmp/AF_INET"}, 110) = 0
13 socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) = 4
13 sendto(3, "socket(AF_INET", 14, 0, NULL, 0) = 14
13 socket(0x2c, SOCK_RAW, 0) = -1 EAFNOSUPPORT
13 +++ exited with 0 +++
"""
    assert [call.pid for call in socket_calls(trace)] == [10, 11, 12, 13]


@pytest.mark.tor
@pytest_twisted.ensureDeferred
async def test_n1_an_onion_is_reached_from_a_namespace_with_nothing_up(
    namespace: Namespace, tmp_path: Path
) -> None:
    """Through a unix socket alone a program with no network at all reaches an onion service."""
    from twisted.internet import reactor  # pytest-twisted's

    with start_tor_namespace() as tor_namespace:
        network = PrivateTorNetwork(
            reactor, tmp_path / "net", namespace=tor_namespace.name, profile="fast"
        )
        await network.start()
        routes = ["ip", "-n", tor_namespace.name, "route", "show", "table", "local"]
        assert subprocess.check_output(routes, text=True).count("quickack 1") == 2
        try:
            await deferToThread(
                _reach, namespace, tmp_path, network.client_options(), tor_namespace.command
            )
        finally:
            await network.stop()


def _reach(
    namespace: Namespace, path: Path, options: dict[str, str | list[str]], inside: list[str]
) -> None:
    """Publish at one tor; from `namespace` connect to it through another, traced."""
    program = f"""
import socket, sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from tests.integration.tor_client import ClientTor
with ClientTor(Path({str(path / "b")!r}), {{}}).connect(sys.argv[1], 7) as stream:
    stream.sendall(b"light")
    print(stream.recv(5).decode())
"""
    with (
        ClientTor(path / "a", options, command=inside) as server,
        ClientTor(path / "b", options, command=inside) as client,
        echo_service(server) as service,
    ):
        client.wait_ready()
        command = [sys.executable, "-c", program, service.host]
        run = run_traced(namespace, command, path / "trace")
    assert run.stdout == "light\n", run.stderr
    assert_no_inet_socket(path / "trace")

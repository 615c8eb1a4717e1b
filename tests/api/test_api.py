"""The control API over its real socket, spoken to by the command line's own client."""

import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread

from bitsnode.api.app import Report
from bitsnode.api.socket import listen
from bitsnode.cli.client import CommandFailed, NodeNotRunning, call
from bitsnode.errors import BitsError


class Refusing(BitsError):
    """This cannot be done today."""


class Commands:
    """A few commands, and what became of the one that never ends."""

    def __init__(self) -> None:
        self.begun: Deferred[None] = Deferred()
        self.cancelled: Deferred[None] = Deferred()

    async def echo(self, arguments: Mapping[str, Any], report: Report) -> Mapping[str, object]:
        """Report twice, and return the arguments."""
        report({"event": "first"})
        report({"event": "second", "n": 2})
        return {"got": dict(arguments)}

    async def refuse(self, _arguments: Mapping[str, Any], _report: Report) -> Mapping[str, object]:
        """Fail in a way that a person can understand."""
        raise Refusing

    async def crash(self, _arguments: Mapping[str, Any], _report: Report) -> Mapping[str, object]:
        """Fail by a bug."""
        raise ZeroDivisionError("the secret detail")

    async def wait(self, _arguments: Mapping[str, Any], report: Report) -> Mapping[str, object]:
        """Go on until somebody cancels it."""
        report({"event": "waiting"})
        self.begun.callback(None)
        try:
            await Deferred()
        except CancelledError:
            self.cancelled.callback(None)
            raise
        return {}


@pytest.fixture
def commands() -> Commands:
    """The commands of one test."""
    return Commands()


@pytest.fixture
def home(tmp_path: Path, commands: Commands) -> Iterator[Path]:
    """A home whose control API is listening."""
    yield from served(tmp_path / "home", commands)


def served(home: Path, commands: Commands) -> Iterator[Path]:
    """Serve the commands on a home."""
    from twisted.internet import reactor  # pytest-twisted's

    home.mkdir(mode=0o700, parents=True)
    table = {name: getattr(commands, name) for name in ("echo", "refuse", "crash", "wait")}
    port = listen(reactor, home, table)
    yield home
    pytest_twisted.blockon(port.stopListening())


@pytest_twisted.ensureDeferred
async def test_progress_comes_before_the_result(home: Path) -> None:
    """Events arrive in their order, and the result is what the command returned."""
    events: list[dict[str, Any]] = []
    result = await deferToThread(call, home, "echo", {"a": [1, "ü"]}, events.append)
    assert events == [{"event": "first"}, {"event": "second", "n": 2}]
    assert result == {"got": {"a": [1, "ü"]}}


@pytest_twisted.ensureDeferred
async def test_a_failure_is_its_sentence(home: Path) -> None:
    """What a command cannot do is said in its own words."""
    with pytest.raises(CommandFailed, match=r"\AThis cannot be done today\.\Z"):
        await deferToThread(call, home, "refuse")


@pytest_twisted.ensureDeferred
async def test_a_bug_shows_its_detail_only_on_demand(home: Path) -> None:
    """A bug is called one; its traceback is there for --verbose and not in the sentence."""
    with pytest.raises(CommandFailed, match="A bug in bits") as caught:
        await deferToThread(call, home, "crash")
    assert "secret detail" not in str(caught.value)
    assert "secret detail" in caught.value.trace


@pytest_twisted.ensureDeferred
async def test_an_unknown_command_is_named(home: Path) -> None:
    """A command line newer than its node is told so."""
    with pytest.raises(CommandFailed, match='no command "teleport"'):
        await deferToThread(call, home, "teleport")


@pytest_twisted.ensureDeferred
async def test_a_wrong_token_is_refused(home: Path) -> None:
    """Whoever reaches the socket without the token gets nothing done."""
    (home / "api.token").write_text("0" * 64)
    with pytest.raises(CommandFailed, match="token"):
        await deferToThread(call, home, "echo")


@pytest_twisted.ensureDeferred
async def test_who_hangs_up_cancels_the_command(home: Path, commands: Commands) -> None:
    """Ctrl-C in the command line ends the work in the node."""
    token = (home / "api.token").read_text()
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(str(home / "api.sock"))
    head = f"POST /v1/wait HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    caller.sendall(head.encode() + b"Content-Length: 2\r\n\r\n{}")
    await commands.begun
    caller.close()
    await commands.cancelled


@pytest_twisted.ensureDeferred
async def test_bad_arguments_are_refused(home: Path) -> None:
    """A body that is no object, or too large, is an error and not a crash."""
    for body in ([1], {"x": "y" * 70_000}):
        with pytest.raises(CommandFailed, match="arguments"):
            await deferToThread(call, home, "echo", body)


def test_socket_and_token_are_the_owners_alone(home: Path) -> None:
    """Nobody else may command the node."""
    for name in ("api.sock", "api.token"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


@pytest_twisted.ensureDeferred
async def test_a_home_too_deep_for_a_socket_works(tmp_path: Path, commands: Commands) -> None:
    """The path of a unix socket is short, that of a home need not be."""
    from twisted.internet import reactor  # pytest-twisted's

    home = tmp_path / ("deep" * 20) / ("down" * 20)
    home.mkdir(mode=0o700, parents=True)
    port = listen(reactor, home, {"echo": commands.echo})
    assert await deferToThread(call, home, "echo") == {"got": {}}
    await port.stopListening()


def test_without_a_node_it_says_so(tmp_path: Path) -> None:
    """No socket, or a dead one, is the same sentence."""
    with pytest.raises(NodeNotRunning):
        call(tmp_path, "status")
    (tmp_path / "api.token").write_text("x")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "api.sock"))
    with pytest.raises(NodeNotRunning):
        call(tmp_path, "status")

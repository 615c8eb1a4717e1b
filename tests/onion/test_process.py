"""What a tor of ours is told, and what it tells us."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onion.control import parse_bootstrap
from onion.errors import SocketPathTooLong
from onion.events import TorBootstrapping
from onion.once import Once
from onion.process import TorPlace


@pytest.fixture
def place(tmp_path: Path) -> TorPlace:
    """A place with short paths, which nothing is written to."""
    return TorPlace(tmp_path, Path("/run/x/control.sock"), Path("/run/x/socks.sock"))


def test_our_tor_listens_on_unix_sockets_alone(place: TorPlace) -> None:
    """The torrc opens no TCP port, takes onion traffic only, and names us as owner."""
    lines = place.torrc({}).splitlines()
    assert "ControlPort 0" in lines
    assert 'ControlSocket "/run/x/control.sock"' in lines
    (socks,) = [line for line in lines if line.startswith("SocksPort ")]
    assert socks.split()[1] == 'unix:"/run/x/socks.sock"'
    assert "OnionTrafficOnly" in socks.split()
    assert f"__OwningControllerProcess {os.getpid()}" in lines
    assert "CookieAuthentication 1" in lines


def test_the_socket_for_exits_is_there_only_when_asked_for(tmp_path: Path) -> None:
    """Exits have a SOCKS port of their own, and the other one stays for onion services alone."""
    home, sockets = tmp_path / "home", tmp_path / "sockets"
    for directory in (home, sockets):
        directory.mkdir(mode=0o700)
    assert TorPlace.make(home, sockets).exit_socks is None
    place = TorPlace.make(home, sockets, exits=True)
    ports = [line for line in place.torrc({}).splitlines() if line.startswith("SocksPort ")]
    onions, exits = (line.split() for line in ports)
    assert onions[1] == f'unix:"{place.socks}"'
    assert "OnionTrafficOnly" in onions
    assert exits[1] == f'unix:"{place.exit_socks}"'
    assert "NoOnionTraffic" in exits


def test_options_are_added_and_replaced(place: TorPlace) -> None:
    """An extra option replaces ours, and a list gives one line per item."""
    lines = place.torrc({"Log": ["notice stdout", "info file /x"], "ClientOnly": "0"}).splitlines()
    assert [line for line in lines if line.startswith("Log ")] == [
        "Log notice stdout",
        "Log info file /x",
    ]
    assert "ClientOnly 0" in lines
    assert "ClientOnly 1" not in lines


def test_a_path_with_quotes_stays_one_value(place: TorPlace) -> None:
    """A home with spaces or quotes cannot add options of its own."""
    odd = TorPlace(Path('/home/a "b" c\\d'), place.control, place.socks)
    assert r'DataDirectory "/home/a \"b\" c\\d/data"' in odd.torrc({}).splitlines()


def test_sockets_of_a_dead_tor_are_cleared_away(tmp_path: Path) -> None:
    """What a killed tor left behind does not keep the next one from starting."""
    home, sockets = tmp_path / "h", Path(os.path.relpath(tmp_path))
    home.mkdir()
    with pytest.raises(SocketPathTooLong):
        TorPlace.make(home, _deep(tmp_path))
    if len(str(sockets.absolute())) < 80:
        (sockets / "tor").mkdir(mode=0o700)
        (sockets / "tor" / "control.sock").touch()
        made = TorPlace.make(home, sockets)
        assert not made.control.exists()


def _deep(path: Path) -> Path:
    deep = path / ("d" * 100)
    deep.mkdir()
    return deep


@pytest.mark.parametrize(
    ("text", "step"),
    [
        (
            'NOTICE BOOTSTRAP PROGRESS=45 TAG=requesting_descriptors SUMMARY="Asking for relays"',
            TorBootstrapping(45, "Asking for relays"),
        ),
        (
            'WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting" WARNING="No route" REASON=X',
            TorBootstrapping(5, "Connecting: No route"),
        ),
        ("NOTICE ENOUGH_DIR_INFO", None),
        ("", None),
    ],
)
def test_reads_bootstrap_steps(text: str, step: TorBootstrapping | None) -> None:
    """Tor's status lines become steps with a percentage and a sentence, others nothing."""
    assert parse_bootstrap(text) == step


@given(st.text())
def test_any_status_line_can_be_read(text: str) -> None:
    """No status line makes the reader fail."""
    step = parse_bootstrap("NOTICE BOOTSTRAP PROGRESS=" + text)
    assert step is None or 0 <= step.percent <= 100


def test_once_tells_everybody_once() -> None:
    """Listeners before and after hear the first value, and later values are nothing."""
    once: Once[int] = Once()
    heard: list[int] = []
    once.then(heard.append)
    once.fire(1)
    once.fire(2)
    once.then(heard.append)
    assert heard == [1, 1]
    assert once.fired

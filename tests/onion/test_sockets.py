"""Where unix sockets live."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from onion.errors import SocketDirectoryUnsafe, SocketPathTooLong
from onion.sockets import (
    NAME_LIMIT,
    check_socket_path,
    clear_directory,
    private_directory,
    socket_directory,
)


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path is short, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as path:
        yield Path(path)


def test_a_short_home_holds_its_own_sockets(short: Path) -> None:
    """The usual home keeps its sockets, and is private if it is new."""
    home = short / "home"
    assert socket_directory(home) == home
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["d" * 90, "my files", "umläut", 'quo"te'])
def test_another_home_gets_a_short_private_directory(
    short: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is too deep, or has odd characters, always gets the same short directory."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    directory = socket_directory(short / "h" / name)
    assert directory.parent == short
    assert directory.stat().st_mode & 0o777 == 0o700
    assert socket_directory(short / "h" / name) == directory
    assert socket_directory(short / "h" / (name + "2")) != directory
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / ("s" * NAME_LIMIT)))
    clear_directory(private_directory(directory / "tor"))
    assert not (directory / "tor").exists()


def test_a_directory_of_somebody_else_is_refused(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short directory that others could use, or a link, is an attack or a mistake."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    home = short / ("d" * 90)
    directory = socket_directory(home)
    directory.chmod(0o755)
    with pytest.raises(SocketDirectoryUnsafe):
        socket_directory(home)
    directory.rmdir()
    directory.symlink_to("/tmp")
    with pytest.raises(SocketDirectoryUnsafe):
        socket_directory(home)


def test_only_stand_ins_are_removed_with_their_contents(short: Path) -> None:
    """Clearing away sockets takes the stand-in for a home with it, and never a home."""
    for parent, remains in ((short / "home", True), (short / "bits-0-1", False)):
        directory = parent / "tor"
        directory.mkdir(parents=True)
        (directory / "a.sock").touch()
        clear_directory(directory)
        assert not directory.exists()
        assert parent.exists() is remains


def test_a_path_that_no_socket_can_have_is_refused() -> None:
    """A socket path one byte over the limit raises; at the limit it passes."""
    fits = Path("/" + "a" * 102)
    assert check_socket_path(fits) == fits
    assert len(os.fsencode(fits)) == 103
    with pytest.raises(SocketPathTooLong):
        check_socket_path(Path(str(fits) + "a"))

"""Sends what a running tor has to say through a slow link, and no longer."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from stem.control import Controller

from onion.sockets import socket_directory
from tests.slow_links.proxy import HOST, Link


def control_socket(home: Path) -> Path:
    """Return the control socket of the tor of a node, by the node's home."""
    return socket_directory(home) / "tor" / "control.sock"


@contextlib.contextmanager
def controlled(control: Path) -> Iterator[Controller]:
    """Control a tor."""
    with Controller.from_socket_file(str(control)) as controller:
        controller.authenticate()
        yield controller


def send_through(control: Path, link: Link | None) -> None:
    """Have a tor reach its relays through a link; None sends it straight to them again.

    Its connections are cut, and made anew through the link, its circuits with them. Services
    are reachable again some seconds later.
    """
    with controlled(control) as controller:
        if link is None:
            controller.reset_conf("Socks5Proxy")
        else:
            controller.set_conf("Socks5Proxy", f"{HOST}:{link.port}")
        controller.set_conf("DisableNetwork", "1")
        controller.set_conf("DisableNetwork", "0")

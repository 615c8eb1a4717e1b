"""Sends what a running tor has to say through a slow link, and no longer."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from stem.control import Controller

from onion.sockets import socket_directory
from tests.slow_links.proxy import HOST, Link

NOTICE_SECONDS: Final = 2.0  # in which nodes notice that their tor is down


def control_socket(home: Path) -> Path:
    """Return the control socket of the tor of a node, by the node's home."""
    return socket_directory(home) / "tor" / "control.sock"


@contextlib.contextmanager
def controlled(control: Path) -> Iterator[Controller]:
    """Control a tor."""
    with Controller.from_socket_file(str(control)) as controller:
        controller.authenticate()
        yield controller


def send_through(routes: Sequence[tuple[Path, Link | None]]) -> None:
    """Have tors reach their relays through links; None sends one straight to them again.

    Their connections are cut, and made anew through the links, circuits with them. All are cut
    together: a node whose own tor is down blames no other node for what it cannot reach. Services
    are reachable again some seconds later.

    Args:
        routes: control socket of a tor, and its link.
    """
    with contextlib.ExitStack() as stack:
        tors = [(stack.enter_context(controlled(control)), link) for control, link in routes]
        for controller, _ in tors:
            controller.set_conf("DisableNetwork", "1")
        time.sleep(NOTICE_SECONDS)
        for controller, link in tors:
            if link is None:
                controller.reset_conf("Socks5Proxy")
            else:
                controller.set_conf("Socks5Proxy", f"{HOST}:{link.port}")
            controller.set_conf("DisableNetwork", "0")

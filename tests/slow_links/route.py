"""Sends what a running tor has to say through a slow link, and no longer."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from stem import HiddenServiceState, HSDescAction
from stem.control import Controller, EventType
from stem.response.events import HSDescEvent

from onion.sockets import socket_directory
from tests.acceptance.cli_net import wait_for
from tests.slow_links.proxy import HOST, Link

NOTICE_SECONDS: Final = 2.0  # in which nodes notice that their tor is down
BACK_SECONDS: Final = 60.0  # for services to be reachable again
INTRODUCTION_POINTS: Final = 3  # of a descriptor, tor's default


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
    together: a node whose own tor is down blames no other node for what it cannot reach. Returns
    when their services can be reached again.

    Args:
        routes: control socket of a tor, and its link.

    Raises:
        AssertionError: a service did not come back.
    """
    with contextlib.ExitStack() as stack:
        tors = [(stack.enter_context(controlled(control)), link) for control, link in routes]
        services = [_Services(controller) for controller, _ in tors]
        for controller, _ in tors:
            controller.set_conf("DisableNetwork", "1")
        time.sleep(NOTICE_SECONDS)
        for controller, link in tors:
            if link is None:
                controller.reset_conf("Socks5Proxy")
            else:
                controller.set_conf("Socks5Proxy", f"{HOST}:{link.port}")
            controller.set_conf("DisableNetwork", "0")
        for service in services:
            wait_for(service.are_back, BACK_SECONDS)


class _Services:
    """The services of a tor, which is about to be cut off.

    A tor tries its introduction points again, for which its old descriptors are good. Where it
    had to take others, clients can find it once a new descriptor is where they look for it.

    Args:
        controller: of the tor.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._begun: dict[str, set[str]] = defaultdict(set)
        self._done: dict[str, set[str]] = defaultdict(set)
        self._before = self._introduction_points()
        controller.add_event_listener(self._note, EventType.HS_DESC)

    def are_back(self) -> bool:
        """Whether clients can reach all of them again."""
        now = self._introduction_points()
        return all(
            len(now[name]) >= min(len(before), INTRODUCTION_POINTS)
            and (now[name] <= before or self._is_uploaded(name))
            for name, before in self._before.items()
        )

    def _is_uploaded(self, name: str) -> bool:
        """Whether most directories have a new descriptor; some may refuse it."""
        return 2 * len(self._done[name]) > len(self._begun[name])

    def _introduction_points(self) -> dict[str, set[str]]:
        points = defaultdict(set)
        for circuit in self._controller.get_circuits():
            if circuit.hs_state == HiddenServiceState.HSSI_ESTABLISHED and circuit.rend_query:
                points[circuit.rend_query].add(circuit.path[-1][0])
        return points

    def _note(self, event: HSDescEvent) -> None:
        if event.action == HSDescAction.UPLOAD:
            self._begun[event.address].add(event.directory)
        elif event.action == HSDescAction.UPLOADED:
            self._done[event.address].add(event.directory)

"""P3 and more: a crowd at a shop's onion, and those who only take up room, on real tors."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from stem.control import Controller
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3

from tests.acceptance.cli_net import CliLocalnet, CliNode, wait_for
from tests.acceptance.crowd import Crowd, Walk, held, resident
from tests.acceptance.onion_web import Browser

pytestmark = [pytest.mark.tor, pytest.mark.timeout(600)]

CONNECTS = 200  # of those who take up room
MOST = 180  # of them
CIRCUITS = 40  # that they use
MOST_MEMORY = 64 << 20  # bytes that 200 connections may cost node and tor together
ROUNDS = 3
WALKS = 7  # of whose pages the median is taken
UNFINISHED = b"GET / HTTP/1.1\r\nHost"
LONG = 60.0  # seconds


@attrs.frozen
class Shop:
    """A shop, its keeper, and where its visitors come from.

    Attributes:
        keeper: the node.
        onion: of the shop.
        visitors: socket of the tor of those who behave.
        others: of those who do not.
    """

    keeper: CliNode
    onion: str
    visitors: Path
    others: Path

    @property
    def control(self) -> Path:
        """Control socket of the shop's tor."""
        return self.keeper.home / "shop" / "tor" / "control.sock"

    def processes(self) -> list[int]:
        """The node's process, whose pages they are, and that of the shop's tor."""
        with Controller.from_socket_file(str(self.control)) as control:
            control.authenticate()
            tor = int(control.get_info("process/pid"))
        return [self.keeper.status()["pid"], tor]

    def walk(self, name: str) -> Walk:
        """Somebody who opens the front page, with all that belongs to it."""
        return Walk(Browser(self.visitors, name), self.onion, items=0)

    def waits(self, name: str) -> float:
        """Let some come one after another; return the median seconds until one sees the page."""
        seconds = []
        for number in range(WALKS):
            began = time.monotonic()
            self.walk(f"{name}, {number}").go(lambda: None)
            seconds.append(time.monotonic() - began)
        return statistics.median(seconds)


@pytest.fixture(scope="module")
def shop(net: CliLocalnet) -> Iterator[Shop]:
    """A shop that was just opened, with nothing in it yet."""
    net.revive()
    sockets = [net.nodes[number].home / "tor" / "socks.sock" for number in (0, 2)]
    if not all(each.exists() for each in sockets):  # too long a home has its sockets elsewhere
        pytest.skip("the SOCKS sockets of the localnet are in a stand-in directory")
    with net.newcomer("crowded") as keeper:
        made = keeper.ok("shop", "create", "--name", "The Crowded")
        yield Shop(keeper, made["shop_onion"], *sockets)


def test_fifty_visitors_at_once_are_served_and_none_is_turned_away(shop: Shop) -> None:
    """Fifty circuits, six connections each, all in the same moment; every answer is a page."""
    crowd = Crowd([shop.walk(f"fan{number}") for number in range(50)], reading=0.0)
    with crowd.walking():
        pass
    assert crowd.errors == []
    assert crowd.visits == 50


@pytest.mark.parametrize("seconds", [2.0, pytest.param(LONG, marks=pytest.mark.slow)])
def test_p3_two_hundred_connects_leave_room_for_who_behaves(shop: Shop, seconds: float) -> None:
    """They are held, and cost little; a visitor from elsewhere waits less than twice as long."""
    usual = shop.waits(f"before {seconds}")
    before = sum(map(resident, shop.processes()))
    crowd = Browser(shop.others, f"crowd {seconds}")
    with held(crowd, shop.onion, CONNECTS, CIRCUITS, UNFINISHED) as streams:
        wait_for(lambda: len(streams) >= MOST)  # the shop cuts them, and they come back
        end = time.monotonic() + seconds
        rounds = [shop.waits("meanwhile 0")]
        while time.monotonic() < end or len(rounds) < ROUNDS:
            rounds.append(shop.waits(f"meanwhile {len(rounds)}"))
        cost = sum(map(resident, shop.processes())) - before
    assert statistics.median(rounds) < 2 * usual
    assert cost < MOST_MEMORY


def test_p3_the_puzzle_stands_before_the_shop(shop: Shop) -> None:
    """The descriptor that visitors fetch names its parameters (tor's proposal 327)."""
    with Controller.from_socket_file(str(shop.control)) as control:
        control.authenticate()
        name = shop.onion.removesuffix(".onion")
        descriptor = HiddenServiceDescriptorV3.from_str(
            control.get_info(f"hs/service/desc/id/{name}")
        )
    assert "\npow-params v1 " in str(descriptor.decrypt(shop.onion))

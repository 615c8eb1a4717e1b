"""Nodes with warm links in the simulated network, and what these links cost there."""

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import attrs

import bitsnode.warm.service as warm_service
from bitsnode.warm.asking import PURPOSE
from bitsnode.warm.plan import PLAN, Plan
from bitsnode.warm.service import WarmService
from bitsnode.wire.exchange import Caller, Responder
from bitsnode.wire.messages import FindValue, Ping, Records, Request
from bitsnode.wire.warm_messages import AskIndex, IndexPage, Pulled, PullRecords, Seek, Sought
from onion.address import OnionAddress
from onion.isolation import Isolation
from tests.sim.analytic_plan import DIAL_BYTES, DIALLED_BYTES, LONE_CELL, LOSS, RETRANSMIT
from tests.sim.attackers import Conspiracy, Sybil
from tests.sim.models import Times
from tests.sim.network import SIM
from tests.sim.world import SimNode, World

CELL_DATA = 498  # bytes of a stream in a cell (tor-spec, "Relay cells")
LAZY_SECONDS = 10.0  # between two looks at what links are missing
GOSSIP = (AskIndex, PullRecords)


class LossyTimes(Times):
    """Round trips of which 2 % of the segments are lost, each way."""

    def round_trip(self) -> float:
        """See `Times.round_trip`."""
        seconds = super().round_trip()
        for _ in range(2):
            if self._draws.random() < LOSS:
                seconds += RETRANSMIT
        return seconds


class Meter:
    """What warm links cost all nodes together.

    Attributes:
        spent: bytes by cause, at both ends.
        walks: made for nodes to open links to.
    """

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.walks = 0

    def dialled(self) -> None:
        """Count a dial for a link, in vain or not."""
        self.spent["dials"] += DIAL_BYTES + DIALLED_BYTES

    def exchanged(self, message: Request, reply: object) -> None:
        """Count a question and its answer, each of which passes two guards."""
        cause = "pings" if isinstance(message, Ping) else "questions"
        if isinstance(message, GOSSIP):
            cause = "gossip"
        self.spent[cause] += 2 * (_on_the_line(message) + _on_the_line(reply))


def _on_the_line(message: object) -> int:
    size = 8
    if attrs.has(type(message)):
        for value in attrs.astuple(message, recurse=False):  # type: ignore[arg-type]
            for one in value if isinstance(value, tuple) else (value,):
                size += len(one) + 3 if isinstance(one, bytes) else 2
    return LONE_CELL * -(-size // CELL_DATA)


class MeteredPeers:
    """A peer client whose warm traffic is counted; all else is handed on as it is."""

    def __init__(self, peers: Any, meter: Meter) -> None:
        self._peers = peers
        self._meter = meter

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """See `CircuitPeers.request`."""
        self._see_dial(address, isolation)
        reply: object = None
        try:
            reply = await self._peers.request(address, message, isolation, timeout)
        finally:
            self._meter.exchanged(message, reply)
        return reply

    async def card(self, address: OnionAddress, isolation: Isolation) -> Any:
        """See `CircuitPeers.card`."""
        self._see_dial(address, isolation)
        return await self._peers.card(address, isolation)

    def is_open(self, address: OnionAddress, isolation: Isolation) -> bool:
        """See `CircuitPeers.is_open`."""
        return bool(self._peers.is_open(address, isolation))

    def close(self, isolation: Isolation) -> None:
        """See `CircuitPeers.close`."""
        self._peers.close(isolation)

    def _see_dial(self, address: OnionAddress, isolation: Isolation) -> None:
        if isolation.purpose == PURPOSE and not self.is_open(address, isolation):
            self._meter.dialled()


class CountedDht:
    """A DHT whose walks for the warm room are counted."""

    def __init__(self, dht: Any, meter: Meter) -> None:
        self._dht = dht
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dht, name)

    async def find_node(self, target: bytes, isolation: Isolation) -> Any:
        """See `DhtService.find_node`."""
        self._meter.walks += 1
        return await self._dht.find_node(target, isolation)


class _Both:
    """Answers what the DHT is asked, and what warm links are."""

    def __init__(self, dht: Responder, warm: WarmService) -> None:
        self._dht = dht
        self._warm = warm.responders()

    async def handle(self, request: Request, caller: Caller) -> Any:
        responder = self._warm.get(type(request), self._dht)
        return await responder.handle(request, caller)


class WarmNode(SimNode):
    """A node with warm links. They begin when `warm_up` says so."""

    plan: Plan = PLAN

    def open(self) -> None:
        """Make the services."""
        super().open()
        meter = self.world.meter  # type: ignore[attr-defined]
        self.warm = WarmService(
            self.world.clock,  # type: ignore[arg-type]  # zope sees IReactorTime, mypy does not
            MeteredPeers(self.peers, meter),
            CountedDht(self.service, meter),  # type: ignore[arg-type]
            SIM,
            lambda: self.card,
            self.isolation,
            plan=self.plan,
        )
        self.end.responder = _Both(self.service.responder, self.warm)

    def die(self) -> None:
        """Be gone without a word."""
        self.world.begin(self.warm.stop())
        super().die()


class _Withholding:
    """A Sybil to whom warm links lead: it answers everything at once, and always with nothing."""

    async def handle(self, request: Request, caller: Caller) -> object:
        if isinstance(request, FindValue):
            return Records((), ())
        if isinstance(request, Seek):
            return Sought(())
        if isinstance(request, AskIndex):
            return IndexPage(request.epoch, (), 0, False)
        if isinstance(request, PullRecords):
            return Pulled(())
        return None


class WarmSybil(WarmNode, Sybil):
    """A hostile node that others have warm links to."""

    def turn(self) -> None:
        """Be hostile from now on."""
        Sybil.turn(self)
        self.end.responder = _Between(self.end.responder)

    def relent(self) -> None:
        """Behave again."""
        self.honest = True
        self.end.responder = _Both(self.service.responder, self.warm)


class _Between:
    def __init__(self, colluding: Responder) -> None:
        self._colluding = colluding
        self._withholding = _Withholding()

    async def handle(self, request: Request, caller: Caller) -> Any:
        told = await self._withholding.handle(request, caller)
        return told if told is not None else await self._colluding.handle(request, caller)


def warm_sybils() -> tuple[type[WarmSybil], Conspiracy]:
    """Return a class of hostile nodes that share one conspiracy of their own."""
    conspiracy = Conspiracy()
    return type("Sybil", (WarmSybil,), {"conspiracy": conspiracy}), conspiracy


class WarmWorld(World):
    """A world whose warm traffic is counted, and whose links lose segments.

    Args:
        seed: of all that is drawn.
    """

    def __init__(self, seed: int, *others: Any) -> None:
        super().__init__(seed, *others)
        self.meter = Meter()
        self.fabric.times = LossyTimes(random.Random(seed + 2))

    @staticmethod
    @contextlib.contextmanager
    def lazily() -> Iterator[None]:
        """Let nodes look every 10 s, and not every second, whether they lack links.

        It opens links a little later and changes nothing else, and costs a tenth.
        """
        with patch.object(warm_service, "TEND_SECONDS", LAZY_SECONDS):
            yield

    def warm_up(self, seconds: float) -> None:
        """Let all nodes open their links, one after another within the time given, and wait."""
        nodes = self.draws.sample(self.living, len(self.living))
        for node in nodes:
            assert isinstance(node, WarmNode)
            node.warm.start()
            self.pass_time(seconds / 2 / len(nodes))
        self.pass_time(seconds / 2)

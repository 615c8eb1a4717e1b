"""M3: a node's circuits as real relays see them, with their defence against floods on.

The defence is that of the public network, and stricter in one thing: relays look at whoever has
one connection to them, not three. It leaves out the addresses of relays, so the clients here come
from other ones of the loopback network.
"""

import re
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.task import deferLater

from bitsnode.config import LOCAL, PEER_PORT, PUBLIC, Network
from bitsnode.peer.client import PeerClient
from bitsnode.peer.dials import BURST
from bitsnode.peer.errors import PeerError
from bitsnode.peer.server import PeerServer
from bitsnode.wire.card import HOUR, Capability, NodeCard, SignedCard, solve_puzzle
from bitsnode.wire.messages import Done, Ping, Request
from onion.dialer import PUBLIC_TIMES
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.localnet import PrivateTorNetwork
from onion.running import TorSettings
from onion.service import LOCAL_SERVICE_TIMES
from onion.tor import TorNetwork

pytestmark = [
    pytest.mark.tor,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is on Linux' loopback only"),
]

PACED = attrs.evolve(LOCAL, circuits=PUBLIC.circuits, connect_seconds=PUBLIC.connect_seconds)
WARM = 192  # circuits that are kept
COLD = 100  # dials in a minute
MINUTE = 60.0  # seconds
FLOOD = 150  # dials at once of a client without a budget
# tor(1): the defaults of the public network's consensus, but for the connections
DEFENCE: dict[str, str | list[str]] = {
    "DoSCircuitCreationEnabled": "1",
    "DoSCircuitCreationMinConnections": "1",
    "DoSCircuitCreationRate": "3",
    "DoSCircuitCreationBurst": "90",
}
# What tor opens by itself: circuits that it expects to need, and another for one that failed.
OWN = 40
_REFUSED = re.compile(r"DoS mitigation since startup: .*?(\d+) circuits rejected, (\d+) marked")


class _Pong:
    async def handle(self, _request: Request, _caller: object) -> Done:
        return Done()


def _reactor() -> Any:
    from twisted.internet import reactor  # pytest-twisted's

    return reactor


@asynccontextmanager
async def _tor(network: PrivateTorNetwork, home: Path, address: str) -> AsyncIterator[TorNetwork]:
    """A tor whose connections come from an address of the loopback network."""
    options = network.client_options() | {"OutboundBindAddress": address}
    settings = TorSettings(home, extra_options=options)
    tor = TorNetwork(_reactor(), settings, lambda _event: None, PUBLIC_TIMES, LOCAL_SERVICE_TIMES)
    await tor.start()
    try:
        yield tor
    finally:
        await tor.stop()


@asynccontextmanager
async def _network(folder: Path) -> AsyncIterator[PrivateTorNetwork]:
    network = PrivateTorNetwork(_reactor(), folder, relay_options=DEFENCE)
    await network.start()
    try:
        yield network
    finally:
        await network.stop()


def _server(key: OnionKey, now: float) -> PeerServer:
    nonce = solve_puzzle(key.public_key, LOCAL.card_bits, 0, 1 << 16)
    assert nonce is not None
    card = NodeCard(
        version=1,
        network=LOCAL.name,
        onion_key=key.public_key,
        signing_key=b"s" * 32,
        sealing_key=b"x" * 32,
        capabilities=Capability.STORAGE,
        nonce=nonce,
        sequence=1,
        expires=(int(now) // HOUR + 48) * HOUR,
    )
    signed = SignedCard.sign(card, key.sign)
    return PeerServer(_reactor(), LOCAL, lambda: signed, {Ping: _Pong()})


def _client(tor: TorNetwork, network: Network) -> PeerClient:
    return PeerClient(_reactor(), tor, network, lambda: None, Isolation("node", "own"))


async def _answers(client: PeerClient, key: OnionKey, isolation: Isolation) -> bool:
    try:
        return isinstance(await client.request(key.address, Ping(), isolation), Done)
    except PeerError:
        return False


async def _keep_warm(client: PeerClient, key: OnionKey) -> int:
    """Open `WARM` connections, each on a circuit of its own; return how many answer."""
    turns = DeferredSemaphore(8)
    warm = [Isolation("warm", str(number)) for number in range(WARM)]

    async def one(isolation: Isolation) -> bool:
        for _ in range(5):
            if await _answers(client, key, isolation):
                return True
        return False

    asked = [turns.run(lambda each=each: Deferred.fromCoroutine(one(each))) for each in warm]
    return sum(await gatherResults(asked))


async def _dial_cold(client: PeerClient, key: OnionKey) -> int:
    """Dial `COLD` times in a minute, each on a new circuit; return how many answered."""

    async def one(number: int) -> bool:
        await deferLater(_reactor(), number * MINUTE / COLD, lambda: None)
        isolation = Isolation.fresh("cold")
        answered = await _answers(client, key, isolation)
        client.close(isolation)
        return answered

    return sum(await gatherResults([Deferred.fromCoroutine(one(each)) for each in range(COLD)]))


def _tell(control: Path, cookie: bytes, command: str) -> None:
    """Give a tor a command. Not by stem: from this process it would take the tor as its own."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(str(control))
        # a signal is acted upon after its reply: by the next reply it was
        for line in (f"AUTHENTICATE {cookie.hex()}", command, "GETINFO version"):
            stream.sendall(line.encode() + b"\r\n")
            assert stream.recv(4096).startswith(b"250")


def _refused(network: PrivateTorNetwork) -> tuple[int, int]:
    """Return how many circuits the relays have rejected, and how many addresses marked."""
    circuits = marked = 0
    for control in sorted((network.directory / "sockets").resolve().glob("*.control")):
        relay = network.directory / control.stem
        _tell(control, (relay / "cookie").read_bytes(), "SIGNAL HEARTBEAT")
        log = (relay / "notice.log").read_text()
        found = _REFUSED.findall(log)
        assert found, f"{control.stem} says nothing of its defence"
        assert "DoSCircuitCreationEnabled disabled" not in log
        circuits, marked = circuits + int(found[-1][0]), marked + int(found[-1][1])
    return circuits, marked


@pytest_twisted.ensureDeferred
async def test_m3_relays_never_take_a_node_for_an_attack(tmp_path: Path) -> None:
    """192 warm circuits and 100 cold dials a minute: at most 2 a second, and nobody is marked.

    The same relays mark a client without a budget, so their silence says something.
    """
    key = OnionKey(secrets.token_bytes(32))
    async with (
        _network(tmp_path / "tor") as network,
        _tor(network, tmp_path / "holder", "127.0.0.1") as holder,
    ):
        server = _server(key, _reactor().seconds())
        await (await holder.publish(key, PEER_PORT, server)).when_reachable()
        async with _tor(network, tmp_path / "node", "127.0.0.2") as tor:
            client = _client(tor, PACED)
            launched: list[str] = []
            assert tor._running is not None
            await tor._running.control.listen("CIRC", launched.append)
            begun = _reactor().seconds()
            assert await _keep_warm(client, key) == WARM
            answered = await _dial_cold(client, key)
            lasted = _reactor().seconds() - begun
            circuits = sum(" LAUNCHED" in line for line in launched)
            assert client.open_connections >= WARM  # none was given up for the cold ones
            print(f"{circuits} circuits in {lasted:.0f} s, {answered} cold dials answered")
            assert answered > 0
            assert circuits <= BURST + PUBLIC.circuits * lasted + OWN
            assert _refused(network) == (0, 0)
            await client.stop()
        async with _tor(network, tmp_path / "flood", "127.0.0.3") as tor:
            client = _client(tor, LOCAL)
            flood = [Isolation.fresh("flood") for _ in range(FLOOD)]
            await gatherResults([Deferred.fromCoroutine(_answers(client, key, i)) for i in flood])
            circuits, marked = _refused(network)
            print(f"a flood: {circuits} circuits rejected, {marked} addresses marked")
            assert circuits > 0
            assert marked == 1
            await client.stop()
        await server.stop()

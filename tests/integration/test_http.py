"""HTTP over a real private Tor network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource
from twisted.web.server import Site

from onion import errors
from onion.dialer import LOCAL_TIMES, SocksExitDialer
from onion.http import HttpClient, HttpReply
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.localnet import PrivateTorNetwork
from onion.running import TorSettings
from onion.service import LOCAL_SERVICE_TIMES
from onion.sockets import socket_directory
from onion.tor import TorNetwork
from onion.url import Url

pytestmark = pytest.mark.tor


def _reactor() -> Any:
    from twisted.internet import reactor  # pytest-twisted's

    return reactor


@asynccontextmanager
async def _tor(
    network: PrivateTorNetwork, home: Path, exits: bool = False
) -> AsyncIterator[TorNetwork]:
    options = network.client_options()
    settings = TorSettings(home, extra_options=options, exits=exits)
    tor = TorNetwork(_reactor(), settings, lambda _event: None, LOCAL_TIMES, LOCAL_SERVICE_TIMES)
    await tor.start()
    try:
        yield tor
    finally:
        await tor.stop()


class _Echo(Resource):
    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        body: bytes = request.content.read()
        return body


def _post(client: HttpClient, url: str, isolation: Isolation) -> Any:
    return client.post(
        Url.parse(url),
        b"hello",
        content_type="text/plain",
        isolation=isolation,
        timeout=30,
        limit=1000,
    )


@pytest_twisted.ensureDeferred
async def test_a_site_on_an_onion_answers_a_post(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """A post goes through tor to a Twisted site and its answer comes back, twice on one stream."""
    key = OnionKey.generate()
    async with _tor(private_tor, tmp_path / "a") as a, _tor(private_tor, tmp_path / "b") as b:
        await (await a.publish(key, 80, Site(_Echo()))).when_reachable()
        client = HttpClient(_reactor(), b)
        isolation = Isolation("rpc", "one")
        for _ in range(2):
            reply = await _post(client, f"http://{key.address}/", isolation)
            assert reply == HttpReply(200, b"hello")
        assert b.exits is None
        with pytest.raises(errors.ExitsOff):
            await _post(client, "https://rpc.example.org/", isolation)
        with pytest.raises(errors.HttpTimedOut):
            await client.post(
                Url.parse(f"http://{OnionKey.generate().address}/"),
                b"",
                content_type="text/plain",
                isolation=isolation,
                timeout=0.01,
                limit=10,
            )
        await client.stop()


@pytest_twisted.ensureDeferred
async def test_names_outside_pass_only_through_the_socket_for_exits(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """Without exits there is one socket, and tor refuses names on it; with them there is another.

    The private network has no exits, so a dial through that socket fails, with an error of ours.
    """
    isolation = Isolation("rpc", "one")
    nothing = Factory.forProtocol(Protocol)
    async with _tor(private_tor, tmp_path / "a") as tor:
        sockets = socket_directory(tmp_path / "a") / "tor"
        assert {path.name for path in sockets.iterdir()} == {"control.sock", "socks.sock"}
        astray = SocksExitDialer(_reactor(), tor._find_socks, LOCAL_TIMES)
        with pytest.raises(errors.DialError):
            await astray.dial_out("rpc.example.org", 443, isolation, nothing)
    async with _tor(private_tor, tmp_path / "b", exits=True) as tor:
        sockets = socket_directory(tmp_path / "b") / "tor"
        names = {path.name for path in sockets.iterdir()}
        assert names == {"control.sock", "socks.sock", "exits.sock"}
        client = HttpClient(_reactor(), tor, tor.exits)
        with pytest.raises(errors.DialError):
            await _post(client, "https://rpc.example.org/", isolation)
        onion_there = SocksExitDialer(_reactor(), tor._find_exits, LOCAL_TIMES)
        with pytest.raises(errors.DialError):
            host = OnionKey.generate().address.host
            await onion_there.dial_out(host, 80, isolation, nothing)
        await client.stop()

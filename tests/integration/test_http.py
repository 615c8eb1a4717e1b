"""HTTP over a real private Tor network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from bitsnode.ledger.errors import RpcStopped, RpcTimedOut
from bitsnode.ledger.rpc import Rpc, RpcEndpoint
from bitsnode.ledger.testing import FakeChain
from bitsnode.ledger.testing_rpc import FakeServer
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


class _RpcSite(Resource):
    """An RPC server on a fake chain; while it is `silent` it never answers."""

    isLeaf = True

    def __init__(self, server: FakeServer) -> None:
        super().__init__()
        self.server = server
        self.silent = False

    def render_POST(self, request: Any) -> Any:
        if self.silent:
            return NOT_DONE_YET
        return self.server.handle(request.content.read())


@pytest_twisted.ensureDeferred
async def test_web3_asks_a_chain_through_tor(
    private_tor: PrivateTorNetwork, tmp_path: Path
) -> None:
    """web3 in the thread of an RPC server gets its answers through tor; a stall ends in time.

    Stopping in the middle of a question ends the question and the thread.
    """
    key = OnionKey.generate()
    chain = FakeChain(_reactor().seconds)
    site = _RpcSite(FakeServer(chain))
    chain.balances["0x" + "11" * 20] = 5
    async with _tor(private_tor, tmp_path / "a") as tor:
        await (await tor.publish(key, 80, Site(site))).when_reachable()
        client = HttpClient(_reactor(), tor)
        endpoint = RpcEndpoint(f"http://{key.address}/", own=True)
        rpc = Rpc.through(_reactor(), client, endpoint, chain.chain_id)
        me = Isolation("rpc", "me")

        def balance(web3: Any) -> int:
            found: int = web3.eth.get_balance("0x" + "11" * 20)
            return found

        assert await rpc.run(balance, me) == 5
        site.silent = True
        with pytest.raises(RpcTimedOut, match="did not answer in time"):
            await rpc.run(balance, me, deadline=1)
        stuck = [Deferred.fromCoroutine(rpc.run(balance, me)) for _ in range(3)]
        await deferLater(_reactor(), 0.1)
        await rpc.stop()
        for each in stuck:
            with pytest.raises(RpcStopped):
                await each
        with pytest.raises(RpcStopped):
            await rpc.run(balance, me)
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
        host = OnionKey.generate().address.host
        with pytest.raises(errors.DialError):
            await onion_there.dial_out(host, 80, isolation, nothing)
        await client.stop()

"""A network in memory with one node that serves, and clients to ask it."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from bitsnode.config import LOCAL, PEER_PORT
from bitsnode.peer.budgets import Budgets, Times
from bitsnode.peer.client import PeerClient
from bitsnode.peer.server import PeerServer
from bitsnode.wire.card import HOUR, Capability, NodeCard, SignedCard, solve_puzzle
from bitsnode.wire.exchange import Caller
from bitsnode.wire.messages import (
    Contacts,
    Data,
    Done,
    FindNode,
    Ping,
    PutData,
    ReadShare,
    Request,
)
from onion.address import OnionAddress
from onion.isolation import Isolation
from onion.keys import OnionKey
from onion.testing import MemoryOnionNetwork

NOW = 500_000 * HOUR
NODE = Isolation("node", "own")
ANONYMOUS = Isolation("fetch", "one")


def signed_card(key: OnionKey, **changes: Any) -> SignedCard:
    """A card in order, of that key."""
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
        expires=NOW + 48 * HOUR,
    )
    return SignedCard.sign(attrs.evolve(card, **changes), key.sign)


class Answers:
    """A responder that answers at once, or when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Caller]] = []
        self.held: list[Deferred[None]] | None = None
        self.error: Exception | None = None
        self.data = b"d"

    def hold(self) -> None:
        """Leave requests unanswered from now on, until `release`."""
        self.held = []

    def release(self, count: int | None = None) -> None:
        """Answer some or all of the requests that are held, in order."""
        for _ in range(len(self.held or []) if count is None else count):
            assert self.held
            self.held.pop(0).callback(None)

    async def handle(self, request: Request, caller: Caller) -> object:
        """Answer with the reply class of the request."""
        self.asked.append((request, caller))
        if self.held is not None:
            waiting: Deferred[None] = Deferred()
            self.held.append(waiting)
            await waiting
        if self.error is not None:
            raise self.error
        if isinstance(request, FindNode):
            return Contacts(())
        if isinstance(request, ReadShare):
            return Data(self.data, len(self.data))
        return Done()


class World:
    """One serving node, and what it takes to ask it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.network = MemoryOnionNetwork(self.clock)
        self.answers = Answers()
        self.key = OnionKey(b"k" * 32)
        self.address = self.key.address
        self.card = signed_card(self.key)

    def serve(
        self,
        budgets: Budgets | None = None,
        times: Times | None = None,
        *,
        key: OnionKey | None = None,
    ) -> PeerServer:
        """Publish the node's server, under its own address if no other key is given."""
        responders: Mapping[type[Request], Answers] = {
            request: self.answers for request in (Ping, FindNode, PutData, ReadShare)
        }
        server = PeerServer(self.clock, LOCAL, lambda: self.card, responders, budgets, times)
        self.network.publisher().publish(key or self.key, PEER_PORT, server)
        self.network.flush()
        return server

    @staticmethod
    def signed_card(key: OnionKey, **changes: Any) -> SignedCard:
        """See `signed_card`."""
        return signed_card(key, **changes)

    def client(self, card: SignedCard | None = None, **options: Any) -> PeerClient:
        """A client with its own dialer."""
        dialer = self.network.dialer()
        return PeerClient(self.clock, dialer, LOCAL, lambda: card, NODE, **options)

    def ask(
        self,
        client: PeerClient,
        message: Request | None = None,
        isolation: Isolation = ANONYMOUS,
        timeout: float | None = None,
        address: OnionAddress | None = None,
    ) -> "Deferred[Any]":
        """Start a request to the node, and let the network settle."""
        asked = Deferred.fromCoroutine(
            client.request(address or self.address, message or Ping(), isolation, timeout)
        )
        self.network.flush()
        return asked


@pytest.fixture
def world() -> World:
    """A network whose node does not serve yet."""
    return World()


@pytest.fixture
def outcome() -> Callable[[Deferred[Any]], Any]:
    """The result of a Deferred that has fired, raising its failure."""
    return result_of


def result_of(deferred: "Deferred[Any]") -> Any:
    """Return the result; raise the failure; AssertionError while there is neither."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "has not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]

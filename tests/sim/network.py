"""What lies between the nodes: circuits with their times, and the wire on both ends.

The seam is `bitsnode.dht.questions.Peers`. Of every few circuits one is *wired*: at both ends of
it is the program's own `Session`, and each question and answer on it is encoded, framed, cut,
decoded and checked. Over the others they go as they are, which changes no answer and costs half.
Left out are the peer room's timers and budgets: with them a warm question costs 0.44 ms of CPU
and a cold one 2.4 ms, which is too much a million times over; `tests/dht/test_over_peers.py` runs
the same DHT over them.
"""

from collections import OrderedDict
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from bitsnode.config import Network
from bitsnode.errors import BitsError
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Caller, Refused, Responder
from bitsnode.wire.messages import Request
from bitsnode.wire.session import (
    FailureReceived,
    HelloReceived,
    ReplyReceived,
    RequestReceived,
    Role,
    Session,
)
from onion.address import OnionAddress
from onion.isolation import Isolation
from tests.sim.clock import VirtualClock
from tests.sim.models import Times

MOST_CIRCUITS = 256  # open at a time, as in the peer client
IDLE_SECONDS = 900.0  # after which a circuit is closed, as in the peer room
SIM = Network("local", 0, 0, 0, 60.0, 0.0)  # no puzzles: they cost time and decide nothing here


class Gone(BitsError):
    """Nobody is at this address."""


class End:
    """A node as others reach it.

    Attributes:
        card: what it shows.
        responder: who answers.
        alive: whether it is there.
        silent: whether circuits to it open and carry nothing.
    """

    def __init__(self, card: SignedCard, responder: Responder) -> None:
        self.card = card
        self.responder = responder
        self.alive = True
        self.silent = False


@attrs.define(eq=False)
class _Circuit:
    wire: tuple[Session, Session] | None  # the near end and the far one
    caller: Caller
    card: SignedCard
    used: float


_Key = tuple[bytes, str]  # an onion key, and the key of an isolation


class Fabric:
    """All nodes, by address.

    Args:
        clock: the time.
        times: how long things take.
        wired: of so many circuits one is wired; 1 for all.

    Attributes:
        ends: who is where, by onion key.
        questions: asked in all.
        dials: cold contacts tried in all.
    """

    def __init__(self, clock: VirtualClock, times: Times, wired: int = 1) -> None:
        self.clock = clock
        self.times = times
        self.wired = wired
        self.ends: dict[bytes, End] = {}
        self.questions = 0
        self.dials = 0


class CircuitPeers:
    """A peer client of the simulated network; see `bitsnode.dht.questions.Peers`.

    Args:
        fabric: the network.
        own: our card, shown under the node's isolation only.
        node_isolation: of the node's duties.
    """

    def __init__(self, fabric: Fabric, own: SignedCard, node_isolation: Isolation) -> None:
        self._fabric = fabric
        self._own = own
        self._node_isolation = node_isolation
        self._circuits: OrderedDict[_Key, _Circuit] = OrderedDict()
        self._opening: dict[_Key, list[Deferred[_Circuit]]] = {}
        self._logs: dict[Isolation, list[tuple[OnionAddress, object]]] = {}

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """Ask a node; the answer takes one round trip more than the circuit."""
        circuit = self._open(address, isolation) or await self._circuit(address, isolation)
        fabric = self._fabric
        fabric.questions += 1
        await fabric.clock.sleep(fabric.times.round_trip())
        end = fabric.ends.get(address.public_key)
        if end is None or not end.alive or end.silent:
            self._circuits.pop((address.public_key, isolation.key), None)
            await fabric.clock.sleep(timeout or 60.0)
            raise Gone
        reply = await self._carry(circuit, end, message)
        if isolation in self._logs:
            self._logs[isolation].append((address, reply))
        if isinstance(reply, Refused):
            raise reply
        return reply

    async def card(self, address: OnionAddress, isolation: Isolation) -> SignedCard:
        """Return what a node showed when the circuit was opened."""
        circuit = self._open(address, isolation) or await self._circuit(address, isolation)
        return circuit.card

    def close(self, isolation: Isolation) -> None:
        """Drop the circuits of an isolation."""
        for key in [key for key in self._circuits if key[1] == isolation.key]:
            del self._circuits[key]
        self._logs.pop(isolation, None)

    def log(self, isolation: Isolation) -> list[tuple[OnionAddress, object]]:
        """Return the list to which answers under an isolation are added from now on."""
        return self._logs.setdefault(isolation, [])

    def is_open(self, address: OnionAddress, isolation: Isolation) -> bool:
        """Return whether a question needs no new circuit."""
        return (address.public_key, isolation.key) in self._circuits

    async def _carry(self, circuit: _Circuit, end: End, message: Request) -> object:
        """Take a question over the wire to a node, and its answer back."""
        if circuit.wire is None:
            try:
                return await end.responder.handle(message, circuit.caller)
            except Refused as error:
                return Refused(error.code, error.retry_after)
        near, far = circuit.wire
        number, data = near.request(message)
        far.receive(data)
        event = far.next_event()
        if not isinstance(event, RequestReceived):
            raise AssertionError(event)
        try:
            reply = await end.responder.handle(event.request, circuit.caller)
            data = far.reply(number, reply)
        except Refused as error:
            # a request refused is told apart by its code alone, as on the wire
            far._under_way.pop(number)
            near._under_way.pop(number)
            return Refused(error.code, error.retry_after)
        near.receive(data)
        answer = near.next_event()
        if isinstance(answer, FailureReceived) or not isinstance(answer, ReplyReceived):
            raise AssertionError(answer)
        return answer.reply

    def _open(self, address: OnionAddress, isolation: Isolation) -> _Circuit | None:
        key = address.public_key, isolation.key
        now = self._fabric.clock.seconds()
        known = self._circuits.get(key)
        if known is None or known.used + IDLE_SECONDS <= now:
            return None
        known.used = now
        self._circuits.move_to_end(key)
        return known

    async def _circuit(self, address: OnionAddress, isolation: Isolation) -> _Circuit:
        """Open a circuit, or wait for one that is being opened, whoever asked for it."""
        key = address.public_key, isolation.key
        waiter: Deferred[_Circuit] = Deferred()
        waiters = self._opening.setdefault(key, [])
        waiters.append(waiter)
        if len(waiters) == 1:
            dial = Deferred.fromCoroutine(self._dial(key, isolation))
            dial.addCallbacks(self._opened, self._unopened, callbackArgs=(key,), errbackArgs=(key,))
        return await waiter

    def _opened(self, circuit: _Circuit, key: _Key) -> None:
        for waiter in self._opening.pop(key):
            if not waiter.called:
                waiter.callback(circuit)

    def _unopened(self, failure: Failure, key: _Key) -> None:
        failure.trap(Gone)
        for waiter in self._opening.pop(key):
            if not waiter.called:
                waiter.errback(Gone())

    async def _dial(self, key: _Key, isolation: Isolation) -> _Circuit:
        fabric = self._fabric
        fabric.dials += 1
        number = fabric.dials
        wired = number % fabric.wired == 0
        end = fabric.ends.get(key[0])
        cold = fabric.times.cold()
        if end is None or not end.alive or cold > SIM.connect_seconds:
            await fabric.clock.sleep(SIM.connect_seconds)
            raise Gone
        await fabric.clock.sleep(cold)
        shown = self._own if isolation == self._node_isolation else None
        wire, data = _hello(shown, end.card) if wired else (None, end.card.data)
        card = SignedCard.parse(
            data, network=SIM.name, puzzle_bits=SIM.card_bits, now=fabric.clock.seconds()
        )
        circuit = _Circuit(wire, Caller(number, shown), card, fabric.clock.seconds())
        self._circuits[key] = circuit
        if len(self._circuits) > MOST_CIRCUITS:
            self._circuits.popitem(last=False)
        return circuit


def _hello(shown: SignedCard | None, card: SignedCard) -> tuple[tuple[Session, Session], bytes]:
    """Return both ends of a wire, and the signed card that came over it."""
    near, far = Session(Role.DIALLER, SIM.name), Session(Role.LISTENER, SIM.name)
    far.receive(near.hello(None if shown is None else shown.data))
    near.receive(far.hello(card.data))
    far.next_event()
    hello = near.next_event()
    if not isinstance(hello, HelloReceived) or hello.card is None:
        raise AssertionError(hello)
    return (near, far), hello.card

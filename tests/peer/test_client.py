"""What a node's questions go through: the pool, the card, time-outs and failures."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from bitsnode.errors import RemoteProtocolError
from bitsnode.peer.budgets import Budgets, Times
from bitsnode.peer.errors import (
    ClientStopped,
    ConnectionLost,
    PeerError,
    ProtocolBroken,
    RequestTimedOut,
    Unreachable,
    WrongCard,
)
from bitsnode.wire.card import HOUR
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import (
    Contacts,
    Done,
    FailureCode,
    FindNode,
    Ping,
    PutData,
)
from onion.isolation import Isolation
from onion.keys import OnionKey

ANONYMOUS = Isolation("fetch", "one")
NODE = Isolation("node", "own")
Outcome = Callable[["Deferred[Any]"], Any]
World = Any


def test_a_question_is_answered(world: World, outcome: Outcome) -> None:
    """A request comes back as the reply of its class."""
    world.serve()
    client = world.client()
    assert outcome(world.ask(client)) == Done()
    assert outcome(world.ask(client, FindNode(b"t" * 32))) == Contacts(())


def test_questions_share_a_connection_and_its_dial(world: World, outcome: Outcome) -> None:
    """Concurrent requests of one isolation dial once, and later ones not again."""
    world.serve()
    client = world.client()
    asked = [Deferred.fromCoroutine(client.request(world.address, Ping(), ANONYMOUS)) for _ in "ab"]
    world.network.flush()
    assert [outcome(one) for one in asked] == [Done(), Done()]
    outcome(world.ask(client))
    assert len(world.network.dials) == 1


def test_isolations_share_nothing(world: World, outcome: Outcome) -> None:
    """Each isolation has a connection of its own, and the dialer is told which it is."""
    world.serve()
    client = world.client()
    other = Isolation("fetch", "two")
    outcome(world.ask(client))
    outcome(world.ask(client, isolation=other))
    assert [dial.isolation for dial in world.network.dials] == [ANONYMOUS, other]
    assert len({caller.connection for _, caller in world.answers.asked}) == 2


def test_only_the_nodes_own_connections_show_its_card(world: World, outcome: Outcome) -> None:
    """A connection that showed our card never carries an anonymous request."""
    card = world.signed_card(OnionKey(b"c" * 32))
    world.serve()
    client = world.client(card)
    outcome(world.ask(client, isolation=NODE))
    outcome(world.ask(client, isolation=ANONYMOUS))
    shown = [caller.card for _, caller in world.answers.asked]
    assert shown == [card, None]


def test_the_card_of_the_node_is_its_hello(world: World, outcome: Outcome) -> None:
    """The card comes with the connection, verified, without another question."""
    world.serve()
    client = world.client()
    asked = Deferred.fromCoroutine(client.card(world.address, ANONYMOUS))
    world.network.flush()
    assert outcome(asked) == world.card
    assert world.answers.asked == []


def test_another_nodes_card_is_refused(world: World, outcome: Outcome) -> None:
    """The dialled address is the key that must have signed the card."""
    elsewhere = OnionKey(b"e" * 32)
    world.serve(key=elsewhere)
    client = world.client()
    with pytest.raises(WrongCard) as caught:
        outcome(world.ask(client, address=elsewhere.address))
    assert isinstance(caught.value, RemoteProtocolError)
    assert isinstance(caught.value, PeerError)
    assert world.answers.asked == []
    assert world.network.live_connections(elsewhere.address) == 0


@pytest.mark.parametrize(
    "changes", [{"expires": HOUR}, {"network": "public"}, {"nonce": b"n" * 16}]
)
def test_a_card_that_is_not_in_order_ends_the_connection(
    world: World, outcome: Outcome, changes: dict[str, Any]
) -> None:
    """An expired, foreign or unpaid card of the node is a breach of the protocol."""
    world.card = world.signed_card(world.key, **changes)
    world.serve()
    client = world.client()
    with pytest.raises(ProtocolBroken):
        outcome(world.ask(client))
    assert client.open_connections == 0


def test_a_node_that_is_not_there_is_unreachable(world: World, outcome: Outcome) -> None:
    """A dial that fails becomes one sentence, and the next request dials anew."""
    client = world.client()
    with pytest.raises(Unreachable, match=r"could not be reached: No such onion service"):
        outcome(world.ask(client))
    world.serve()
    assert outcome(world.ask(client)) == Done()


def test_n3_a_node_that_connects_and_says_nothing_is_given_up(
    world: World, outcome: Outcome
) -> None:
    """A silent node costs `connect_seconds`, not for ever."""
    world.serve()
    world.network.stall(world.address)
    client = world.client()
    asked = world.ask(client)
    world.clock.advance(9.9)
    assert not asked.called
    world.clock.advance(0.2)
    with pytest.raises(Unreachable):
        outcome(asked)


def test_a_request_times_out_alone(world: World, outcome: Outcome) -> None:
    """One request without an answer fails in its time; others go on over the same connection."""
    world.serve()
    client = world.client()
    world.answers.hold()
    slow = world.ask(client, timeout=10)
    world.clock.advance(5)
    quick = world.ask(client, timeout=10)
    world.answers.held.reverse()
    world.answers.release(1)
    world.network.flush()
    assert outcome(quick) == Done()
    world.clock.advance(5)
    with pytest.raises(RequestTimedOut):
        outcome(slow)
    world.answers.release()
    world.network.flush()
    assert len(world.network.dials) == 1


def test_a_late_answer_is_dropped(world: World, outcome: Outcome) -> None:
    """The answer to a request that timed out disturbs nothing."""
    world.serve()
    client = world.client()
    outcome(world.ask(client))
    world.answers.hold()
    slow, other = world.ask(client, timeout=10), world.ask(client, timeout=60)
    world.clock.advance(5)
    world.answers.held.reverse()
    world.answers.release(1)
    world.network.flush()
    world.clock.advance(5)
    with pytest.raises(RequestTimedOut):
        outcome(slow)
    assert outcome(other) == Done()
    world.answers.release()
    world.network.flush()
    world.answers.held = None
    assert outcome(world.ask(client)) == Done()
    assert len(world.network.dials) == 1


def test_a_silent_connection_is_not_used_again(world: World, outcome: Outcome) -> None:
    """When nothing at all came within a request's time, the connection is dead: dial anew."""
    world.serve()
    client = world.client()
    outcome(world.ask(client))
    world.network.stall(world.address)
    first, second = world.ask(client, timeout=10), world.ask(client, timeout=99)
    world.clock.advance(10)
    with pytest.raises(RequestTimedOut):
        outcome(first)
    with pytest.raises(ConnectionLost):
        outcome(second)
    world.network.mend(world.address)
    assert outcome(world.ask(client)) == Done()
    assert len(world.network.dials) == 2


def test_a_lost_connection_fails_what_is_under_way(world: World, outcome: Outcome) -> None:
    """Each waiting request gets ConnectionLost, and the next one dials anew."""
    world.serve()
    client = world.client()
    world.answers.hold()
    waiting = [world.ask(client) for _ in range(50)]
    world.network.drop(world.address)
    world.network.flush()
    for asked in waiting:
        with pytest.raises(ConnectionLost):
            outcome(asked)
    world.answers.held = None
    assert outcome(world.ask(client)) == Done()
    assert len(world.network.dials) == 2


def test_a_cancelled_request_frees_what_it_held(world: World, outcome: Outcome) -> None:
    """Cancelling before the connection is there cancels the dial, but only if nobody else waits."""
    world.serve()
    client = world.client()
    world.network.hang(world.address)
    first, second = world.ask(client), world.ask(client)
    first.cancel()
    with pytest.raises(CancelledError):
        outcome(first)
    assert len(world.clock.getDelayedCalls()) == 1  # the dial goes on for the second
    second.cancel()
    with pytest.raises(CancelledError):
        outcome(second)
    assert world.clock.getDelayedCalls() == []
    world.network.mend(world.address)
    assert outcome(world.ask(client)) == Done()


def test_a_request_cancelled_while_the_hello_is_awaited_closes_the_connection(
    world: World, outcome: Outcome
) -> None:
    """No connection is left open that nobody asked for."""
    world.serve()
    world.network.stall(world.address)
    client = world.client()
    asked = world.ask(client)
    assert world.network.live_connections(world.address) == 1
    asked.cancel()
    with pytest.raises(CancelledError):
        outcome(asked)
    world.network.flush()
    assert world.network.live_connections(world.address) == 0


def test_cancelled_requests_under_way_are_forgotten_when_answered(
    world: World, outcome: Outcome
) -> None:
    """After any number of cancelled requests the connection holds nothing of them."""
    world.serve()
    client = world.client()
    world.answers.hold()
    for _ in range(100):
        asked = world.ask(client)
        asked.cancel()
        with pytest.raises(CancelledError):
            outcome(asked)
        world.answers.release()
        world.network.flush()
    assert len(world.answers.asked) == 100
    world.answers.held = None
    assert outcome(world.ask(client)) == Done()


def test_a_request_cancelled_in_the_queue_is_never_sent(world: World, outcome: Outcome) -> None:
    """What nobody waits for any more is not asked when its turn comes."""
    world.serve(Budgets(concurrent=1000))
    client = world.client()
    world.answers.hold()
    asked = [world.ask(client, FindNode(bytes([number]) * 32)) for number in range(40)]
    for one in asked[32:39]:
        one.cancel()
        with pytest.raises(CancelledError):
            outcome(one)
    world.answers.release()
    world.network.flush()
    world.answers.release()
    world.network.flush()
    assert len(world.answers.asked) == 33
    assert [outcome(one) for one in asked[:32] + asked[39:]] == [Contacts(())] * 33


def test_requests_beyond_the_cap_wait_their_turn(world: World, outcome: Outcome) -> None:
    """No more than 32 requests are under way; the rest follow as answers come, in order."""
    world.serve(Budgets(concurrent=1000))
    client = world.client()
    world.answers.hold()
    targets = [bytes([number]) * 32 for number in range(100)]
    asked = [world.ask(client, FindNode(target)) for target in targets]
    assert len(world.answers.asked) == 32
    world.answers.release(1)
    world.network.flush()
    assert len(world.answers.asked) == 33
    while world.answers.held:
        world.answers.release()
        world.network.flush()
    assert [outcome(one) for one in asked] == [Contacts(())] * 100
    assert [request.target for request, _ in world.answers.asked] == targets


def test_a_full_transport_holds_back_requests(world: World, outcome: Outcome) -> None:
    """While the network takes no more bytes, requests wait unencoded instead of in its buffer."""
    world.serve()
    client = world.client()
    outcome(world.ask(client))
    world.network.set_latency(world.address, 1)
    put = PutData(b"u" * 16, 0, 0, b"d" * 262_144)
    asked = [world.ask(client, put) for _ in range(20)]
    world.clock.advance(1)
    assert len(world.answers.asked) == 2
    for _ in range(50):
        world.clock.advance(1)
        world.network.flush()
    assert [outcome(one) for one in asked] == [Done()] * 20


def test_busy_is_waited_for_and_tried_again(world: World, outcome: Outcome) -> None:
    """A node that is busy for a moment is asked again after the time it gave."""
    world.serve()
    client = world.client()
    world.answers.error = Refused(FailureCode.BUSY, 3)
    asked = world.ask(client)
    later = world.ask(client)
    assert len(world.answers.asked) == 1
    world.answers.error = None
    world.clock.advance(3)
    world.network.flush()
    assert [outcome(asked), outcome(later)] == [Done(), Done()]


def test_busy_for_ever_or_for_long_is_told(world: World, outcome: Outcome) -> None:
    """After three tries, or at once when the wait is long, the caller hears BUSY."""
    world.serve()
    client = world.client()
    world.answers.error = Refused(FailureCode.BUSY, 3)
    asked = world.ask(client)
    for _ in range(2):
        world.clock.advance(3)
        world.network.flush()
    with pytest.raises(Refused) as caught:
        outcome(asked)
    assert (caught.value.code, caught.value.retry_after) == (FailureCode.BUSY, 3)
    assert len(world.answers.asked) == 3
    world.clock.advance(3)
    world.answers.error = Refused(FailureCode.BUSY, 3600)
    with pytest.raises(Refused):
        outcome(world.ask(client))


def test_a_refusal_is_not_a_peer_error(world: World, outcome: Outcome) -> None:
    """A node that says no has answered: the code tells why, and the connection goes on."""
    world.serve()
    client = world.client()
    world.answers.error = Refused(FailureCode.NOT_FOUND)
    with pytest.raises(Refused) as caught:
        outcome(world.ask(client))
    assert caught.value.code == FailureCode.NOT_FOUND
    assert not isinstance(caught.value, PeerError)
    world.answers.error = None
    outcome(world.ask(client))
    assert len(world.network.dials) == 1


def test_closing_an_isolation_leaves_the_others(world: World, outcome: Outcome) -> None:
    """All of one isolation's connections and dials end; another's request still comes back."""
    world.serve()
    client = world.client()
    other = Isolation("fetch", "two")
    outcome(world.ask(client))
    outcome(world.ask(client, isolation=other))
    world.answers.hold()
    dropped, kept = world.ask(client), world.ask(client, isolation=other)
    client.close(ANONYMOUS)
    with pytest.raises(ConnectionLost):
        outcome(dropped)
    world.answers.release()
    world.network.flush()
    assert outcome(kept) == Done()
    assert client.open_connections == 1


def test_stopping_leaves_nothing(world: World, outcome: Outcome) -> None:
    """After stop nothing is open, waiting or scheduled, and a new request is refused."""
    server = world.serve()
    client = world.client()
    outcome(world.ask(client))
    world.answers.hold()
    waiting = world.ask(client)
    world.network.hang(world.address)
    dialling = world.ask(client, isolation=Isolation("fetch", "two"))
    outcome(Deferred.fromCoroutine(client.stop()))
    for asked in (waiting, dialling, world.ask(client)):
        with pytest.raises(ClientStopped):
            outcome(asked)
    world.network.flush()
    assert server.open_connections == 0
    assert world.clock.getDelayedCalls() == []


def test_a_connection_out_of_use_is_pinged_and_then_closed(world: World, outcome: Outcome) -> None:
    """Pings find out dead connections, and do not count as use."""
    server = world.serve(times=Times(idle=10_000))
    client = world.client(times=Times(keepalive=100, idle=350))
    outcome(world.ask(client))
    for _ in range(3):
        world.clock.advance(100)
        world.network.flush()
    assert len(world.answers.asked) == 4
    world.clock.advance(60)
    world.network.flush()
    assert (server.open_connections, client.open_connections) == (0, 0)
    assert world.clock.getDelayedCalls() == []


def test_a_connection_in_use_is_not_pinged(world: World, outcome: Outcome) -> None:
    """A ping is due after silence, not by the clock."""
    world.serve()
    client = world.client(times=Times(keepalive=100, idle=10_000))
    for _ in range(5):
        outcome(world.ask(client))
        world.clock.advance(60)
        world.network.flush()
    assert len(world.answers.asked) == 5
    world.clock.advance(40)
    world.network.flush()
    assert len(world.answers.asked) == 6


def test_who_keeps_connections_open_pings_them_by_itself(world: World, outcome: Outcome) -> None:
    """Each ping costs both ends, so nothing is pinged twice; and whether one is open is told."""
    world.serve()
    client = world.client(times=Times(keepalive=100, idle=900), unhurried=frozenset({"fetch"}))
    assert not client.is_open(world.address, ANONYMOUS)
    outcome(world.ask(client))
    assert client.is_open(world.address, ANONYMOUS)
    assert not client.is_open(world.address, Isolation("fetch", "two"))
    world.clock.advance(800)
    world.network.flush()
    assert len(world.answers.asked) == 1
    world.network.cut(world.address)
    world.network.flush()
    assert not client.is_open(world.address, ANONYMOUS)


def test_the_connection_unused_for_longest_makes_room(world: World, outcome: Outcome) -> None:
    """The pool keeps to its size by closing what is idle."""
    world.serve()
    client = world.client(connections=2)
    for number in "abc":
        outcome(world.ask(client, isolation=Isolation("fetch", number)))
        world.clock.advance(1)
    assert client.open_connections == 2
    outcome(world.ask(client, isolation=Isolation("fetch", "c")))
    assert len(world.network.dials) == 3


def test_tor_lost_is_said_and_survived(world: World, outcome: Outcome) -> None:
    """Without tor a request fails with the reason, and works again when tor is back."""
    world.serve()
    client = world.client()
    dialer = client._dialer
    world.answers.hold()
    waiting = world.ask(client)
    dialer.lose_tor()
    world.network.flush()
    with pytest.raises(ConnectionLost):
        outcome(waiting)
    with pytest.raises(Unreachable, match="Tor is not running"):
        outcome(world.ask(client))
    dialer.regain_tor()
    world.answers.held = None
    assert outcome(world.ask(client)) == Done()

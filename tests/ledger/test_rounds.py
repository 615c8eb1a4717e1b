"""Reading by the clock: a server sees the same questions at the same times, whatever goes on."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from bitsnode.ledger.errors import RpcStopped, RpcTimedOut
from bitsnode.ledger.index_store import Reach
from bitsnode.ledger.rounds import Rounds

PAUSE = 15.0
REACH = Reach(7, 7)


class Chain:
    """What is read: each round waits until it is answered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked_at: list[float] = []
        self.answers: list[Deferred[Reach]] = []

    async def read(self, tell: Callable[[Reach, int], None]) -> Reach:
        """Begin a round."""
        self.asked_at.append(self._clock.seconds())
        self.answers.append(Deferred())
        reach = await self.answers[-1]
        tell(reach, reach.tip)
        return reach


def waiting(rounds: Rounds, told: list[int]) -> "Deferred[Reach]":
    """Somebody who wants to know what is new."""
    return Deferred.fromCoroutine(rounds.next(lambda _reach, head: told.append(head)))


def test_the_times_do_not_depend_on_who_waits() -> None:
    """Those of a node that nobody uses and of one that is busy are the same."""
    times: list[list[float]] = []
    for busy in (False, True):
        clock, told = Clock(), []
        chain = Chain(clock)
        rounds = Rounds(clock, PAUSE, chain.read)
        rounds.start()
        for _ in range(60):
            if busy:
                waiting(rounds, told).addErrback(lambda _: None)
            clock.advance(1)
            if chain.answers and not chain.answers[-1].called:
                chain.answers[-1].callback(REACH)
        rounds.stop()
        times.append(chain.asked_at)
    assert times[0] == times[1] == [0, 15, 30, 45, 60]


def test_who_waits_gets_a_round_that_begins_later() -> None:
    """One under way may have read before what they wait for; all get the same answer."""
    clock, told = Clock(), []
    chain = Chain(clock)
    rounds = Rounds(clock, PAUSE, chain.read)
    rounds.start()
    first, second = waiting(rounds, told), waiting(rounds, told)
    chain.answers[0].callback(Reach(6, 6))
    assert not first.called
    clock.advance(PAUSE)
    chain.answers[1].callback(REACH)
    assert (first.result, second.result, told) == (REACH, REACH, [7, 7])


def test_a_round_that_takes_long_is_followed_on_the_beat() -> None:
    """The next one begins at a multiple of the pause, and not at once."""
    clock = Clock()
    chain = Chain(clock)
    rounds = Rounds(clock, PAUSE, chain.read)
    rounds.start()
    clock.advance(37)
    chain.answers[0].callback(REACH)
    clock.advance(8)
    assert chain.asked_at == [0, 45]


def test_a_round_that_fails_tells_and_goes_on() -> None:
    """Who waited is told why; the next round is on time."""
    clock, told = Clock(), []
    chain = Chain(clock)
    rounds = Rounds(clock, PAUSE, chain.read)
    failed = waiting(rounds, told)
    rounds.start()
    chain.answers[0].errback(RpcTimedOut("server"))
    assert failed.result.check(RpcTimedOut)  # type: ignore[attr-defined]
    failed.addErrback(lambda _: None)
    clock.advance(PAUSE)
    assert chain.asked_at == [0, 15]


@pytest.mark.parametrize("under_way", [False, True])
def test_stopping_ends_all_waiting(under_way: bool) -> None:
    """Whether a round is under way or not; and nothing is read any more."""
    clock, told = Clock(), []
    chain = Chain(clock)
    rounds = Rounds(clock, PAUSE, chain.read)
    rounds.start()
    if not under_way:
        chain.answers[0].callback(REACH)
    outcomes: list[Any] = []
    waiting(rounds, told).addErrback(outcomes.append)
    rounds.stop()
    assert outcomes[0].check(RpcStopped)
    waiting(rounds, told).addErrback(outcomes.append)
    assert outcomes[1].check(RpcStopped)
    assert clock.getDelayedCalls() == []


def test_who_goes_away_disturbs_nobody() -> None:
    """A wait that is cancelled ends alone."""
    clock, told = Clock(), []
    chain = Chain(clock)
    rounds = Rounds(clock, PAUSE, chain.read)
    gone, stays = waiting(rounds, told), waiting(rounds, told)
    rounds.start()
    gone.addErrback(lambda _: None)
    gone.cancel()
    chain.answers[0].callback(REACH)
    assert stays.result == REACH

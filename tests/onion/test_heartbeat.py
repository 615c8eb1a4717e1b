"""A tor that runs and does not answer."""

from collections.abc import Iterator

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from onion.heartbeat import Heartbeat, HeartbeatTimes

TIMES = HeartbeatTimes(every=10, answer=4, misses=2)


@attrs.define(eq=False)
class _Tor:
    """Takes questions; the last one is answered by hand.

    Attributes:
        clock: the time.
        asked: when each question came.
        silent: how many times silence was told of.
        questions: what was asked and not answered.
    """

    clock: Clock = attrs.Factory(Clock)
    asked: list[float] = attrs.Factory(list)
    silent: int = 0
    questions: list[Deferred[str]] = attrs.Factory(list)

    async def ask(self) -> str:
        self.asked.append(self.clock.seconds())
        question: Deferred[str] = Deferred()
        self.questions.append(question)
        return await question

    def is_silent(self) -> None:
        self.silent += 1


@pytest.fixture
def tor() -> _Tor:
    """A tor on a clock of its own."""
    return _Tor()


@pytest.fixture
def beating(tor: _Tor) -> Iterator[Heartbeat]:
    """A heartbeat that has begun; it leaves nothing on the clock."""
    heartbeat = Heartbeat(tor.clock, TIMES, tor.ask, tor.is_silent)
    heartbeat.start()
    yield heartbeat
    heartbeat.stop()
    assert not tor.clock.getDelayedCalls()


@pytest.mark.usefixtures("beating")
def test_who_answers_is_asked_again_and_again(tor: _Tor) -> None:
    """The pause begins with the answer."""
    for _ in range(3):
        tor.clock.pump([10, 3])
        tor.questions.pop().callback("0.4.9.11")
    assert tor.asked == [10, 23, 36]
    assert tor.silent == 0


@pytest.mark.usefixtures("beating")
def test_two_questions_without_an_answer_are_silence(tor: _Tor) -> None:
    """The second one follows at once; after it nothing more is asked."""
    tor.clock.pump([10, 4, 0])
    assert tor.silent == 0
    tor.clock.pump([4, 0])
    assert tor.silent == 1
    tor.clock.pump([100] * 3)
    assert tor.asked == [10, 14]
    assert tor.silent == 1


@pytest.mark.usefixtures("beating")
def test_a_machine_that_slept_is_no_silence(tor: _Tor) -> None:
    """The wait for a question is over when it wakes up; the next one is answered."""
    for _ in range(3):
        tor.clock.pump([10, 3600, 0])
        tor.questions.pop().callback("0.4.9.11")
    assert tor.silent == 0


@pytest.mark.usefixtures("beating")
def test_a_refusal_is_an_answer(tor: _Tor) -> None:
    """Somebody gave it."""
    for _ in range(3):
        tor.clock.advance(10)
        tor.questions.pop().errback(RuntimeError("unrecognized key"))
    assert len(tor.asked) == 3
    assert tor.silent == 0


@pytest.mark.parametrize("seconds", [5, 12], ids=["between questions", "during one"])
def test_nothing_is_told_after_the_end(tor: _Tor, beating: Heartbeat, seconds: float) -> None:
    """Nor asked."""
    tor.clock.advance(seconds)
    asked = len(tor.asked)
    beating.stop()
    tor.clock.pump([100] * 3)
    assert len(tor.asked) == asked
    assert tor.silent == 0


def test_it_may_be_stopped_by_whom_it_tells(tor: _Tor) -> None:
    """As a connection does that is given up."""
    stopped: list[bool] = []

    def given_up() -> None:
        heartbeat.stop()
        stopped.append(True)

    heartbeat = Heartbeat(tor.clock, TIMES, tor.ask, given_up)
    heartbeat.start()
    tor.clock.pump([10, 4, 0, 4, 0])
    assert stopped == [True]
    assert not tor.clock.getDelayedCalls()

"""Key shares from t of m holders, of which some are dead, slow or lying.

As few as possible are asked, for each one asked learns which redemption bought this content: t of
them at first, drawn by lot, and another one whenever one fails, lies or takes long.
"""

import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from bitsnode.market.errors import NotOpened, WrongShare
from bitsnode.market.offer import Offer
from bitsnode.market.purchase_errors import KeyHolderFault
from bitsnode.market.purchase_facts import Lied, ShareCame
from bitsnode.market.purchase_needs import TROUBLES
from bitsnode.market.purchase_progress import HolderSilent, OnEvent, Waiting
from bitsnode.market.shares import check_share

ASK_SECONDS: Final = 120.0  # for one holder: challenge and share, two circuits' building included
SLOW_SECONDS: Final = 20.0  # after which another one is asked besides
FIRST_PAUSE: Final = 15.0  # seconds before a holder that failed is asked again; doubles
PATIENCE_SECONDS: Final = 30.0  # that a holder is waited for, once, if it asks for so little
LONGEST_PAUSE: Final = 1800.0  # seconds

Ask = Callable[[int], Coroutine[Deferred[Any], Any, bytes]]


class Collecting:
    """Asks holders until shares enough are there; one fact at a time.

    Args:
        clock: the time.
        ask: asks the holder of an index for its share.
        offer: that names the holders.
        settled: indexes that need not be asked: their share is here, or they lied.
        on_event: told of progress.
    """

    def __init__(
        self, clock: IReactorTime, ask: Ask, offer: Offer, settled: set[int], on_event: OnEvent
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._offer = offer
        self._on_event = on_event
        waiting = [index for index in range(1, len(offer.holders) + 1) if index not in settled]
        secrets.SystemRandom().shuffle(waiting)
        self._due = dict.fromkeys(waiting, 0.0)  # when to ask, in the order to ask
        self._patience: dict[int, bool] = {}  # whether one that asked for time is waited for
        self._pauses = dict.fromkeys(waiting, FIRST_PAUSE)  # after the next fault of each
        self._asked: dict[int, tuple[float, Deferred[None]]] = {}
        self._came: deque[ShareCame | Lied] = deque()
        self._alarm: Deferred[None] | None = None
        self._bug: Exception | None = None

    async def next(self, missing: int) -> ShareCame | Lied:
        """Return the next share or lie; asks for as many as are missing, and waits for ever.

        Raises:
            Exception: what asking raised and no other node is at fault for.
        """
        while not self._came:
            self._start(missing)
            if self._bug is not None:
                raise self._bug
            if not self._came:
                await self._wait(self._until())
        return self._came.popleft()

    def stop(self) -> None:
        """End all questions."""
        for _since, task in list(self._asked.values()):
            task.cancel()

    def _start(self, missing: int) -> None:
        now = self._clock.seconds()
        quick = sum(1 for since, _ in self._asked.values() if now - since < SLOW_SECONDS)
        quick += sum(
            1 for index, due in self._due.items() if self._patience.get(index) and due > now
        )
        ready = [index for index, due in self._due.items() if due <= now]
        for index in ready[: max(0, missing - quick - len(self._came))]:
            del self._due[index]
            self._asked[index] = (now, Deferred())  # replaced below, if it takes time
            task = Deferred.fromCoroutine(self._one(index))
            if index in self._asked:
                self._asked[index] = (now, task)

    async def _one(self, index: int) -> None:
        try:
            asked = Deferred.fromCoroutine(self._ask(index))
            share = await asked.addTimeout(ASK_SECONDS, self._clock)
            check_share(self._offer, index, share)
            self._came.append(ShareCame(index, share))
        except (WrongShare, NotOpened):
            self._came.append(Lied(index))
        except CancelledError:
            return
        except (*TROUBLES, TimeoutError) as error:
            self._put_off(index, error)
        except Exception as error:
            self._bug = error
        finally:
            self._asked.pop(index, None)
            self._ring()

    def _put_off(self, index: int, error: Exception) -> None:
        reason = "It took too long." if isinstance(error, TimeoutError) else str(error)
        least = error.retry_after if isinstance(error, KeyHolderFault) else 0
        # who asks for a little time knows what was bought already: rather that one than another
        patient = 0 < least <= PATIENCE_SECONDS and index not in self._patience
        pause = 0.0 if patient else self._pauses[index]
        if patient:
            self._due = {index: 0.0, **self._due}  # first in the order to ask
        else:
            self._pauses[index] = min(LONGEST_PAUSE, 2 * pause)
        self._patience[index] = patient
        self._due[index] = self._clock.seconds() + max(pause, least)
        self._on_event(HolderSilent(index, reason))

    def _until(self) -> float:
        """How long to wait: until one asked is slow, or one put off is due."""
        now = self._clock.seconds()
        slow = [since + SLOW_SECONDS for since, _ in self._asked.values()]
        later = [at for at in (*slow, *self._due.values()) if at > now]
        seconds = min(later, default=now + ASK_SECONDS) - now
        if not self._asked and self._due:
            self._on_event(Waiting("Too few key holders answer.", seconds))
        return seconds

    async def _wait(self, seconds: float) -> None:
        alarm = self._alarm = Deferred()
        timer = self._clock.callLater(seconds, self._ring)
        try:
            await alarm
        finally:
            self._alarm = None
            if timer.active():
                timer.cancel()

    def _ring(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.callback(None)

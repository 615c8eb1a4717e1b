"""A payment on its way: who submits it, and what the chain says of it.

Every attempt sends the same redemption, whose message names no relay, so however many relays have
it, the chain takes it once.
"""

from typing import Final, Literal

from bitsnode.market.agreeing import Agreeing, Consent, find_relays
from bitsnode.market.payment import prepared_of
from bitsnode.market.purchase import Story
from bitsnode.market.purchase_errors import NoRelay, OfferChanged
from bitsnode.market.purchase_facts import Dropped, Fact, Failed, Reason, Seen, Sent, Settled
from bitsnode.market.purchase_needs import TROUBLES, RelayFound, Tools, Trouble, pause
from bitsnode.market.purchase_progress import OnEvent, RelayFailed, Submitting, Waiting
from onion.isolation import Isolation

LAST_SECONDS: Final = 60  # before the deadline in which nothing is sent any more
RELAY_SECONDS: Final = 180.0  # for one relay to bring it into a block
LOOK_SECONDS: Final = 5.0  # between looks at the chain
_ACCEPT: Final[tuple[Literal["link"], ...]] = ("link",)
RETRY_SECONDS: Final = 30.0  # after the chain, or all relays, failed


class Sending:
    """Sends the payment of one purchase and watches it.

    Args:
        tools: of the node.
        story: of the purchase.
        isolation: of what relays are asked.
        on_event: told of progress.

    Attributes:
        consent: of the buyer, if they are there.
        cancelled: the buyer gave it up.
        failure: why it failed, if that is known better than the fact says.
    """

    def __init__(self, tools: Tools, story: Story, isolation: Isolation, on_event: OnEvent) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._story = story
        self._isolation = isolation
        self._on_event = on_event
        self._handed: tuple[Sent, float] | None = None  # what this process sent, and when
        self._given_up: Sent | None = None  # the attempt that is to be followed by another
        self.consent: Consent | None = None
        self.cancelled = False
        self.failure: Trouble | None = None

    def given_up(self) -> Failed | None:
        """Return why nothing is to be sent, if nothing was sent before."""
        if self.cancelled:
            return Failed(Reason.CANCELLED)
        return None if self._in_time() else Failed(Reason.EXPIRED)

    async def choose(self) -> Fact:
        """Choose who submits it first, if it may still be paid."""
        agreeing = Agreeing(self._tools, self._isolation, self._on_event)
        while (failed := self.given_up()) is None:
            try:
                await agreeing.check_unchanged(self._story.signed)
                relay = await self._next()
            except OfferChanged as error:
                self.failure = error
                return Failed(Reason.OFFER_CHANGED)
            except TROUBLES as error:
                await self._wait(error)
                continue
            if self.cancelled:
                continue
            if relay is not None:
                return Sent(relay, int(self._clock.seconds()))
            await self._wait(NoRelay())
        return failed

    async def watch(self) -> Fact:
        """Send it, and look for it in the chain; after a while, let another one send it."""
        while True:
            try:
                fact = await self._look()
                if fact is None and self._story.seen is None and self._in_time():
                    fact = await self._push()
            except TROUBLES as error:
                await self._wait(error)
                continue
            if fact is not None:
                if isinstance(fact, Dropped):
                    self._handed = None  # whoever had it may have forgotten it
                return fact
            await pause(self._clock, LOOK_SECONDS)

    async def _push(self) -> Fact | None:
        """Send it if this process did not; choose another one if that took too long."""
        last, now = self._story.sent[-1], self._clock.seconds()
        if self._handed is None or self._handed[0] is not last:
            self._handed = (last, now)
            if await self._hand_over(last):
                return None
            self._given_up = last
        elif self._given_up is not last:
            if now - self._handed[1] < RELAY_SECONDS:
                return None
            self._given_up = last
            self._on_event(RelayFailed(last.relay, "It did not bring it into the chain in time."))
        relay = await self._next()
        if relay is None:
            raise NoRelay
        if relay == last.relay:
            await self._wait(NoRelay())
        return Sent(relay, int(self._clock.seconds()))

    async def _hand_over(self, sent: Sent) -> bool:
        """Send it as was written down; whether it was taken."""
        self._on_event(Submitting(sent.relay, len(self._story.sent)))
        prepared, own, consent = prepared_of(self._story), self._tools.own_relay, self.consent
        try:
            if sent.relay:
                await self._tools.relays.submit(
                    sent.relay, prepared.redemption, prepared.spends, self._isolation
                )
            elif own is None or consent is None:
                return False
            else:
                await own.submit(prepared, password=consent.password, accept=_ACCEPT)
        except TROUBLES as error:
            self._on_event(RelayFailed(sent.relay, str(error)))
            return False
        return True

    async def _next(self) -> bytes | None:
        """Return who is to submit it: a relay not tried yet, oneself, then those tried long ago."""
        tried = [sent.relay for sent in self._story.sent]
        own = bool(self._tools.own_relay and self.consent and self.consent.own_relay)
        found = await find_relays(self._tools, self._story.agreed.fee, self._isolation, own)
        if own:
            found = [*found, RelayFound(b"", 0)]

        def last(relay: RelayFound) -> int:
            places = (place for place, each in enumerate(tried) if each == relay.onion_key)
            return max(places, default=-1)

        return min(found, key=last).onion_key if found else None

    async def _look(self) -> Fact | None:
        """Return what is new in the chain."""
        chain, deadline = self._tools.chain, self._story.agreed.deadline
        over = self._clock.seconds() > deadline and await chain.settled_until() > deadline
        (spend,) = self._story.spends
        found, seen = await chain.look(spend.group, spend.nullifier), self._story.seen
        if found is not None and found.message != prepared_of(self._story).message:
            return Failed(Reason.SPENT_ELSEWHERE) if found.final else None
        if found is None:
            if over:
                return Failed(Reason.EXPIRED)
            return Dropped() if seen else None
        if found.final:
            return Settled(found.block, found.transaction)
        if seen is None or (seen.block, seen.transaction) != (found.block, found.transaction):
            return Seen(found.block, found.transaction)
        return None

    def _in_time(self) -> bool:
        return self._clock.seconds() <= self._story.agreed.deadline - LAST_SECONDS

    async def _wait(self, error: Trouble) -> None:
        self._on_event(Waiting(str(error), RETRY_SECONDS))
        await pause(self._clock, RETRY_SECONDS)

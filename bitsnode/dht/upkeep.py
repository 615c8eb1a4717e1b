"""Keeps the routing table true: joins, verifies candidates, checks contacts, refreshes buckets.

All of this is a node's duty: it goes out under the node's own isolation, on connections that
show its card, and only duties write to the routing table.
"""

import secrets
from collections.abc import Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime

from bitsnode.dht.candidates import Candidates
from bitsnode.dht.contacts import address_of
from bitsnode.dht.density import LEAST_SAMPLES
from bitsnode.dht.lookup import ALPHA
from bitsnode.dht.lookups import Lookups
from bitsnode.dht.questions import Questions, tells_of_node
from bitsnode.dht.repeating import Repeating
from bitsnode.dht.routing import Contact, RoutingTable
from bitsnode.dht.side_by_side import all_of
from bitsnode.errors import BitsError
from bitsnode.ids import DIGEST_SIZE
from bitsnode.wire.card import HOUR, SignedCard
from bitsnode.wire.exchange import Refused
from onion.address import OnionAddress
from onion.isolation import Isolation

TEND_SECONDS: Final = 2.0  # between dials of ALPHA candidates, so that nobody makes us storm
IDLE_SECONDS: Final = 10.0  # between checks of ALPHA contacts, while there are no candidates
MAX_IDLE_SECONDS: Final = 60.0  # the same, while no check is due
SOON: Final = 2.0  # seconds to the second walk home
HOME_GROWTH: Final = 6.0  # by which the wait grows each time, up to `REFRESH_SECONDS`
REFRESH_SECONDS: Final = 3600.0  # between refreshes of the buckets (Kademlia, §2.3)
RETRY_SECONDS: Final = 300.0  # most between attempts to reach the given addresses
RENEW_SECONDS: Final = 12 * HOUR  # before a contact's card expires a newer one is asked for
MAX_GIVEN: Final = 64  # addresses to begin with that are kept while they do not answer


class Upkeep:
    """The duties of a node in the DHT.

    Args:
        clock: the time.
        questions: asks other nodes.
        lookups: walks.
        table: what is kept true.
        candidates: nodes to verify.
        node_isolation: of all that is done here.
    """

    def __init__(
        self,
        clock: IReactorTime,
        questions: Questions,
        lookups: Lookups,
        table: RoutingTable,
        candidates: Candidates,
        node_isolation: Isolation,
    ) -> None:
        self._clock = clock
        self._questions = questions
        self._lookups = lookups
        self._table = table
        self._candidates = candidates
        self._isolation = node_isolation
        self._given: dict[OnionAddress, None] = {}
        self._dialling_given = False
        self._retry_wait = SOON
        self._home_wait = SOON
        self._refresh_wait = 15 * SOON
        self._next_due = 0.0
        self._retry = Repeating(clock, self._given_wait, self._dial_given)
        self._home = Repeating(clock, lambda: self._home_wait, self._walk_home)
        self._tending = Repeating(clock, self._tend_wait, self._tend)
        self._all = (
            self._retry,
            self._home,
            self._tending,
            Repeating(clock, lambda: self._refresh_wait, self._refresh_buckets),
        )

    @property
    def given(self) -> int:
        """How many given addresses have not answered yet."""
        return len(self._given)

    def start(self) -> None:
        """Begin the duties."""
        for repeating in self._all:
            repeating.start()

    def stop(self) -> None:
        """End them."""
        for repeating in self._all:
            repeating.stop()

    def give(self, addresses: Sequence[OnionAddress]) -> None:
        """Take addresses to begin with: dialled soon, and again at growing intervals."""
        for address in addresses:
            if len(self._given) < MAX_GIVEN:
                self._given[address] = None
        self._retry_wait = SOON
        self._retry.again()

    async def bootstrap(self) -> None:
        """Dial the given addresses now, and if one answers, walk towards ourselves."""
        await self._dial_given()
        self._retry.again()

    def walk_home_soon(self) -> None:
        """Walk towards ourselves soon, so that those near us get to know us."""
        self._home_wait = SOON
        self._home.again()

    def tend_soon(self) -> None:
        """Dial a candidate soon: there was none, and now there is one."""
        self._tending.again()

    def _given_wait(self) -> float:
        return self._retry_wait if self._given else RETRY_SECONDS

    def _tend_wait(self) -> float:
        if len(self._candidates):
            return TEND_SECONDS
        return min(MAX_IDLE_SECONDS, max(IDLE_SECONDS, self._next_due - self._clock.seconds()))

    async def _dial_given(self) -> None:
        """Dial the given addresses that have not answered, ALPHA at a time."""
        if not self._given or self._dialling_given:
            return
        self._dialling_given = True
        try:
            addresses, answered = list(self._given), 0
            for first in range(0, len(addresses), ALPHA):
                batch = addresses[first : first + ALPHA]
                answered += await all_of(self._dial_one_given(address) for address in batch)
        finally:
            self._dialling_given = False
        self._retry_wait = min(2 * self._retry_wait, RETRY_SECONDS)
        if answered:
            await self._lookups.find_node(self._table.own_id, self._isolation)
            self.walk_home_soon()

    async def _dial_one_given(self, address: OnionAddress) -> None:
        card = await self._questions.meet(address, self._isolation)
        self._given.pop(address, None)
        self._table.answered(card, self._clock.seconds())

    async def _walk_home(self) -> None:
        """Look ourselves up; often after joining, and ever more rarely.

        It is not made to depend on what changes: in a large network something always does, and
        newcomers near us come to us by themselves.
        """
        if self._table.contacts():
            await self._lookups.find_node(self._table.own_id, self._isolation)
            self._home_wait = min(HOME_GROWTH * self._home_wait, REFRESH_SECONDS)

    async def _refresh_buckets(self) -> None:
        self._table.forget(self._clock.seconds())
        noise = secrets.token_bytes(DIGEST_SIZE)
        targets = self._table.refresh_targets(noise)
        # walks to far points also tell how many nodes there are
        lacking = LEAST_SAMPLES - len(targets)
        targets += [secrets.token_bytes(DIGEST_SIZE) for _ in range(lacking)]
        for target in targets:
            await self._lookups.find_node(target, self._isolation)
        if self._table.contacts():
            self._refresh_wait = REFRESH_SECONDS

    async def _tend(self) -> None:
        """Dial a few candidates, or else check a few contacts that were silent for long."""
        now = self._clock.seconds()
        wanted = [c for c in self._candidates.take(ALPHA) if self._table.wants(c, now)]
        if wanted:
            await all_of(self._verify(address_of(card)) for card in wanted)
            return
        contacts = self._table.contacts()
        due = sorted((c for c in contacts if c.due <= now), key=lambda c: c.tried)
        later = [c.due for c in contacts if c.due > now]
        self._next_due = now if len(due) > ALPHA else min(later, default=now)
        await all_of(self._check(contact) for contact in due[:ALPHA])

    async def _verify(self, address: OnionAddress) -> None:
        try:
            card = await self._questions.meet(address, self._isolation)
        except BitsError as error:
            if tells_of_node(error):
                self._candidates.failed(address.public_key, self._clock.seconds())
            raise
        self._table.answered(card, self._clock.seconds())

    async def _check(self, contact: Contact) -> None:
        """Ask a contact for our neighbours: it is there if it answers, and may name new ones."""
        key, now = contact.card.card.onion_key, self._clock.seconds()
        try:
            if contact.card.card.expires <= now + RENEW_SECONDS:
                shown = await self._questions.renew(address_of(contact.card))
                cards: list[SignedCard] = []
            else:
                answer = await self._questions.find_node(
                    contact.card, self._table.own_id, self._isolation
                )
                shown, cards = answer.shown, answer.cards
        except Refused:
            shown, cards = contact.card, []
        except BitsError as error:
            if tells_of_node(error):
                self._table.failed(key, self._clock.seconds())
            raise
        self._table.answered(shown, self._clock.seconds())
        for card in cards:
            self._lookups.hear_of(card)

"""One question, tier by tier: our own index, the key's group, nodes nearer to it, a walk.

Each tier begins when the one before has nothing, or takes too long; what comes late from an
earlier one still counts.
"""

import secrets
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from bitsnode.config import Network
from bitsnode.dht.contacts import read_records
from bitsnode.errors import BitsError, RemoteProtocolError
from bitsnode.warm.asking import Dht
from bitsnode.warm.link import AskLink
from bitsnode.warm.links import AskLinks
from bitsnode.warm.places import Place
from bitsnode.warm.plan import Plan
from bitsnode.warm.race import Race
from bitsnode.wire.record import RecordKind, SignedRecord
from bitsnode.wire.warm_messages import Seek, Sought
from onion.errors import OnionError
from onion.isolation import Isolation

FOREVER: Final = 3600.0  # seconds; a walk has limits of its own


class Tier:
    """How a record was found: values of `Found.tier`."""

    INDEX: Final = 0  # here
    GROUP: Final = 1  # with nodes of the key's group, over links that were open
    HANDED_ON: Final = 2  # with nodes that those nodes asked, over links that were open
    WALK: Final = 3  # by a walk over fresh circuits


@attrs.frozen
class Found:
    """What was found of a key.

    Attributes:
        records: those that verify, of this key, each once; of one slot there may be several.
        tier: of `Tier`: where the first of them came from; `Tier.WALK` when there are none.
        seconds: it took.
    """

    records: tuple[SignedRecord, ...]
    tier: int
    seconds: float


class Finding:
    """One question.

    Args:
        clock: the time.
        links: open ones.
        dht: walks.
        network: what records must pay.
        plan: the numbers.
        key: 32 bytes.
        place: the key's group.
    """

    def __init__(
        self,
        clock: IReactorTime,
        links: AskLinks,
        dht: Dht,
        network: Network,
        plan: Plan,
        key: bytes,
        place: Place,
    ) -> None:
        self._clock = clock
        self._links = links
        self._dht = dht
        self._network = network
        self._plan = plan
        self._key = key
        self._place = place
        self._race = Race(clock, plan.grace, plan.feed_grace)
        self._silent: list[AskLink] = []
        self._said: list[tuple[AskLink, list[SignedRecord]]] = []  # what the group answered
        self._fault: Exception | None = None

    async def find(self, known: list[SignedRecord], walk_as: Isolation | None) -> Found:
        """Ask until there is an answer.

        Args:
            known: what our own index has, where that alone is not enough.
            walk_as: isolation of the walk that comes last; None for no walk.

        Raises:
            BitsError: nothing was found, and the walk could not be made.
            OnionError: likewise.
        """
        begun = self._clock.seconds()
        try:
            self._race.add(known)
            if not await self._ask_group() and not await self._hand_on() and walk_as is not None:
                self._race.start(self._walk(walk_as), Tier.WALK)
                await self._race.wait(FOREVER)
        finally:
            self._race.close()
            self._judge()
        found, tier = self._race.records, self._race.label
        if not found and self._fault is not None:
            raise self._fault
        if tier is None:
            tier = Tier.INDEX if known else Tier.WALK
        return Found(found, tier, self._clock.seconds() - begun)

    def _judge(self) -> None:
        """Count against a link that it had nothing, or an old head, where another had more."""
        newest = max((_newest(records) for _, records in self._said), default=0)
        if any(records for _, records in self._said):
            for link, records in self._said:
                self._links.judge(link, missed=not records or _newest(records) < newest)

    async def _ask_group(self) -> bool:
        """Ask some links at once, and another when none of them answers."""
        links = self._links.inside(self._place)
        now, spare = links[: self._plan.ask], links[self._plan.ask :]
        for link in now:
            self._race.start(self._value(link), Tier.GROUP)
        if not now:
            return False
        if await self._race.wait(self._plan.hedge):
            return True
        if self._race.idle:
            return False
        for link in spare[:1]:
            self._race.start(self._value(link), Tier.GROUP)
        return await self._race.wait(self._plan.group_most - self._plan.hedge)

    async def _hand_on(self) -> bool:
        hops = self._plan.hops
        links = self._links.nearest(self._key, but=self._silent)
        nearest, rest = links[: self._plan.nearest], links[self._plan.nearest :]
        for link in nearest:
            self._race.start(self._seek(link, hops), Tier.HANDED_ON)
        for _ in range(min(self._plan.others, len(rest))):
            link = rest.pop(secrets.randbelow(len(rest)))
            self._race.start(self._seek(link, 1), Tier.HANDED_ON)
        return await self._race.wait(self._plan.seek_seconds(hops))

    async def _value(self, link: AskLink) -> list[SignedRecord]:
        self._silent.append(link)
        # the same as what is handed on: who is asked cannot tell whose question it is
        records = await self._seek(link, 0)
        self._silent.remove(link)
        self._said.append((link, records))
        return records

    async def _seek(self, link: AskLink, hops: int) -> list[SignedRecord]:
        most = max(self._plan.ping_answer, self._plan.seek_seconds(hops))
        reply = await self._links.ask(link, Seek(self._key, hops), most)
        if not isinstance(reply, Sought):
            raise RemoteProtocolError
        return read_records(reply.records, self._key, self._network, self._clock.seconds())

    async def _walk(self, isolation: Isolation) -> list[SignedRecord]:
        try:
            return await self._dht.get_records(self._key, isolation)
        except (BitsError, OnionError) as error:
            self._fault = error
            raise


def _newest(records: list[SignedRecord]) -> int:
    """Return the highest sequence of a feed's heads; 0 if there are none."""
    heads = (signed.record for signed in records if signed.record.kind == RecordKind.FEED)
    return max((record.sequence for record in heads), default=0)

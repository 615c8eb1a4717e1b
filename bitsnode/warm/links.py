"""Ask links: connections that are open before anybody asks, each anonymous and on its own circuit.

Each has an isolation of its own and leads to one node: that node sees the questions of one
nobody for an hour or two, and no two nodes see the same one.
"""

import contextlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from bitsnode.config import Network
from bitsnode.dht.contacts import address_of
from bitsnode.dht.questions import WrongPosition, tells_of_node
from bitsnode.errors import BitsError
from bitsnode.ids import distance
from bitsnode.peer.errors import RequestTimedOut
from bitsnode.warm.asking import PURPOSE, Peers
from bitsnode.warm.link import AskLink
from bitsnode.warm.members import Members
from bitsnode.warm.places import Place
from bitsnode.warm.plan import Plan
from bitsnode.warm.traffic import Traffic
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode, Ping, Request
from onion.isolation import Isolation

_STEPS: Final = 1024  # of a random time
_SMALL: Final = 48  # bytes of a ping, or of its answer, at most
_log = Logger()


class AskLinks:
    """Keeps links open, finds dead ones by pings, and replaces both dead and old ones.

    Args:
        clock: the time.
        peers: asks other nodes.
        network: how long connecting may take.
        plan: the numbers.
        members: whom links may lead to.
        traffic: told of pings.
    """

    def __init__(
        self,
        clock: IReactorTime,
        peers: Peers,
        network: Network,
        plan: Plan,
        members: Members,
        traffic: Traffic,
    ) -> None:
        self._clock = clock
        self._peers = peers
        self._most = network.connect_seconds + plan.ping_answer + 30.0  # a turn to dial takes 30 s
        self._plan = plan
        self._members = members
        self._traffic = traffic
        self._wanted: Mapping[Place, int] = {}
        self._links: dict[bytes, AskLink] = {}  # by onion key
        self._dialling: dict[bytes, tuple[Place, Deferred[None]]] = {}
        self._pings: dict[bytes, IDelayedCall] = {}
        self._away_until = 0.0
        self._client = True
        self._stopped = False

    def open_links(self) -> list[AskLink]:
        """Return the links whose connections are open."""
        return [link for link in self._links.values() if self._is_open(link)]

    @property
    def opening(self) -> int:
        """How many are being dialled."""
        return len(self._dialling)

    @property
    def wanted(self) -> int:
        """How many links there should be."""
        return sum(self._wanted.values())

    def tend(self, wanted: Mapping[Place, int], own_key: bytes | None) -> list[Place]:
        """Drop what is dead, old or not wanted, and dial what is missing.

        Args:
            wanted: how many links in each place.
            own_key: our own onion key, which is never dialled; None for a client.

        Returns:
            The places that need links and of which no more nodes are known.
        """
        self._wanted = wanted
        self._client = own_key is None
        self._settle()
        short: list[Place] = []
        now = self._clock.seconds()
        if self._stopped:
            return short
        have = self._counted()
        # first one link in every place, then a second one: a question needs one
        for place in sorted(wanted, key=lambda place: (have[place], secrets.randbits(16))):
            while have[place] < wanted[place] and self._may_dial(now):
                if not self._dial_in(place, own_key, now):
                    short.append(place)
                    break
                have[place] += 1
        return short

    def _may_dial(self, now: float) -> bool:
        return len(self._dialling) < self._plan.dials and self._away_until <= now

    async def ask(self, link: AskLink, message: Request, timeout: float) -> Any:
        """Ask a link's node something.

        Raises:
            BitsError: no answer; the link is dropped if that was its fault.
        """
        begun = self._clock.seconds()
        link.waiting += 1
        try:
            reply = await self._peers.request(
                address_of(link.card), message, link.isolation, timeout
            )
        except Refused as error:
            if error.code == FailureCode.UNKNOWN_REQUEST:  # it has no such links itself
                self._members.of_no_use(link.card.card.onion_key, self._clock.seconds())
                self._close(link)
            raise
        except CancelledError:
            self._doubt(link)
            raise
        except BitsError as error:
            self._drop(link, error)
            raise
        finally:
            link.waiting -= 1
        link.answered(self._clock.seconds() - begun)
        return reply

    def inside(self, place: Place) -> list[AskLink]:
        """Return the open links to nodes in a place, in random order, those in doubt last."""
        found = [link for link in self.open_links() if place.holds(link.node_id)]
        secrets.SystemRandom().shuffle(found)
        return sorted(found, key=lambda link: link.waiting + link.doubts > 0)

    def nearest(self, key: bytes, but: Iterable[AskLink] = ()) -> list[AskLink]:
        """Return the open links, those to nodes nearest to a key (32 bytes) first.

        Args:
            key: 32 bytes.
            but: links that go to the end.
        """
        last = set(map(id, but))
        return sorted(
            self.open_links(), key=lambda link: (id(link) in last, distance(link.node_id, key))
        )

    def judge(self, link: AskLink, missed: bool) -> None:
        """Count an answer; who misses too much gives way, if somebody else is known for its place.

        Args:
            link: that answered.
            missed: it had nothing where another had something.
        """
        if link.judged(missed, self._plan.judged) < self._plan.misses:
            return
        now = self._clock.seconds()
        if self._members.draw(link.place, self._links.keys(), now) is not None:
            self._members.of_no_use(link.card.card.onion_key, now)
            self._close(link)

    def stop(self) -> None:
        """Close all."""
        self._stopped = True
        for _, dial in list(self._dialling.values()):
            dial.cancel()
        for link in list(self._links.values()):
            self._close(link)

    # Keeping

    def _counted(self) -> Counter[Place]:
        """Return how many links each place has, with those that are being dialled."""
        have = Counter(link.place for link in self._links.values())
        have.update(place for place, _ in self._dialling.values())
        return have

    def _is_open(self, link: AskLink) -> bool:
        return self._peers.is_open(address_of(link.card), link.isolation)

    def _settle(self) -> None:
        """Close what broke or is too old, and give each other link a place that is wanted."""
        now = self._clock.seconds()
        for link in list(self._links.values()):
            if not self._is_open(link) or (link.until <= now and not link.waiting):
                self._close(link)
        have = self._counted()
        for link in list(self._links.values()):
            if have[link.place] > self._wanted.get(link.place, 0):
                have[link.place] -= 1
                self._move(link, have)

    def _move(self, link: AskLink, have: Counter[Place]) -> None:
        """Count a link for another place that its node is in, if one lacks links."""
        for place, count in self._wanted.items():
            if have[place] < count and place.holds(link.node_id):
                link.place = place
                have[place] += 1
                return
        self._close(link)

    def _close(self, link: AskLink) -> None:
        key = link.card.card.onion_key
        if self._links.pop(key, None) is not None:
            call = self._pings.pop(key, None)
            if call is not None:
                call.cancel()
            self._peers.close(link.isolation)

    def _doubt(self, link: AskLink) -> None:
        """Nobody waits for a link's answer any more: a ping tells whether it is slow or dead."""
        link.doubts += 1
        call = self._pings.pop(link.card.card.onion_key, None)
        if call is not None:
            call.cancel()
            self._ping_later(link, 0.0)

    def _drop(self, link: AskLink, error: BitsError) -> None:
        """Give up a link that failed; its node is not dialled again soon if it is at fault."""
        now = self._clock.seconds()
        if not tells_of_node(error):
            self._away_until = now + self._plan.away
        elif isinstance(error, RequestTimedOut):
            self._members.failed(link.card.card.onion_key, now)
        self._close(link)

    # Dialling

    def _dial_in(self, place: Place, own_key: bytes | None, now: float) -> bool:
        taken = {*self._links, *self._dialling}
        if own_key is not None:
            taken.add(own_key)
        card = self._members.draw(place, taken, now)
        if card is None:
            return False
        key = card.card.onion_key
        opening = Deferred.fromCoroutine(self._open(card, place))
        if not opening.called:
            self._dialling[key] = place, opening
        opening.addBoth(self._opened, key)
        return True

    def _opened(self, result: object, key: bytes) -> None:
        self._dialling.pop(key, None)
        if isinstance(result, Failure):
            _log.failure("Opening a warm link failed by a bug", failure=result)

    async def _open(self, card: SignedCard, place: Place) -> None:
        isolation = Isolation.fresh(PURPOSE)
        try:
            meeting = Deferred.fromCoroutine(self._meet(card, isolation))
            rtt = await meeting.addTimeout(self._most, self._clock)
        except (BitsError, DeferredTimeout, CancelledError) as error:
            self._peers.close(isolation)
            self._failed(card, error)
            return
        now = self._clock.seconds()
        least, most = self._plan.client_life if self._client else self._plan.life
        until = now + least + (most - least) * secrets.randbelow(_STEPS) / _STEPS
        link = AskLink(card, place, isolation, now, until, rtt)
        self._links[card.card.onion_key] = link
        self._ping_later(link, self._ping_wait())

    def _failed(self, card: SignedCard, error: Exception) -> None:
        now = self._clock.seconds()
        if isinstance(error, CancelledError):
            return
        if isinstance(error, BitsError) and not tells_of_node(error):
            self._away_until = now + self._plan.away
        else:
            self._members.failed(card.card.onion_key, now)

    async def _meet(self, card: SignedCard, isolation: Isolation) -> float:
        """Connect, and return the seconds that a ping over the connection takes."""
        address = address_of(card)
        shown = (await self._peers.card(address, isolation)).card
        if (shown.onion_key, shown.nonce) != (card.card.onion_key, card.card.nonce):
            raise WrongPosition
        begun = self._clock.seconds()
        await self._ping(address, isolation)
        return self._clock.seconds() - begun

    # Pings

    async def _ping(self, address: Any, isolation: Isolation) -> None:
        self._traffic.exchanged(_SMALL, _SMALL)
        with contextlib.suppress(Refused):  # it is there, if it knows no pings
            await self._peers.request(address, Ping(), isolation, self._plan.ping_answer)

    def _ping_wait(self) -> float:
        mean = self._plan.client_ping if self._client else self._plan.ping
        return mean * (0.75 + secrets.randbelow(_STEPS) / (2 * _STEPS))

    def _ping_later(self, link: AskLink, seconds: float) -> None:
        call = self._clock.callLater(seconds, self._ping_now, link)
        self._pings[link.card.card.onion_key] = call

    def _ping_now(self, link: AskLink) -> None:
        del self._pings[link.card.card.onion_key]
        pinged = Deferred.fromCoroutine(self._ping_again(link))
        pinged.addErrback(lambda failure: _log.failure("A ping failed by a bug", failure=failure))

    async def _ping_again(self, link: AskLink) -> None:
        if not self._is_open(link):
            self._close(link)
            return
        begun = self._clock.seconds()
        try:
            await self._ping(address_of(link.card), link.isolation)
        except BitsError as error:
            self._drop(link, error)
            return
        link.answered(self._clock.seconds() - begun)
        self._members.answered(link.card.card.onion_key)
        if self._links.get(link.card.card.onion_key) is link:
            self._ping_later(link, self._ping_wait())

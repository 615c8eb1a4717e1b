"""One question to one node, and what came back, checked."""

from collections.abc import Coroutine
from typing import Any, Final, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime

from bitsnode.config import Network
from bitsnode.dht.clock_skew import ClockSkew
from bitsnode.dht.contacts import CardReader, address_of, read_records
from bitsnode.errors import BitsError, RemoteProtocolError
from bitsnode.wire.card import SignedCard
from bitsnode.wire.messages import Contacts, FindNode, FindValue, PutRecord, Records, Request
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.errors import TorUnavailable
from onion.isolation import Isolation

ANSWER_SECONDS: Final = 10.0  # from asking to the reply; connecting has its own time

T = TypeVar("T")


class Peers(Protocol):
    """What the DHT needs of the peer client."""

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """Return the reply; raises BitsError."""

    async def card(self, address: OnionAddress, isolation: Isolation) -> SignedCard:
        """Return the card that the dialled address shows; raises BitsError."""

    def close(self, isolation: Isolation) -> None:
        """Drop every connection of an isolation."""


class NoAnswer(BitsError):
    """The other node did not answer in time."""


class WrongPosition(RemoteProtocolError):
    """The other node shows another place in the keyspace than the card it was found by."""


def tells_of_node(error: BitsError) -> bool:
    """Return whether a failure says something of the node asked, not of our own tor."""
    return not isinstance(error.__cause__, TorUnavailable)


@attrs.frozen
class Answer:
    """A contact's reply.

    Attributes:
        shown: the contact's own card, from the connection that carried the reply.
        cards: the good cards of the reply.
        records: its good records of the key asked for.
    """

    shown: SignedCard
    cards: list[SignedCard]
    records: list[SignedRecord]


class Questions:
    """Asks nodes, and reads their replies with suspicion. Every question ends in bounded time.

    Attributes:
        skew: whether our clock agrees with the cards that nodes show.
    """

    def __init__(self, clock: IReactorTime, peers: Peers, network: Network) -> None:
        self._clock = clock
        self._peers = peers
        self._network = network
        self._reader = CardReader(network)
        self.skew = ClockSkew()
        self._seconds = network.connect_seconds + ANSWER_SECONDS

    async def find_node(self, card: SignedCard, target: bytes, isolation: Isolation) -> Answer:
        """Ask a contact for those near a point.

        Raises:
            BitsError: no answer, a refusal, or a breach of the protocol.
        """
        reply, shown = await self._bounded(self._ask(card, FindNode(target), isolation))
        if not isinstance(reply, Contacts):
            raise RemoteProtocolError
        return Answer(shown, self._reader.read_all(reply.cards, self._clock.seconds()), [])

    async def find_value(self, card: SignedCard, key: bytes, isolation: Isolation) -> Answer:
        """Ask a contact for the records of a key; raises as `find_node` does."""
        reply, shown = await self._bounded(self._ask(card, FindValue(key), isolation))
        if not isinstance(reply, Records):
            raise RemoteProtocolError
        now = self._clock.seconds()
        records = read_records(reply.records, key, self._network, now)
        return Answer(shown, self._reader.read_all(reply.cards, now), records)

    async def put(self, card: SignedCard, record: SignedRecord, isolation: Isolation) -> None:
        """Ask a contact to keep a record; raises as `find_node` does."""
        await self._bounded(self._ask(card, PutRecord(record.data), isolation))

    async def meet(self, address: OnionAddress, isolation: Isolation) -> SignedCard:
        """Dial an onion address if need be, and return the card it shows.

        Raises:
            BitsError: nobody there, or somebody else.
        """
        shown = await self._bounded(self._peers.card(address, isolation))
        if shown.card.onion_key != address.public_key:
            raise WrongPosition
        self._saw(shown)
        return shown

    async def renew(self, address: OnionAddress) -> SignedCard:
        """Return the card that an onion address shows on a new connection; raises as `meet`.

        The card of a long-lived connection is as old as the connection.
        """
        isolation = Isolation.fresh("dht-renew")
        try:
            return await self.meet(address, isolation)
        finally:
            self._peers.close(isolation)

    def read(self, card: bytes) -> SignedCard:
        """Return a checked card; raises RemoteProtocolError."""
        return self._reader.read(card, self._clock.seconds())

    async def _ask(
        self, card: SignedCard, message: Request, isolation: Isolation
    ) -> tuple[object, SignedCard]:
        address = address_of(card)
        reply = await self._peers.request(address, message, isolation, ANSWER_SECONDS)
        shown = await self._peers.card(address, isolation)
        if (shown.card.onion_key, shown.card.nonce) != (card.card.onion_key, card.card.nonce):
            raise WrongPosition
        self._saw(shown)
        return reply, shown

    def _saw(self, shown: SignedCard) -> None:
        self.skew.saw(shown.card.onion_key, shown.card.expires, self._clock.seconds())

    async def _bounded(self, question: Coroutine[Any, Any, T]) -> T:
        waiting = Deferred.fromCoroutine(question).addTimeout(self._seconds, self._clock)
        try:
            return await waiting
        except DeferredTimeout as error:
            raise NoAnswer from error

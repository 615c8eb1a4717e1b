"""Reads the cards and records of replies: all of it is a claim until it is read here."""

from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Final

from bitsnode.config import Network
from bitsnode.errors import RemoteProtocolError
from bitsnode.wire.card import BadCard, SignedCard
from bitsnode.wire.messages import MAX_RECORDS, K
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.errors import AddressError

MAX_READ: Final = 2048  # cards remembered as checked: the signatures of a few hundred replies


@lru_cache(maxsize=MAX_READ)  # to check the key takes longer than all the rest of a question
def _address(onion_key: bytes) -> OnionAddress:
    return OnionAddress.from_public_key(onion_key)


def address_of(card: SignedCard) -> OnionAddress:
    """Return the onion address of a card that was read."""
    return _address(card.card.onion_key)


class CardReader:
    """Checks cards, and remembers those it checked: the same ones come in reply after reply."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._read: OrderedDict[bytes, SignedCard] = OrderedDict()

    def read(self, data: bytes, now: float) -> SignedCard:
        """Return the card that ``data`` (signed card) holds, checked at ``now`` (Unix seconds).

        Raises:
            RemoteProtocolError: see `SignedCard.parse`, or its key cannot be dialled.
        """
        known = self._read.get(data)
        if known is not None and now < known.card.expires:
            self._read.move_to_end(data)
            return known
        card = SignedCard.parse(
            data, network=self._network.name, puzzle_bits=self._network.card_bits, now=now
        )
        try:
            address_of(card)
        except AddressError as error:
            raise BadCard("A node card is for a key that is no onion address.") from error
        self._read[card.data] = card
        if len(self._read) > MAX_READ:
            self._read.popitem(last=False)
        return card

    def read_all(self, cards: Iterable[bytes], now: float) -> list[SignedCard]:
        """Return the good ones of the first k cards of a reply, one per onion address.

        A bad card spoils neither the reply nor its sender: it may come from a third node, or
        from one whose clock differs.
        """
        found: dict[bytes, SignedCard] = {}
        for data in islice(cards, K):
            try:
                card = self.read(data, now)
            except RemoteProtocolError:
                continue
            found.setdefault(card.card.onion_key, card)
        return list(found.values())


def read_records(
    records: Iterable[bytes], key: bytes, network: Network, now: float
) -> list[SignedRecord]:
    """Return the good ones of the first `MAX_RECORDS` records of a reply that are of this key."""
    found = []
    for data in islice(records, MAX_RECORDS):
        try:
            signed = SignedRecord.parse(data, puzzle_bits=network.record_bits, now=now)
        except RemoteProtocolError:
            continue
        if signed.record.key == key:
            found.append(signed)
    return found

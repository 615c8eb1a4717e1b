"""The record in the DHT by which an offer is found from a content id. Pure.

Whoever knows the content id can read the record, and also sign one: the record's key is derived
from it. So the record's sequence says nothing; the offer inside is signed by the publisher, and
of several that are valid the one with the latest beginning counts.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from bitsnode.codec.keys import record_public_key, record_seal_key, record_seed
from bitsnode.codec.sealing import NotSealed, seal, unseal
from bitsnode.market.errors import BadOffer, OfferError, OfferNotSigned
from bitsnode.market.offer import Market, Quote, SignedOffer, quote
from bitsnode.market.purchase_errors import NoOffer
from bitsnode.wire.card import HOUR
from bitsnode.wire.record import (
    MAX_RECORD_LIFETIME,
    RECORD_VERSION,
    SLOT_SIZE,
    Record,
    RecordKind,
    SignedRecord,
    record_key,
)

OFFER_SLOT: Final = bytes(SLOT_SIZE)
LIFETIME: Final = 7 * 24 * HOUR  # seconds that one record lasts; it is put again before


def offer_key(content: bytes) -> bytes:
    """Return the DHT key of a content's offers, for its id's digest (32 bytes)."""
    return record_key(record_public_key(content))


def offer_record(signed: SignedOffer, sequence: int, bits: int, now: float) -> SignedRecord:
    """Return the record of an offer.

    Args:
        signed: the offer.
        sequence: higher than that of any record before.
        bits: of the record puzzle.
        now: Unix time in seconds; the record ends with the offer, a week from now at the latest.
    """
    content, offer = signed.offer.content, signed.offer
    ends = min(offer.valid_until + HOUR, int(now) + min(LIFETIME, MAX_RECORD_LIFETIME))
    record = Record(
        version=RECORD_VERSION,
        kind=RecordKind.OFFER,
        public_key=record_public_key(content),
        slot=OFFER_SLOT,
        sequence=sequence,
        expires=ends - ends % HOUR,
        value=seal(record_seal_key(content), signed.data),
        nonce=bytes(16),
    )
    return SignedRecord.sign(record.solved(bits), record_seed(content))


def offers_in(content: bytes, records: Iterable[SignedRecord]) -> Iterator[SignedOffer]:
    """Yield the offers that records of a content hold; what is no offer is left out."""
    for signed in records:
        if signed.record.kind != RecordKind.OFFER:
            continue
        try:
            yield SignedOffer.parse(unseal(record_seal_key(content), signed.record.value))
        except (NotSealed, BadOffer, OfferNotSigned):
            continue


def best_offer(
    content: bytes,
    publisher: bytes,
    records: Iterable[SignedRecord],
    market: Market,
    now: float,
) -> Quote:
    """Return the publisher's newest offer for a content that can be paid now.

    Raises:
        NoOffer: there is none at all.
        OfferError: there are, but none that can be paid; why the newest one cannot.
    """
    quotes: list[Quote] = []
    refusals: list[tuple[int, OfferError]] = []
    for signed in offers_in(content, records):
        try:
            quotes.append(quote(signed, content, publisher, market, now))
        except OfferError as error:
            if signed.offer.publisher == publisher:
                refusals.append((signed.offer.valid_from, error))
    if quotes:
        return max(quotes, key=lambda each: (each.signed.offer.valid_from, each.signed.hash))
    if refusals:
        raise max(refusals, key=lambda refusal: refusal[0])[1]
    raise NoOffer

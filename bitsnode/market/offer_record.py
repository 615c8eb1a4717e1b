"""The record in the DHT by which an offer is found from a content id. Pure.

Whoever knows the content id can read the record, and also sign one, but only into a slot of their
own: the publisher's slot key is derived from the publisher's seed. So others' records do not
replace the publisher's, and their sequences say nothing; the offer inside is signed by the
publisher, and of several that are valid the one with the latest beginning counts.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import nacl.signing

from bitsnode.codec.keys import record_public_key, record_seal_key, record_seed, slot_seed
from bitsnode.codec.sealing import NotSealed, seal, unseal
from bitsnode.market.errors import BadOffer, OfferError, OfferNotSigned
from bitsnode.market.offer import Market, Quote, SignedOffer, quote
from bitsnode.market.purchase_errors import NoOffer
from bitsnode.wire.card import HOUR
from bitsnode.wire.record import (
    MAX_RECORD_LIFETIME,
    RECORD_VERSION,
    Record,
    RecordKind,
    SignedRecord,
    record_key,
)

LIFETIME: Final = 7 * 24 * HOUR  # seconds that one record lasts; it is put again before


def offer_key(content: bytes) -> bytes:
    """Return the DHT key of a content's offers, for its id's digest (32 bytes)."""
    return record_key(record_public_key(content))


def offer_record(
    signed: SignedOffer, publisher_seed: bytes, sequence: int, bits: int, now: float
) -> SignedRecord:
    """Return the record of an offer.

    Args:
        signed: the offer.
        publisher_seed: from which its slot key comes, 32 bytes.
        sequence: higher than that of any record before.
        bits: of the record puzzle.
        now: Unix time in seconds; the record ends with the offer, a week from now at the latest.
    """
    content, offer = signed.offer.content, signed.offer
    ends = min(offer.valid_until + HOUR, int(now) + min(LIFETIME, MAX_RECORD_LIFETIME))
    owner = slot_seed(publisher_seed, content, RecordKind.OFFER)
    record = Record(
        version=RECORD_VERSION,
        kind=RecordKind.OFFER,
        public_key=record_public_key(content),
        slot_key=bytes(nacl.signing.SigningKey(owner).verify_key),
        sequence=sequence,
        expires=ends - ends % HOUR,
        value=seal(record_seal_key(content), signed.data),
        nonce=bytes(16),
        salt=b"",
    )
    return SignedRecord.sign(record.solved(bits), record_seed(content), owner)


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

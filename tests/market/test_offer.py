"""Offers: one spelling, signed by the publisher, with terms that fit together."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.ids import Context
from bitsnode.market.errors import (
    BadOffer,
    OfferError,
    OfferExpired,
    OfferNotSigned,
    OfferNotYetValid,
    OtherContent,
    OtherMarket,
    OtherPublisher,
    UnknownDenomination,
)
from bitsnode.market.offer import MAX_VALIDITY, Offer, SignedOffer, quote
from bitsnode.market.testing import (
    CONTENT,
    DAY,
    MARKET,
    NOW,
    PRICE,
    make_offer,
    onion_key,
    sign,
)
from bitsnode.wire import cbor
from bitsnode.wire.market_messages import MAX_HOLDERS, MAX_SIGNED_OFFER
from bitsnode.wire.schema import to_list

OFFER, _SHARES = make_offer()
SIGNED = sign(OFFER)


def signed_anyhow(offer: Offer, seed: bytes) -> bytes:
    """An offer signed by somebody who checks nothing."""
    payload = cbor.encode(to_list(offer))
    return cbor.encode([payload, onion_key(seed[0]).sign(Context.OFFER + payload)])


def test_an_offer_comes_back_as_it_was_signed() -> None:
    """Bytes, fields and name."""
    assert SignedOffer.parse(SIGNED.data) == SIGNED
    assert SIGNED.offer == OFFER
    assert len(SIGNED.hash) == 32


def test_the_largest_offer_fits() -> None:
    """With as many key holders as there may be it is below the limit of its message."""
    offer, _shares = make_offer(8, MAX_HOLDERS)
    data = sign(offer).data
    assert len(data) <= MAX_SIGNED_OFFER
    assert len(SignedOffer.parse(data).offer.holders) == MAX_HOLDERS


HOLDERS = OFFER.holders
WRONG: list[dict[str, Any]] = [
    {"price": 0, "fee_limit": 0},
    {"valid_until": OFFER.valid_from},
    {"valid_until": OFFER.valid_from + MAX_VALIDITY + 1},
    {"threshold": 5},
    {"holders": (*HOLDERS, HOLDERS[0])},
    {"holders": (*HOLDERS, attrs.evolve(HOLDERS[0], onion_key=onion_key(9).public_key))},
    {"holders": (*HOLDERS, attrs.evolve(HOLDERS[0], custody_key=b"\x63" * 32))},
    {"holders": (attrs.evolve(HOLDERS[0], onion_key=bytes(32)), *HOLDERS[1:])},
    {"fee_limit": PRICE // 10 + 1},
    {"custody_fee": 1},
    {"spending_public_key": b"\x02" + b"\xff" * 32},
    {"viewing_public_key": b"\x05" + OFFER.viewing_public_key[1:]},
]


@pytest.mark.parametrize("changes", WRONG, ids=lambda changes: "-".join(changes))
def test_terms_that_do_not_fit_are_refused_by_both_sides(changes: dict[str, Any]) -> None:
    """The publisher cannot sign them, and who gets them signed refuses them."""
    offer = attrs.evolve(OFFER, **changes)
    with pytest.raises(BadOffer):
        sign(offer)
    with pytest.raises(BadOffer):
        SignedOffer.parse(signed_anyhow(offer, b"\x0d"))


def test_only_the_publisher_it_names_signs_an_offer() -> None:
    """Neither another key, nor the same key for another purpose."""
    payload, signature = cbor.decode(SIGNED.data, MAX_SIGNED_OFFER)
    with pytest.raises(OfferNotSigned):
        SignedOffer.sign(OFFER, b"\x0e" * 32)
    for other in (
        onion_key(14).sign(Context.OFFER + payload),
        onion_key(13).sign(payload),
        onion_key(13).sign(Context.MANIFEST + payload),
        signature[:-1],
        bytes(64),
    ):
        with pytest.raises(OfferNotSigned):
            SignedOffer.parse(cbor.encode([payload, other]))


@given(st.integers(0, len(SIGNED.data) - 1), st.integers(1, 255))
def test_no_byte_of_an_offer_can_be_changed(position: int, change: int) -> None:
    """Whatever is flipped, it is refused as an offer."""
    data = bytearray(SIGNED.data)
    data[position] ^= change
    with pytest.raises(OfferError):
        SignedOffer.parse(bytes(data))


@given(st.binary(max_size=300))
def test_p2_garbage_is_no_offer(data: bytes) -> None:
    """Whatever comes raises one kind of error."""
    with pytest.raises(OfferError):
        SignedOffer.parse(data)


def test_a_quote_is_of_this_content_from_its_publisher_here_and_now() -> None:
    """One error for each way in which it is not."""
    good = (SIGNED, CONTENT, OFFER.publisher, MARKET)
    assert quote(*good, NOW).deadline == OFFER.valid_until
    assert quote(*good, OFFER.valid_from).signed == SIGNED
    assert quote(*good, OFFER.valid_until - 600).signed == SIGNED
    with pytest.raises(OfferNotYetValid):
        quote(*good, OFFER.valid_from - 1)
    with pytest.raises(OfferExpired):
        quote(*good, OFFER.valid_until - 599)
    with pytest.raises(OfferExpired):
        quote(*good, OFFER.valid_until + DAY)
    with pytest.raises(OtherContent):
        quote(SIGNED, bytes(32), OFFER.publisher, MARKET, NOW)
    with pytest.raises(OtherPublisher):
        quote(SIGNED, CONTENT, bytes(32), MARKET, NOW)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"chain_id": 1}, OtherMarket),
        ({"vouchers": bytes(20)}, OtherMarket),
        ({"denomination": 0}, UnknownDenomination),
        ({"denomination": 3}, UnknownDenomination),
        ({"price": PRICE + 1}, UnknownDenomination),
    ],
)
def test_an_offer_names_one_denomination_of_this_contract(
    changes: dict[str, Any], expected: type[Exception]
) -> None:
    """A price is the amount of one row of the table, at the contract that we pay."""
    with pytest.raises(expected):
        quote(sign(attrs.evolve(OFFER, **changes)), CONTENT, OFFER.publisher, MARKET, NOW)

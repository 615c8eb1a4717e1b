"""Complaints: what a buyer says in public is checked against offer, receipt, chain and manifest."""

from typing import Any

import attrs
import nacl.signing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.cli.receipt import MAX_FILE, printable
from bitsnode.codec.manifest import Manifest
from bitsnode.errors import BitsError
from bitsnode.ids import Context
from bitsnode.ledger.voucher_events import Redeemed
from bitsnode.market import errors
from bitsnode.market.complaint import (
    MAX_COMPLAINT,
    MAX_TEXT,
    CheckedComplaint,
    Complaint,
    ShownShare,
    write_complaint,
)
from bitsnode.market.complaint_check import Verdict, check_complaint
from bitsnode.market.offer import SignedOffer
from bitsnode.market.testing import (
    CONTENT,
    DAY,
    MARKET,
    NOW,
    PRICE,
    PUBLISHER_SEED,
    WHITENING,
    Purchase,
    buy,
    make_offer,
    recorded,
    sign,
)
from bitsnode.market.testing_holders import result
from bitsnode.wire import cbor
from bitsnode.wire.schema import from_list, to_list

OFFER, SHARES = make_offer()
SIGNED = sign(OFFER)
CHEAT = sign(attrs.evolve(OFFER, secret_commitment=b"\x31" * 32))
BOUGHT = buy(SIGNED)


def said(signed: SignedOffer, purchase: Purchase, text: str = "Rubbish.", **shares: Any) -> bytes:
    """What a buyer writes, at noon."""
    now = NOW - NOW % DAY + DAY / 2
    return write_complaint(signed, purchase.receipt, purchase.seed, text, now, **shares)


class Payments:
    """All redemptions of a chain."""

    def __init__(self, *payments: Redeemed) -> None:
        self._payments = {each.message: each for each in payments}

    async def paid(self, message: bytes) -> tuple[Redeemed, int]:
        """See `complaint_check.Payments`."""
        if message not in self._payments:
            raise errors.NotFinalYet
        return self._payments[message], NOW


class Manifests:
    """The manifest of what is sold, as its publisher signed it; none for no publisher."""

    def __init__(self, publisher_seed: bytes | None = PUBLISHER_SEED) -> None:
        self._seed = publisher_seed

    async def manifest(self, _content: object, _isolation: object) -> Manifest:
        """See `bitsnode.market.purchase_needs.Manifests`."""
        if self._seed is None:
            raise BitsError("It was not found.")
        publisher = bytes(nacl.signing.SigningKey(self._seed).verify_key)
        return Manifest(1, 0, 1 << 20, 1, 1, (bytes(32),), publisher, WHITENING * 2)


def verdict(data: bytes, payments: Payments, manifests: Manifests | None = None) -> Verdict:
    """What somebody else makes of it."""
    return result(check_complaint(data, MARKET, payments, manifests or Manifests()))


def test_who_paid_can_say_so_and_anybody_can_check_it() -> None:
    """Content, price, block and words come through; and the day, but not the hour."""
    found = verdict(said(SIGNED, BOUGHT), Payments(recorded(BOUGHT.receipt)))
    assert (found.content_id.digest, found.price, found.block) == (CONTENT, PRICE, 7)
    assert (found.text, found.written % DAY) == ("Rubbish.", 0)
    assert found.published
    assert not found.fraud


def test_who_did_not_pay_proves_nothing() -> None:
    """The chain knows no such redemption, or one that is worth too little."""
    data = said(SIGNED, BOUGHT)
    with pytest.raises(errors.NotFinalYet):
        verdict(data, Payments(recorded(buy(SIGNED, 2).receipt)))
    with pytest.raises(errors.PaidTooLittle):
        verdict(data, Payments(recorded(BOUGHT.receipt, gross=PRICE - 1)))


def test_nobody_speaks_with_anothers_receipt() -> None:
    """A key holder has the receipt, and not the seed of its key."""
    data = write_complaint(SIGNED, BOUGHT.receipt, b"\x66" * 32, "Lies.", NOW)
    with pytest.raises(errors.ComplaintNotSigned):
        CheckedComplaint.parse(data)


def test_a_receipt_for_another_offer_is_refused() -> None:
    """Nobody complains about what was not bought."""
    other = sign(attrs.evolve(OFFER, content=b"\x55" * 32))
    with pytest.raises(errors.ForOtherOffer):
        CheckedComplaint.parse(said(other, BOUGHT))


def test_nobody_speaks_ill_of_a_content_with_an_offer_of_their_own() -> None:
    """Whoever sells it to themselves is not its publisher, and that is seen or said."""
    seed = b"\x77" * 32
    publisher = bytes(nacl.signing.SigningKey(seed).verify_key)
    forged = SignedOffer.sign(attrs.evolve(OFFER, publisher=publisher), seed)
    purchase = buy(forged)
    payments = Payments(recorded(purchase.receipt))
    with pytest.raises(errors.OtherPublisher):
        verdict(said(forged, purchase), payments)
    assert not verdict(said(forged, purchase), payments, Manifests(None)).published


def test_a_publisher_who_cheated_is_shown_to_have() -> None:
    """Shares that are as committed and make another key are a proof for everybody."""
    purchase = buy(CHEAT)
    shares = {1: SHARES[0], 3: SHARES[2]}
    found = verdict(said(CHEAT, purchase, shares=shares), Payments(recorded(purchase.receipt)))
    assert found.fraud


@pytest.mark.parametrize(
    "shares",
    [
        {1: SHARES[0], 2: SHARES[1]},  # they make the right key
        {1: SHARES[0]},  # too few
        {1: SHARES[0], 2: b"\x01" * 16},  # one is not what the offer commits to
    ],
)
def test_an_honest_publisher_cannot_be_shown_to_have_cheated(shares: dict[int, bytes]) -> None:
    """Shares of one's own making prove nothing."""
    with pytest.raises(errors.FraudNotShown):
        CheckedComplaint.parse(said(SIGNED, BOUGHT, shares=shares))


def test_one_share_twice_is_no_second_share() -> None:
    """Else the last one would count, and two readers might read two things."""
    purchase = buy(CHEAT)
    payload, _signature = cbor.decode(said(CHEAT, purchase), MAX_COMPLAINT)
    parsed = from_list(Complaint, cbor.decode(payload, MAX_COMPLAINT))
    twice = (ShownShare(1, SHARES[0]), ShownShare(3, SHARES[2]), ShownShare(1, SHARES[0]))
    payload = cbor.encode(to_list(attrs.evolve(parsed, shares=twice)))
    key = nacl.signing.SigningKey(purchase.seed)
    data = cbor.encode([payload, key.sign(Context.COMPLAINT + payload).signature])
    with pytest.raises(errors.BadComplaint):
        CheckedComplaint.parse(data)


@given(st.integers(0, len(said(SIGNED, BOUGHT)) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed(position: int, change: int) -> None:
    """Not of the words, nor of anything else."""
    data = bytearray(said(SIGNED, BOUGHT))
    data[position] ^= change
    with pytest.raises(errors.MarketError):
        CheckedComplaint.parse(bytes(data))


@given(st.binary(max_size=300))
def test_p2_garbage_is_no_complaint(data: bytes) -> None:
    """Whatever it is, it is refused by name."""
    with pytest.raises(errors.MarketError):
        CheckedComplaint.parse(data)


def test_sizes() -> None:
    """A kilobyte of words, whatever their script; the largest offer fits, and what is read."""
    CheckedComplaint.parse(said(SIGNED, BOUGHT, "ü" * (MAX_TEXT // 2)))
    with pytest.raises(errors.ComplaintTooLong):
        said(SIGNED, BOUGHT, "ü" * (MAX_TEXT // 2 + 1))
    offer, shares = make_offer(32, 32, secret_commitment=b"\x31" * 32)
    large = sign(offer)
    data = said(large, buy(large), "u" * MAX_TEXT, shares=dict(enumerate(shares, 1)))
    assert CheckedComplaint.parse(data).fraud
    assert len(data) < MAX_COMPLAINT == MAX_FILE


def test_m1_it_opens_nothing() -> None:
    """The receipt's seed, the key and its shares are not in it, nor are shares in its repr."""
    data = said(SIGNED, BOUGHT)
    assert not any(secret in data for secret in (BOUGHT.seed, WHITENING, *SHARES))


def test_a_strangers_words_do_nothing_to_a_terminal() -> None:
    """Control characters and turned directions are replaced."""
    assert printable("a\x1b[2J\u202eb\nc") == "a\ufffd[2J\ufffdb\nc"

"""Receipts: the contract's own message, and one error for each way not to have paid."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.ledger.redemption import MAX_SPENDS, Redemption
from bitsnode.market.errors import (
    BadReceipt,
    BadRequestSignature,
    FeeAboveLimit,
    ForOtherOffer,
    OtherRedemption,
    OutsideValidity,
    PaidTooLittle,
    TagNotOpened,
    WrongPayee,
)
from bitsnode.market.receipt import KeyQuestion, Receipt, tag_of
from bitsnode.market.testing import NOW, PRICE, SPENDING, VIEWING, buy, make_offer, recorded, sign
from bitsnode.wire.market_messages import MAX_RECEIPT
from zk.stealth import address_of, public_key, stealth_private_key

FIXTURE = json.loads(
    (Path(__file__).parents[2] / "contracts/test/fixtures/redemptions.json").read_text()
)
OFFER, _SHARES = make_offer()
SIGNED = sign(OFFER)
RECEIPT = buy(SIGNED).receipt


def data(text: str) -> bytes:
    """Hexadecimal bytes of the fixture."""
    return bytes.fromhex(text[2:])


@pytest.mark.parametrize("name", ["relayed", "pair", "twice"])
def test_the_message_is_the_contracts(name: str) -> None:
    """What a holder recomputes from a receipt is what the proofs of the fixture signed."""
    case = FIXTURE[name]
    redemption = Redemption(
        data(case["payee"]),
        bytes([case["ephemeralKeyPrefix"]]) + data(case["ephemeralKeyX"]),
        data(case["viewTag"])[0],
        data(case["tag"]),
        data(case["relayer"]),
        int(case["fee"], 16),
        int(case["deadline"], 16),
    )
    receipt = Receipt.of(
        redemption,
        tuple(int(group, 16) for group in case["groups"]),
        tuple(int(nullifier, 16) for nullifier in case["nullifiers"]),
        ephemeral_private_key=b"\x01" * 32,
        offer_hash=bytes(32),
        public_key=bytes(32),
        salt=bytes(32),
    )
    message = Receipt.parse(receipt.dump()).message(FIXTURE["chainId"], data(FIXTURE["vouchers"]))
    assert "0x" + message.hex() == case["message"]


def test_the_tag_is_the_hash_of_abi_encoded_words() -> None:
    """As the ABI specification has three bytes32."""
    parts = [b"\x01" * 32, b"\x02" * 32, b"\x03" * 32]
    assert tag_of(*parts) == keccak(encode(["bytes32"] * 3, parts))


def test_a_receipt_has_one_spelling_and_fits_its_message() -> None:
    """The largest one, of eight vouchers, too; and its text form tells nothing."""
    words = tuple(range((1 << 256) - MAX_SPENDS, 1 << 256))
    largest = attrs.evolve(RECEIPT, groups=words, nullifiers=words, deadline=(1 << 64) - 1)
    assert len(largest.dump()) <= MAX_RECEIPT
    assert Receipt.parse(largest.dump()) == largest
    assert Receipt.parse(RECEIPT.dump()) == RECEIPT
    for secret in (RECEIPT.ephemeral_private_key, RECEIPT.tag, RECEIPT.offer_hash):
        assert repr(secret)[2:-1] not in repr(RECEIPT)


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": (1, 2)},
        {"payee": bytes(20)},
        {"ephemeral_public_key": b"\x04" + RECEIPT.ephemeral_public_key[1:]},
    ],
)
def test_what_the_contract_would_refuse_is_no_receipt(changes: dict[str, Any]) -> None:
    """Before anything is computed with it."""
    with pytest.raises(BadReceipt):
        Receipt.parse(attrs.evolve(RECEIPT, **changes).dump())


@given(st.binary(max_size=300))
def test_p2_garbage_is_no_receipt(found: bytes) -> None:
    """Whatever comes raises one error."""
    with pytest.raises(BadReceipt):
        Receipt.parse(found)


def test_a_good_receipt_pays_the_creator() -> None:
    """It passes, and the creator can find and spend what was paid."""
    RECEIPT.check_offer(SIGNED)
    RECEIPT.check_record(recorded(RECEIPT), NOW, OFFER)
    key = stealth_private_key(SPENDING, VIEWING, RECEIPT.ephemeral_public_key)
    assert address_of(key).lower() == "0x" + RECEIPT.payee.hex()


def test_a1_receipt_for_other_content_is_refused() -> None:
    """Neither by its name nor by renaming it."""
    other = sign(attrs.evolve(OFFER, content=b"\x0b" * 32))
    with pytest.raises(ForOtherOffer):
        RECEIPT.check_offer(other)
    with pytest.raises(TagNotOpened):
        attrs.evolve(RECEIPT, offer_hash=other.hash).check_offer(other)


def test_a1_a_copied_tag_opens_nothing_for_another() -> None:
    """Whoever saw a tag on the chain and spends own vouchers under it cannot open it."""
    thief = buy(SIGNED, 2, tag=RECEIPT.tag)
    with pytest.raises(TagNotOpened):
        thief.receipt.check_offer(SIGNED)
    # with the victim's opening it passes so far, but the victim's key has to sign
    opened = attrs.evolve(thief.receipt, public_key=RECEIPT.public_key, salt=RECEIPT.salt)
    opened.check_offer(SIGNED)
    question = KeyQuestion(bytes(32), bytes(32), bytes(32), 0, opened.dump())
    with pytest.raises(BadRequestSignature):
        question.check(opened.public_key, question.sign(thief.seed))


WRONG_PAYMENTS: list[dict[str, Any]] = [
    {"payee": b"\x08" * 20},
    {"ephemeral_public_key": public_key(b"\x09" * 32)},
    {"view_tag": RECEIPT.view_tag ^ 1},
    {"ephemeral_private_key": b"\x09" * 32},
    {"ephemeral_private_key": bytes(32)},
    {"ephemeral_private_key": b"\xff" * 32},
]


@pytest.mark.parametrize("changes", WRONG_PAYMENTS, ids=lambda changes: next(iter(changes)))
def test_a1_an_announced_key_that_does_not_match_the_payee_is_refused(
    changes: dict[str, Any],
) -> None:
    """Payee, R, view tag and r belong together, else the creator would never find the money."""
    with pytest.raises(WrongPayee):
        attrs.evolve(RECEIPT, **changes).check_offer(SIGNED)


def test_a1_fee_above_the_offers_limit_is_refused() -> None:
    """A buyer cannot pay a relay of its own instead of the creator."""
    buy(SIGNED, fee=OFFER.fee_limit).receipt.check_offer(SIGNED)
    with pytest.raises(FeeAboveLimit):
        buy(SIGNED, fee=OFFER.fee_limit + 1).receipt.check_offer(SIGNED)


@pytest.mark.parametrize(
    "changes",
    [
        {"payee": b"\x08" * 20},
        {"tag": bytes(32)},
        {"fee": RECEIPT.fee + 1},
        {"message": bytes(32)},
        {"groups": (4,)},
        {"nullifiers": (4,)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a1_a_record_of_another_redemption_is_refused(changes: dict[str, Any]) -> None:
    """Every field of the record is held against the receipt, though the message binds them."""
    with pytest.raises(OtherRedemption):
        RECEIPT.check_record(attrs.evolve(recorded(RECEIPT), **changes), NOW, OFFER)


def test_a1_gross_below_the_price_is_refused() -> None:
    """One wei is enough to miss."""
    with pytest.raises(PaidTooLittle):
        RECEIPT.check_record(recorded(RECEIPT, PRICE - 1), NOW, OFFER)
    RECEIPT.check_record(recorded(RECEIPT, 2 * PRICE), NOW, OFFER)


def test_a1_an_old_cheap_offer_replayed_is_refused_by_the_blocks_time() -> None:
    """It counts when it was paid, not when somebody asks; both ends are included."""
    for time in (OFFER.valid_from, OFFER.valid_until):
        RECEIPT.check_record(recorded(RECEIPT), time, OFFER)
    for time in (OFFER.valid_from - 1, OFFER.valid_until + 1):
        with pytest.raises(OutsideValidity):
            RECEIPT.check_record(recorded(RECEIPT), time, OFFER)


def test_a_signed_question_is_for_one_holder_key_challenge_time_and_receipt() -> None:
    """No field can be changed under the signature."""
    seed = buy(SIGNED).seed
    question = KeyQuestion(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, NOW, RECEIPT.dump())
    signature = question.sign(seed)
    question.check(RECEIPT.public_key, signature)
    for changes in (
        {"holder": bytes(32)},
        {"public_key": bytes(32)},
        {"challenge": bytes(32)},
        {"expires": NOW + 1},
        {"receipt": b""},
    ):
        with pytest.raises(BadRequestSignature):
            attrs.evolve(question, **changes).check(RECEIPT.public_key, signature)
    with pytest.raises(BadRequestSignature):
        question.check(bytes(32), signature)

"""The gate: each way not to have paid is refused with its code, and what was paid is honoured."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bitsnode.config import LOCAL
from bitsnode.ledger.errors import NotFinal, RpcsDisagree, TooFewRpcs
from bitsnode.market.challenge import LIFETIME, Challenges
from bitsnode.market.custody import DAY, KEEP, Limits
from bitsnode.market.custody_price import UNPAID, Payer, check_paid
from bitsnode.market.errors import BadChallenge, UnpaidCustody
from bitsnode.market.testing import MARKET, NOW, PRICE, Purchase, buy, make_offer, sign
from bitsnode.market.testing_holders import CALLER, Holder, MemoryChain, result, run_now
from bitsnode.wire.exchange import Refused
from bitsnode.wire.market_messages import AskChallenge, KeyShare, PutKeyShare, RequestKey
from bitsnode.wire.messages import Done, FailureCode, Ping

OFFER, SHARES = make_offer()
SIGNED = sign(OFFER)
CHANGED = SIGNED.data[:-1] + bytes([SIGNED.data[-1] ^ 1])


@pytest.fixture
def chain() -> MemoryChain:
    """A chain with nothing on it."""
    return MemoryChain()


@pytest.fixture
def holder_of(
    tmp_path: Path, chain: MemoryChain, no_fsync: None
) -> Iterator[Callable[..., Holder]]:
    """Opens key holder 1; again for a restart."""
    opened: list[Holder] = []

    def make(limits: Limits | None = None) -> Holder:
        for each in opened:
            each.store.close()
        opened[:] = [Holder(tmp_path / "custody.db", 1, chain, limits)]
        return opened[0]

    yield make
    for each in opened:
        each.store.close()


@pytest.fixture
def holder(holder_of: Callable[..., Holder]) -> Holder:
    """Key holder 1 with its share."""
    made = holder_of()
    made.entrust(SIGNED, SHARES)
    return made


def pay(chain: MemoryChain, purchase: Purchase, *, time: int = NOW, gross: int = PRICE) -> None:
    """Put a purchase's redemption into a block that is final."""
    chain.final += 1
    chain.redeem(purchase.receipt, block=chain.final, time=time, gross=gross)


def refusal(holder: Holder, purchase: Purchase, /, **changes: Any) -> Refused:
    """How a holder refuses a purchase."""
    with pytest.raises(Refused) as caught:
        holder.release(purchase, **changes)
    return caught.value


def test_who_paid_gets_the_share(holder: Holder, chain: MemoryChain) -> None:
    """The very share, sealed to the key of the request and to no other."""
    purchase = buy(SIGNED)
    pay(chain, purchase)
    assert holder.release(purchase) == SHARES[0]
    reader = X25519PrivateKey.generate()
    reply = result(holder.responder.handle(holder.ask(purchase, reader), CALLER))
    assert isinstance(reply, KeyShare)
    assert SHARES[0] not in reply.sealed


def test_a1_who_did_not_pay_gets_nothing(holder: Holder, chain: MemoryChain) -> None:
    """A receipt without a redemption waits for one; somebody else's does not help."""
    refused = refusal(holder, buy(SIGNED))
    assert refused.code == FailureCode.NOT_FINAL
    assert refused.retry_after > 0
    pay(chain, buy(SIGNED, 2))
    assert refusal(holder, buy(SIGNED)).code == FailureCode.NOT_FINAL


def test_a1_an_unfinalised_redemption_releases_nothing(holder: Holder, chain: MemoryChain) -> None:
    """Until servers enough call its block final; then the same receipt is honoured."""
    purchase = buy(SIGNED)
    chain.redeem(purchase.receipt, block=9, time=NOW)
    chain.final = 8
    assert refusal(holder, purchase).code == FailureCode.NOT_FINAL
    chain.final = 9
    assert holder.release(purchase) == SHARES[0]


def test_a1_a_reorganised_redemption_releases_nothing(holder: Holder, chain: MemoryChain) -> None:
    """What was seen before finality and is in no final block was never paid."""
    purchase, other = buy(SIGNED), buy(SIGNED, 2)
    chain.redeem(purchase.receipt, block=9, time=NOW)
    assert refusal(holder, purchase).code == FailureCode.NOT_FINAL
    del chain.blocks[9]
    chain.redeem(other.receipt, block=9, time=NOW)
    chain.final = 9
    assert refusal(holder, purchase).code == FailureCode.NOT_FINAL
    assert holder.release(other) == SHARES[0]


def test_a1_an_index_that_was_lied_to_releases_nothing(holder: Holder, chain: MemoryChain) -> None:
    """The block is read again from servers enough, and only what they say counts."""
    purchase, hidden = buy(SIGNED), buy(SIGNED, 2)
    chain.redeem(purchase.receipt, block=5, time=NOW)
    lied = chain.redeemed(None, 9)
    del chain.blocks[5]
    chain.redeem(hidden.receipt, block=5, time=NOW)
    chain.redeemed = lambda after, limit: [] if after else lied  # type: ignore[method-assign]
    chain.final = 5
    assert refusal(holder, purchase).code == FailureCode.NOT_FINAL
    assert holder.release(hidden) == SHARES[0]


@pytest.mark.parametrize("failure", [TooFewRpcs(), RpcsDisagree(), NotFinal()])
def test_a2_without_certainty_nothing_is_released(
    holder: Holder, chain: MemoryChain, failure: Any
) -> None:
    """Not even what was seen before in better times; and nothing is lost by it."""
    early, late = buy(SIGNED), buy(SIGNED, 2)
    pay(chain, early)
    assert holder.release(early) == SHARES[0]
    pay(chain, late)
    chain.failure = failure
    for purchase in (early, late):
        refused = refusal(holder, purchase)
        assert refused.code == FailureCode.CHAIN_UNCERTAIN
        assert refused.retry_after > 0
    chain.failure = None
    assert holder.release(late) == SHARES[0]


def test_a1_receipt_for_other_content_opens_nothing(holder: Holder, chain: MemoryChain) -> None:
    """Paid in full, for another content of the same publisher at the same holder."""
    other = sign(attrs.evolve(OFFER, content=b"\x0b" * 32))
    holder.entrust(other, SHARES)
    purchase = buy(other)
    pay(chain, purchase)
    assert holder.release(purchase) == SHARES[0]
    renamed = Purchase(purchase.seed, attrs.evolve(purchase.receipt, offer_hash=SIGNED.hash))
    assert refusal(holder, renamed).code == FailureCode.BAD_RECEIPT


def test_a1_an_offer_changed_between_quote_and_payment_is_honoured_as_quoted(
    holder: Holder, chain: MemoryChain
) -> None:
    """The old offer's receipt gets the old offer's key, at the old price; not the new one's."""
    dearer, new_shares = make_offer(price=10 * PRICE, denomination=2, valid_from=NOW)
    new = sign(dearer)
    holder.entrust(new, new_shares)
    purchase = buy(SIGNED)
    pay(chain, purchase, time=NOW + 5)
    assert holder.release(purchase) == SHARES[0]
    cheap = buy(new, 2)
    pay(chain, cheap, time=NOW + 5)
    assert refusal(holder, cheap).code == FailureCode.BAD_RECEIPT


def test_a1_an_old_cheap_offer_replayed_opens_nothing(holder: Holder, chain: MemoryChain) -> None:
    """Paid after its end it counts for nothing, whenever it is shown."""
    purchase = buy(SIGNED)
    pay(chain, purchase, time=OFFER.valid_until + 1)
    assert refusal(holder, purchase).code == FailureCode.BAD_RECEIPT
    early = buy(SIGNED, 2)
    pay(chain, early, time=OFFER.valid_from - 1)
    assert refusal(holder, early).code == FailureCode.BAD_RECEIPT


def test_a1_a_receipt_outlives_its_offer(holder: Holder, chain: MemoryChain) -> None:
    """Paid in time it is honoured long after the offer ended, also after a sweep."""
    purchase = buy(SIGNED)
    pay(chain, purchase, time=OFFER.valid_until)
    holder.now = OFFER.valid_until + KEEP
    holder.store.sweep(holder.now)
    assert holder.release(purchase) == SHARES[0]
    holder.store.sweep(holder.now + 1)
    with pytest.raises(Refused) as caught:
        holder.release(purchase)
    assert caught.value.code == FailureCode.UNKNOWN_OFFER


def test_a1_a_holder_that_came_later_honours_the_receipt(
    holder_of: Callable[..., Holder], chain: MemoryChain
) -> None:
    """It was paid before this node kept anything; its file is new, and the chain is not."""
    purchase = buy(SIGNED)
    pay(chain, purchase)
    for number in range(2, 12):  # more than are looked at in one go
        pay(chain, buy(SIGNED, number))
    holder = holder_of()
    assert refusal_of_challenge(holder) == FailureCode.UNKNOWN_OFFER
    holder.entrust(SIGNED, SHARES)
    assert holder.release(purchase) == SHARES[0]


def refusal_of_challenge(holder: Holder) -> int:
    """How a holder that keeps nothing of an offer refuses."""
    with pytest.raises(Refused) as caught:
        result(holder.responder.handle(AskChallenge(SIGNED.hash), CALLER))
    return caught.value.code


def test_a1_a_copied_tag_opens_nothing(holder: Holder, chain: MemoryChain) -> None:
    """A thief who spends a voucher under a victim's tag cannot sign for it; the victim can."""
    victim = buy(SIGNED)
    pay(chain, victim)
    stolen = buy(SIGNED, 2, tag=victim.receipt.tag)
    pay(chain, stolen)
    assert refusal(holder, stolen).code == FailureCode.BAD_RECEIPT
    posing = attrs.evolve(
        stolen.receipt, public_key=victim.receipt.public_key, salt=victim.receipt.salt
    )
    assert refusal(holder, Purchase(stolen.seed, posing)).code == FailureCode.BAD_RECEIPT
    assert holder.release(victim) == SHARES[0]


def test_a1_a_wrong_payee_opens_nothing(holder: Holder, chain: MemoryChain) -> None:
    """The buyer paid itself, or announced a key under which the creator finds nothing."""
    wrong: list[dict[str, Any]] = [{"payee": b"\x08" * 20}, {"view_tag": 0}]
    for number, changes in enumerate(wrong, start=1):
        purchase = buy(SIGNED, number, **changes)
        pay(chain, purchase)
        assert refusal(holder, purchase).code == FailureCode.BAD_RECEIPT


def test_a1_a_fee_above_the_limit_opens_nothing(holder: Holder, chain: MemoryChain) -> None:
    """What a relay of the buyer's got, the creator did not get."""
    purchase = buy(SIGNED, fee=OFFER.fee_limit + 1)
    pay(chain, purchase)
    assert refusal(holder, purchase).code == FailureCode.BAD_RECEIPT


def test_a1_gross_below_the_price_opens_nothing(holder: Holder, chain: MemoryChain) -> None:
    """A voucher of a smaller denomination does not do; a larger one does."""
    purchase, larger = buy(SIGNED), buy(SIGNED, 2)
    pay(chain, purchase, gross=PRICE - 1)
    pay(chain, larger, gross=10 * PRICE)
    assert refusal(holder, purchase).code == FailureCode.BAD_RECEIPT
    assert holder.release(larger) == SHARES[0]


def test_a1_a_changed_field_is_another_redemption(holder: Holder, chain: MemoryChain) -> None:
    """Whatever is changed in a paid receipt, the chain knows nothing of it."""
    purchase = buy(SIGNED)
    pay(chain, purchase)
    for changes in (
        {"fee": purchase.receipt.fee - 1},
        {"deadline": purchase.receipt.deadline + 1},
        {"relayer": bytes(20)},
        {"groups": (4,)},
        {"nullifiers": (4,)},
    ):
        changed = Purchase(purchase.seed, attrs.evolve(purchase.receipt, **changes))
        assert refusal(holder, changed).code == FailureCode.NOT_FINAL


# Questions


def test_a_question_to_another_holder_is_of_no_use(holder: Holder, chain: MemoryChain) -> None:
    """A holder that passes a request on as its own gets nothing."""
    purchase = buy(SIGNED)
    pay(chain, purchase)
    assert refusal(holder, purchase, holder=b"\x01" * 32).code == FailureCode.BAD_RECEIPT


def test_a_relayed_question_gives_its_relay_nothing(holder: Holder, chain: MemoryChain) -> None:
    """The answer is for the key that was signed, and another key needs another signature."""
    purchase = buy(SIGNED)
    pay(chain, purchase)
    thief = X25519PrivateKey.generate().public_key().public_bytes_raw()
    request = attrs.evolve(holder.ask(purchase, X25519PrivateKey.generate()), public_key=thief)
    with pytest.raises(Refused) as caught:
        result(holder.responder.handle(request, CALLER))
    assert caught.value.code == FailureCode.BAD_RECEIPT


def test_a_challenge_is_the_holders_own_fresh_and_of_one_offer(
    holder: Holder, holder_of: Callable[..., Holder], chain: MemoryChain
) -> None:
    """Too old, too new, made up, of another offer, or from before a restart: none is taken."""
    other = sign(attrs.evolve(OFFER, content=b"\x0b" * 32))
    holder.entrust(other, SHARES)
    purchase = buy(SIGNED)
    pay(chain, purchase)
    reader = X25519PrivateKey.generate()
    foreign = holder.ask(buy(other), reader)
    for changes in (
        {"challenge": bytes(32)},
        {"expires": NOW + LIFETIME - 1},
        {"expires": NOW + LIFETIME + 1},
        {"challenge": foreign.challenge, "expires": foreign.expires},
    ):
        assert refusal(holder, purchase, **changes).code == FailureCode.BAD_CHALLENGE
    request = holder.ask(purchase, reader)
    holder.now = request.expires + 1
    with pytest.raises(Refused) as caught:
        result(holder.responder.handle(request, CALLER))
    assert caught.value.code == FailureCode.BAD_CHALLENGE
    holder.now = request.expires
    result(holder.responder.handle(request, CALLER))
    restarted = holder_of()
    with pytest.raises(Refused) as caught:
        result(restarted.responder.handle(request, CALLER))
    assert caught.value.code == FailureCode.BAD_CHALLENGE
    assert restarted.release(purchase) == SHARES[0]


def test_a_request_with_a_key_that_is_none_is_malformed_and_not_counted(
    holder_of: Callable[..., Holder], chain: MemoryChain
) -> None:
    """A point of small order would give a seal that anybody opens."""
    holder = holder_of(Limits(answers=1))
    holder.entrust(SIGNED, SHARES)
    purchase = buy(SIGNED)
    pay(chain, purchase)
    assert refusal(holder, purchase, public_key=bytes(32)).code == FailureCode.MALFORMED
    assert holder.release(purchase) == SHARES[0]


def test_garbage_is_no_receipt(holder: Holder) -> None:
    """It is refused before anything is looked up."""
    request = RequestKey(b"\xff", bytes(32), bytes(32), NOW + 1, bytes(64))
    with pytest.raises(Refused) as caught:
        result(holder.responder.handle(request, CALLER))
    assert caught.value.code == FailureCode.BAD_RECEIPT


def test_other_rooms_requests_are_unknown(holder: Holder) -> None:
    """And so is an offer that no share is kept of."""
    for request, code in (
        (Ping(), FailureCode.UNKNOWN_REQUEST),
        (AskChallenge(bytes(32)), FailureCode.UNKNOWN_OFFER),
    ):
        with pytest.raises(Refused) as caught:
            result(holder.responder.handle(request, CALLER))
        assert caught.value.code == code


# Rate


def test_a1_the_rate_of_a_receipt_is_limited_and_a_restart_forgets_nothing(
    holder_of: Callable[..., Holder], chain: MemoryChain
) -> None:
    """Counted per redemption on the disk before each answer; others are not touched."""
    holder = holder_of(Limits(answers=3))
    holder.entrust(SIGNED, SHARES)
    shared, other = buy(SIGNED), buy(SIGNED, 2)
    pay(chain, shared)
    pay(chain, other)
    for second in range(3):
        holder = holder_of(Limits(answers=3))
        holder.now = NOW + second
        assert holder.release(shared) == SHARES[0]
    holder = holder_of(Limits(answers=3))
    holder.now = NOW + 10
    refused = refusal(holder, shared)
    assert refused.code == FailureCode.RATE_LIMITED
    assert refused.retry_after == DAY - 10
    assert holder.release(other) == SHARES[0]
    holder.now = NOW - DAY  # a clock that was set back
    assert refusal(holder, shared).code == FailureCode.RATE_LIMITED
    holder.now = NOW + DAY - 1
    assert refusal(holder, shared).code == FailureCode.RATE_LIMITED
    holder.now = NOW + DAY
    assert holder.release(shared) == SHARES[0]
    assert refusal(holder, shared).code == FailureCode.RATE_LIMITED


def test_a_stricter_limit_counts_what_was_answered_before(
    holder_of: Callable[..., Holder], chain: MemoryChain
) -> None:
    """The wait is until enough of the answers are too old, not until the first one is."""
    holder = holder_of(Limits(answers=3))
    holder.entrust(SIGNED, SHARES)
    purchase = buy(SIGNED)
    pay(chain, purchase)
    for second in (0, 10, 20):
        holder.now = NOW + second
        holder.release(purchase)
    holder = holder_of(Limits(answers=2))
    holder.now = NOW + 30
    assert refusal(holder, purchase).retry_after == DAY - 20


def test_a_challenge_from_a_clock_that_ran_ahead_is_refused() -> None:
    """Set back, the clock must not give a challenge a longer life."""
    challenges = Challenges()
    challenge, expires = challenges.make(SIGNED.hash, NOW + DAY)
    challenges.check(challenge, SIGNED.hash, expires, NOW + DAY)
    with pytest.raises(BadChallenge):
        challenges.check(challenge, SIGNED.hash, expires, NOW)


def test_an_answer_that_is_not_counted_does_not_leave(holder: Holder, chain: MemoryChain) -> None:
    """If the disk fails while counting, there is no answer."""
    purchase = buy(SIGNED)
    pay(chain, purchase)

    def fail(statement: str) -> None:
        if statement.startswith("INSERT INTO answers"):
            raise OSError("no space left on device")

    holder.store.database.before = fail
    with pytest.raises(OSError, match="no space"):
        holder.release(purchase)
    holder.store.database.before = lambda _statement: None
    assert holder.release(purchase) == SHARES[0]


# Custody


def test_a_share_is_taken_only_if_it_is_the_one_committed_to(
    holder_of: Callable[..., Holder],
) -> None:
    """Each thing that does not fit has its code, and nothing is kept of it."""
    holder = holder_of()
    good = holder.share_of(SIGNED, SHARES)
    wrong = holder.share_of(SIGNED, (SHARES[1], *SHARES[1:]))
    expired = sign(attrs.evolve(OFFER, valid_until=NOW - 1))
    foreign = sign(attrs.evolve(OFFER, chain_id=MARKET.chain_id + 1))
    for request, code in (
        (attrs.evolve(good, offer=b"\xff"), FailureCode.MALFORMED),
        (attrs.evolve(good, offer=CHANGED), FailureCode.MALFORMED),
        (attrs.evolve(good, index=2), FailureCode.REFUSED),
        (attrs.evolve(good, index=5), FailureCode.REFUSED),
        (attrs.evolve(good, sealed=bytes(64)), FailureCode.UNSTORED),
        (wrong, FailureCode.UNSTORED),
        (holder.share_of(expired, SHARES), FailureCode.STALE),
        (holder.share_of(foreign, SHARES), FailureCode.REFUSED),
    ):
        with pytest.raises(Refused) as caught:
            result(holder.responder.handle(holder.paid(request), CALLER))
        assert caught.value.code == code
    assert holder.store.count() == 0
    for _ in range(2):
        assert result(holder.responder.handle(good, CALLER)) == Done()
    assert holder.store.count() == 1


def test_custody_is_paid_for_before_anything_else_is_looked_at(
    holder_of: Callable[..., Holder],
) -> None:
    """Publisher keys are free, so places are not; and work for one share is of no use elsewhere."""
    holder = holder_of()
    good = holder.share_of(SIGNED, SHARES)
    free = attrs.evolve(good, nonce=UNPAID)
    for request in (
        free,
        attrs.evolve(free, offer=b"\xff"),  # not even the form of the offer matters before
        attrs.evolve(good, index=2),
        attrs.evolve(good, sealed=bytes(64)),
        attrs.evolve(good, offer=sign(attrs.evolve(OFFER, valid_from=NOW - 5)).data),
    ):
        with pytest.raises(Refused) as caught:
            result(holder.responder.handle(unpaid(holder, request), CALLER))
        assert caught.value.code == FailureCode.UNPAID
    assert holder.store.count() == 0
    assert result(holder.responder.handle(good, CALLER)) == Done()


def unpaid(holder: Holder, request: PutKeyShare) -> PutKeyShare:
    """A request, with another nonce if by luck its own one pays for it."""
    for nonce in (request.nonce, *(bytes([n]) * 16 for n in range(1, 99))):
        tried = attrs.evolve(request, nonce=nonce)
        try:
            check_paid(tried, holder.key.public_key, LOCAL.share_bits)
        except UnpaidCustody:
            return tried
    raise AssertionError("the puzzle is too easy")


def test_the_custody_puzzle_is_the_documented_one() -> None:
    """As PROTOCOL.md §10 has it, with hashlib alone."""
    request = PutKeyShare(b"signed offer", 3, b"\x03" * 64, UNPAID)
    paid = result(Payer(8, run_now).pay(b"\x01" * 32, request))
    text = b"bits/custody-puzzle/v1" + b"\x01" * 32 + hashlib.sha256(b"signed offer").digest()
    proof = hashlib.sha256(text + b"\x00\x03" + b"\x03" * 64 + paid.nonce).digest()
    assert int.from_bytes(proof, "big") < 2**256 // 2**8
    with pytest.raises(UnpaidCustody):
        check_paid(paid, b"\x02" * 32, 32)


def full(holder: Holder, request: PutKeyShare) -> bool:
    """Whether a holder says that it is full."""
    try:
        result(holder.responder.handle(request, CALLER))
    except Refused as refused:
        return refused.code == FailureCode.FULL
    return False


def test_custody_has_limits(holder_of: Callable[..., Holder]) -> None:
    """Per content and publisher and in all; a share that is kept may come again."""
    holder = holder_of(Limits(shares=3, per_publisher=3, per_content=2))
    offers = [sign(attrs.evolve(OFFER, valid_from=NOW - DAY - n)) for n in range(3)]
    assert [full(holder, holder.share_of(each, SHARES)) for each in offers] == [False, False, True]
    others = [sign(attrs.evolve(OFFER, content=bytes([n]) * 32)) for n in range(2)]
    assert [full(holder, holder.share_of(each, SHARES)) for each in others] == [False, True]
    assert not full(holder, holder.share_of(offers[0], SHARES))
    assert holder.store.count() == 3


def test_custody_survives_a_crash_and_opens_nothing_by_itself(
    holder: Holder, holder_of: Callable[..., Holder], tmp_path: Path, chain: MemoryChain
) -> None:
    """The share is there after a restart; the file is private and holds no share in the clear."""
    files = list(tmp_path.glob("custody.db*"))
    assert files
    assert not any(SHARES[0] in file.read_bytes() for file in files)
    assert (tmp_path / "custody.db").stat().st_mode & 0o777 == 0o600
    purchase = buy(SIGNED)
    pay(chain, purchase)
    assert holder_of().release(purchase) == SHARES[0]


def test_blocks_are_asked_for_in_order_and_once(holder: Holder, chain: MemoryChain) -> None:
    """All that have a redemption, whoever asks, so no server learns which one matters."""
    purchases = [buy(SIGNED, number) for number in range(1, 21)]
    for purchase in purchases:
        pay(chain, purchase)
    assert holder.release(purchases[12]) == SHARES[0]
    assert chain.asked == list(range(1, 21))
    for purchase in purchases:
        holder.release(purchase)
    assert chain.asked == list(range(1, 21))

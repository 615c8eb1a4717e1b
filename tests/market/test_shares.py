"""Key shares: any t make the secret, fewer do not, and a liar is named."""

from itertools import combinations

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.market.errors import BadKey, NotOpened, WrongSecret, WrongShare, WrongWhitening
from bitsnode.market.sealing import (
    open_for_buyer,
    open_for_custody,
    seal_for_buyer,
    seal_for_custody,
)
from bitsnode.market.shares import (
    check_share,
    combine,
    liars,
    open_whitening,
    seal_whitening,
    secret_commitment,
    split,
    threshold,
)
from bitsnode.market.testing import SECRET, WHITENING, custody_key, make_offer

HASH = b"\x0f" * 32


@pytest.mark.parametrize(("needed", "holders"), [(1, 1), (1, 3), (2, 4), (3, 11)])
def test_any_t_shares_make_the_secret(needed: int, holders: int) -> None:
    """Whichever t came, in whichever order."""
    offer, shares = make_offer(needed, holders)
    for chosen in combinations(range(1, holders + 1), needed):
        assert combine(offer, {i: shares[i - 1] for i in reversed(chosen)}) == SECRET
    few = {i: shares[i - 1] for i in range(1, needed)}
    with pytest.raises(WrongShare):
        combine(offer, few)


def test_how_many_shares_are_needed() -> None:
    """3 of 11 as planned; from four holders on no single one can read."""
    found = {m: threshold(m) for m in range(1, 33)}
    assert found[11] == 3
    assert [found[m] for m in (1, 3, 4, 8, 9, 12, 13, 32)] == [1, 1, 2, 2, 3, 3, 4, 8]
    assert all(1 <= t <= m for m, t in found.items())


@given(st.sets(st.integers(1, 11), max_size=8), st.integers(0, 15), st.integers(1, 255))
def test_liars_are_named_and_the_rest_still_make_the_secret(
    lying: set[int], position: int, change: int
) -> None:
    """With up to m - t lying shares in between, the honest ones suffice."""
    offer, shares = make_offer(3, 11)
    came = {}
    for index, share in enumerate(shares, 1):
        bad = bytearray(share)
        bad[position] ^= change
        came[index] = bytes(bad) if index in lying else share
    assert set(liars(offer, came)) == lying
    assert combine(offer, came) == SECRET


def test_a_share_of_another_holder_is_a_lie() -> None:
    """The commitment is of share and place."""
    offer, shares = make_offer(1, 3)  # all shares are the same bytes
    check_share(offer, 1, shares[0])
    other, others = make_offer(2, 3)
    for index, share in ((1, others[1]), (0, others[0]), (4, others[0]), (1, b""), (1, bytes(17))):
        with pytest.raises(WrongShare):
            check_share(other, index, share)


def test_shares_of_another_secret_are_the_publishers_fault() -> None:
    """Holders that sent what was committed to are not blamed."""
    offer, shares = make_offer()
    cheating = attrs.evolve(offer, secret_commitment=secret_commitment(bytes(16)))
    came = dict(enumerate(shares, 1))
    assert not liars(cheating, came)
    with pytest.raises(WrongSecret):
        combine(cheating, came)


def test_a_share_is_drawn_anew_for_each_split() -> None:
    """No share is the secret, and another split has other shares."""
    first, second = split(SECRET, 2, 3), split(SECRET, 2, 3)
    assert not set(first) & set(second)
    assert SECRET not in first


def test_the_whitening_key_is_for_those_with_the_secret() -> None:
    """Another secret or a changed byte opens nothing."""
    sealed = seal_whitening(SECRET, WHITENING)
    assert len(sealed) == 32
    assert open_whitening(SECRET, sealed) == WHITENING
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for secret, box in ((bytes(16), sealed), (SECRET, changed), (SECRET, b"")):
        with pytest.raises(WrongWhitening):
            open_whitening(secret, box)


def test_a_sealed_share_is_for_one_reader_offer_place_and_purpose() -> None:
    """Nothing of it can be moved."""
    key, share = custody_key(1), b"s" * 16
    public = key.public_key().public_bytes_raw()
    sealed = seal_for_custody(public, HASH, 3, share)
    assert len(sealed) == 64
    assert share not in sealed
    assert open_for_custody(key, HASH, 3, sealed) == share
    for reader, offer_hash, index, box in (
        (X25519PrivateKey.generate(), HASH, 3, sealed),
        (key, bytes(32), 3, sealed),
        (key, HASH, 4, sealed),
        (key, HASH, 3, sealed[:-1]),
        (key, HASH, 3, bytes(64)),
        (key, HASH, 3, b""),
    ):
        with pytest.raises(NotOpened):
            open_for_custody(reader, offer_hash, index, box)
    with pytest.raises(NotOpened):
        open_for_buyer(key, HASH, 3, sealed)
    assert open_for_buyer(key, HASH, 3, seal_for_buyer(public, HASH, 3, share)) == share
    with pytest.raises(BadKey):
        seal_for_buyer(bytes(32), HASH, 3, share)

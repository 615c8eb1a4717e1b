"""A card is worth what its checks are: form, puzzle, time, key, signature, in that order."""

import hashlib
import secrets
from typing import Any

import attrs
import nacl.bindings
import nacl.signing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import Context, leading_zero_bits
from bitsnode.wire import card as card_module
from bitsnode.wire import cbor
from bitsnode.wire.card import (
    HOUR,
    MAX_CARD,
    MAX_CARD_LIFETIME,
    MAX_SKEW,
    BadCard,
    Capability,
    NodeCard,
    SignedCard,
    node_id,
    puzzle_proof,
    solve_puzzle,
)
from bitsnode.wire.schema import to_map
from onion.keys import OnionKey

NOW = 500_000 * HOUR
BITS = 8
KEY = OnionKey(b"k" * 32)
ORDER = 2**252 + 27742317777372353535851937790883648493  # L of RFC 8032 §5.1


def nonce_of(key: bytes) -> bytes:
    """A nonce that solves the puzzle of a key."""
    nonce = solve_puzzle(key, BITS, 0, 1 << 16)
    assert nonce is not None
    return nonce


CARD = NodeCard(
    version=1,
    network="local",
    onion_key=KEY.public_key,
    signing_key=b"s" * 32,
    sealing_key=b"x" * 32,
    capabilities=Capability.STORAGE | Capability.INDEX,
    nonce=nonce_of(KEY.public_key),
    sequence=1,
    expires=NOW + 24 * HOUR,
)
SIGNED = SignedCard.sign(CARD, KEY.sign)


def parse(data: bytes, now: float = NOW) -> SignedCard:
    """Check a card at a time."""
    return SignedCard.parse(data, network="local", puzzle_bits=BITS, now=now)


def changed(**changes: Any) -> bytes:
    """The card with changes, signed again."""
    return SignedCard.sign(attrs.evolve(CARD, **changes), KEY.sign).data


def rewrapped(payload: bytes, signature: bytes) -> bytes:
    """A signed card of these parts."""
    return cbor.encode([payload, signature])


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts the costly steps: "hash" for each SHA-256, "verify" for each signature."""
    steps: list[str] = []
    hash_, verify = card_module.sha256, nacl.signing.VerifyKey.verify

    def counted_hash(*parts: bytes) -> bytes:
        steps.append("hash")
        return hash_(*parts)

    def counted_verify(*args: Any, **options: Any) -> bytes:
        steps.append("verify")
        return verify(*args, **options)

    monkeypatch.setattr(card_module, "sha256", counted_hash)
    monkeypatch.setattr(nacl.signing.VerifyKey, "verify", counted_verify)
    return steps


def test_a_card_in_order_is_taken(verified: list[str]) -> None:
    """It comes back as it was signed, for one hash and one signature."""
    assert parse(SIGNED.data) == SIGNED
    assert verified == ["hash", "verify"]
    assert len(SIGNED.data) < MAX_CARD
    assert SIGNED.card.can(Capability.INDEX)
    assert not SIGNED.card.can(Capability.CUSTODY)


def test_the_largest_card_fits() -> None:
    """Every field at its largest, a signed card stays below its limit."""
    card = attrs.evolve(
        CARD,
        network="n" * 16,
        capabilities=0xFFFF,
        sequence=(1 << 63) - 1,
        expires=(1 << 40) // HOUR * HOUR,
    )
    assert len(SignedCard.sign(card, KEY.sign).data) < MAX_CARD


def test_the_puzzle_is_solved_in_slices() -> None:
    """Slices that go on where the last one ended find what one long search finds."""
    whole, start, found = nonce_of(KEY.public_key), 0, None
    while found is None:
        found = solve_puzzle(KEY.public_key, BITS, start, 10)
        start += 10
    assert found == whole
    assert leading_zero_bits(puzzle_proof(KEY.public_key, found)) >= BITS
    assert solve_puzzle(KEY.public_key, 200, 0, 100) is None


def test_the_position_follows_from_the_proof() -> None:
    """Another nonce or another key is another point of the keyspace."""
    other = OnionKey(b"o" * 32).public_key
    points = {
        node_id(KEY.public_key, CARD.nonce),
        node_id(KEY.public_key, bytes(16)),
        node_id(other, CARD.nonce),
        CARD.node_id,
    }
    assert len(points) == 3


def unsolved_nonce() -> bytes:
    """A nonce that does not solve the card's puzzle."""
    while True:
        nonce = secrets.token_bytes(16)
        if leading_zero_bits(puzzle_proof(KEY.public_key, nonce)) < BITS:
            return nonce


def test_d6_a_forged_proof_costs_one_hash(verified: list[str]) -> None:
    """A card without its work is refused before any signature is checked."""
    data = changed(nonce=unsolved_nonce())
    verified.clear()
    with pytest.raises(BadCard, match="puzzle"):
        parse(data)
    assert verified == ["hash"]


def test_d6_a_proof_is_of_no_use_for_another_key(verified: list[str]) -> None:
    """The nonce found for one key, in the card of another, is refused at one hash."""
    for number in range(100):
        thief = OnionKey(bytes([number]) * 32)
        if leading_zero_bits(puzzle_proof(thief.public_key, CARD.nonce)) < BITS:
            break
    stolen = SignedCard.sign(attrs.evolve(CARD, onion_key=thief.public_key), thief.sign)
    verified.clear()
    with pytest.raises(BadCard, match="puzzle"):
        parse(stolen.data)
    assert verified == ["hash"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": "public"}, 'for the network "public"'),
        ({"expires": CARD.expires + 1}, "expired or comes from a wrong clock"),
        ({"expires": NOW}, "expired"),
        ({"expires": NOW - HOUR}, "expired"),
        ({"expires": NOW + MAX_CARD_LIFETIME + MAX_SKEW + HOUR}, "wrong clock"),
    ],
)
def test_a_foreign_or_untimely_card_is_refused(changes: dict[str, Any], reason: str) -> None:
    """A card is of one network and one stretch of time, in whole hours."""
    with pytest.raises(BadCard, match=reason):
        parse(changed(**changes))


def test_a_clock_that_is_a_little_ahead_is_taken() -> None:
    """The longest lifetime plus the skew allowed is still in order."""
    expires = NOW + MAX_CARD_LIFETIME + MAX_SKEW
    assert parse(changed(expires=expires)).card.expires == expires


@pytest.mark.parametrize("key", [2, 8])
def test_a_payload_that_is_not_a_card_is_refused(key: int) -> None:
    """A signature does not make up for a missing field or a version from the future."""
    less = {k: v for k, v in to_map(CARD).items() if k != key}
    newer = {**to_map(CARD), 1: 2}
    for body in (less, newer):
        payload = cbor.encode(body)
        with pytest.raises(RemoteProtocolError):
            parse(rewrapped(payload, KEY.sign(Context.CARD + payload)))


def test_a_signature_of_another_key_or_purpose_is_refused() -> None:
    """The onion key signs, under the card's own context."""
    payload = cbor.encode(to_map(CARD))
    for signature in (
        OnionKey(b"o" * 32).sign(Context.CARD + payload),
        KEY.sign(payload),
        KEY.sign(Context.RECORD + payload),
        bytes(64),
        KEY.sign(Context.CARD + payload)[:-1],
        b"",
    ):
        with pytest.raises(BadCard, match="not signed"):
            parse(rewrapped(payload, signature))


def test_d4_a_malleable_signature_is_refused() -> None:
    """S + L satisfies the equation as S does, and must not pass as a second signature."""
    payload, signature = cbor.decode(SIGNED.data, MAX_CARD)
    s = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(BadCard, match="not signed"):
        parse(rewrapped(payload, signature[:32] + s.to_bytes(32, "little")))


def sign_with_torsion(card: NodeCard, seed: bytes) -> bytes:
    """Sign for a key that is the seed's plus a point of order two, as RFC 8032 §5.1.6 does.

    Verification succeeds for the half of all messages whose hash is even.
    """
    expanded = hashlib.sha512(seed).digest()
    secret = int.from_bytes(expanded[:32], "little") & ~7 & (1 << 254) - 1 | 1 << 254
    for sequence in range(100):
        payload = cbor.encode(to_map(attrs.evolve(card, sequence=sequence)))
        nonce = secrets.randbelow(ORDER)
        point = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))
        digest = hashlib.sha512(point + card.onion_key + Context.CARD + payload).digest()
        h = int.from_bytes(digest, "little") % ORDER
        if h % 2 == 0:
            s = (nonce + h * secret) % ORDER
            return rewrapped(payload, point + s.to_bytes(32, "little"))
    raise AssertionError


def test_d4_a_key_with_a_torsion_component_is_refused() -> None:
    """Its signature verifies, but tor would not dial its address: several such keys are one."""
    two = bytes.fromhex("ec" + "ff" * 30 + "7f")  # (0, -1), of order two
    key = nacl.bindings.crypto_core_ed25519_add(KEY.public_key, two)
    data = sign_with_torsion(attrs.evolve(CARD, onion_key=key, nonce=nonce_of(key)), KEY.seed)
    payload, signature = cbor.decode(data, MAX_CARD)
    nacl.signing.VerifyKey(key).verify(Context.CARD + payload, signature)
    with pytest.raises(BadCard, match="cannot be an onion address"):
        parse(data)


@pytest.mark.parametrize("key", ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ff" * 32])
def test_d4_a_small_order_key_is_refused(key: str) -> None:
    """Keys for which anybody can sign are no keys."""
    public = bytes.fromhex(key)
    card = attrs.evolve(CARD, onion_key=public, nonce=nonce_of(public))
    with pytest.raises(BadCard):
        parse(SignedCard.sign(card, KEY.sign).data)


@given(st.integers(0, len(SIGNED.data) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused(position: int, change: int) -> None:
    """No byte of a signed card can be changed."""
    data = bytearray(SIGNED.data)
    data[position] ^= change
    with pytest.raises(RemoteProtocolError):
        parse(bytes(data))


@given(st.binary(max_size=600))
def test_p2_garbage_raises_one_error(data: bytes) -> None:
    """Whatever comes instead of a card is the sender's fault."""
    with pytest.raises(RemoteProtocolError):
        parse(data)


@pytest.mark.parametrize("value", [0, None, [], [b""], [b"", b"", b""], ["", b""], {0: b""}])
def test_another_shape_is_refused(value: object) -> None:
    """A signed card is two byte strings."""
    with pytest.raises(BadCard):
        parse(cbor.encode(value))


def test_a_card_over_the_limit_is_refused() -> None:
    """The size is looked at first."""
    with pytest.raises(RemoteProtocolError, match="512 are allowed"):
        parse(bytes(MAX_CARD + 1))

"""Stealth addresses: the SDK's vectors, the edges of the curve, and hostile announcements."""

import json
import traceback
from pathlib import Path
from typing import Any

import attrs
import pytest
from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from zk.stealth import (
    SCHEME_ID,
    DegenerateKeys,
    InvalidMetaAddress,
    InvalidPrivateKey,
    InvalidPublicKey,
    MetaAddress,
    NotPaidToUs,
    address_of,
    check,
    checksum_address,
    generate,
    public_key,
    scan,
    stealth_private_key,
)

FILE = json.loads((Path(__file__).parents[1] / "vectors" / "stealth.json").read_text())
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
K, V, R = (bytes([byte]) * 32 for byte in (1, 2, 3))
META = MetaAddress(public_key(K), public_key(V))
scalars = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))


@attrs.frozen
class Announcement:
    """What a scan looks at."""

    scheme_id: int
    stealth_address: str
    ephemeral_public_key: bytes
    metadata: bytes


def announced(meta: MetaAddress, ephemeral: bytes) -> Announcement:
    """Make a payment and its announcement."""
    payment = generate(meta, ephemeral)
    return Announcement(
        SCHEME_ID,
        payment.stealth_address,
        payment.ephemeral_public_key,
        bytes([payment.view_tag]),
    )


def raw(text: str) -> bytes:
    """Read hex digits."""
    return bytes.fromhex(text.removeprefix("0x"))


@pytest.mark.parametrize("vector", FILE["vectors"])
def test_vectors_of_the_javascript_sdk(vector: dict[str, Any]) -> None:
    """Keys, address, view tag and spending key come out as in the widely used SDK."""
    meta = MetaAddress.parse(vector["stealthMetaAddressURI"])
    assert meta.spending_public_key == public_key(raw(vector["spendingPrivateKey"]))
    assert meta.viewing_public_key == public_key(raw(vector["viewingPrivateKey"]))
    assert bytes(meta) == raw(vector["stealthMetaAddress"])
    assert str(meta) == vector["stealthMetaAddressURI"]
    payment = generate(meta, raw(vector["ephemeralPrivateKey"]))
    assert payment.stealth_address == vector["stealthAddress"]
    assert payment.ephemeral_public_key == raw(vector["ephemeralPublicKey"])
    assert payment.view_tag == int(vector["viewTag"], 16)
    key = stealth_private_key(
        raw(vector["spendingPrivateKey"]),
        raw(vector["viewingPrivateKey"]),
        payment.ephemeral_public_key,
    )
    assert key == raw(vector["stealthPrivateKey"])
    assert address_of(key) == vector["stealthAddress"]


def test_vectors_are_scanned() -> None:
    """Each vector's payee finds that payment and not the other."""
    announcements = [
        Announcement(
            1, line["stealthAddress"], raw(line["ephemeralPublicKey"]), raw(line["viewTag"])
        )
        for line in FILE["vectors"]
    ]
    for vector, expected in zip(FILE["vectors"], announcements, strict=True):
        viewing, spending = raw(vector["viewingPrivateKey"]), raw(vector["spendingPublicKey"])
        assert list(scan(viewing, spending, announcements)) == [expected]


def test_vector_file_is_the_kind_expected() -> None:
    """A new kind of vector cannot pass unnoticed."""
    assert {"source", "generator", "checked_by", "schemeId", "vectors"} == set(FILE)
    assert FILE["schemeId"] == SCHEME_ID
    assert len(FILE["vectors"]) == 2


@given(scalars, scalars, scalars)
def test_the_payee_alone_can_find_and_spend(k: bytes, v: bytes, r: bytes) -> None:
    """Any keys: found by the viewing key, spent by the derived key, foreign to other keys."""
    meta = MetaAddress(public_key(k), public_key(v))
    announcement = announced(meta, r)
    assert list(scan(v, meta.spending_public_key, [announcement])) == [announcement]
    key = stealth_private_key(k, v, announcement.ephemeral_public_key)
    assert address_of(key) == announcement.stealth_address
    if k != K:
        assert not list(scan(v, public_key(K), [announcement]))


@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_checksum_is_eip55(address: str) -> None:
    """The examples of EIP-55 come out in their own case."""
    assert checksum_address(raw(address)) == address


OFF_CURVE = b"\x02" + bytes(31) + b"\x05"  # x = 5 has no y on secp256k1
BAD_POINTS = {
    "empty": b"",
    "short": bytes(32),
    "identity": bytes(33),
    "off the curve": OFF_CURVE,
    "x not reduced": b"\x02" + b"\xff" * 32,
    "uncompressed": PrivateKey(K).public_key.format(compressed=False),
    "wrong prefix": b"\x05" + public_key(K)[1:],
    "too long": public_key(K) + b"\0",
}
BAD_SCALARS = {
    "empty": b"",
    "short": bytes(30) + b"\1",
    "long": bytes(32) + b"\1",
    "zero": bytes(32),
    "order": ORDER.to_bytes(32, "big"),
    "above": b"\xff" * 32,
}


@pytest.mark.parametrize("point", BAD_POINTS.values(), ids=list(BAD_POINTS))
def test_what_is_no_point_is_refused(point: bytes) -> None:
    """Nothing but a compressed point of the curve is a public key."""
    with pytest.raises(InvalidPublicKey):
        MetaAddress(point, META.viewing_public_key)
    with pytest.raises(InvalidPublicKey):
        MetaAddress(META.spending_public_key, point)
    with pytest.raises(InvalidPublicKey):
        stealth_private_key(K, V, point)
    with pytest.raises(InvalidPublicKey):
        list(scan(V, point, []))


@pytest.mark.parametrize("scalar", BAD_SCALARS.values(), ids=list(BAD_SCALARS))
def test_what_is_no_scalar_is_refused(scalar: bytes) -> None:
    """Zero, the order, and wrong lengths are no private keys, and the error does not show them."""
    calls = (
        lambda: generate(META, scalar),
        lambda: stealth_private_key(scalar, V, public_key(R)),
        lambda: stealth_private_key(K, scalar, public_key(R)),
        lambda: list(scan(scalar, META.spending_public_key, [])),
        lambda: public_key(scalar),
        lambda: address_of(scalar),
    )
    for call in calls:
        with pytest.raises(InvalidPrivateKey) as caught:
            call()
        assert str(caught.value) == InvalidPrivateKey.__doc__
        if any(scalar):
            assert scalar.hex() not in "".join(traceback.format_exception(caught.value))


def test_keys_that_cancel_out_are_refused() -> None:
    """A spending key of -hG would pay the point at infinity; it is an error, and no match."""
    secret = keccak(PublicKey(public_key(R)).multiply(V).format())
    opposite = (ORDER - int.from_bytes(secret, "big") % ORDER).to_bytes(32, "big")
    meta = MetaAddress(public_key(opposite), public_key(V))
    with pytest.raises(DegenerateKeys):
        generate(meta, R)
    with pytest.raises(DegenerateKeys):
        stealth_private_key(opposite, V, public_key(R))
    announcement = Announcement(1, "0x" + "00" * 20, public_key(R), secret[:1])
    assert not list(scan(V, meta.spending_public_key, [announcement]))


GOOD = str(META)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "st:eth:0x",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD[:-2] + GOOD[-2:].upper() if GOOD[-2:].upper() != GOOD[-2:] else GOOD.title(),
        GOOD.replace("st:eth:", "st:oeth:"),
        GOOD.replace("st:eth:0x", "st:eth:0X"),
        GOOD.replace("st:", "ST:"),
        " " + GOOD,
        GOOD + "\n",
        GOOD[: len("st:eth:0x") + 66],
        GOOD[:-2] + " a",
        GOOD[:-1] + "\N{FULLWIDTH DIGIT ONE}",
        "st:eth:0x" + OFF_CURVE.hex() * 2,
    ],
)
def test_other_spellings_are_no_meta_address(text: str) -> None:
    """A meta-address has one spelling, so nothing is paid by a guess."""
    with pytest.raises(InvalidMetaAddress):
        MetaAddress.parse(text)


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No text raises anything but the one error."""
    try:
        assert str(MetaAddress.parse(text)) == text
    except InvalidMetaAddress:
        pass


OURS = announced(META, R)
HOSTILE = {
    "another scheme": attrs.evolve(OURS, scheme_id=2),
    "scheme 0": attrs.evolve(OURS, scheme_id=0),
    "huge scheme": attrs.evolve(OURS, scheme_id=2**256 - 1),
    "no metadata": attrs.evolve(OURS, metadata=b""),
    "another view tag": attrs.evolve(OURS, metadata=bytes([OURS.metadata[0] ^ 1])),
    "another address": attrs.evolve(OURS, stealth_address="0x" + "11" * 20),
    "no address": attrs.evolve(OURS, stealth_address=""),
    "another key": attrs.evolve(OURS, ephemeral_public_key=public_key(K)),
    **{
        f"key {name}": attrs.evolve(OURS, ephemeral_public_key=point)
        for name, point in BAD_POINTS.items()
    },
}


def test_hostile_announcements_are_passed_over() -> None:
    """Whatever stands between, the scan goes on and finds what is ours."""
    longer = attrs.evolve(OURS, metadata=OURS.metadata + bytes(1000))
    found = list(scan(V, META.spending_public_key, [*HOSTILE.values(), OURS, longer]))
    assert found == [OURS, longer]


@pytest.mark.parametrize("announcement", HOSTILE.values(), ids=list(HOSTILE))
def test_check_refuses_what_is_not_ours(announcement: Announcement) -> None:
    """A single check raises, so that its answer cannot be overlooked."""
    check(V, META.spending_public_key, OURS)
    with pytest.raises(NotPaidToUs):
        check(V, META.spending_public_key, announcement)


@given(st.integers(0), st.text(), st.binary(max_size=70), st.binary(max_size=5))
def test_no_announcement_stops_a_scan(
    scheme: int, address: str, ephemeral: bytes, metadata: bytes
) -> None:
    """Whatever bytes are announced, nothing is raised."""
    announcement = Announcement(scheme, address, ephemeral, metadata)
    assert not list(scan(V, META.spending_public_key, [announcement]))

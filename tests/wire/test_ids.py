"""Names of things have one form."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.ids import (
    BadContentId,
    ContentId,
    Context,
    distance,
    leading_zero_bits,
    sha256,
)

POINTS = st.binary(min_size=32, max_size=32)


@given(POINTS)
def test_a_content_id_has_one_text(digest: bytes) -> None:
    """The text begins with bafy, has 59 characters, and reads back."""
    text = str(ContentId(digest))
    assert text.startswith("bafy")
    assert len(text) == 59
    assert ContentId.parse(text) == ContentId(digest)


def test_a_content_id_is_a_cid() -> None:
    """The bytes are those of a CIDv1 with dag-cbor and sha2-256, in base32."""
    digest = hashlib.sha256(b"").digest()
    raw = base64.b32decode(str(ContentId(digest))[1:].upper() + "======")
    assert raw == bytes.fromhex("01711220") + digest


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda text: text[:-1],
        lambda text: text + "a",
        lambda text: "z" + text[1:],
        lambda text: "bafk" + text[4:],  # another codec
        lambda text: text[:-1] + chr(ord(text[-1]) + 1),  # bits that stand for nothing
        lambda text: text[:10] + "1" + text[11:],
        lambda text: text[:10] + "\n" + text[11:],
        lambda text: text[:10] + "é" + text[11:],
        lambda text: "",
    ],
)
def test_another_text_is_refused(change: object) -> None:
    """What looks like a content id and is not the text of one says so."""
    text = str(ContentId(bytes(32)))
    with pytest.raises(BadContentId, match='begins with "bafy"'):
        ContentId.parse(change(text))  # type: ignore[operator]


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_digest_has_32_bytes(size: int) -> None:
    """A shorter one is not padded, a longer one not cut."""
    with pytest.raises(BadContentId):
        ContentId(bytes(size))


@given(POINTS, POINTS, POINTS)
def test_distance_is_a_metric(a: bytes, b: bytes, c: bytes) -> None:
    """It is symmetric, zero only for the same point, and unidirectional (Kademlia, §2.1)."""
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
    assert distance(a, b) ^ distance(b, c) == distance(a, c)


@pytest.mark.parametrize(
    ("digest", "bits"),
    [("ff", 0), ("7f", 1), ("01", 7), ("00", 8), ("00ff", 8), ("0001", 15), ("0000", 16)],
)
def test_leading_zero_bits(digest: str, bits: int) -> None:
    """They are counted from the first byte's highest bit."""
    assert leading_zero_bits(bytes.fromhex(digest)) == bits


def test_contexts_are_distinct_and_none_begins_another() -> None:
    """What is hashed or signed for one purpose is never of use for another."""
    values = [value for name, value in vars(Context).items() if name.isupper()]
    assert len(values) > 10
    for one in values:
        assert one.isascii()
        assert one.startswith(b"bits/")
        assert one[-3:-1] == b"/v"
        assert sum(other.startswith(one) for other in values) == 1
    assert sha256(b"a", b"b") == sha256(b"ab") == hashlib.sha256(b"ab").digest()

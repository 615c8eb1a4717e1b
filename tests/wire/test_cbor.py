"""One value has one encoding, and everything else is the sender's fault."""

import struct
import time

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.errors import RemoteProtocolError
from bitsnode.wire import cbor

LIMIT = 1 << 19
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.binary(max_size=40)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.integers(0, (1 << 64) - 1), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_encoded_is_decoded(value: object) -> None:
    """Every value that bits uses comes back as it was, unless it is nested too deep."""
    data = cbor.encode(value)
    try:
        assert cbor.decode(data, LIMIT) == value
    except cbor.NotCanonical:
        assert repr(value).count("[") + repr(value).count("{") > cbor.MAX_DEPTH


@given(st.binary(max_size=200))
def test_p2_garbage_raises_one_error(data: bytes) -> None:
    """Random bytes are a value with that one encoding, or a breach of the protocol."""
    try:
        value = cbor.decode(data, LIMIT)
    except RemoteProtocolError:
        return
    assert cbor.encode(value) == data


def shared(depth: int, width: int) -> bytes:
    """Tags 28 and 29: a list of many references to a list of many references to..."""
    value = b"\xd8\x1c\x81\x00"
    for level in range(depth):
        reference = b"\xd8\x1d" + cbor2.dumps(level)
        value = b"\xd8\x1c" + b"\x99" + struct.pack(">H", width + 1) + value + reference * width
    return value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81" * 100_000 + b"\x00",  # depth 1e5
        b"\xa1\x00" * 100_000 + b"\x00",
        b"\x81" * 9 + b"\x00",
        b"\x9f\x00\xff",  # indefinite list,
        b"\xbf\x00\x00\xff",  # map,
        b"\x5f\x41\x00\xff",  # bytes
        b"\x7f\x61a\xff",  # and text
        b"\xc0\x74" + b"2026-01-01T00:00:00Z",  # tags: a date,
        b"\xc2\x49" + bytes([1] * 9),  # a bigint,
        b"\xc4\x82\x1b" + b"\x7f" * 8 + b"\x01",  # a decimal with a huge exponent,
        b"\xc5\x82\x1b" + b"\x7f" * 8 + b"\x01",  # a bigfloat,
        b"\xd8\x23\x68(a+)+b$$",  # a regular expression,
        b"\xd8\x1c\x81\xd8\x1d\x00",  # a list that holds itself,
        b"\xd9\xd9\xf7\x00",  # the tag that says nothing,
        b"\xda\xff\xff\xff\xff\x00",  # an unknown one
        b"\xa2\x00\x00\x00\x01",  # duplicate keys
        b"\xa2\x01\x00\x00\x00",  # keys out of order
        b"\xa1\x20\x00",  # a negative key
        b"\xa1\x61a\x00",  # a text key
        b"\xa1\xf5\x00",  # true as a key, which equals 1
        b"\xf9\x7e\x00",  # NaN
        b"\xf9\x3c\x00",  # 1.0
        b"\xfb\x3f\xf0" + bytes(6),  # 1.0 in eight bytes
        b"\xf7",  # undefined
        b"\xe0",  # a simple value
        b"\xf8\xff",
        b"\x18\x00",  # integers that are not the shortest
        b"\x19\x00\x17",
        b"\x58\x01\x00",  # a length that is not the shortest
        b"\x00\x00",  # trailing bytes
        b"\x61\xff",  # no UTF-8
        b"\x63\xed\xa0\x80",  # a lone surrogate
        b"\x5b" + b"\x7f" + b"\xff" * 7,  # lengths of exabytes
        b"\x9b" + b"\x7f" + b"\xff" * 7,
        b"\xbb" + b"\x7f" + b"\xff" * 7,
        b"\x9a\x00\x01\x00\x01" + bytes(65_537),  # too many items
    ],
)
def test_p2_what_is_not_canonical_is_refused(data: bytes) -> None:
    """Each of these is understood by some decoder, and by ours refused, quickly."""
    begun = time.thread_time()
    with pytest.raises(cbor.NotCanonical):
        cbor.decode(data, LIMIT)
    assert time.thread_time() - begun < 1


def test_p2_shared_values_are_refused_before_they_multiply() -> None:
    """A few kilobytes that stand for 10^18 items cost no more than their bytes."""
    begun = time.thread_time()
    with pytest.raises(cbor.NotCanonical):
        cbor.decode(shared(6, 1000), LIMIT)
    assert time.thread_time() - begun < 1


def test_the_size_is_checked_first() -> None:
    """Data over the limit is refused whatever it is."""
    data = cbor.encode(bytes(100))
    assert cbor.decode(data, len(data)) == bytes(100)
    with pytest.raises(cbor.NotCanonical, match="102 bytes and 101 are allowed"):
        cbor.decode(data, len(data) - 1)


def test_as_many_items_as_allowed() -> None:
    """The cap counts every value, containers too."""
    value = [0] * (cbor.MAX_ITEMS - 1)
    assert cbor.decode(cbor.encode(value), LIMIT) == value
    assert cbor.decode(b"\x81" * 8 + b"\x00", LIMIT) == [[[[[[[[0]]]]]]]]

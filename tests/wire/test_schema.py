"""Messages become maps and come back, and nothing else gets in."""

import attrs
import pytest

from bitsnode.errors import LocalProtocolError, RemoteProtocolError
from bitsnode.wire.market_messages import KeyShare, PutKeyShare, RequestKey
from bitsnode.wire.messages import Data, Hello, PutData, Records
from bitsnode.wire.schema import (
    BadField,
    BigUint,
    Bytes,
    ListOf,
    Nested,
    Uint,
    field,
    from_list,
    from_map,
    to_list,
    to_map,
)


@attrs.frozen
class Pair:
    """Two fields whose keys are not their order."""

    second: int = field(7, Uint(9))
    first: bytes = field(1, Bytes(0, 2), secret=True)


def test_a_message_is_a_map_of_its_keys() -> None:
    """Keys come from the fields, whatever their order and names."""
    assert to_map(Pair(3, b"a")) == {7: 3, 1: b"a"}
    assert from_map(Pair, {1: b"a", 7: 3}) == Pair(3, b"a")


@pytest.mark.parametrize(
    "body", [None, [], b"", {}, {7: 3}, {1: b"a", 7: 3, 2: 0}, {1: b"a", 7: 10}, {1: "a", 7: 3}]
)
def test_a_wrong_map_is_the_senders_fault(body: object) -> None:
    """Missing, unknown and wrong fields are all one error."""
    with pytest.raises(BadField) as caught:
        from_map(Pair, body)
    assert isinstance(caught.value, RemoteProtocolError)


def test_a_wrong_message_is_our_own_bug() -> None:
    """What we would send wrongly is named by class and field."""
    with pytest.raises(LocalProtocolError, match=r"Pair\.second"):
        to_map(Pair(10, b""))


def test_lists_are_held_as_tuples() -> None:
    """A parsed message cannot be changed."""
    found = from_map(Records, {1: [b"r"], 2: []})
    assert found == Records((b"r",), ())
    assert to_map(found) == {1: [b"r"], 2: []}


def test_bytes_that_are_stored_stay_out_of_logs() -> None:
    """What a message carries of a content is not in its text form."""
    assert "canary" not in repr(Data(b"canary", 6))
    assert "canary" not in repr(PutData(bytes(16), 0, 0, b"canary"))
    assert "canary" not in repr(Pair(1, b"canary"))
    assert "canary" not in repr(PutKeyShare(b"", 1, b"canary", b""))
    assert "canary" not in repr(KeyShare(1, b"canary"))
    assert "canary" not in repr(RequestKey(b"canary", b"", b"", 0, b""))


def test_text_is_measured_in_bytes() -> None:
    """A network's name has at most 16 bytes of UTF-8."""
    assert from_map(Hello, {1: [], 2: "é" * 8, 3: None}).network == "é" * 8
    with pytest.raises(BadField):
        from_map(Hello, {1: [], 2: "é" * 9, 3: None})


@attrs.frozen
class Part:
    """An item of a list."""

    amount: int = field(1, BigUint(12))
    name: bytes = field(2, Bytes(1, 4))


@attrs.frozen
class Whole:
    """A list of objects, which must not be empty."""

    parts: tuple[Part, ...] = field(1, ListOf(Nested(Part), 2, least=1))


def test_objects_in_objects_are_lists_of_their_fields() -> None:
    """They come back as the same frozen objects, and large numbers as bytes of one size."""
    whole = Whole((Part(1 << 90, b"a"), Part(0, b"b")))
    plain = [[[(1 << 90).to_bytes(12, "big"), b"a"], [bytes(12), b"b"]]]
    assert to_list(whole) == plain
    assert from_list(Whole, plain) == whole


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [[bytes(12), b"a"]] * 3,
        [[bytes(11), b"a"]],
        [[bytes(13), b"a"]],
        [[7, b"a"]],
        [[bytes(12)]],
        [[bytes(12), b"a", b""]],
        [{1: bytes(12), 2: b"a"}],
        [b"a"],
    ],
)
def test_a_wrong_object_in_an_object_is_the_senders_fault(parts: object) -> None:
    """Each level is as strict as the first."""
    with pytest.raises(BadField):
        from_list(Whole, [parts])


@pytest.mark.parametrize("part", [Part(1 << 96, b"a"), Part(-1, b"a"), Part(0, b""), b"a"])
def test_a_wrong_object_of_ours_is_our_own_bug(part: object) -> None:
    """Nothing leaves that would not come back."""
    with pytest.raises(LocalProtocolError):
        to_list(Whole((part,)))  # type: ignore[arg-type]

"""Links as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.codec.errors import BadLink
from bitsnode.codec.link import Link
from bitsnode.ids import ContentId

LINK = Link(ContentId(bytes(range(32))), b"s" * 16, b"w" * 16)
TEXT = LINK.text


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_round_trip(digest: bytes, key: bytes) -> None:
    """Every link reads back as itself."""
    link = Link(ContentId(digest), key[:16], key[16:])
    assert Link.parse(link.text) == link


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not a bits link"),
        ("http://example.com", "not a bits link"),
        (" " + TEXT, "not a bits link"),
        (TEXT.upper(), "not a bits link"),
        (TEXT.split("#")[0], "has no key"),
        (TEXT.split("#")[0] + "#", "has no key"),
        (TEXT.replace("bafy", "bafk"), "content id is wrong"),
        ("bits:" + TEXT[6:], "content id is wrong"),
        ("bits:../../x#" + TEXT[-52:], "content id is wrong"),
        (TEXT + "a", "53 characters"),
        (TEXT[:-1], "51 characters"),
        (TEXT[:-2] + "1" + TEXT[-1], "other than a-z and 2-7"),
        (TEXT[:-2] + "A" + TEXT[-1], "other than a-z and 2-7"),
        (TEXT[:-1] + "b", "last character"),
        (TEXT + "\n", "53 characters"),
        (TEXT[:-1] + "\x00", "other than a-z and 2-7"),
        (TEXT[:-1] + "\u202e", "other than a-z and 2-7"),
    ],
)
def test_c4_a_malformed_link_gets_one_clear_sentence(text: str, sentence: str) -> None:
    """Each fault is named, and no fault shows the key back."""
    with pytest.raises(BadLink, match=sentence) as caught:
        Link.parse(text)
    assert "\n" not in str(caught.value)
    assert TEXT[-20:-2] not in str(caught.value)


def test_the_secrets_are_not_in_repr_or_str() -> None:
    """What a log line would show of a link does not read the content."""
    for shown in (repr(LINK), str(LINK), f"{LINK}"):
        assert TEXT[-52:] not in shown
        assert "ssss" not in shown
        assert "wwww" not in shown

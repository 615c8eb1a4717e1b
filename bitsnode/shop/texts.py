"""Texts that a creator writes and visitors read: cleaned and measured, before they are kept. Pure.

What a visitor's screen would show otherwise than it is, is refused: control characters, and those
that turn the direction of writing (Unicode TR 36, section 2.10; they can make ``exe.jpg`` of
``gpj.exe``). Texts are stored in Unicode's form C, so that a search finds what looks the same.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from bitsnode.shop.errors import BadShopText

MAX_NAME: Final = 80  # characters of a shop's name
MAX_TITLE: Final = 120  # characters of an item's title
MAX_TEXT: Final = 4_000  # characters of a description
MAX_TAG: Final = 32  # characters
MAX_TAGS: Final = 12  # of one item

_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_REFUSED: Final = frozenset(("Cc", "Cs", "Co", "Cn", "Zl", "Zp"))  # general categories
_TAG: Final = re.compile(r"\w(?:[\w +&'.-]*\w)?\Z")


def name(text: str) -> str:
    """Return the name of a shop: one line, without space around it.

    Raises:
        BadShopText: it is empty, longer than `MAX_NAME`, or cannot be shown.
    """
    return _line(text, MAX_NAME)


def title(text: str) -> str:
    """Return the title of an item: one line, without space around it.

    Raises:
        BadShopText: it is empty, longer than `MAX_TITLE`, or cannot be shown.
    """
    return _line(text, MAX_TITLE)


def paragraphs(text: str, most: int = MAX_TEXT) -> str:
    """Return a text of any number of lines, which may be empty.

    Raises:
        BadShopText: it is longer than ``most`` characters, or cannot be shown.
    """
    joined = text.replace("\r\n", "\n").replace("\t", " ")
    return _checked(unicodedata.normalize("NFC", joined).strip(), most, frozenset("\n"))


def tags(texts: Iterable[str]) -> tuple[str, ...]:
    """Return tags in small letters, each once, in the order given.

    Raises:
        BadShopText: they are too many, or one has other characters than letters, digits and those
            that join words.
    """
    found = dict.fromkeys(_tag(text) for text in texts)
    if len(found) > MAX_TAGS:
        raise BadShopText(f"An item has at most {MAX_TAGS} tags.")
    return tuple(found)


def _line(text: str, most: int) -> str:
    found = unicodedata.normalize("NFC", text).strip()
    if not found:
        raise BadShopText("A name or a title cannot be empty.")
    return _checked(found, most, frozenset())


def _tag(text: str) -> str:
    found = unicodedata.normalize("NFC", " ".join(text.lower().split()))
    if len(found) > MAX_TAG or not _TAG.match(found):
        raise BadShopText(f"A tag has 1 to {MAX_TAG} letters and digits, such as 'street art'.")
    return _checked(found, MAX_TAG, frozenset())


def _checked(text: str, most: int, allowed: frozenset[str]) -> str:
    if len(text) > most:
        raise BadShopText(f"A text of the shop is too long: {len(text)} of {most} characters.")
    for character in text:
        if character in _TURNING or (
            unicodedata.category(character) in _REFUSED and character not in allowed
        ):
            raise BadShopText("A text of the shop has a character that cannot be shown.")
    return text

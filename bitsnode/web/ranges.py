"""Parts of a content, asked for by Range (RFC 9110, section 14). Pure."""

import re
from typing import Final

import attrs

from bitsnode.web.errors import BadRange

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})\Z")


@attrs.frozen
class Span:
    """The bytes that an answer has.

    Attributes:
        first: of them, from 0.
        last: of them, this one included; ``first - 1`` if there is none.
        size: of the whole.
    """

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.last - self.first + 1

    @property
    def whole(self) -> bool:
        """Whether it is all there is."""
        return self.length == self.size

    @property
    def content_range(self) -> str:
        """As a Content-Range header says it."""
        return f"bytes {self.first}-{self.last}/{self.size}"


def span_of(size: int, asked: str | None, condition: str | None, tag: str) -> Span:
    """Return which bytes to send.

    One range is honoured. Several at once, overlapping or not, and whatever is no range of bytes,
    get the whole, as section 14.2 allows: so no answer is longer than its content.

    Args:
        size: bytes of the whole.
        asked: the Range header, None for none.
        condition: the If-Range header, None for none.
        tag: the entity tag of the whole, in quotes.

    Raises:
        BadRange: a range that lies outside.
    """
    whole = Span(0, size - 1, size)
    found = _RANGE.match(asked) if asked is not None else None
    if found is None or (condition is not None and condition != tag):
        return whole
    first, last = found.groups()
    if not first and not last:
        return whole
    if not first:  # the last so many bytes
        if int(last) == 0 or size == 0:
            raise BadRange
        return Span(max(0, size - int(last)), size - 1, size)
    if last and int(last) < int(first):
        return whole
    if int(first) >= size:
        raise BadRange
    return Span(int(first), min(int(last), size - 1) if last else size - 1, size)


def matches(tags: str | None, tag: str) -> bool:
    """Whether an If-None-Match header (section 13.1.2) names this entity tag."""
    if tags is None:
        return False
    given = [one.strip().removeprefix("W/") for one in tags[:1_000].split(",")]
    return tag in given or given == ["*"]

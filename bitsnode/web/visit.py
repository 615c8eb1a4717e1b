"""A request as the pages see it: read once, nothing in it that could tell visitors apart. Pure."""

from collections.abc import Mapping

import attrs

from bitsnode.web.target import Target


@attrs.frozen
class Visit:
    """A request that was admitted.

    Attributes:
        method: GET, HEAD or POST; routing refuses others.
        target: path and query.
        visitor: cookie of a visitor, if the shop gave it out.
        ticket: token of an order's ticket, if the shop gave it out; whether it is still good is
            for the tickets to say.
        body: of a POST, at most `target.MAX_BODY` bytes.
        content_type: of the body.
        range: Range header.
        if_range: If-Range header.
        if_none_match: If-None-Match header.
    """

    method: str
    target: Target
    visitor: str | None = attrs.field(default=None, repr=False)
    ticket: str | None = attrs.field(default=None, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    content_type: bytes = b""
    range: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None

    @property
    def query(self) -> Mapping[str, str]:
        """Fields of the query."""
        return self.target.query

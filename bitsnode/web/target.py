"""What a request asks for, read once and strictly. Pure.

None of the shop's paths needs an escape, a dot segment or two slashes in a row, so a target that
has one is refused before anything looks at it: nothing is normalised, and nothing read twice.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import attrs

from bitsnode.web.errors import BadRequest, ForeignOrigin, TooLarge

MAX_TARGET: Final = 2_048  # bytes of path and query
MAX_QUERY_FIELDS: Final = 8
MAX_FORM_FIELDS: Final = 16
MAX_BODY: Final = 64 * 1024  # bytes of a form
FORM_TYPE: Final = b"application/x-www-form-urlencoded"

_SEGMENT: Final = rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9]+)*"
_PATH: Final = re.compile(rb"/(?:%b(?:/%b)*)?\Z" % (_SEGMENT, _SEGMENT))
_COOKIE: Final = re.compile(r"[A-Za-z0-9._-]{1,200}\Z")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # RFC 1866 lets CR and LF pass


@attrs.frozen
class Target:
    """Path and query of a request.

    Attributes:
        path: letters, digits, ``-``, ``_`` and single dots between slashes.
        query: first value of each field.
    """

    path: str
    query: Mapping[str, str]


def parse_target(target: bytes) -> Target:
    """Read a request target; only the origin form (RFC 9112, section 3.2.1) is taken.

    Raises:
        BadRequest: another form, or a path that is none of ours by its very characters.
    """
    path, _, query = target.partition(b"?")
    if len(target) > MAX_TARGET or not _PATH.match(path):
        raise BadRequest
    return Target(path.decode("ascii"), _fields(query, MAX_QUERY_FIELDS))


def check_host(given: Sequence[bytes], ours: frozenset[bytes]) -> None:
    """Check the Host header (RFC 9112, section 3.2): exactly one, and it is ours.

    A name that somebody points here (DNS rebinding) or a subdomain is another.

    Raises:
        BadRequest: it is another, or missing, or there are several.
    """
    if len(given) != 1 or given[0].lower().removesuffix(b":80") not in ours:
        raise BadRequest


def check_origin(given: Sequence[bytes], ours: frozenset[bytes]) -> None:
    """Check the Origin header, where a browser sends one (RFC 6454).

    Raises:
        ForeignOrigin: another site's page sent the request.
    """
    for origin in given:
        scheme, mark, host = origin.lower().partition(b"://")
        if not mark or scheme != b"http" or host.removesuffix(b":80") not in ours:
            raise ForeignOrigin


def parse_form(body: bytes, content_type: bytes) -> Mapping[str, str]:
    """Read a form; its fields are counted before any is read.

    Raises:
        BadRequest: it is no form of a browser.
        TooLarge: more bytes or fields than any form here has.
    """
    if len(body) > MAX_BODY:
        raise TooLarge
    if content_type.partition(b";")[0].strip().lower() != FORM_TYPE:
        raise BadRequest
    if body.count(b"&") >= MAX_FORM_FIELDS:
        raise TooLarge
    return _fields(body, MAX_FORM_FIELDS)


def parse_cookies(lines: Sequence[bytes]) -> Mapping[str, str]:
    """Read Cookie headers (RFC 6265, section 4.2.1); what cannot be one of ours is passed over.

    Of two cookies of one name the first counts: browsers send the one with the longest path first.
    """
    found: dict[str, str] = {}
    for pair in b";".join(lines).decode("latin-1").split(";")[:64]:
        name, _, value = pair.strip().partition("=")
        if name not in found and _COOKIE.match(value):
            found[name] = value
    return found


def _fields(text: bytes, most: int) -> Mapping[str, str]:
    if not text:
        return {}
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most
        )
    except ValueError:  # UnicodeDecodeError too
        raise BadRequest from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if _FORBIDDEN.search(name) or _FORBIDDEN.search(value):
            raise BadRequest
        found.setdefault(name, value)
    return found

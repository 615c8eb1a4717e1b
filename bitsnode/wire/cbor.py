"""Canonical CBOR: one value, one encoding (RFC 8949 §4.2.1)."""

import io
from typing import Any

import cbor2

from bitsnode.errors import RemoteProtocolError

MAX_DEPTH = 8  # nested containers; the deepest message needs 4


class NotCanonical(RemoteProtocolError):
    """The bytes are not the canonical CBOR of a value that bits uses."""


def encode(value: object) -> bytes:
    """Return the canonical encoding of ints, bytes, str, bool, None, lists and dicts."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, limit: int) -> Any:
    """Return the value that ``data`` encodes.

    Args:
        data: the whole encoding, nothing after it.
        limit: most bytes that ``data`` may have, checked first.

    Raises:
        NotCanonical: too long, not CBOR, trailing bytes, duplicate keys, non-shortest or
            indefinite lengths, tags, floats, or nested too deep.
    """
    if len(data) > limit:
        raise NotCanonical(f"The value has {len(data)} bytes and {limit} are allowed.")
    try:
        value = cbor2.CBORDecoder(
            io.BytesIO(data),
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        ).decode()
        _check(value, MAX_DEPTH)
        # cbor2 accepts longer integers, unsorted keys and trailing bytes: the re-encoding of
        # what it understood must be what was sent.
        if encode(value) != data:
            raise NotCanonical
    except NotCanonical:
        raise
    except Exception as error:
        # whatever a decoder trips over in bytes from outside is the sender's fault
        raise NotCanonical from error
    return value


def _check(value: object, depth: int) -> None:
    if depth < 0:
        raise NotCanonical
    kind = type(value)
    if kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) not in (int, str):
                raise NotCanonical
            _check(item, depth - 1)
    elif kind is list:
        for item in value:  # type: ignore[attr-defined]
            _check(item, depth - 1)
    elif kind is int:
        if not -(1 << 64) <= value < 1 << 64:  # type: ignore[operator]
            raise NotCanonical
    elif value is not None and kind not in (bytes, str, bool):
        raise NotCanonical

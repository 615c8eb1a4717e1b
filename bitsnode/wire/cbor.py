"""Canonical CBOR: one value, one encoding (RFC 8949 §4.2.1)."""

from typing import Any, NoReturn

import cbor2

from bitsnode.errors import RemoteProtocolError

MAX_DEPTH = 8  # nested containers; the deepest message needs 4
MAX_ITEMS = 1 << 16  # values in one encoding; the largest manifest has about half as many


class NotCanonical(RemoteProtocolError):
    """The bytes are not the canonical CBOR of a value that bits uses."""


class _NoTags(dict[int, Any]):
    """Refuses every tag before its decoder runs.

    cbor2 has decoders for some twenty tags, among them ones that share values (a few bytes then
    stand for billions of items), compile regular expressions or compute large powers.
    """

    def get(self, _tag: object, _default: object = None) -> NoReturn:
        raise NotCanonical

    def __getitem__(self, _tag: object) -> NoReturn:
        raise NotCanonical

    def __contains__(self, _tag: object) -> bool:
        return True


_NO_TAGS = _NoTags()
_PLAIN = frozenset({bytes, str, bool, int, type(None)})


def encode(value: object) -> bytes:
    """Return the canonical encoding of ints, bytes, str, bool, None, lists and dicts.

    Keys of dicts are non-negative ints: only for them is the order of RFC 8949 §4.2.1 the same
    as that of RFC 7049 §3.9, so that no two encoders can differ.
    """
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, limit: int) -> Any:
    """Return the value that ``data`` encodes.

    Args:
        data: the whole encoding, nothing after it.
        limit: most bytes that ``data`` may have, checked first.

    Raises:
        NotCanonical: too long, not CBOR, trailing bytes, duplicate keys, non-shortest or
            indefinite lengths, tags, floats, keys that are not non-negative integers, nested
            too deep, or too many items.
    """
    if len(data) > limit:
        raise NotCanonical(f"The value has {len(data)} bytes and {limit} are allowed.")
    try:
        value = cbor2.loads(
            data,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_NO_TAGS,
        )
        _check(value)
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


def _check(value: Any) -> None:
    """Refuse what bits does not use. Depth was bounded by the decoder, and nothing is shared."""
    waiting: list[Any] = [value]
    items = 0
    while waiting:
        value = waiting.pop()
        kind = type(value)
        items += 1
        if kind is dict:
            if any(type(key) is not int or key < 0 for key in value):
                raise NotCanonical
            waiting += value.values()
        elif kind is list:
            if _PLAIN.issuperset(map(type, value)):
                items += len(value)
            else:
                waiting += value
        elif kind not in _PLAIN:
            raise NotCanonical
        if items + len(waiting) > MAX_ITEMS:
            raise NotCanonical

"""What in a value could tell one thing from another: hashes, keys, addresses, names. Pure.

Two places that show the same token speak of the same thing. A token is twelve bytes or longer, so
that chance does not make two alike; numbers, amounts and times are the business of other joins.
"""

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

import cbor2

LEAST: Final = 12  # bytes
MOST: Final = 64
WORD: Final = 32
_HEX: Final = re.compile(rb"(?:0x)?([0-9a-fA-F]{24,})")
_BASE32: Final = re.compile(rb"[a-z2-7]{50,}")
_DEPTH: Final = 6


def tokens_of(*values: object) -> frozenset[bytes]:
    """The tokens that stand in values, wherever in them they stand."""
    found: set[bytes] = set()
    for value in values:
        found.update(_walk(value, 0))
    return frozenset(found)


def token(value: bytes) -> bytes:
    """The one spelling of a token: an address in a word is that address."""
    return value.lstrip(b"\0")


def _walk(value: object, depth: int) -> Iterator[bytes]:
    if depth > _DEPTH:
        return
    if isinstance(value, bytes):
        yield from _bytes(value, depth)
    elif isinstance(value, str):
        yield from _text(value.encode(errors="replace"), depth)
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _walk(list(pair), depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _walk(each, depth + 1)
    elif isinstance(value, cbor2.CBORTag):
        yield from _walk(value.value, depth + 1)
    elif isinstance(value, int) and value >= 1 << (8 * LEAST):
        yield token(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _bytes(value: bytes, depth: int) -> Iterator[bytes]:
    short = token(value)
    if LEAST <= len(short) <= MOST:
        yield short
    if len(value) < LEAST:
        return
    for start in {len(value) % WORD, 0, 4}:  # words of a call: after the selector, or of data
        if len(value) > WORD and (len(value) - start) % WORD == 0:
            for at in range(start, len(value), WORD):
                yield from _short(value[at : at + WORD])
    yield from _text(value, depth)
    for parse in (_cbor, _rlp):
        inner = parse(value)
        if isinstance(inner, list | dict | tuple):
            yield from _walk(inner, depth + 1)


def _short(value: bytes) -> Iterator[bytes]:
    found = token(value)
    if LEAST <= len(found) <= MOST:
        yield found


def _text(value: bytes, depth: int) -> Iterator[bytes]:
    for match in _HEX.finditer(value):
        digits = match.group(1)
        yield from _walk(bytes.fromhex(digits[: len(digits) // 2 * 2].decode()), depth + 1)
    for match in _BASE32.finditer(value):
        name = match.group().decode()
        if len(name) == 56:  # an onion address: key, checksum, version
            yield from _short(base64.b32decode(name.upper())[:WORD])
        if name.startswith("bafy"):  # a CID: its last 32 bytes are the digest
            body = name[1:].upper()
            yield from _short(base64.b32decode(body + "=" * (-len(body) % 8))[-WORD:])


def _cbor(value: bytes) -> Any:
    try:
        return cbor2.loads(value)
    except Exception:  # whatever was not CBOR
        return None


def _rlp(value: bytes) -> Any:
    """Items of an RLP list, as of a raw transaction; None if it is not one."""
    body = value[1:] if value[:1] == b"\x02" else value  # EIP-1559 puts a type before it
    try:
        item, end = _rlp_item(body, 0)
    except (IndexError, ValueError):
        return None
    return item if end == len(body) and isinstance(item, list) else None


def _rlp_item(data: bytes, at: int) -> tuple[Any, int]:
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    is_list, short = first >= 0xC0, first - (0xC0 if first >= 0xC0 else 0x80)
    start, size = at + 1, short
    if short > 55:
        start = at + 1 + short - 55
        size = int.from_bytes(data[at + 1 : start], "big")
    end = start + size
    if end > len(data):
        raise ValueError
    if not is_list:
        return data[start:end], end
    items = []
    while start < end:
        item, start = _rlp_item(data, start)
        items.append(item)
    return items, end

"""messages.cddl and the classes accept and refuse the same values."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pycddl
import pytest

from bitsnode.errors import RemoteProtocolError
from bitsnode.wire import (
    cbor,
    market_messages,
    messages,
    registry,
    relay_messages,
    warm_messages,
)
from bitsnode.wire.card import NodeCard
from bitsnode.wire.record import Record
from bitsnode.wire.schema import _FIELD, Bool, Bytes, ListOf, Optional, Text, Uint, from_map

ROOT = Path(__file__).parent.parent
VECTORS = json.loads((ROOT / "vectors" / "wire_messages.json").read_text())
CDDL = (ROOT.parent / "bitsnode" / "wire" / "messages.cddl").read_text()
CLASSES: list[type] = [
    cls
    for module in (messages, market_messages, relay_messages, warm_messages)
    for name, cls in sorted(vars(module).items())
    if attrs.has(cls) and cls.__module__ == module.__name__
]
CLASSES += [NodeCard, Record]


def rule(cls: type) -> str:
    """The rule of a class: its name in lower case with hyphens."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
    return "hello-body" if name == "hello" else name


def schema(name: str) -> pycddl.Schema:
    """The schema whose first rule is this one."""
    return pycddl.Schema(f"start = {name}\n{CDDL}")


def taken_by_cddl(found: pycddl.Schema, value: object) -> bool:
    """Return whether the CDDL allows a value."""
    try:
        found.validate_cbor(cbor.encode(value))
    except pycddl.ValidationError:
        return False
    return True


def taken_by_class(cls: type, value: object) -> bool:
    """Return whether the class allows a value."""
    try:
        from_map(cls, value)
    except RemoteProtocolError:
        return False
    return True


def edges(form: Any) -> Iterator[object]:
    """Values at both sides of each limit of a field, all of the field's own type.

    Other types are in `strangers`: pycddl 0.6.4 lets text and integers pass for bytes with a
    ``.size`` and bytes for a range of integers, which RFC 8610 §3.8.1 does not.
    """
    if isinstance(form, Bytes):
        sizes = {form.least, form.most, form.most + 1, max(0, form.least - 1)}
        yield from (bytes(size) for size in sorted(sizes))
    elif isinstance(form, Uint):
        yield from (form.least, form.most, form.most + 1, form.least - 1)
    elif isinstance(form, Text):
        yield from ("", "x" * form.most, "x" * (form.most + 1), "é" * form.most)
    elif isinstance(form, Bool):
        yield from (True, False, None)
    elif isinstance(form, ListOf):
        values = list(edges(form.item))
        good = next(value for value in values if taken_by_field(form.item, value))
        yield from ([], [good] * form.most, [good] * (form.most + 1), None)
        yield from ([value] for value in values)
    elif isinstance(form, Optional):
        yield None
        yield from edges(form.item)
    else:
        raise TypeError(form)


def strangers(form: Any) -> list[object]:
    """Values of types that a field does not have."""
    mine = {Bytes: bytes, Uint: int, Text: str, Bool: bool, ListOf: list}
    form = form.item if isinstance(form, Optional) else form
    others = [b"", 0, "", True, [], {}, 1.0]
    return [value for value in others if type(value) is not mine[type(form)]]


def taken_by_field(form: Any, value: object) -> bool:
    """Return whether a field allows a value."""
    try:
        form.check(value)
    except RemoteProtocolError:
        return False
    return True


def fields(cls: type) -> dict[int, Any]:
    """The fields of a class by their keys."""
    return dict(a.metadata[_FIELD] for a in attrs.fields(cls))  # type: ignore[arg-type]


def sample(cls: type) -> dict[int, object]:
    """A body that both allow: of every field the first edge that is allowed."""
    return {
        key: next(value for value in edges(form) if taken_by_field(form, value))
        for key, form in fields(cls).items()
    }


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_class_and_cddl_agree_at_every_limit(cls: type) -> None:
    """Just inside and just outside of each limit, both say the same of each field."""
    found = schema(rule(cls))
    base = sample(cls)
    assert taken_by_class(cls, base)
    assert taken_by_cddl(found, base)
    for key, form in fields(cls).items():
        seen = set()
        for value in edges(form):
            body = {**base, key: value}
            expected = taken_by_class(cls, body)
            assert taken_by_cddl(found, body) == expected, (key, value)
            seen.add(expected)
        assert seen == {True, False}
        without = {k: v for k, v in base.items() if k != key}
        assert not taken_by_class(cls, without)
        assert not taken_by_cddl(found, without)
    assert not taken_by_class(cls, {**base, 99: 0})
    if base:  # pycddl 0.6.4 lets anything pass for an empty map
        assert not taken_by_cddl(found, {**base, 99: 0})


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_class_refuses_other_types(cls: type) -> None:
    """True is no integer, text no bytes, and a map no list."""
    base = sample(cls)
    for key, form in fields(cls).items():
        for value in strangers(form):
            assert not taken_by_class(cls, {**base, key: value})


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda vector: vector["class"])
def test_every_frame_on_record_is_in_the_cddl(vector: dict[str, Any]) -> None:
    """Whole frames, with their envelopes, are what the first rule describes."""
    body = bytes.fromhex(vector["frame"])[4:]
    pycddl.Schema(CDDL).validate_cbor(body)
    with pytest.raises(pycddl.ValidationError):
        pycddl.Schema(CDDL).validate_cbor(cbor.encode([*cbor.decode(body, 1 << 19), 0]))


@pytest.mark.parametrize("name", ["card", "record"])
def test_signed_objects_on_record_are_in_the_cddl(name: str) -> None:
    """A signed object is byte strings, and its payload is what its rule says."""
    data = bytes.fromhex(VECTORS[name]["data"])
    schema({"card": "signed", "record": "signed-record"}[name]).validate_cbor(data)
    payload = cbor.decode(data, 1 << 15)[0]
    schema({"card": "node-card", "record": "record"}[name]).validate_cbor(payload)


def test_request_numbers_are_those_of_the_classes() -> None:
    """The CDDL names each request's class by the number that the code sends."""
    found = dict(re.findall(r"\[1, id, (\d+), ([a-z-]+)\]", CDDL))
    assert found == {str(cls.TYPE): rule(cls) for cls in registry.REQUESTS}  # type: ignore[arg-type]

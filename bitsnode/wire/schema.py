"""What a field of a message may hold: each class of field checks one CBOR value.

A message or signed object is a frozen attrs class whose attributes carry one of these in their
metadata; ``to_map`` and ``from_map`` turn it into a CBOR map with integer keys and back. A map
must hold exactly the keys of its class: an unknown key is refused, because a newer meaning is
announced by a newer protocol version and never smuggled in.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, TypeVar

import attrs

from bitsnode.errors import LocalProtocolError, RemoteProtocolError

T = TypeVar("T")
_FIELD = "bits.field"


class BadField(RemoteProtocolError):
    """A field of a message has a wrong type, size or value."""


class Field(Protocol):
    """Checks one value, on the way in and on the way out."""

    def check(self, value: object) -> object:
        """Return a value from outside as the class holds it.

        Raises:
            BadField: it is not of this field's form.
        """

    def dump(self, value: object) -> object:
        """Return a value that the class holds as it travels.

        Raises:
            BadField: it is not of this field's form.
        """


class _Plain:
    """A field whose values travel as the class holds them."""

    def check(self, value: object) -> object:
        """See `Field.check`."""
        raise NotImplementedError

    def dump(self, value: object) -> object:
        """See `Field.dump`."""
        return self.check(value)


@attrs.frozen
class Bytes(_Plain):
    """A byte string of ``least`` to ``most`` bytes."""

    least: int
    most: int

    def check(self, value: object) -> object:
        """See `Field.check`."""
        if type(value) is not bytes or not self.least <= len(value) <= self.most:
            raise BadField(f"A field should have {self.least} to {self.most} bytes.")
        return value


@attrs.frozen
class Uint(_Plain):
    """An integer from ``least`` to ``most``, both included."""

    most: int
    least: int = 0

    def check(self, value: object) -> object:
        """See `Field.check`."""
        if type(value) is not int or not self.least <= value <= self.most:
            raise BadField(f"A field should be an integer from {self.least} to {self.most}.")
        return value


@attrs.frozen
class Text(_Plain):
    """A text of at most ``most`` UTF-8 bytes."""

    most: int

    def check(self, value: object) -> object:
        """See `Field.check`."""
        if type(value) is not str or len(value.encode()) > self.most:
            raise BadField(f"A field should be a text of at most {self.most} bytes.")
        return value


@attrs.frozen
class Bool(_Plain):
    """True or false."""

    def check(self, value: object) -> object:
        """See `Field.check`."""
        if type(value) is not bool:
            raise BadField("A field should be true or false.")
        return value


@attrs.frozen
class ListOf:
    """A list of ``least`` to ``most`` items; held as a tuple."""

    item: Field
    most: int
    least: int = 0

    def check(self, value: object) -> object:
        """See `Field.check`."""
        return tuple(self.item.check(item) for item in self._sized(value))

    def dump(self, value: object) -> object:
        """See `Field.dump`."""
        return [self.item.dump(item) for item in self._sized(value)]

    def _sized(self, value: object) -> Sequence[object]:
        if not isinstance(value, list | tuple) or not self.least <= len(value) <= self.most:
            raise BadField(f"A field should be a list of {self.least} to {self.most} items.")
        return value


@attrs.frozen
class Nested:
    """An object of a class with fields of its own; travels as the list of them."""

    cls: type

    def check(self, value: object) -> object:
        """See `Field.check`."""
        return from_list(self.cls, value)

    def dump(self, value: object) -> object:
        """See `Field.dump`."""
        if type(value) is not self.cls:
            raise BadField(f"A field should be a {self.cls.__name__}.")
        return to_list(value)


@attrs.frozen
class BigUint:
    """An unsigned integer of ``size`` bytes, which travels as that many bytes, big-endian.

    CBOR's own integers end at 64 bits; amounts of money and words of a contract do not.
    """

    size: int

    def check(self, value: object) -> object:
        """See `Field.check`."""
        if type(value) is not bytes or len(value) != self.size:
            raise BadField(f"A field should have {self.size} bytes.")
        return int.from_bytes(value, "big")

    def dump(self, value: object) -> object:
        """See `Field.dump`."""
        if type(value) is not int or not 0 <= value < 1 << 8 * self.size:
            raise BadField(f"A field should be an unsigned integer of {self.size} bytes.")
        return value.to_bytes(self.size, "big")


@attrs.frozen
class Optional:
    """What ``item`` allows, or null."""

    item: Field

    def check(self, value: object) -> object:
        """See `Field.check`."""
        return None if value is None else self.item.check(value)

    def dump(self, value: object) -> object:
        """See `Field.dump`."""
        return None if value is None else self.item.dump(value)


def field(key: int, form: Field, *, secret: bool = False) -> Any:
    """Return the attrs attribute that is sent under the integer ``key``."""
    return attrs.field(metadata={_FIELD: (key, form)}, repr=not secret)


@cache
def _forms(cls: type) -> dict[int, tuple[str, Field]]:
    """Return names and forms of the attributes of a message, by the keys they are sent under."""
    return {a.metadata[_FIELD][0]: (a.name, a.metadata[_FIELD][1]) for a in attrs.fields(cls)}


def to_map(value: Any) -> dict[int, object]:
    """Return the CBOR map of a message.

    Raises:
        LocalProtocolError: a field is not of its form, which is our own bug.
    """
    found: dict[int, object] = {}
    for key, (attribute, form) in _forms(type(value)).items():  # type: ignore[arg-type]  # classes are hashable
        try:
            found[key] = form.dump(getattr(value, attribute))
        except BadField as error:
            name = f"{type(value).__name__}.{attribute}"
            raise LocalProtocolError(f"Bug in bits: {name}: {error}") from error
    return found


def from_map(cls: type[T], found: object) -> T:
    """Return the message of class ``cls`` that a decoded CBOR map holds.

    Raises:
        BadField: not a map, a missing or unknown key, or a field not of its form.
    """
    if type(found) is not dict:
        raise BadField("A message body should be a map.")
    forms = _forms(cls)  # type: ignore[arg-type]  # classes are hashable
    if found.keys() != forms.keys():
        raise BadField(f"A {cls.__name__} lacks a field or has one too many.")
    return cls(**{name: form.check(found[key]) for key, (name, form) in forms.items()})


def to_list(value: Any) -> list[object]:
    """Return the CBOR list of a signed object whose keys are 1, 2, 3 … in their order.

    Raises:
        LocalProtocolError: a field is not of its form, which is our own bug.
    """
    found = to_map(value)
    return [found[key] for key in range(1, len(found) + 1)]


def from_list(cls: type[T], found: object) -> T:
    """Return the object of class ``cls`` that a decoded CBOR list holds.

    Raises:
        BadField: not a list, one of another length, or a field not of its form.
    """
    if type(found) is not list:
        raise BadField("A signed object should be a list.")
    return from_map(cls, dict(enumerate(found, 1)))

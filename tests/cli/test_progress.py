"""Every progress event of the flows has a sentence."""

import typing

import attrs

from bitsnode.cli.progress import size, text_of
from bitsnode.content import progress
from bitsnode.control import event_line

SAMPLES: dict[object, object] = {int: 3, float: 2.5, str: "A reason.", bool: True}


def test_every_event_has_a_sentence() -> None:
    """A new event without words would leave a person before a silent terminal."""
    for kind in typing.get_args(progress.Event):
        hints = typing.get_type_hints(kind)
        event = kind(**{field.name: SAMPLES[hints[field.name]] for field in attrs.fields(kind)})
        assert text_of(event_line(event)), kind


def test_sizes_for_people() -> None:
    """Sizes are shown in the unit that fits."""
    assert [size(n) for n in (0, 1023, 1536, 1 << 20, 5 << 30, 3 << 40)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "1.0 MiB",
        "5.0 GiB",
        "3.0 TiB",
    ]

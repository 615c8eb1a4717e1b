"""Every sentence of the shop, by name, in one file for each language: ``languages/LANGUAGE.toml``.

A translation is a copy of ``en.toml`` with other sentences: the same names, and the same
``{placeholders}`` in each.
"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from string import Formatter
from typing import Final

from bitsnode.errors import BitsError

DEFAULT: Final = "en"


class NoSuchLanguage(BitsError):
    """The pages of a shop do not speak this language."""


class Texts:
    """The sentences of a language.

    Attributes:
        language: its tag (BCP 47).
        table: name -> sentence with placeholders.

    Raises:
        NoSuchLanguage: nobody has translated them.
    """

    def __init__(self, language: str = DEFAULT) -> None:
        self.language = language
        path = files("bitsnode.web") / "languages" / f"{language}.toml"
        if not language.isalpha() or not path.is_file():
            raise NoSuchLanguage
        self.table = _flat(tomllib.loads(path.read_text("utf-8")))

    def __call__(self, name: str, /, **values: object) -> str:
        """Return a sentence with its placeholders filled in; it is text, not HTML."""
        return self.table[name].format_map(values)

    def count(self, name: str, number: int, /, **values: object) -> str:
        """Return the sentence for one or for several, with ``{n}``."""
        form = "one" if number == 1 else "many"
        return self(f"{name}.{form}", n=number, **values)


def placeholders(sentence: str) -> frozenset[str]:
    """Return the names of a sentence's placeholders."""
    return frozenset(name for _, name, _, _ in Formatter().parse(sentence) if name)


def _flat(table: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = str(value)
    return found

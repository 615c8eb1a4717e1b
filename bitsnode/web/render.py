"""Templates, and the few files that pages refer to. Everything is in the package."""

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import attrs
from jinja2 import DictLoader, Environment, StrictUndefined

from bitsnode.shop.items import Profile
from bitsnode.web import words
from bitsnode.web.answers import FOR_EVER, SMALLEST, Answer, padded
from bitsnode.web.texts import Texts

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript", "png": "image/png"}
_NO_PROFILE: Final = Profile("-")


@attrs.frozen
class Asset:
    """A file of the package that pages refer to.

    Attributes:
        name: under which it is served; another when the file is another.
        media_type: of it.
        data: all of it.
    """

    name: str
    media_type: str
    data: bytes = attrs.field(repr=False)

    @property
    def answer(self) -> Answer:
        """The answer that it is."""
        return Answer(200, self.data, self.media_type, FOR_EVER)


class Renderer:
    """Makes pages of templates.

    Attributes:
        texts: the sentences.
        coin: name of the chain's coin.
        profile: what the shop says of itself, as last read.
        assets: by the name in their path.

    Args:
        texts: the sentences.
        coin: name of the chain's coin.
    """

    def __init__(self, texts: Texts, coin: str) -> None:
        self.texts = texts
        self.coin = coin
        self.profile = _NO_PROFILE
        found = [_asset(entry.name, entry.read_bytes()) for entry in _in("static")]
        self.assets = {asset.name: asset for asset in found}
        self._paths = {asset.name.rpartition(".")[2]: f"/static/{asset.name}" for asset in found}

    def page(self, template: str, /, least: int = SMALLEST, **values: object) -> bytes:
        """Return a page, filled up to its size class, the smallest of which may be given."""
        return padded(self.raw(template, **values), least)

    def raw(self, template: str, /, **values: object) -> bytes:
        """Return what a template makes of values."""
        known = self.profile is not _NO_PROFILE
        common = {
            "t": self.texts,
            "coin": self.coin,
            "assets": self._paths,
            "shop": self.profile.name if known else self.texts("page.unnamed"),
            "about": self.profile.about if known else "",
            "tips": known and bool(self.profile.meta_address),
        }
        return _templates().get_template(template).render(common | values).encode("utf-8")


@cache
def _templates() -> Environment:
    """Return the templates, compiled as they are first used, once for all shops."""
    environment = Environment(
        loader=DictLoader({entry.name: entry.read_text("utf-8") for entry in _in("templates")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(coins=words.coins, size=words.size)
    return environment


def _in(folder: str) -> list[Traversable]:
    entries = (files("bitsnode.web") / folder).iterdir()
    return sorted(entries, key=lambda entry: entry.name)


def _asset(name: str, data: bytes) -> Asset:
    stem, _, ending = name.rpartition(".")
    digest = hashlib.sha256(data).hexdigest()[:10]
    return Asset(f"{stem}.{digest}.{ending}", _TYPES[ending], data)

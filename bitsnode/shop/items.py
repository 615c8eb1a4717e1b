"""What is in a shop, as frozen values. Nothing in them tells who runs the shop, or when. Pure."""

import re
import secrets
from base64 import b32encode
from enum import Enum
from typing import Final

import attrs

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.shop import texts
from bitsnode.shop.errors import BadItem

DAY: Final = 86_400  # seconds; no time that is shown is finer
MAX_PRICE: Final = 1 << 96  # wei; one above the highest
MAX_BYTES: Final = 1 << 50  # of a content
MAX_BLOB: Final = 1 << 20  # bytes of a thumbnail or preview
MAX_PICTURES: Final = 1_000  # of one item
MAX_PIXELS: Final = 1 << 16  # a side
ID_LENGTH: Final = 10  # characters of base32: 50 random bits
_ID: Final = re.compile(rf"[a-z2-7]{{{ID_LENGTH}}}\Z")
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,62}/[a-z0-9][a-z0-9.+-]{0,62}\Z")
_IMAGE: Final = re.compile(r"image/(?:webp|jpeg|png)\Z")


class Kind(Enum):
    """How an item is shown to who has paid."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"


@attrs.frozen
class Profile:
    """What a shop says of itself.

    Attributes:
        name: one line.
        about: any number of lines.
        meta_address: where tips go (ERC-5564), as text; "" for no tips.
    """

    name: str = attrs.field(converter=texts.name)
    about: str = attrs.field(default="", converter=texts.paragraphs)
    meta_address: str = ""


@attrs.frozen
class Blob:
    """A small picture that everybody may see.

    Attributes:
        media_type: image/webp, image/jpeg or image/png.
        data: at most `MAX_BLOB` bytes.
    """

    media_type: str
    data: bytes = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Check both."""
        if not _IMAGE.match(self.media_type) or not 0 < len(self.data) <= MAX_BLOB:
            raise BadItem(f"A preview is a WebP, JPEG or PNG of at most {MAX_BLOB} bytes.")


@attrs.frozen
class Part:
    """Something of a content that can be looked at by itself.

    Attributes:
        media_type: of it.
        size: bytes.
        width: pixels, 0 if there is no such thing.
        height: likewise.
        offset: in the content, bytes.
    """

    media_type: str
    size: int
    width: int = 0
    height: int = 0
    offset: int = 0


@attrs.frozen
class Item:
    """One thing in the shop.

    Attributes:
        id: `ID_LENGTH` characters of base32, random.
        title: one line.
        description: any number of lines.
        tags: in small letters.
        content_id: what is sold.
        price: wei.
        kind: how it is shown.
        media_type: of the content.
        bytes: of the content.
        pictures: how many, of a set in one archive; 1 for a single file.
        width: pixels of a picture or video, 0 where there is no such thing.
        height: likewise.
        thumbnail: name of a blob; "" for none.
        preview: likewise, of a blurred one.
        added: day on which it came, as Unix time in seconds.
        withdrawn: it is not sold any more; who has paid still gets it.
    """

    id: str
    title: str
    description: str
    tags: tuple[str, ...]
    content_id: ContentId
    price: int
    kind: Kind
    media_type: str
    bytes: int
    pictures: int
    width: int
    height: int
    thumbnail: str
    preview: str
    added: int
    withdrawn: bool


@attrs.frozen
class Draft:
    """An item before the shop has it.

    What it has in common with an `Item` is described there.

    Attributes:
        link: reads the content.
        publisher_seed: of the key that signed its manifest, 32 bytes; makes offers.
        parts: the pictures of a set, in their order; none for a single file.
        thumbnail: the picture itself, None for none.
        preview: likewise.
    """

    title: str = attrs.field(converter=texts.title)
    price: int
    kind: Kind
    link: Link = attrs.field(repr=False)
    publisher_seed: bytes = attrs.field(repr=False)
    media_type: str
    bytes: int
    description: str = attrs.field(default="", converter=texts.paragraphs)
    tags: tuple[str, ...] = attrs.field(default=(), converter=texts.tags)
    parts: tuple[Part, ...] = ()
    width: int = 0
    height: int = 0
    thumbnail: Blob | None = None
    preview: Blob | None = None

    def __attrs_post_init__(self) -> None:
        """Check the numbers."""
        check_price(self.price)
        sides = (self.width, self.height)
        if not _MEDIA_TYPE.match(self.media_type):
            raise BadItem("The item has no media type such as image/jpeg.")
        if len(self.parts) > MAX_PICTURES:
            raise BadItem(f"An item has at most {MAX_PICTURES} pictures.")
        if not 0 <= self.bytes <= MAX_BYTES or not all(map(self._holds, self.parts)):
            raise BadItem("The sizes of the item's parts do not fit.")
        if not all(0 <= side <= MAX_PIXELS for side in sides):
            raise BadItem(f"A picture has at most {MAX_PIXELS} pixels a side.")

    @property
    def pictures(self) -> int:
        """As of `Item`."""
        return max(1, len(self.parts))

    def _holds(self, part: Part) -> bool:
        known = _MEDIA_TYPE.match(part.media_type) is not None
        return known and 0 <= part.offset < part.offset + part.size <= self.bytes


@attrs.frozen
class Page:
    """A part of the items that were asked for.

    Attributes:
        items: of this page.
        total: items on all pages.
        page: its number, from 1.
        pages: how many there are, at least 1.
    """

    items: tuple[Item, ...]
    total: int
    page: int
    pages: int


def check_price(price: int) -> None:
    """Check a price in wei.

    Raises:
        BadItem: it is none.
    """
    if type(price) is not int or not 0 < price < MAX_PRICE:
        raise BadItem("An item has a price above zero.")


def fresh_id() -> str:
    """Return the id of a new item."""
    return b32encode(secrets.token_bytes(7)).decode("ascii").lower()[:ID_LENGTH]


def is_id(text: str) -> bool:
    """Whether an item could have this id."""
    return _ID.match(text) is not None


def day_of(seconds: float) -> int:
    """Return the beginning of the day (UTC) of a Unix time."""
    return int(seconds) - int(seconds) % DAY

"""What adding an item needs of other rooms, and what it tells while it goes on."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import attrs

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.market.selling_needs import OnSale
from zk.stealth import MetaAddress

OnEvent = Callable[[Any], None]
Run = Callable[[Callable[[], Any]], Awaitable[Any]]


@attrs.frozen
class Preparing:
    """The files are being made ready.

    Attributes:
        files: how many.
    """

    files: int


@attrs.frozen
class Noted:
    """Something that the creator should know of what was made.

    Attributes:
        text: one sentence.
    """

    text: str


@attrs.frozen
class InShop:
    """The item can be bought by invoice.

    Attributes:
        item: its id.
    """

    item: str


@attrs.frozen
class OfferLater:
    """The offer to buyers with a node could not be made yet; it is tried again.

    Attributes:
        reason: one sentence.
    """

    reason: str


class Published(Protocol):
    """See `bitsnode.content.publish.Published`."""

    @property
    def link(self) -> Link:
        """Who has it can read the content."""

    @property
    def publisher_seed(self) -> bytes:
        """Of the key that signed the manifest, 32 bytes."""

    @property
    def sha256(self) -> bytes:
        """Of the plaintext, 32 bytes."""

    @property
    def bytes(self) -> int:
        """Of plaintext."""

    @property
    def code(self) -> str:
        """``k/n``."""


class Fetched(Protocol):
    """See `bitsnode.content.get.Fetched`."""

    @property
    def sha256(self) -> bytes:
        """Of the plaintext, 32 bytes."""


class Publisher(Protocol):
    """See `bitsnode.content.service.ContentService`."""

    async def publish(self, path: Path, progress: OnEvent, /) -> Published:
        """Publish a file."""

    async def get(
        self, link: Link, output: Path, wanted: tuple[int, int] | None, progress: OnEvent, /
    ) -> Fetched:
        """Fetch a content into a file, verified."""


class Selling(Protocol):
    """See `bitsnode.market.selling.Selling`."""

    async def sell(
        self,
        link: Link,
        publisher_seed: bytes,
        payee: MetaAddress,
        price: int,
        on_event: OnEvent,
        /,
    ) -> OnSale:
        """Put a content on sale, or change its price."""

    async def withdraw(self, content_id: ContentId, /) -> OnSale:
        """Make no further offer."""

    async def offers(self) -> list[OnSale]:
        """Return how all sales stand."""

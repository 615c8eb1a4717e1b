"""What reads an item's content and what offers it, sealed under the shop's key. Pure."""

import attrs

from bitsnode.codec.keys import SECRET_SIZE
from bitsnode.codec.link import Link
from bitsnode.codec.sealing import NotSealed, seal, unseal
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import ContentId
from bitsnode.shop.errors import ShopSealed
from bitsnode.wire import cbor
from bitsnode.wire.schema import Bytes, field, from_list, to_list

MAX_SEALED = 256  # bytes


@attrs.frozen
class Secrets:
    """The secrets of one item.

    Attributes:
        content: digest of the content id, 32 bytes, so that no entry passes for another's.
        content_secret: 16 bytes.
        whitening: W, 16 bytes.
        publisher_seed: of the key that signed the manifest, 32 bytes.
    """

    content: bytes = field(1, Bytes(32, 32))
    content_secret: bytes = field(2, Bytes(SECRET_SIZE, SECRET_SIZE), secret=True)
    whitening: bytes = field(3, Bytes(SECRET_SIZE, SECRET_SIZE), secret=True)
    publisher_seed: bytes = field(4, Bytes(32, 32), secret=True)

    @classmethod
    def of(cls, link: Link, publisher_seed: bytes) -> "Secrets":
        """Return those of a content that was published."""
        digest = link.content_id.digest
        return cls(digest, link.content_secret, link.whitening, publisher_seed)

    @property
    def link(self) -> Link:
        """What reads the content."""
        return Link(ContentId(self.content), self.content_secret, self.whitening)

    def seal(self, key: bytes) -> bytes:
        """Return them sealed under a key of 32 bytes."""
        return seal(key, cbor.encode(to_list(self)))

    @classmethod
    def unseal(cls, key: bytes, sealed: bytes, content: bytes) -> "Secrets":
        """Return what was sealed for a content id's digest.

        Raises:
            ShopSealed: the key is another, or the entry is damaged or another content's.
        """
        try:
            found = from_list(cls, cbor.decode(unseal(key, sealed), MAX_SEALED))
        except (NotSealed, RemoteProtocolError) as error:
            raise ShopSealed from error
        if found.content != content:
            raise ShopSealed
        return found

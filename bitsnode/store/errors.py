"""What can be wrong with the share store of this node: one class per failure."""

from bitsnode.errors import BitsError


class StoreError(BitsError):
    """The share store of this node cannot be used."""


class StoreUnusable(StoreError):
    """The share store cannot be opened: check the permissions and the space of its disk."""


class StoreTooNew(StoreError):
    """The share store was written by a newer version of bits: update bits to use it."""


class IndexDamaged(StoreError):
    """The index of the share store is damaged: restore it from a backup or remove the store."""


class DamagedHeader(StoreError):
    """A stored share has a damaged header."""


class BadGeometry(StoreError):
    """The sizes announced for a share cannot be those of a share."""


class BadDenyList(StoreError):
    """The deny list has a line that is not a storage index, a content id or a link."""

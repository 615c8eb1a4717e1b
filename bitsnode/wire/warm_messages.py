"""The messages of warm links and of the groups' indexes. See `bitsnode.wire.messages`."""

from typing import ClassVar, Final

import attrs

from bitsnode.ids import DIGEST_SIZE
from bitsnode.wire.messages import MAX_RECORDS
from bitsnode.wire.record import MAX_RECORD
from bitsnode.wire.schema import Bool, Bytes, ListOf, Uint, field

MAX_HOPS: Final = 4  # nodes that one may hand a question on to, one after the other
MAX_PAGE: Final = 256  # entries of a page
MAX_PULLED: Final = 64  # records asked for at a time
SHORT_ID: Final = 8  # bytes of a record's digest that tell records apart
ENTRY_SIZE: Final = 2 + SHORT_ID  # bytes: first of the key, worth, short id
EPOCH_SIZE: Final = 8  # bytes
MAX_NUMBER: Final = (1 << 53) - 1

_SHORT: Final = Bytes(SHORT_ID, SHORT_ID)


@attrs.frozen
class Sought:
    """What was found of a key.

    Attributes:
        records: signed records, here or with somebody who was asked in turn.
    """

    records: tuple[bytes, ...] = field(1, ListOf(Bytes(1, MAX_RECORD), MAX_RECORDS))


@attrs.frozen
class Seek:
    """Ask for the records of a key, and to hand the question on if there are none.

    Attributes:
        key: 32 bytes.
        hops: how many more nodes the question may go to.
    """

    TYPE: ClassVar[int] = 80
    REPLY: ClassVar[type] = Sought
    key: bytes = field(1, Bytes(DIGEST_SIZE, DIGEST_SIZE))
    hops: int = field(2, Uint(MAX_HOPS))


@attrs.frozen
class IndexPage:
    """Entries of an index, in the order in which it took them.

    Attributes:
        epoch: of the numbers: another one and they begin anew, 8 bytes.
        entries: the first byte of a record's key, a byte that says how much work was done for its
            size, and the first 8 bytes of its SHA-256; 10 bytes each.
        last: number to ask after next.
        more: whether there are more of them now.
    """

    epoch: bytes = field(1, Bytes(EPOCH_SIZE, EPOCH_SIZE))
    entries: tuple[bytes, ...] = field(2, ListOf(Bytes(ENTRY_SIZE, ENTRY_SIZE), MAX_PAGE))
    last: int = field(3, Uint(MAX_NUMBER))
    more: bool = field(4, Bool())


@attrs.frozen
class AskIndex:
    """Ask a node of one's own group what it took into its index of late.

    Attributes:
        epoch: of the number below, 8 bytes; of another one, the index is read from its beginning.
        after: number of the last entry known; the highest possible one asks where the end is.
    """

    TYPE: ClassVar[int] = 81
    REPLY: ClassVar[type] = IndexPage
    epoch: bytes = field(1, Bytes(EPOCH_SIZE, EPOCH_SIZE))
    after: int = field(2, Uint(MAX_NUMBER))


@attrs.frozen
class Pulled:
    """Records of an index.

    Attributes:
        records: signed records, in any order; those left out are gone, or did not fit.
    """

    records: tuple[bytes, ...] = field(1, ListOf(Bytes(1, MAX_RECORD), MAX_PULLED))


@attrs.frozen
class PullRecords:
    """Ask a node of one's own group for records of its index.

    Attributes:
        ids: the first 8 bytes of the SHA-256 of each signed record.
    """

    TYPE: ClassVar[int] = 82
    REPLY: ClassVar[type] = Pulled
    ids: tuple[bytes, ...] = field(1, ListOf(_SHORT, MAX_PULLED, 1))

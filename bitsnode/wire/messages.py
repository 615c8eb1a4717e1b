"""The messages of the peer protocol, version 1: one class each. PROTOCOL.md says who sends them.

Every request class names its number (``TYPE``) and the class of its reply (``REPLY``). Those of
the market are in `bitsnode.wire.market_messages`; all requests are in `bitsnode.wire.registry`.
"""

from typing import Any, ClassVar, Final, Protocol

import attrs

from bitsnode.ids import DIGEST_SIZE
from bitsnode.wire.card import MAX_CARD, NONCE_SIZE
from bitsnode.wire.record import MAX_RECORD
from bitsnode.wire.schema import Bool, Bytes, ListOf, Optional, Text, Uint, field

PROTOCOL_VERSION: Final = 1
MAX_DATA: Final = 256 * 1024  # bytes of share data in one message
K: Final = 20  # most contacts in a reply (Kademlia's k)
MAX_RECORDS: Final = 12  # most records in a reply: 12 of the largest fit a frame
MAX_BLOCK: Final = (1 << 20) + 16  # bytes; a whole encrypted chunk, when k = 1
MAX_BLOCKS: Final = 1 << 28  # blocks of a share: the chunks of the largest content
MAX_MANIFEST: Final = 1 << 20  # bytes of a sealed manifest
MAX_INDEX: Final = 255  # of a share; n <= 256
MAX_TIME: Final = 1 << 40  # Unix seconds
MAX_OFFSET: Final = 1 << 50  # bytes

_DIGEST: Final = Bytes(DIGEST_SIZE, DIGEST_SIZE)
_UPLOAD: Final = Bytes(16, 16)
_CARDS: Final = ListOf(Bytes(1, MAX_CARD), K)


class FailureCode:
    """Why a request was not carried out."""

    UNKNOWN_REQUEST: Final = 1  # this node does not know the request's number
    MALFORMED: Final = 2  # the request's body is not of its form
    NOT_FOUND: Final = 3
    BUSY: Final = 4  # over a budget; try again after the time given
    REFUSED: Final = 5  # against this node's policy, for example its deny list
    FULL: Final = 6  # no quota left
    UNPAID: Final = 7  # the puzzle is not solved
    INTERNAL: Final = 8  # this node is at fault
    STALE: Final = 9  # a higher sequence is known, or the time has passed
    UNSTORED: Final = 10  # the data does not match what was announced
    NOT_FINAL: Final = 11  # the redemption is in no final block known here; try again later
    UNKNOWN_OFFER: Final = 12  # no key share of this offer is here
    BAD_RECEIPT: Final = 13  # the receipt does not pay for the offer
    RATE_LIMITED: Final = 14  # the receipt was answered too often
    BAD_CHALLENGE: Final = 15  # the challenge is not one of this node's, or too old
    CHAIN_UNCERTAIN: Final = 16  # this node cannot be certain of what the chain says
    FEE_TOO_LOW: Final = 17  # gas costs more than the fee; ask for the terms again
    WOULD_REVERT: Final = 18  # the contract would refuse the redemption
    SPENT: Final = 19  # the voucher is spent, or another redemption of it is on its way


class Request(Protocol):
    """A request class."""

    TYPE: ClassVar[int]
    REPLY: ClassVar[type[Any]]


@attrs.frozen
class Hello:
    """First frame of either side.

    Attributes:
        versions: protocol versions the sender speaks; both go on with the highest they share.
        network: name of the sender's network; another one ends the connection.
        card: the sender's signed card. The side that was dialled always shows it. A dialler
            shows it only on streams for its duties as a node: it is then a hint of a contact,
            and proves nothing until its onion address was dialled.
    """

    versions: tuple[int, ...] = field(1, ListOf(Uint(255), 8))
    network: str = field(2, Text(16))
    card: bytes | None = field(3, Optional(Bytes(1, MAX_CARD)))


@attrs.frozen
class Failure:
    """Answer to a request that was not carried out.

    Attributes:
        code: of `FailureCode`.
        retry_after: seconds after which to try again; 0 when that makes no sense.
    """

    code: int = field(1, Uint(255, 1))
    retry_after: int = field(2, Uint(86400))


@attrs.frozen
class Done:
    """Answer to a request that was carried out and has nothing more to tell."""


@attrs.frozen
class Ping:
    """Are you there?"""

    TYPE: ClassVar[int] = 1
    REPLY: ClassVar[type] = Done


@attrs.frozen
class Contacts:
    """Cards of nodes near a point.

    Attributes:
        cards: signed cards, the nearest first; not yet verified by the receiver.
    """

    cards: tuple[bytes, ...] = field(1, _CARDS)


@attrs.frozen
class FindNode:
    """Ask for the contacts nearest to a point of the keyspace.

    Attributes:
        target: 32 bytes.
    """

    TYPE: ClassVar[int] = 16
    REPLY: ClassVar[type] = Contacts
    target: bytes = field(1, _DIGEST)


@attrs.frozen
class Records:
    """Records of a key, and contacts nearer to it.

    Attributes:
        records: signed records.
        cards: as in `Contacts`.
    """

    records: tuple[bytes, ...] = field(1, ListOf(Bytes(1, MAX_RECORD), MAX_RECORDS))
    cards: tuple[bytes, ...] = field(2, _CARDS)


@attrs.frozen
class FindValue:
    """Ask for the records of a key.

    Attributes:
        key: 32 bytes.
    """

    TYPE: ClassVar[int] = 17
    REPLY: ClassVar[type] = Records
    key: bytes = field(1, _DIGEST)


@attrs.frozen
class PutRecord:
    """Ask to keep a record until it expires.

    Attributes:
        record: a signed record.
    """

    TYPE: ClassVar[int] = 18
    REPLY: ClassVar[type] = Done
    record: bytes = field(1, Bytes(1, MAX_RECORD))


@attrs.frozen
class Terms:
    """On what terms a node keeps shares for those who do not pay.

    Attributes:
        puzzle_bits: difficulty per MiB.
        largest: bytes of the largest share taken now; 0 when none is.
        longest: seconds of the longest lease.
    """

    puzzle_bits: int = field(1, Uint(64))
    largest: int = field(2, Uint(MAX_OFFSET))
    longest: int = field(3, Uint(MAX_TIME))


@attrs.frozen
class AskTerms:
    """Ask a node's terms of storage."""

    TYPE: ClassVar[int] = 32
    REPLY: ClassVar[type] = Terms


@attrs.frozen
class Allocated:
    """A place for a share.

    Attributes:
        upload: names the place in the requests that fill it, 16 random bytes.
        present: the share is here already; its lease was extended and nothing need be sent.
        lease_until: Unix time in seconds that the node will keep the share until.
    """

    upload: bytes = field(1, _UPLOAD)
    present: bool = field(2, Bool())
    lease_until: int = field(3, Uint(MAX_TIME))


@attrs.frozen
class Allocate:
    """Ask for a place for one share. The puzzle pays for its size.

    Attributes:
        storage_index: what the share is filed under, 32 bytes.
        index: which of the n shares.
        blocks: number of blocks.
        block_size: bytes of each block but the last.
        last_block_size: bytes of the last block.
        manifest_size: bytes of the sealed manifest.
        whitened_root: Merkle root of the bytes to be sent, 32 bytes.
        lease_until: Unix time in seconds asked for.
        nonce: solution of the share puzzle, 16 bytes.
    """

    TYPE: ClassVar[int] = 33
    REPLY: ClassVar[type] = Allocated
    storage_index: bytes = field(1, _DIGEST)
    index: int = field(2, Uint(MAX_INDEX))
    blocks: int = field(3, Uint(MAX_BLOCKS))
    block_size: int = field(4, Uint(MAX_BLOCK))
    last_block_size: int = field(5, Uint(MAX_BLOCK))
    manifest_size: int = field(6, Uint(MAX_MANIFEST, 1))
    whitened_root: bytes = field(7, _DIGEST)
    lease_until: int = field(8, Uint(MAX_TIME))
    nonce: bytes = field(9, Bytes(NONCE_SIZE, NONCE_SIZE))


class Part:
    """Parts of a stored share: values of ``part``."""

    SHARE: Final = 0  # the whitened blocks, one after the other
    LAYER: Final = 1  # the block roots of the unwhitened share, 32 bytes each
    MANIFEST: Final = 2  # the sealed manifest


@attrs.frozen
class PutData:
    """Fill a stretch of an allocated place.

    Attributes:
        upload: as allocated, 16 bytes.
        part: of `Part`.
        offset: in bytes, from the beginning of the part.
        data: 1 byte to `MAX_DATA`.
    """

    TYPE: ClassVar[int] = 34
    REPLY: ClassVar[type] = Done
    upload: bytes = field(1, _UPLOAD)
    part: int = field(2, Uint(Part.MANIFEST))
    offset: int = field(3, Uint(MAX_OFFSET))
    data: bytes = field(4, Bytes(1, MAX_DATA), secret=True)


@attrs.frozen
class Commit:
    """Ask to check a filled place against its root and to keep it.

    The reply `Done` is a promise: the share is on the disk.

    Attributes:
        upload: as allocated, 16 bytes.
        records: signed records that the holder puts into the DHT again until the lease ends.
    """

    TYPE: ClassVar[int] = 35
    REPLY: ClassVar[type] = Done
    upload: bytes = field(1, _UPLOAD)
    records: tuple[bytes, ...] = field(2, ListOf(Bytes(1, MAX_RECORD), 4))


@attrs.frozen
class AttachRecords:
    """Ask a holder to put records into the DHT again until its lease of the share ends.

    Attributes:
        storage_index: 32 bytes.
        index: which of the n shares.
        records: signed records; those of the same slot replace older ones.
    """

    TYPE: ClassVar[int] = 36
    REPLY: ClassVar[type] = Done
    storage_index: bytes = field(1, _DIGEST)
    index: int = field(2, Uint(MAX_INDEX))
    records: tuple[bytes, ...] = field(3, ListOf(Bytes(1, MAX_RECORD), 4))


@attrs.frozen
class Data:
    """A stretch of a stored share.

    Attributes:
        data: up to `MAX_DATA` bytes.
        total: bytes of the whole part.
    """

    data: bytes = field(1, Bytes(0, MAX_DATA), secret=True)
    total: int = field(2, Uint(MAX_OFFSET))


@attrs.frozen
class ReadShare:
    """Ask for a stretch of a stored share.

    Attributes:
        storage_index: 32 bytes.
        index: which of the n shares.
        part: of `Part`.
        offset: in bytes, from the beginning of the part.
        length: bytes wanted, 1 to `MAX_DATA`; fewer come only at the part's end.
    """

    TYPE: ClassVar[int] = 37
    REPLY: ClassVar[type] = Data
    storage_index: bytes = field(1, _DIGEST)
    index: int = field(2, Uint(MAX_INDEX))
    part: int = field(3, Uint(Part.MANIFEST))
    offset: int = field(4, Uint(MAX_OFFSET))
    length: int = field(5, Uint(MAX_DATA, 1))

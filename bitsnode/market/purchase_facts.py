"""What happened to a purchase, one frozen fact after another; the journal is a list of these. Pure.

A fact is written down before what follows from it is done, so that after a crash the list says
all that the world may have seen of us. Each is a canonical CBOR list ``[number, [fields]]``.
"""

from typing import Any, ClassVar, Final, TypeAlias

import attrs

from bitsnode.errors import BitsError, RemoteProtocolError
from bitsnode.ledger.redemption import MAX_SPENDS, SPEND_SIZE
from bitsnode.market.shares import SHARE_SIZE
from bitsnode.wire import cbor
from bitsnode.wire.market_messages import MAX_HOLDERS, MAX_SIGNED_OFFER
from bitsnode.wire.messages import MAX_TIME
from bitsnode.wire.schema import BigUint, Bytes, ListOf, Text, Uint, field, from_list, to_list

MAX_FACT: Final = 16 * 1024  # bytes
MAX_BLOCK: Final = (1 << 63) - 1
_DIGEST: Final = Bytes(32, 32)
_INDEX: Final = Uint(MAX_HOLDERS, 1)


class BadFact(BitsError):
    """The journal of purchases has an entry that this version of bits cannot read."""


class Reason:
    """Why a purchase failed. Nothing was paid for its offer, and the voucher is given back."""

    NOT_CONFIRMED: Final = 1  # the buyer did not say yes, or the node stopped before that
    OFFER_CHANGED: Final = 2  # before anything was sent
    CANCELLED: Final = 3  # by the buyer, before anything was sent
    EXPIRED: Final = 4  # the deadline passed, and the chain shows no payment
    SPENT_ELSEWHERE: Final = 5  # the voucher was redeemed for something else


class Fraud:
    """What the publisher did to a buyer who paid; the receipt proves it."""

    WRONG_SECRET: Final = 1  # the shares are as committed and make another key
    WRONG_WHITENING: Final = 2  # W does not open with the key, or is not the content's


@attrs.frozen
class Quoted:
    """An offer was verified, and from now on it is this very one or none.

    Attributes:
        offer: signed, as it came.
        whitening_commitment: to W, from the content's manifest, 32 bytes.
        at: Unix time in seconds.
    """

    NUMBER: ClassVar[int] = 1
    offer: bytes = field(1, Bytes(1, MAX_SIGNED_OFFER), secret=True)
    whitening_commitment: bytes = field(2, _DIGEST)
    at: int = field(3, Uint(MAX_TIME))


@attrs.frozen
class Reserved:
    """The buyer said yes, a voucher is reserved, and all that is secret was drawn.

    Attributes:
        ticket: name of the right to spend the voucher.
        voucher: index of its secret.
        ephemeral: r of ERC-5564, 32 bytes.
        receipt_seed: Ed25519 seed of the receipt's key, 32 bytes.
        salt: of the tag, 32 bytes.
        fee: for the relay, wei.
        deadline: last second in which it can be redeemed, Unix time.
    """

    NUMBER: ClassVar[int] = 2
    ticket: str = field(1, Text(64))
    voucher: int = field(2, Uint((1 << 32) - 1))
    ephemeral: bytes = field(3, _DIGEST, secret=True)
    receipt_seed: bytes = field(4, _DIGEST, secret=True)
    salt: bytes = field(5, _DIGEST, secret=True)
    fee: int = field(6, BigUint(12))
    deadline: int = field(7, Uint(MAX_TIME))


@attrs.frozen
class Proved:
    """The proof was made; it has not left this node.

    Attributes:
        spends: as `bitsnode.ledger.redemption.Spend.encode` writes them.
    """

    NUMBER: ClassVar[int] = 3
    spends: tuple[bytes, ...] = field(1, ListOf(Bytes(SPEND_SIZE, SPEND_SIZE), MAX_SPENDS, 1))


@attrs.frozen
class Sent:
    """The redemption may have left this node from now on.

    Attributes:
        relay: onion key of the relay asked, 32 bytes; empty when this node submits it.
        at: Unix time in seconds.
    """

    NUMBER: ClassVar[int] = 4
    relay: bytes = field(1, Bytes(0, 32))
    at: int = field(2, Uint(MAX_TIME))


@attrs.frozen
class Seen:
    """The redemption is in a block that is not final.

    Attributes:
        block: its number.
        transaction: hash, 32 bytes.
    """

    NUMBER: ClassVar[int] = 5
    block: int = field(1, Uint(MAX_BLOCK))
    transaction: bytes = field(2, _DIGEST)


@attrs.frozen
class Dropped:
    """A reorganisation took the redemption out of the chain again."""

    NUMBER: ClassVar[int] = 6


@attrs.frozen
class Settled:
    """The redemption is in a final block.

    Attributes:
        block: its number.
        transaction: hash, 32 bytes.
    """

    NUMBER: ClassVar[int] = 7
    block: int = field(1, Uint(MAX_BLOCK))
    transaction: bytes = field(2, _DIGEST)


@attrs.frozen
class ShareCame:
    """A key holder gave its share, and it is the one of the offer.

    Attributes:
        index: of the holder, from 1.
        share: 16 bytes.
    """

    NUMBER: ClassVar[int] = 8
    index: int = field(1, _INDEX)
    share: bytes = field(2, Bytes(SHARE_SIZE, SHARE_SIZE), secret=True)


@attrs.frozen
class Lied:
    """A key holder gave something else than its share; it is not asked again.

    Attributes:
        index: of the holder, from 1.
    """

    NUMBER: ClassVar[int] = 9
    index: int = field(1, _INDEX)


@attrs.frozen
class Opened:
    """The content's secrets are here, and they are those of the offer and of the manifest.

    Attributes:
        secret: content secret, 16 bytes.
        whitening: W, 16 bytes.
    """

    NUMBER: ClassVar[int] = 10
    secret: bytes = field(1, Bytes(16, 16), secret=True)
    whitening: bytes = field(2, Bytes(16, 16), secret=True)


@attrs.frozen
class Failed:
    """Nothing was paid, and nothing will be.

    Attributes:
        reason: of `Reason`.
    """

    NUMBER: ClassVar[int] = 11
    reason: int = field(1, Uint(255, 1))


@attrs.frozen
class Released:
    """The voucher of a purchase that failed was given back."""

    NUMBER: ClassVar[int] = 12


@attrs.frozen
class Cheated:
    """It was paid, and the publisher's key is not the content's.

    Attributes:
        fraud: of `Fraud`.
    """

    NUMBER: ClassVar[int] = 13
    fraud: int = field(1, Uint(255, 1))


Fact: TypeAlias = (
    Quoted
    | Reserved
    | Proved
    | Sent
    | Seen
    | Dropped
    | Settled
    | ShareCame
    | Lied
    | Opened
    | Failed
    | Released
    | Cheated
)
FACTS: Final[tuple[type[Any], ...]] = (
    Quoted,
    Reserved,
    Proved,
    Sent,
    Seen,
    Dropped,
    Settled,
    ShareCame,
    Lied,
    Opened,
    Failed,
    Released,
    Cheated,
)
_BY_NUMBER: Final = {kind.NUMBER: kind for kind in FACTS}


def encode_fact(fact: Fact) -> bytes:
    """Return the bytes of a fact, at most `MAX_FACT`."""
    return cbor.encode([fact.NUMBER, to_list(fact)])


def decode_fact(data: bytes) -> Fact:
    """Read what `encode_fact` wrote.

    Raises:
        BadFact: it is damaged, or of a newer version.
    """
    try:
        outer = cbor.decode(data, MAX_FACT)
        if type(outer) is not list or len(outer) != 2 or outer[0] not in _BY_NUMBER:
            raise BadFact
        found: Fact = from_list(_BY_NUMBER[outer[0]], outer[1])
    except RemoteProtocolError as error:
        raise BadFact from error
    return found

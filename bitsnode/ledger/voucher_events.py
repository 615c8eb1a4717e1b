"""Events of vouchers and of their groups, read strictly from logs. Pure.

These contracts are ours, so a log that is not exactly of its form was made up by a server.
"""

from typing import Final

import attrs
from eth_hash.auto import keccak

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.errors import LogIndexError
from bitsnode.ledger.redemption import MAX_SPENDS, WORD, words_of

GROUP_OPENED: Final = bytes(keccak(b"GroupOpened(uint256,uint256,uint256,uint256)"))
MEMBER_ADDED: Final = bytes(keccak(b"MemberAdded(uint256,uint256,uint256,uint256)"))
REDEEMED: Final = bytes(
    keccak(b"Redeemed(bytes32,bytes32,address,uint256,uint256,uint256[],uint256[])")
)
_REDEEMED_HEAD: Final = 5  # words: payee, gross, fee, two offsets


class MalformedEvent(LogIndexError):
    """An event of the vouchers is not of its form, so the RPC server made it up."""


@attrs.frozen
class GroupOpened:
    """A group takes the deposits of a denomination from now on.

    Attributes:
        denomination: row of the table.
        group: its number.
        treasury_share: of what its vouchers are worth after the fee, in 1/10,000.
        pool_share: likewise.
    """

    denomination: int
    group: int
    treasury_share: int
    pool_share: int


@attrs.frozen
class MemberAdded:
    """A commitment is in a group of Semaphore, which need not be one of ours.

    Attributes:
        cursor: where in the chain.
        group: its number.
        index: of the leaf.
        commitment: the leaf.
        root: that the tree has then.
    """

    cursor: Cursor
    group: int
    index: int
    commitment: int
    root: int


@attrs.frozen
class Redeemed:
    """Vouchers were spent.

    Attributes:
        cursor: where in the chain.
        transaction: hash, 32 bytes.
        message: that the proofs signed, 32 bytes.
        tag: commitment to what was bought, 32 bytes.
        payee: 20 bytes.
        gross: wei, all vouchers together.
        fee: wei of it for the relayer.
        groups: of the vouchers.
        nullifiers: of the vouchers, in the same order.
    """

    cursor: Cursor
    transaction: bytes
    message: bytes
    tag: bytes
    payee: bytes
    gross: int
    fee: int
    groups: tuple[int, ...]
    nullifiers: tuple[int, ...]


def read_group_opened(log: Log) -> GroupOpened:
    """Read a log with the first topic `GROUP_OPENED`.

    Raises:
        MalformedEvent: it is none.
    """
    if len(log.topics) != 3 or len(log.data) != 2 * WORD:
        raise MalformedEvent
    denomination, group = (int.from_bytes(topic, "big") for topic in log.topics[1:])
    treasury_share, pool_share = words_of(log.data)
    return GroupOpened(denomination, group, treasury_share, pool_share)


def read_member_added(log: Log) -> MemberAdded:
    """Read a log with the first topic `MEMBER_ADDED`.

    Raises:
        MalformedEvent: it is none.
    """
    if len(log.topics) != 2 or len(log.data) != 3 * WORD:
        raise MalformedEvent
    group = int.from_bytes(log.topics[1], "big")
    return MemberAdded(Cursor(log.block, log.index), group, *words_of(log.data))


def read_redeemed(log: Log) -> Redeemed:
    """Read a log with the first topic `REDEEMED`.

    Raises:
        MalformedEvent: it is none.
    """
    words = words_of(log.data)
    count = (len(words) - _REDEEMED_HEAD - 2) // 2
    if len(log.topics) != 3 or not 1 <= count <= MAX_SPENDS:
        raise MalformedEvent
    if len(log.data) != WORD * (_REDEEMED_HEAD + 2 + 2 * count) or any(log.data[:12]):
        raise MalformedEvent
    groups_at, nullifiers_at = _REDEEMED_HEAD, _REDEEMED_HEAD + 1 + count
    if words[3:5] != [WORD * groups_at, WORD * nullifiers_at]:
        raise MalformedEvent
    if words[groups_at] != count or words[nullifiers_at] != count:
        raise MalformedEvent
    return Redeemed(
        cursor=Cursor(log.block, log.index),
        transaction=log.transaction,
        message=log.topics[1],
        tag=log.topics[2],
        payee=log.data[12:WORD],
        gross=words[1],
        fee=words[2],
        groups=tuple(words[groups_at + 1 : nullifiers_at]),
        nullifiers=tuple(words[nullifiers_at + 1 :]),
    )

"""A redemption of vouchers as the contract takes it: fields, proofs, message, call data. Pure.

`contracts/src/interfaces/IVouchers.sol` says what each field means. All of it is words of 32
bytes (contract ABI specification), so it is written and read here without a library, strictly:
one redemption has one spelling.
"""

from collections.abc import Sequence
from typing import Final, Self

import attrs
from eth_hash.auto import keccak

from bitsnode.errors import BitsError
from zk.proof import POINTS, SemaphoreProof
from zk.stealth import checksum_address

WORD: Final = 32  # bytes
MAX_SPENDS: Final = 8  # vouchers in one redemption; MAX_SPENDS of the contract
FEE_DIVISOR: Final = 10  # the fee is at most a tenth of the vouchers' value
MAX_UINT96: Final = (1 << 96) - 1
MAX_UINT64: Final = (1 << 64) - 1
MAX_WORD: Final = (1 << 256) - 1
NOBODY: Final = bytes(20)
_SCOPE_NAME: Final = b"bits.voucher.v1"
_FIELDS: Final = 8  # words of a redemption
_SPEND: Final = 3 + POINTS  # words of a spend
SPEND_SIZE: Final = _SPEND * WORD  # bytes
_DEPOSIT: Final = bytes(keccak(b"deposit(uint256,uint256)")[:4])
_REDEEM: Final = bytes(
    keccak(
        b"redeem((address,uint8,bytes32,bytes1,bytes32,address,uint96,uint64),"
        b"(uint256,uint256,uint256,uint256[8])[])"
    )[:4]
)


class MalformedRedemption(BitsError, ValueError):
    """This is not a redemption of vouchers: a field of it is not of its form."""


def _sized(size: int) -> "attrs._ValidatorType[bytes]":
    def check(_instance: object, _attribute: object, value: bytes) -> None:
        if type(value) is not bytes or len(value) != size:
            raise MalformedRedemption

    return check


def _upto(most: int) -> "attrs._ValidatorType[int]":
    def check(_instance: object, _attribute: object, value: int) -> None:
        if type(value) is not int or not 0 <= value <= most:
            raise MalformedRedemption

    return check


@attrs.frozen
class Redemption:
    """Where the value of vouchers goes.

    Attributes:
        payee: gets what is left after fee and shares, 20 bytes; a fresh stealth address.
        ephemeral_public_key: R of ERC-5564, 33 bytes, compressed.
        view_tag: of ERC-5564, one byte as a number.
        tag: commitment to what is bought, 32 bytes.
        relayer: gets the fee, 20 bytes; zeros for whoever submits it.
        fee: wei.
        deadline: last second in which it can be redeemed, Unix time.

    Raises:
        MalformedRedemption: one of them is not of its form.
    """

    payee: bytes = attrs.field(validator=_sized(20))
    ephemeral_public_key: bytes = attrs.field(validator=_sized(33))
    view_tag: int = attrs.field(validator=_upto(255))
    tag: bytes = attrs.field(validator=_sized(32))
    relayer: bytes = attrs.field(validator=_sized(20))
    fee: int = attrs.field(validator=_upto(MAX_UINT96))
    deadline: int = attrs.field(validator=_upto(MAX_UINT64))

    def __attrs_post_init__(self) -> None:
        """Check what the contract would refuse."""
        if self.ephemeral_public_key[0] not in (2, 3) or self.payee == NOBODY:
            raise MalformedRedemption

    def words(self) -> bytes:
        """Return the eight words of the contract's struct."""
        return b"".join(
            (
                self.payee.rjust(WORD, b"\0"),
                _word(self.ephemeral_public_key[0]),
                self.ephemeral_public_key[1:],
                bytes([self.view_tag]).ljust(WORD, b"\0"),
                self.tag,
                self.relayer.rjust(WORD, b"\0"),
                _word(self.fee),
                _word(self.deadline),
            )
        )


@attrs.frozen
class Spend:
    """The proof that spends one voucher.

    Attributes:
        group: that the voucher was deposited into.
        nullifier: of the voucher.
        root: that the group had at some time.
        points: of the proof, eight coordinates.

    Raises:
        MalformedRedemption: a number is no word, or there are not eight points.
    """

    group: int = attrs.field(validator=_upto(MAX_WORD))
    nullifier: int = attrs.field(validator=_upto(MAX_WORD))
    root: int = attrs.field(validator=_upto(MAX_WORD))
    points: tuple[int, ...] = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Check the points."""
        if len(self.points) != POINTS or any(not 0 <= each <= MAX_WORD for each in self.points):
            raise MalformedRedemption

    @classmethod
    def of(cls, group: int, proof: SemaphoreProof) -> Self:
        """The spend that a proof is for."""
        return cls(group, proof.nullifier, proof.root, proof.points)

    def encode(self) -> bytes:
        """Return its 352 bytes: group, nullifier, root, points."""
        return b"".join(map(_word, (self.group, self.nullifier, self.root, *self.points)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            MalformedRedemption: it has another size.
        """
        if len(data) != SPEND_SIZE:
            raise MalformedRedemption
        group, nullifier, root, *points = words_of(data)
        return cls(group, nullifier, root, tuple(points))


def scope_of(chain_id: int, vouchers: str) -> int:
    """Return the Semaphore scope of all vouchers of a contract (hex with 0x) on a chain."""
    head = _word(3 * WORD) + _word(chain_id) + _address(vouchers).rjust(WORD, b"\0")
    name = _word(len(_SCOPE_NAME)) + _SCOPE_NAME.ljust(WORD, b"\0")
    return int.from_bytes(keccak(head + name), "big")


def message_of(
    chain_id: int,
    vouchers: str,
    redemption: Redemption,
    groups: Sequence[int],
    nullifiers: Sequence[int],
) -> bytes:
    """Return what the proofs sign, 32 bytes; see `IVouchers.messageOf`.

    Raises:
        MalformedRedemption: there are not from 1 to 8 vouchers, or not as many nullifiers.
    """
    if len(groups) != len(nullifiers) or not 1 <= len(groups) <= MAX_SPENDS:
        raise MalformedRedemption
    head = 2 + _FIELDS + 2  # words, the two offsets among them
    parts = [
        _word(chain_id),
        _address(vouchers).rjust(WORD, b"\0"),
        redemption.words(),
        _word(head * WORD),
        _word((head + 1 + len(groups)) * WORD),
    ]
    for numbers in (groups, nullifiers):
        parts += [_word(len(numbers)), *map(_word, numbers)]
    return bytes(keccak(b"".join(parts)))


def deposit_data(denomination: int, commitment: int) -> bytes:
    """Return the data of a transaction that buys a voucher."""
    return _DEPOSIT + _word(denomination) + _word(commitment)


def redeem_data(redemption: Redemption, spends: Sequence[Spend]) -> bytes:
    """Return the data of a transaction that redeems.

    Raises:
        MalformedRedemption: there are not from 1 to 8 spends.
    """
    if not 1 <= len(spends) <= MAX_SPENDS:
        raise MalformedRedemption
    head = redemption.words() + _word((_FIELDS + 1) * WORD) + _word(len(spends))
    return _REDEEM + head + b"".join(spend.encode() for spend in spends)


def read_redeem_data(data: bytes) -> tuple[Redemption, tuple[Spend, ...]]:
    """Read the data of a transaction that redeems, as `redeem_data` writes it.

    Raises:
        MalformedRedemption: it is not such data, or not in its one spelling.
    """
    body = data[4:]
    fields = body[: _FIELDS * WORD]
    spends_at = (_FIELDS + 2) * WORD
    if len(body) < spends_at or (len(body) - spends_at) % SPEND_SIZE:
        raise MalformedRedemption
    if len(body) > spends_at + MAX_SPENDS * SPEND_SIZE:
        raise MalformedRedemption
    starts = range(spends_at, len(body), SPEND_SIZE)
    spends = tuple(Spend.decode(body[at : at + SPEND_SIZE]) for at in starts)
    payee, prefix, x, view_tag, tag, relayer, fee, deadline = (
        fields[at : at + WORD] for at in range(0, _FIELDS * WORD, WORD)
    )
    redemption = Redemption(
        payee[12:],
        prefix[-1:] + x,
        view_tag[0],
        tag,
        relayer[12:],
        min(int.from_bytes(fee, "big"), MAX_UINT96),
        min(int.from_bytes(deadline, "big"), MAX_UINT64),
    )
    if redeem_data(redemption, spends) != data:  # padding, lengths or offsets of another making
        raise MalformedRedemption
    return redemption, spends


def words_of(data: bytes) -> list[int]:
    """Return 32-byte words as numbers."""
    return [int.from_bytes(data[at : at + WORD], "big") for at in range(0, len(data), WORD)]


def address_text(address: bytes) -> str:
    """Return an address of 20 bytes as hex with the checksum of EIP-55."""
    return checksum_address(address)


def _word(number: int) -> bytes:
    return number.to_bytes(WORD, "big")


def _address(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))

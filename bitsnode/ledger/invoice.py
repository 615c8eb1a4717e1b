"""An invoice as the contract takes it: fields, address, call data, event. Pure.

`contracts/src/interfaces/IInvoiceFactory.sol` says what each field means. The address follows from
the fields (CREATE2, EIP-1014; the code there is the minimal proxy of ERC-1167), so it is known and
can be paid before anything is on the chain, and whoever has the fields can have it swept.
"""

from typing import Final, Self

import attrs
from eth_hash.auto import keccak

from bitsnode.errors import BitsError
from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.redemption import FEE_DIVISOR, MAX_UINT96, NOBODY, WORD, words_of
from bitsnode.ledger.voucher_events import MalformedEvent
from zk.stealth import ADDRESS_SIZE, PUBLIC_KEY_SIZE, checksum_address

SALT_SIZE: Final = 32  # bytes
FIELDS: Final = 6  # words of an invoice
SWEEP_SIZE: Final = 4 + FIELDS * WORD  # bytes of the data of a transaction that sweeps
_STRUCT: Final = b"(address,uint8,bytes32,bytes1,uint96,bytes32)"
_SWEEP: Final = bytes(keccak(b"sweep(" + _STRUCT + b")")[:4])
_RECOVER: Final = bytes(keccak(b"recover(" + _STRUCT + b",address)")[:4])
SWEPT: Final = bytes(keccak(b"Swept(address,address,uint256,uint256,uint256,uint256)"))
# ERC-1167: a contract's creation code, the address that it passes all calls to in the middle
_PROXY_HEAD: Final = bytes.fromhex("3d602d80600a3d3981f3363d3d373d3d3d363d73")
_PROXY_TAIL: Final = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")


class MalformedInvoice(BitsError, ValueError):
    """These are not the fields of an invoice."""


@attrs.frozen
class InvoiceFields:
    """What an invoice's address is made of.

    Attributes:
        payee: gets what is left after fee and shares, 20 bytes; a fresh stealth address.
        ephemeral_public_key: R of ERC-5564, 33 bytes, compressed.
        view_tag: of ERC-5564, one byte as a number.
        fee: wei for whoever sweeps; the contract cuts it to a tenth of what is swept.
        salt: 32 bytes; who does not know it cannot tell the address from the payee.

    Raises:
        MalformedInvoice: one of them is not of its form.
    """

    payee: bytes
    ephemeral_public_key: bytes
    view_tag: int
    fee: int
    salt: bytes = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Check what the contract would refuse."""
        if len(self.payee) != ADDRESS_SIZE or self.payee == NOBODY:
            raise MalformedInvoice
        if len(self.ephemeral_public_key) != PUBLIC_KEY_SIZE:
            raise MalformedInvoice
        if self.ephemeral_public_key[0] not in (2, 3) or len(self.salt) != SALT_SIZE:
            raise MalformedInvoice
        if not 0 <= self.view_tag <= 255 or not 0 <= self.fee <= MAX_UINT96:
            raise MalformedInvoice

    def words(self) -> bytes:
        """Return the six words of the contract's struct, 192 bytes."""
        return b"".join(
            (
                self.payee.rjust(WORD, b"\0"),
                self.ephemeral_public_key[:1].rjust(WORD, b"\0"),
                self.ephemeral_public_key[1:],
                bytes([self.view_tag]).ljust(WORD, b"\0"),
                self.fee.to_bytes(WORD, "big"),
                self.salt,
            )
        )

    @classmethod
    def read(cls, words: bytes) -> Self:
        """Read what `words` wrote.

        Raises:
            MalformedInvoice: it is not that, to the byte.
        """
        if len(words) != FIELDS * WORD:
            raise MalformedInvoice
        payee, prefix, x, tag, fee, salt = (
            words[at : at + WORD] for at in range(0, FIELDS * WORD, WORD)
        )
        found = cls(
            payee[-ADDRESS_SIZE:],
            prefix[-1:] + x,
            tag[0],
            min(int.from_bytes(fee, "big"), MAX_UINT96),
            salt,
        )
        if found.words() != words:  # padding of another making
            raise MalformedInvoice
        return found


@attrs.frozen
class Swept:
    """What was at an invoice's address was divided.

    Attributes:
        cursor: where in the chain.
        transaction: hash, 32 bytes.
        invoice: address, 20 bytes.
        payee: 20 bytes.
        gross: wei.
        fee: wei of it for whoever swept.
        treasury: wei of it that accrued for the treasury.
        pool: likewise for the operators' pool.
    """

    cursor: Cursor
    transaction: bytes
    invoice: bytes
    payee: bytes
    gross: int
    fee: int
    treasury: int
    pool: int


def account_of(factory: bytes) -> bytes:
    """Return where the code that invoices call is, 20 bytes.

    It is the first contract that the factory (20 bytes) creates: the address is the hash of the
    factory's and its nonce, 1 at that time (Yellow Paper section 7, EIP-161), as an RLP list.
    """
    return bytes(keccak(b"\xd6\x94" + factory + b"\x01"))[-ADDRESS_SIZE:]


def invoice_address(factory: bytes, fields: InvoiceFields) -> bytes:
    """Return the address of an invoice, 20 bytes, as the factory (20 bytes) computes it."""
    code = _PROXY_HEAD + account_of(factory) + _PROXY_TAIL
    salt = keccak(fields.words())
    return bytes(keccak(b"\xff" + factory + salt + keccak(code)))[-ADDRESS_SIZE:]


def invoice_address_text(factory: bytes, fields: InvoiceFields) -> str:
    """Return the same as hex with the checksum of EIP-55."""
    return checksum_address(invoice_address(factory, fields))


def fee_of(fields: InvoiceFields, gross: int) -> int:
    """Return the wei that whoever sweeps so many gets."""
    return min(fields.fee, gross // FEE_DIVISOR)


def sweep_data(fields: InvoiceFields) -> bytes:
    """Return the data of a transaction that sweeps, 196 bytes."""
    return _SWEEP + fields.words()


def read_sweep_data(data: bytes) -> InvoiceFields:
    """Read the data of a transaction that sweeps, as `sweep_data` writes it.

    Raises:
        MalformedInvoice: it is not such data, or not in its one spelling.
    """
    if data[:4] != _SWEEP:
        raise MalformedInvoice
    return InvoiceFields.read(data[4:])


def recover_data(fields: InvoiceFields, token: bytes) -> bytes:
    """Return the data of a transaction that sends a token (20 bytes) to the payee."""
    return _RECOVER + fields.words() + token.rjust(WORD, b"\0")


def read_swept(log: Log) -> Swept:
    """Read a log with the first topic `SWEPT`.

    Raises:
        MalformedEvent: it is none.
    """
    if len(log.topics) != 3 or len(log.data) != 4 * WORD:
        raise MalformedEvent
    if any(log.topics[1][:12]) or any(log.topics[2][:12]):
        raise MalformedEvent
    gross, fee, treasury, pool = words_of(log.data)
    return Swept(
        cursor=Cursor(log.block, log.index),
        transaction=log.transaction,
        invoice=log.topics[1][12:],
        payee=log.topics[2][12:],
        gross=gross,
        fee=fee,
        treasury=treasury,
        pool=pool,
    )

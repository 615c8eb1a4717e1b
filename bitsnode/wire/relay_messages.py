"""The messages of relays, which redeem and sweep for others. See `bitsnode.wire.messages`."""

from typing import ClassVar, Final

import attrs

from bitsnode.wire.schema import Bytes, ListOf, Uint, field

ADDRESS_SIZE: Final = 20  # bytes
AMOUNT_SIZE: Final = 12  # bytes of wei, big-endian; the contract's uint96
MAX_CHAIN_ID: Final = (1 << 53) - 1
MAX_FEES: Final = 4  # that a relay names
LEAST_CALL: Final = 4 + 10 * 32 + 11 * 32  # bytes of a call that redeems one voucher
SWEEP_CALL: Final = 4 + 6 * 32  # bytes of a call that sweeps an invoice
MOST_CALL: Final = 4 + 10 * 32 + 8 * 11 * 32  # bytes of one that redeems eight

_ADDRESS: Final = Bytes(ADDRESS_SIZE, ADDRESS_SIZE)


@attrs.frozen
class RelayTerms:
    """For what a relay submits redemptions.

    Attributes:
        address: of its account, 20 bytes; a redemption may name it or nobody.
        fees: amounts that it takes now for one voucher, the least first; 1, 2 or 5 times a power of
            ten wei each, so that fees tell nothing of who pays them.
        chain_id: as in EIP-155.
        vouchers: contract, 20 bytes.
    """

    address: bytes = field(1, _ADDRESS)
    fees: tuple[bytes, ...] = field(2, ListOf(Bytes(AMOUNT_SIZE, AMOUNT_SIZE), MAX_FEES, 1))
    chain_id: int = field(3, Uint(MAX_CHAIN_ID, 1))
    vouchers: bytes = field(4, _ADDRESS)


@attrs.frozen
class AskRelay:
    """Ask a relay's terms."""

    TYPE: ClassVar[int] = 64
    REPLY: ClassVar[type] = RelayTerms


@attrs.frozen
class Submitted:
    """A redemption or a sweep was sent to the chain; that it is in there is not said.

    Attributes:
        transaction: hash, 32 bytes; a dearer transaction may take its place.
    """

    transaction: bytes = field(1, Bytes(32, 32))


@attrs.frozen
class SubmitRedeem:
    """Ask a relay to submit a redemption.

    Attributes:
        chain_id: as in EIP-155.
        vouchers: contract, 20 bytes.
        call: data of the transaction: `redeem` of the contract with its redemption and spends.
    """

    TYPE: ClassVar[int] = 65
    REPLY: ClassVar[type] = Submitted
    chain_id: int = field(1, Uint(MAX_CHAIN_ID, 1))
    vouchers: bytes = field(2, _ADDRESS)
    call: bytes = field(3, Bytes(LEAST_CALL, MOST_CALL))


@attrs.frozen
class SubmitSweep:
    """Ask a relay to sweep an invoice.

    Attributes:
        chain_id: as in EIP-155.
        factory: contract of the invoices, 20 bytes.
        call: data of the transaction: `sweep` of the contract with the invoice's fields.
    """

    TYPE: ClassVar[int] = 66
    REPLY: ClassVar[type] = Submitted
    chain_id: int = field(1, Uint(MAX_CHAIN_ID, 1))
    factory: bytes = field(2, _ADDRESS)
    call: bytes = field(3, Bytes(SWEEP_CALL, SWEEP_CALL))

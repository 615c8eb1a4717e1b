"""What a creator was paid with vouchers: the wallet's payments held against the redemptions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from bitsnode.ledger.trees import Trees
from bitsnode.ledger.voucher_events import GroupOpened, Redeemed
from bitsnode.ledger.wallet.history import Payment

SHARE_UNIT: Final = 10_000
CSV_HEADER: Final = (
    "block",
    "transaction",
    "address",
    "gross_wei",
    "relay_fee_wei",
    "treasury_wei",
    "pool_wei",
    "net_wei",
    "tag",
)


@attrs.frozen
class Split:
    """How the value of vouchers is divided, to the last wei.

    Attributes:
        gross: wei, all together.
        fee: wei for the relayer.
        treasury: wei.
        pool: wei.
        net: wei for the payee, which has what rounding leaves.
    """

    gross: int
    fee: int
    treasury: int
    pool: int

    @property
    def net(self) -> int:
        """Wei for the payee."""
        return self.gross - self.fee - self.treasury - self.pool


@attrs.frozen
class Earning:
    """One payment with vouchers.

    Attributes:
        address: stealth address that was paid, checksummed.
        block: of the payment.
        transaction: hash, 0x and 64 hex digits.
        split: who got how much of it.
        tag: commitment to what was bought, 32 bytes.
        message: of the redemption, 32 bytes.
    """

    address: str
    block: int
    transaction: str
    split: Split
    tag: bytes
    message: bytes

    def csv_row(self) -> tuple[str, ...]:
        """Return the cells under `CSV_HEADER`."""
        split = self.split
        sums = (split.gross, split.fee, split.treasury, split.pool, split.net)
        return (
            str(self.block),
            self.transaction,
            self.address,
            *map(str, sums),
            "0x" + self.tag.hex(),
        )


def divide(fee: int, vouchers: Iterable[tuple[int, GroupOpened]]) -> Split:
    """Return how the contract divides vouchers; see `Vouchers._settle`.

    Args:
        fee: wei.
        vouchers: wei and group of each.
    """
    listed = list(vouchers)
    gross = sum(amount for amount, _ in listed)
    unit = gross * SHARE_UNIT
    treasury = sum(amount * group.treasury_share for amount, group in listed)
    pool = sum(amount * group.pool_share for amount, group in listed)
    net = gross - fee
    return Split(gross, fee, treasury * net // unit, pool * net // unit)


def find_earnings(payments: Iterable[Payment], trees: Trees, table: Sequence[int]) -> list[Earning]:
    """Return the payments that came by redemptions, in the order of the chain.

    Args:
        payments: to the meta-address, as they were announced.
        trees: know the redemptions.
        table: wei of each denomination.
    """
    groups = trees.groups()
    found = []
    for payment in payments:
        payee = bytes.fromhex(payment.stealth_address[2:])
        for redeemed in trees.payments(payee):
            found.append(_earning(payment, redeemed, groups, table))
    return found


def _earning(
    payment: Payment,
    redeemed: Redeemed,
    groups: Mapping[int, GroupOpened],
    table: Sequence[int],
) -> Earning:
    each = [groups[group] for group in redeemed.groups]
    split = divide(redeemed.fee, [(table[group.denomination], group) for group in each])
    return Earning(
        payment.stealth_address,
        redeemed.cursor.block,
        "0x" + redeemed.transaction.hex(),
        split,
        redeemed.tag,
        redeemed.message,
    )

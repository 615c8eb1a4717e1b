"""What a creator was paid: the wallet's payments held against redemptions and swept invoices."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol

import attrs

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.invoice import SWEPT, Swept, read_swept
from bitsnode.ledger.trees import Trees
from bitsnode.ledger.voucher_events import GroupOpened, Redeemed
from bitsnode.ledger.wallet.history import Payment
from zk.stealth import checksum_address

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
    "kind",
    "invoice",
    "content",
)
BATCH: Final = 1_000  # events read at once


class Kind(StrEnum):
    """How something was paid for."""

    VOUCHER = "voucher"  # by a node, with vouchers that were redeemed
    INVOICE = "invoice"  # by any wallet, to an address that was swept


class Events(Protocol):
    """Where events come from; `bitsnode.ledger.index.LogIndex`."""

    def events(self, contract: str, event: bytes, after: Cursor | None, limit: int) -> list[Log]:
        """Return confirmed events of a contract in order, from behind a cursor."""


@attrs.frozen
class Split:
    """How what was paid is divided, to the last wei.

    Attributes:
        gross: wei, all together.
        fee: wei for the relay.
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
    """One payment.

    Attributes:
        kind: how it was paid for.
        address: stealth address that was paid, checksummed.
        block: of the payment.
        transaction: hash, 0x and 64 hex digits.
        split: who got how much of it.
        tag: of a redemption: commitment to what was bought, 32 bytes.
        message: of a redemption, 32 bytes.
        invoice: where a buyer without a node paid, checksummed.
    """

    kind: Kind
    address: str
    block: int
    transaction: str
    split: Split
    tag: bytes = b""
    message: bytes = b""
    invoice: str = ""

    def csv_row(self, contents: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Return the cells under `CSV_HEADER`.

        Args:
            contents: what was sold by invoices, by their addresses, as far as this node knows; a
                tag is opened by its buyer alone.
        """
        split = self.split
        sums = (split.gross, split.fee, split.treasury, split.pool, split.net)
        return (
            str(self.block),
            self.transaction,
            self.address,
            *map(str, sums),
            "0x" + self.tag.hex() if self.tag else "",
            self.kind.value,
            self.invoice,
            (contents or {}).get(self.invoice, ""),
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


def read_sweeps(index: Events) -> list[Swept]:
    """Return all invoices that were ever swept, anybody's, in the order of the chain; blocking.

    Raises:
        MalformedEvent: a server made one up.
    """
    found: list[Swept] = []
    while True:
        after = found[-1].cursor if found else None
        logs = index.events("InvoiceFactory", SWEPT, after, BATCH)
        found += [read_swept(log) for log in logs]
        if len(logs) < BATCH:
            return found


def find_earnings(
    payments: Iterable[Payment], trees: Trees, table: Sequence[int], sweeps: Iterable[Swept] = ()
) -> list[Earning]:
    """Return the payments that came by redemptions and invoices, in the order of the chain.

    Args:
        payments: to the meta-address, as they were announced.
        trees: know the redemptions.
        table: wei of each denomination.
        sweeps: of all invoices.
    """
    groups = trees.groups()
    swept: dict[bytes, list[Swept]] = {}
    for each in sweeps:
        swept.setdefault(each.payee, []).append(each)
    found = []
    for payment in payments:
        payee = bytes.fromhex(payment.stealth_address[2:])
        for redeemed in trees.payments(payee):
            found.append(_earning(payment, redeemed, groups, table))
        found += [_swept_earning(payment, each) for each in swept.get(payee, ())]
    return sorted(found, key=lambda earning: earning.block)


def _earning(
    payment: Payment,
    redeemed: Redeemed,
    groups: Mapping[int, GroupOpened],
    table: Sequence[int],
) -> Earning:
    each = [groups[group] for group in redeemed.groups]
    split = divide(redeemed.fee, [(table[group.denomination], group) for group in each])
    return Earning(
        Kind.VOUCHER,
        payment.stealth_address,
        redeemed.cursor.block,
        "0x" + redeemed.transaction.hex(),
        split,
        redeemed.tag,
        redeemed.message,
    )


def _swept_earning(payment: Payment, swept: Swept) -> Earning:
    return Earning(
        Kind.INVOICE,
        payment.stealth_address,
        swept.cursor.block,
        "0x" + swept.transaction.hex(),
        Split(swept.gross, swept.fee, swept.treasury, swept.pool),
        invoice=checksum_address(swept.invoice),
    )

"""What the wallet tells of vouchers, and which sets of them it suggests. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import attrs

from bitsnode.ledger.trees import Crowd
from bitsnode.ledger.wallet.errors import TopUpTooSmall

KIT_COUNTS: Final = (2, 2, 1)  # of three denominations in a row, such as 1, 2 and 5
MOST_KITS: Final = 10  # in one top-up


class Deposit(StrEnum):
    """What became of a voucher's deposit."""

    PLANNED = "planned"  # written down before anything is signed
    DONE = "done"  # in the chain
    COPIED = "copied"  # refused, as somebody else paid for the same commitment before
    FAILED = "failed"  # never signed, or refused by the chain
    FOUND = "found"  # not made here, but found in the chain


class VoucherState(StrEnum):
    """Where a voucher stands."""

    PLANNED = "planned"  # its deposit is not in the chain yet
    DEPOSITED = "deposited"  # in the chain, but not final
    CONFIRMED = "confirmed"  # final, and nobody's yet
    RESERVED = "reserved"  # given to a purchase
    SPENT = "spent"  # redeemed
    FAILED = "failed"  # nothing was paid for it


@attrs.frozen
class Voucher:
    """One voucher of the wallet.

    Attributes:
        index: of its secret.
        denomination: row of the contract's table.
        amount: wei.
        state: see `VoucherState`.
        block: of the deposit; None until it is in the chain.
        group: in which it hides; None until it is final.
        crowd: among how many; None until it is final.
        age: blocks since its deposit; None until it is final.
        bought_at: Unix time in seconds; None if it was found on the chain.
        spendable: it is free, and old enough for the root that all wallets prove with.
        purpose: for which it is reserved, or was spent as far as is known here.
        message: of the redemption that spent it.
    """

    index: int
    denomination: int
    amount: int
    state: VoucherState
    block: int | None = None
    group: int | None = None
    crowd: Crowd | None = None
    age: int | None = None
    bought_at: float | None = None
    spendable: bool = False
    purpose: str | None = None
    message: bytes | None = None


@attrs.frozen
class Ticket:
    """The right to spend one voucher, held by one purpose until it is spent or released.

    Attributes:
        name: of the ticket; 32 hex digits.
        index: of the voucher's secret.
        denomination: row of the contract's table.
        purpose: who has it.
    """

    name: str
    index: int
    denomination: int
    purpose: str


@attrs.frozen
class Kit:
    """Vouchers that are bought together.

    Attributes:
        denominations: rows of the contract's table, one for each voucher.
        amount: wei, all together.
        standard: it is one of the sets that all wallets suggest. Other sets mark who buys them:
            exact top-ups made the crowds nine times smaller in a simulation.
    """

    denominations: tuple[int, ...]
    amount: int
    standard: bool = False


def kits(table: Sequence[int]) -> list[Kit]:
    """Return the standard kits of a table of denominations (wei, rising), the smallest first.

    The first three rows make one, the next three another, and so on: two of the first, two of the
    second and one of the third, so that a kit has change and its sum is round where they are 1, 2
    and 5 times a power of ten.
    """
    made = []
    for start in range(0, len(table), len(KIT_COUNTS)):
        rows = range(start, min(start + len(KIT_COUNTS), len(table)))
        counted = [(row, count) for row, count in zip(rows, KIT_COUNTS, strict=False)]
        denominations = tuple(row for row, count in counted for _ in range(count))
        made.append(Kit(denominations, sum(table[row] for row in denominations), standard=True))
    return made


def suggest(table: Sequence[int], amount: int) -> Kit:
    """Return the largest standard kit that an amount (wei) pays for, as often as it does.

    Raises:
        TopUpTooSmall: it pays for none.
    """
    fitting = [kit for kit in kits(table) if kit.amount <= amount]
    if not fitting:
        raise TopUpTooSmall
    kit = fitting[-1]
    times = min(amount // kit.amount, MOST_KITS)
    return attrs.evolve(kit, denominations=kit.denominations * times, amount=kit.amount * times)

"""The fees that are written into invoices: from few tiers, so that one can be tried again. Pure."""

from typing import Final

from bitsnode.ledger.redemption import FEE_DIVISOR

USUAL_FEE: Final = 20  # the part of the price that is the fee at most while no relay answers
TIERS: Final[tuple[int, ...]] = tuple(
    step * 10**k for k in range(9, 18) for step in (1, 2, 5)
)  # wei


def tier_of(fee: int) -> int:
    """Return the lowest tier that covers a fee (wei); the highest if none does."""
    return next((tier for tier in TIERS if tier >= fee), TIERS[-1])


def usual_fee(price: int) -> int:
    """Return the largest round fee that is at most a twentieth of a price, in wei.

    It is a tier for every price from 2 · 10**10 to 10**19 wei, which are all that there are.
    """
    fee, power = 0, 1
    while power <= price // USUAL_FEE:
        fee = max(step * power for step in (1, 2, 5) if step * power <= price // USUAL_FEE)
        power *= 10
    return fee


def is_covered(price: int, fee: int) -> bool:
    """Whether a price bears a fee: the contract pays at most a tenth of what is swept."""
    return price >= FEE_DIVISOR * fee

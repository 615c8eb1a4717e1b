"""Amounts as people type them."""

from decimal import Decimal, InvalidOperation
from typing import Final

from bitsnode.errors import BitsError

COIN: Final = 10**18  # wei
MOST_COINS: Final = 10**12


class BadAmount(BitsError):
    """An amount is a number of coins above zero, such as 0.5."""


def wei_of(text: str) -> int:
    """Return the wei of a number of coins.

    Raises:
        BadAmount: it is none, or has parts of a wei.
    """
    try:
        coins = Decimal(text)
    except InvalidOperation:
        raise BadAmount from None
    if not coins.is_finite() or not 0 < coins <= MOST_COINS or coins * COIN != int(coins * COIN):
        raise BadAmount
    return int(coins * COIN)


def coins(wei: int) -> str:
    """Return an amount for a person."""
    return f"{(Decimal(wei) / COIN).normalize():f}"

"""What a transaction may cost: fees as in EIP-1559. Pure."""

from typing import Final

import attrs

from bitsnode.ledger.errors import FeeTooHigh

WEI: Final = 10**18  # in one unit of the chain's coin
BASE_FEE_STEP: Final = 8  # the base fee rises by at most an eighth a block; EIP-1559
# Pools take a replacement when both fees are higher by a tenth (geth) or an eighth (others).
REPLACEMENT_STEP: Final = 8


@attrs.frozen
class Fee:
    """What is paid at most per gas.

    Attributes:
        gas: how much may be used.
        max_fee: wei per gas in all.
        tip: wei per gas of it for who makes the block.
    """

    gas: int
    max_fee: int
    tip: int

    @property
    def most(self) -> int:
        """Wei that it can cost."""
        return self.gas * self.max_fee


@attrs.frozen
class Prices:
    """What gas costs now.

    Attributes:
        block: number of the newest block.
        base_fee: of it, wei per gas.
        tip: wei per gas that the server suggests on top.
    """

    block: int
    base_fee: int
    tip: int


def suggest(gas: int, prices: Prices, limit: int) -> Fee:
    """A fee with room for six blocks of rising base fees, or as much of that as the limit allows.

    Args:
        gas: that may be used.
        prices: of gas now.
        limit: wei in all.

    Raises:
        FeeTooHigh: the limit does not even cover the next block.
    """
    base_fee, tip = prices.base_fee, prices.tip
    least = base_fee + base_fee // BASE_FEE_STEP + 1 + tip
    if gas * least > limit:
        raise FeeTooHigh(f"at least {in_coins(gas * least)}, the limit is {in_coins(limit)}")
    return Fee(gas, max(least, min(2 * base_fee + tip, limit // gas)), tip)


def raised(fee: Fee, prices: Prices, limit: int) -> Fee | None:
    """A fee that replaces an earlier one, None if the limit leaves no room for one."""
    least_tip, least_max = _stepped(fee.tip), _stepped(fee.max_fee)
    new_tip = max(least_tip, prices.tip)
    new_max = max(least_max, 2 * prices.base_fee + new_tip)
    if fee.gas * new_max > limit:
        new_max, new_tip = max(least_max, limit // fee.gas), least_tip
    if fee.gas * new_max > limit:
        return None
    return Fee(fee.gas, new_max, new_tip)


def in_coins(wei: int) -> str:
    """An amount for people, exact, without an exponent."""
    whole, rest = divmod(wei, WEI)
    return f"{whole}.{rest:018}".rstrip("0").rstrip(".") + " ETH"


def _stepped(value: int) -> int:
    return value + -(-value // REPLACEMENT_STEP) + (value == 0)

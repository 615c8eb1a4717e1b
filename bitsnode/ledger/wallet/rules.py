"""What may be withdrawn where: pure decisions, so that they can be read and tested alone.

Users of other stealth wallets were identified in 26 to 66 percent of cases by what they did with
their money afterwards ("Anonymity Analysis of the Umbra Stealth Address Scheme on Ethereum",
Kovács and Seres, 2023). So nothing is sent where it meets who one is in public.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import attrs

from bitsnode.ledger.wallet.errors import (
    BalanceTooLow,
    DestinationFunded,
    DestinationOwn,
    DestinationRegistered,
    DestinationReused,
    InvalidDestination,
    MergeRefused,
    NothingToWithdraw,
    SplitRefused,
)
from zk.stealth import checksum_address

Risk: TypeAlias = Literal["merge", "split"]
HIGHEST_RESERVED: Final = 0xFFFF  # precompiles and system contracts live at or below it
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


@attrs.frozen
class Destination:
    """What is known of an address that money shall go to.

    Attributes:
        address: checksummed.
        own: an account or a stealth address of this wallet.
        funder: it paid into an account of this wallet.
        public: it has a part in the contracts of bits: registered a meta-address, announced or
            received a stealth payment, bought vouchers, or is one of the contracts.
        used: something was withdrawn to it before.
        used_for_payments: and that was a stealth payment.
        unfinished: the withdrawals to it were asked for at once and cut short, so that going on
            with them is no further link.
    """

    address: str
    own: bool = False
    funder: bool = False
    public: bool = False
    used: bool = False
    used_for_payments: bool = False
    unfinished: bool = False


@attrs.frozen
class Holding:
    """What a source holds.

    Attributes:
        address: checksummed.
        balance: wei.
        fee: the most wei that a withdrawal can cost.
    """

    address: str
    balance: int
    fee: int

    @property
    def available(self) -> int:
        """Wei that can arrive, as every source pays its own fee."""
        return self.balance - self.fee


def parse_destination(text: str) -> str:
    """Return the checksummed address.

    Raises:
        InvalidDestination: it is none, its mixed case does not fit (EIP-55), or nobody has it.
    """
    if not _ADDRESS.fullmatch(text):
        raise InvalidDestination
    digits = text[2:]
    address = checksum_address(bytes.fromhex(digits))
    if digits not in (digits.lower(), digits.upper()) and text != address:
        raise InvalidDestination
    if int(digits, 16) <= HIGHEST_RESERVED:
        raise InvalidDestination
    return address


def check_payment_destination(to: Destination) -> None:
    """Make sure that a stealth payment may go there.

    Raises:
        DestinationOwn, DestinationFunded, DestinationRegistered, DestinationReused: it may not.
    """
    if to.own:
        raise DestinationOwn
    if to.funder:
        raise DestinationFunded
    if to.public:
        raise DestinationRegistered
    if to.used and not to.unfinished:
        raise DestinationReused


def check_account_destination(to: Destination) -> None:
    """Make sure that an account's money may go there: not where it meets stealth payments.

    Raises:
        DestinationOwn, DestinationReused: it may not.
    """
    if to.own:
        raise DestinationOwn
    if to.used_for_payments:
        raise DestinationReused


def choose(
    holdings: Sequence[Holding],
    amount: int | None,
    accept: frozenset[Risk],
    merged_before: bool = False,
) -> list[tuple[Holding, int]]:
    """Choose the payments to withdraw, and how much of each.

    One payment makes one transaction, which pays its own fee: a fee paid from elsewhere would
    link the two.

    Args:
        holdings: of the payments in question.
        amount: wei that shall arrive; None for all there is.
        accept: risks that the person accepts in plain words.
        merged_before: whether the destination has had other payments already.

    Raises:
        NothingToWithdraw: none covers its fee.
        BalanceTooLow: none covers the sum and its fee.
        MergeRefused: several payments would meet, and that is not accepted.
        SplitRefused: something would stay behind, and that is not accepted.
    """
    worth = [holding for holding in holdings if holding.available > 0]
    if not worth:
        raise NothingToWithdraw
    if amount is None:
        chosen = [(holding, holding.available) for holding in worth]
    else:
        enough = [holding for holding in worth if holding.available >= amount]
        if not enough or amount <= 0:
            raise BalanceTooLow
        # the smallest leaves the least behind
        smallest = min(enough, key=lambda holding: holding.available)
        if smallest.available != amount and "split" not in accept:
            raise SplitRefused
        chosen = [(smallest, amount)]
    if (len(chosen) > 1 or merged_before) and "merge" not in accept:
        raise MergeRefused
    return chosen

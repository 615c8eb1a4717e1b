"""What may go where, and what is chosen: FAULTS A3 of the withdrawal, decided by pure functions."""

import pytest

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
    WalletError,
)
from bitsnode.ledger.wallet.rules import (
    Destination,
    Holding,
    check_account_destination,
    check_payment_destination,
    choose,
    parse_destination,
)

ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def test_destinations_are_read_in_three_spellings() -> None:
    """Checksummed, all lower-case and all upper-case letters are the same address."""
    for text in (ADDRESS, ADDRESS.lower(), "0x" + ADDRESS[2:].upper()):
        assert parse_destination(text) == ADDRESS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        ADDRESS[:-1],
        ADDRESS + "0",
        ADDRESS[2:],
        ADDRESS.replace("5aAe", "5AAe"),
        "0x" + "00" * 20,
        "0x" + "00" * 19 + "09",
        "0x" + "00" * 18 + "0100",
        ADDRESS + "\n",
        "vitalik.eth",
        "st:eth:0x" + "02" * 66,
        "0x" + "\N{ARABIC-INDIC DIGIT ONE}" * 40,
    ],
)
def test_mistyped_destinations_are_refused(text: str) -> None:
    """A letter in the wrong case, nobody's address, a name: nothing is sent on a guess."""
    with pytest.raises(InvalidDestination):
        parse_destination(text)


@pytest.mark.parametrize(
    ("to", "error"),
    [
        (Destination(ADDRESS, own=True), DestinationOwn),
        (Destination(ADDRESS, funder=True), DestinationFunded),
        (Destination(ADDRESS, public=True), DestinationRegistered),
        (Destination(ADDRESS, used=True), DestinationReused),
    ],
)
def test_a3_payments_never_go_where_they_show_who_one_is(
    to: Destination, error: type[WalletError]
) -> None:
    """Own, funding, registered and reused addresses are refused, each by its own sentence."""
    with pytest.raises(error):
        check_payment_destination(to)


def test_fresh_destinations_are_fine() -> None:
    """So is going on with what was cut short."""
    check_payment_destination(Destination(ADDRESS))
    check_payment_destination(Destination(ADDRESS, used=True, unfinished=True))
    check_account_destination(Destination(ADDRESS, funder=True, public=True, used=True))


def test_a3_account_money_never_meets_payments() -> None:
    """An account may pay back to where it was funded from, but not to where payments went."""
    with pytest.raises(DestinationOwn):
        check_account_destination(Destination(ADDRESS, own=True))
    with pytest.raises(DestinationReused):
        check_account_destination(Destination(ADDRESS, used_for_payments=True))


SMALL, LARGE, DUST = Holding("small", 150, 50), Holding("large", 1050, 50), Holding("dust", 50, 50)


def test_one_payment_goes_whole_less_its_own_fee() -> None:
    """What arrives is the balance less the fee, which nobody else pays."""
    assert choose([SMALL, DUST], None, frozenset()) == [(SMALL, 100)]


def test_a3_several_payments_are_merged_only_if_accepted() -> None:
    """Each keeps its own transaction even then."""
    with pytest.raises(MergeRefused):
        choose([SMALL, LARGE], None, frozenset({"split"}))
    chosen = choose([SMALL, LARGE, DUST], None, frozenset({"merge"}))
    assert chosen == [(SMALL, 100), (LARGE, 1000)]


def test_going_on_to_a_used_destination_is_a_merge_too() -> None:
    """A cut merge is gone on with only if merging is accepted again."""
    with pytest.raises(MergeRefused):
        choose([SMALL], None, frozenset(), merged_before=True)
    assert choose([SMALL], None, frozenset({"merge"}), merged_before=True) == [(SMALL, 100)]


def test_a_sum_takes_the_smallest_payment_that_covers_it() -> None:
    """What stays behind stays linked, so it must be accepted, and be as little as can be."""
    assert choose([LARGE, SMALL], 100, frozenset()) == [(SMALL, 100)]
    with pytest.raises(SplitRefused):
        choose([LARGE, SMALL], 99, frozenset({"merge"}))
    assert choose([LARGE, SMALL], 99, frozenset({"split"})) == [(SMALL, 99)]
    assert choose([LARGE, SMALL], 101, frozenset({"split"})) == [(LARGE, 101)]


def test_too_little_is_said() -> None:
    """Nothing, dust, more than any payment, and sums that are none."""
    for holdings in ([], [DUST], [Holding("poor", 10, 50)]):
        with pytest.raises(NothingToWithdraw):
            choose(holdings, None, frozenset())
    for amount in (1001, 0, -5):
        with pytest.raises(BalanceTooLow):
            choose([LARGE, SMALL], amount, frozenset({"split", "merge"}))

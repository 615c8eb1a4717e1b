"""What the wallet is doing, as frozen events for whoever shows progress."""

from collections.abc import Callable
from typing import TypeAlias

import attrs


@attrs.frozen
class Opening:
    """The keystore is being opened; that is slow on purpose."""


@attrs.frozen
class StartingOver:
    """The chain was reorganised, so all announcements are looked at again."""


@attrs.frozen
class Scanning:
    """Announcements are being looked at.

    Attributes:
        block: reached.
        announcements: looked at so far.
        found: payments found so far.
    """

    block: int
    announcements: int
    found: int


@attrs.frozen
class AskingBalances:
    """The chain is being asked what addresses hold.

    Attributes:
        done: addresses.
        total: addresses.
    """

    done: int
    total: int


@attrs.frozen
class Finishing:
    """A withdrawal that was cut short is being brought to its end.

    Attributes:
        destination: checksummed address.
    """

    destination: str


@attrs.frozen
class Sending:
    """A transaction is being signed and sent.

    Attributes:
        number: of this one, from 1.
        total: transactions.
    """

    number: int
    total: int


@attrs.frozen
class Waiting:
    """A transaction is on its way into the chain.

    Attributes:
        transaction_hash: 0x and 64 hex digits.
    """

    transaction_hash: str


@attrs.frozen
class Proving:
    """A proof is being made, which takes about a second."""


Event: TypeAlias = (
    Opening | StartingOver | Scanning | AskingBalances | Finishing | Sending | Waiting | Proving
)
OnEvent: TypeAlias = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Show nothing."""

"""What a key holder needs of the chain: every redemption, final and certain. Pure."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.answers import Log


@attrs.frozen
class CertainBlock:
    """A final block, and the redemptions in it.

    Attributes:
        number: of the block.
        time: Unix time in seconds.
        redeemed: its logs of redemptions.
    """

    number: int
    time: int
    redeemed: tuple[Log, ...]


class Chain(Protocol):
    """What is certain of the chain."""

    def check_certainty(self) -> None:
        """Raise `LedgerError` if nothing can be certain with the servers that are set."""

    async def refresh(self) -> None:
        """Look for new blocks, unless that was done a moment ago.

        Raises:
            LedgerError: the chain cannot be read now.
        """

    def redeemed(self, after: Cursor | None, limit: int) -> list[Log]:
        """Return confirmed redemptions in the chain's order; waits for the disk."""

    async def certain_blocks(self, numbers: Sequence[int]) -> list[CertainBlock]:
        """Return those of these blocks that are final, as servers enough report them alike.

        Raises:
            LedgerError: nothing is certain now.
        """

"""What the wallet needs of the chain: the seam to the ledger, which knows nothing of wallets."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import attrs

from bitsnode.ledger.announcements import Announcement, Cursor
from onion.isolation import Isolation

T = TypeVar("T")


class RunInThread(Protocol):
    """Runs blocking work in a thread; what is returned is under way before it is awaited."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Start the work."""


class Index(Protocol):
    """The events of the contracts of bits, as far as they are confirmed; asked locally."""

    def announcements(self, after: Cursor | None, limit: int) -> Sequence[Announcement]:
        """Return at most ``limit`` announcements behind ``after``, in order."""

    def is_public(self, address: str) -> bool:
        """Whether an address is one of the contracts or has a part in any of their events."""


@attrs.frozen
class Mined:
    """A transaction that is in the chain.

    Attributes:
        transaction_hash: 0x and 64 hex digits.
        block: its number.
        fee: wei.
        succeeded: whether the chain carried it out.
    """

    transaction_hash: str
    block: int
    fee: int
    succeeded: bool


class Signer(Protocol):
    """Signs for one address."""

    @property
    def address(self) -> str:
        """Checksummed."""

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        """Return the signed transaction."""


class Ledger(Protocol):
    """Asks the chain, and sends transactions to it once and only once."""

    async def balance(self, address: str, isolation: Isolation) -> int:
        """Return wei."""

    async def transfer_fee(self, source: str, to: str, isolation: Isolation) -> int:
        """Return the most wei that a plain transfer can cost now."""

    async def transfer(
        self,
        signer: Signer,
        to: str,
        value: int,
        isolation: Isolation,
        fee_limit: int,
        intent: str,
    ) -> str:
        """Sign and send a transfer and return its hash.

        It is in the ledger's journal before it is sent; for an intent that is there already,
        that one is sent again and nothing is signed.
        """

    async def knows(self, intent: str) -> bool:
        """Whether anything was ever signed for this intent."""

    async def wait(self, intent: str, isolation: Isolation) -> Mined:
        """See to it that what was signed for an intent is sent, and wait for it."""

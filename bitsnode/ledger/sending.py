"""The words of sending a transaction: who signs, what was sent, what became of it."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import attrs

T = TypeVar("T")


class Signer(Protocol):
    """Signs for one account."""

    @property
    def address(self) -> str:
        """Of the account, hex with 0x."""

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        """The signed transaction, as it is sent."""


class InThread(Protocol):
    """Runs blocking work in a thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Start the work."""


@attrs.frozen
class Sent:
    """A transaction that is in the journal.

    Attributes:
        intent: what it is for.
        transaction_hash: of the newest transaction for it, hex with 0x.
        nonce: of the account.
        accepted: a server took it.
        refusal: why not, in the words of the server; it is sent again later all the same.
    """

    intent: str
    transaction_hash: str
    nonce: int
    accepted: bool
    refusal: str = ""


@attrs.frozen
class Mined:
    """A transaction that is in the chain.

    Attributes:
        transaction_hash: hex with 0x.
        block: number of its block.
        fee: wei that it cost.
        succeeded: the contract did not refuse it.
    """

    transaction_hash: str
    block: int
    fee: int
    succeeded: bool

"""What a responder is told of a caller, and how it says no."""

from typing import Protocol

import attrs

from bitsnode.errors import BitsError
from bitsnode.wire.card import SignedCard
from bitsnode.wire.messages import Request


@attrs.frozen
class Caller:
    """The other end of the connection a request came on.

    Attributes:
        connection: a number that this process gave the connection; it says nothing of who it is.
        card: the card the caller showed, or None for an anonymous caller. Not proof of anything:
            the caller's onion address is proven only by dialling it.
    """

    connection: int
    card: SignedCard | None = None


class Refused(BitsError):
    """A request was not carried out.

    Attributes:
        code: of `bitsnode.wire.messages.FailureCode`.
        retry_after: seconds after which to try again; 0 when that makes no sense.
    """

    def __init__(self, code: int, retry_after: int = 0, reason: str = "") -> None:
        super().__init__(reason or f"The request was refused (code {code}).")
        self.code = code
        self.retry_after = retry_after


class Responder(Protocol):
    """Answers the requests of one room."""

    async def handle(self, request: Request, caller: Caller) -> object:
        """Return the reply, an instance of ``request.REPLY``.

        Raises:
            Refused: the request is not carried out; its code is what the caller gets.
        """

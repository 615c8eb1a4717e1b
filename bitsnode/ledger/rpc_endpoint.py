"""Which RPC server, what is asked of it, and what carries the questions there."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred

from onion.http import HttpReply
from onion.isolation import Isolation
from onion.url import Url

T = TypeVar("T")


@attrs.frozen
class RpcEndpoint:
    """Where an RPC server is.

    Attributes:
        url: of an onion service, or https:// when exits are on. Out of `repr`: it may hold a key.
        own: it is a node of one's own, so that what it says needs no second opinion.
    """

    url: str = attrs.field(repr=False)
    own: bool = False

    @property
    def name(self) -> str:
        """What a person calls it: the host alone."""
        return Url.parse(self.url).host


@attrs.frozen
class RpcLimits:
    """What is asked of an RPC server.

    Attributes:
        answer: seconds for one answer.
        deadline: seconds for all of a call, waiting for its turn included.
        size: bytes of one answer.
        stale: seconds that the newest block may be old; one's own chain may stand still.
        reorg: blocks that the head may go back.
        head_every: seconds after which the head is looked at again.
    """

    answer: float = 30.0
    deadline: float = 90.0
    size: int = 16 << 20
    stale: float = 600.0
    reorg: int = 64
    head_every: float = 60.0


class Carrier(Protocol):
    """A thread, and the way from it to the server."""

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Do work in the thread, one after another."""

    def post(self, body: bytes, isolation: Isolation, timeout: float, limit: int) -> HttpReply:
        """Post from the thread and wait; raises what `onion.http.HttpClient.post` raises."""

    def close(self, isolation: Isolation) -> None:
        """Close idle connections."""

    async def stop(self) -> None:
        """End all that is under way, and the thread."""

"""What the flows need of the other rooms, and how a holder is asked."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import attrs
from twisted.internet.interfaces import IReactorTime

from bitsnode.config import Network
from bitsnode.errors import BitsError
from bitsnode.peer.errors import ClientStopped
from bitsnode.wire.card import SignedCard
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import Request
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.errors import OnionError, TorUnavailable
from onion.isolation import Isolation

T = TypeVar("T")


class Run(Protocol):
    """Carries out a call in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Return what will be the call's result."""


class Peers(Protocol):
    """Asks other nodes; see `bitsnode.peer.client.PeerClient`."""

    async def request(
        self,
        address: OnionAddress,
        message: Request,
        isolation: Isolation,
        timeout: float | None = None,
    ) -> Any:
        """Return the reply."""

    def close(self, isolation: Isolation) -> None:
        """Drop every connection of an isolation."""


class Dht(Protocol):
    """Finds nodes and records; see `bitsnode.dht.service.DhtService`."""

    async def get_records(self, key: bytes, isolation: Isolation) -> list[SignedRecord]:
        """Return the verified records of a key."""

    async def put_records(self, records: Sequence[SignedRecord], isolation: Isolation) -> list[int]:
        """Put records of one key; return of each how many nodes took it."""

    async def find_storers(self, count: int, isolation: Isolation) -> list[SignedCard]:
        """Return distinct nodes that store."""


class Finds(Protocol):
    """What was found of a key; see `bitsnode.warm.finding.Found`."""

    @property
    def records(self) -> tuple[SignedRecord, ...]:
        """Return the verified records of the key."""


class Finder(Protocol):
    """Finds records over connections that are open; see `bitsnode.warm.service.WarmService`."""

    async def find(self, key: bytes, *, walk: bool) -> Finds:
        """Return the records of a key, without a walk over fresh circuits if ``walk`` is false."""


@attrs.frozen
class Tools:
    """What every flow works with.

    Attributes:
        clock: the reactor's time; its seconds are Unix time.
        run: carries out what takes long in threads.
        peers: asks holders.
        dht: finds nodes and records.
        network: what it asks of records, and how long connecting may take.
        finder: finds records sooner, for what nothing ties to money; None where there is none.
    """

    clock: IReactorTime
    run: Run
    peers: Peers
    dht: Dht
    network: Network
    finder: Finder | None = None


class HolderFault(BitsError):
    """A holder did not do what it was asked.

    Attributes:
        code: of `bitsnode.wire.messages.FailureCode` if it refused, else 0.
        retry_after: seconds after which it wants to be asked again.
        tor_down: it could not be asked because our own tor is down.
    """

    def __init__(
        self, reason: str = "", code: int = 0, retry_after: int = 0, tor_down: bool = False
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.retry_after = retry_after
        self.tor_down = tor_down


async def ask(
    peers: Peers,
    address: OnionAddress,
    message: Request,
    isolation: Isolation,
    timeout: float,
) -> Any:
    """Ask a holder.

    Args:
        peers: asks.
        address: of the holder.
        message: the request.
        isolation: whose question it is.
        timeout: seconds from the moment it is written.

    Raises:
        HolderFault: it could not be reached, refused, or answered wrongly.
        ClientStopped: this node is shutting down.
    """
    try:
        return await peers.request(address, message, isolation, timeout)
    except ClientStopped:
        raise
    except Refused as error:
        raise HolderFault(str(error), code=error.code, retry_after=error.retry_after) from error
    except (BitsError, OnionError) as error:
        raise HolderFault(str(error), tor_down=caused_by_tor(error)) from error


def caused_by_tor(error: BaseException | None) -> bool:
    """Return whether an error, or what it was raised from, is that our tor is down."""
    while error is not None:
        if isinstance(error, TorUnavailable):
            return True
        error = error.__cause__
    return False

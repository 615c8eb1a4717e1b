"""The seam between the Tor network and everything above it: dial an onion, publish an onion."""

from enum import Enum
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory

from onion.address import OnionAddress
from onion.isolation import Isolation
from onion.keys import OnionKey

X25519_KEY_SIZE = 32  # bytes


class ServiceState(Enum):
    """Where a published service stands."""

    PUBLISHING = "publishing"
    REACHABLE = "reachable"
    LOST = "lost"
    STOPPED = "stopped"


def _check_clients(_instance: object, _field: object, clients: tuple[bytes, ...]) -> None:
    if any(len(client) != X25519_KEY_SIZE for client in clients):
        raise ValueError(f"a client key has {X25519_KEY_SIZE} bytes")


@attrs.frozen
class ServiceOptions:
    """How a service defends itself.

    Attributes:
        max_streams: streams one rendezvous circuit may hold open, 0 for no limit; a circuit
            that asks for more is closed (control-spec section 3.27).
        proof_of_work: ask clients for a puzzle when the service is overloaded (proposal 327),
            where tor can.
        queue_rate: requests a second that the puzzle queue lets through.
        queue_burst: requests that it lets through at once.
        clients: X25519 public keys, 32 bytes each, of the only clients admitted; none admits
            everybody.
    """

    max_streams: int = attrs.field(default=64, validator=attrs.validators.ge(0))
    proof_of_work: bool = True
    queue_rate: int = attrs.field(default=250, validator=attrs.validators.ge(1))
    queue_burst: int = attrs.field(default=2500, validator=attrs.validators.ge(1))
    clients: tuple[bytes, ...] = attrs.field(default=(), validator=_check_clients)


DEFAULT_OPTIONS = ServiceOptions()


class OnionService(Protocol):
    """A service that stays published until it is stopped."""

    @property
    def address(self) -> OnionAddress:
        """Where it is published."""

    @property
    def state(self) -> ServiceState:
        """Where it stands now."""

    def when_reachable(self) -> Deferred[None]:
        """Fires when a probe through the network has reached it; at once if that is so now."""

    async def stop(self) -> None:
        """Withdraw it and stop listening; connections already open are left to their owners."""


class Dialer(Protocol):
    """Opens connections to onion services, and to nothing else."""

    def dial(
        self,
        address: OnionAddress,
        port: int,
        isolation: Isolation,
        factory: IProtocolFactory,
    ) -> Deferred[IProtocol]:
        """Connect a protocol of the factory to a virtual port (1-65535) of a service.

        Cancelling the Deferred closes what was opened for it.

        Raises:
            DialError: by failure of the Deferred; one subclass per cause.
        """


class ExitDialer(Protocol):
    """Opens connections to names outside of onion services, through exits of Tor."""

    def dial_out(
        self,
        host: str,
        port: int,
        isolation: Isolation,
        factory: IProtocolFactory,
    ) -> Deferred[IProtocol]:
        """Connect a protocol of the factory to a port (1-65535) of a host.

        The name (ASCII, at most 253 characters) goes to the exit as it is and is resolved there.
        What passes the exit is open to it, so the protocol has to be TLS.

        Raises:
            DialError: by failure of the Deferred; one subclass per cause.
        """


class Publisher(Protocol):
    """Publishes onion services."""

    def publish(
        self,
        key: OnionKey,
        port: int,
        factory: IProtocolFactory,
        options: ServiceOptions = DEFAULT_OPTIONS,
    ) -> Deferred[OnionService]:
        """Serve a virtual port (1-65535) under a key; fires when the descriptor is uploaded.

        While there is no tor it waits for one. Cancelling the Deferred withdraws the service.

        Raises:
            OnionError: by failure of the Deferred: tor refuses the service, or cannot be had.
        """

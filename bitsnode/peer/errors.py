"""What can go wrong between this node and another one: one class per failure."""

from bitsnode.errors import BitsError, RemoteProtocolError
from onion.address import OnionAddress


class PeerError(BitsError):
    """Another node could not be asked."""


class Unreachable(PeerError):
    """The other node could not be reached.

    Attributes:
        address: of that node; it is not in the text, which may be logged.
    """

    def __init__(self, address: OnionAddress, reason: object = "") -> None:
        super().__init__(f"The other node could not be reached: {reason}" if reason else "")
        self.address = address


class RequestTimedOut(PeerError):
    """The other node did not answer a request in time."""


class ConnectionLost(PeerError):
    """The connection to the other node was lost before it answered."""


class ClientStopped(PeerError):
    """This node is shutting down and asks nothing any more."""


class ProtocolBroken(PeerError, RemoteProtocolError):
    """The other node broke the peer protocol, so its connection was closed."""


class WrongCard(ProtocolBroken):
    """The node that answered did not show the card of the onion address that was dialled."""


class TooSlow(PeerError):
    """The other node sent or took bytes too slowly, so its connection was closed."""

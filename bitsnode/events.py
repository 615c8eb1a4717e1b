"""What a node says of itself, as frozen events for whoever shows them."""

import attrs

from onion.address import OnionAddress
from onion.events import OnionEvent


@attrs.frozen
class NodeIdentified:
    """The node's keys were read or made.

    Attributes:
        peer_onion: where it will be reached.
    """

    peer_onion: OnionAddress


@attrs.frozen
class PuzzleBegun:
    """The admission puzzle is being solved; until then the node is a client only.

    Attributes:
        bits: its difficulty.
    """

    bits: int


@attrs.frozen
class PeersUnknown:
    """There is neither a bootstrap address nor a saved table."""


@attrs.frozen
class PeersKnown:
    """The number of nodes that this node knows and has reached has changed.

    Attributes:
        count: how many there are now.
    """

    count: int


@attrs.frozen
class NodeReachable:
    """A connection through the network came back to this node.

    Attributes:
        peer_onion: where it is reached.
    """

    peer_onion: OnionAddress


@attrs.frozen
class ShopIdentified:
    """This node has a shop.

    Attributes:
        shop_onion: where it will be reached.
    """

    shop_onion: OnionAddress


@attrs.frozen
class ShopOpening:
    """The shop's own tor joins its network.

    Attributes:
        percent: 0-100, tor's own count.
        summary: what it is doing, in tor's words.
    """

    percent: int
    summary: str


@attrs.frozen
class ShopReachable:
    """A connection through the network came back to the shop.

    Attributes:
        shop_onion: where it is reached.
    """

    shop_onion: OnionAddress


@attrs.frozen
class ShopLost:
    """The shop cannot be reached, or could not be opened; it is tried again.

    Attributes:
        reason: one sentence, or words of tor.
    """

    reason: str


ShopEvent = ShopIdentified | ShopOpening | ShopReachable | ShopLost
NodeEvent = (
    OnionEvent
    | NodeIdentified
    | PuzzleBegun
    | PeersUnknown
    | PeersKnown
    | NodeReachable
    | ShopEvent
)


@attrs.frozen
class ChainServed:
    """A chain of one's own answers to tools of this machine.

    Attributes:
        socket: the unix socket.
        chain_id: as in EIP-155.
        height: number of the last block.
    """

    socket: str
    chain_id: int
    height: int


@attrs.frozen
class ChainDeployed:
    """The contracts are on that chain.

    Attributes:
        deployment: the file that says where.
        contracts: how many.
    """

    deployment: str
    contracts: int


@attrs.frozen
class ChainReachable:
    """That chain is reached as an onion service.

    Attributes:
        rpc: its URL.
    """

    rpc: str


ChainEvent = OnionEvent | ChainServed | ChainDeployed | ChainReachable

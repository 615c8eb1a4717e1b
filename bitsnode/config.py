"""The networks that a node can join, and the numbers that differ between them."""

from typing import Final

import attrs

from bitsnode.errors import BitsError

PEER_PORT: Final = 7  # virtual port of the peer protocol on an onion service


class UnknownNetwork(BitsError):
    """There is no such network: use --network public or --network local."""


@attrs.frozen
class Network:
    """A network and what it asks of its nodes.

    Attributes:
        name: in every card and hello, so that two networks cannot mix.
        card_bits: difficulty of the admission puzzle (about 2**bits hashes).
        record_bits: difficulty of a DHT record's puzzle.
        share_bits: difficulty per MiB of a share that nobody pays for.
        connect_seconds: how long one attempt to reach an onion may take.
    """

    name: str
    card_bits: int
    record_bits: int
    share_bits: int
    connect_seconds: float


PUBLIC: Final = Network("public", 26, 16, 18, 60.0)
LOCAL: Final = Network("local", 8, 4, 4, 10.0)


def network(name: str) -> Network:
    """Return the network of that name.

    Raises:
        UnknownNetwork: neither "public" nor "local".
    """
    for found in (PUBLIC, LOCAL):
        if found.name == name:
            return found
    raise UnknownNetwork

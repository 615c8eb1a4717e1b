"""What this room needs of the peer client and of the DHT."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from bitsnode.dht import questions
from bitsnode.dht.responder import Beside
from bitsnode.dht.routing import Contact
from bitsnode.dht.status import DhtStatus
from bitsnode.wire.card import SignedCard
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.isolation import Isolation

PURPOSE: Final = "warm"  # of the isolations of ask links: dialling them is a duty, and can wait


class Peers(questions.Peers, Protocol):
    """What the DHT needs of the peer client, and a look at its connections."""

    def is_open(self, address: OnionAddress, isolation: Isolation) -> bool:
        """Return whether a question would go out at once, over a connection that is open."""


class Dht(Protocol):
    """The DHT; see `bitsnode.dht.service.DhtService`."""

    def attach(self, beside: Beside) -> None:
        """Let somebody hear of records that are put, and answer beside the DHT's own table."""

    def contacts(self) -> list[Contact]:
        """Return the contacts."""

    def status(self) -> DhtStatus:
        """Return where the node stands."""

    def kept_records(self, key: bytes) -> list[SignedRecord]:
        """Return what the node's own table has of a key."""

    def found_here(self, key: bytes) -> tuple[bytes, ...]:
        """Return the signed records that this node would answer about a key."""

    def all_records(self) -> Sequence[SignedRecord]:
        """Return all that the node's own table has."""

    async def find_node(self, target: bytes, isolation: Isolation) -> list[SignedCard]:
        """Return the nodes nearest to a point that answered."""

    async def get_records(self, key: bytes, isolation: Isolation) -> list[SignedRecord]:
        """Walk to a key and return its records."""


OwnCard = Callable[[], SignedCard | None]

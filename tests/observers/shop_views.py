"""What observers of a shop hold: pages, public keys, traffic, chain and logs. Pure."""

from functools import cached_property

import attrs

from tests.observers.tokens import tokens_of
from tests.observers.views import View


@attrs.frozen(eq=False)
class Answer:
    """What came back from the shop's onion, to the byte.

    Attributes:
        path: that was asked for.
        head: status line and headers.
        body: all of it.
        order: address of the invoice whose order the page is of, 20 bytes; b"" for what anybody
            sees.
    """

    path: str
    head: bytes
    body: bytes
    order: bytes = b""

    @cached_property
    def tokens(self) -> frozenset[bytes]:
        """What of it could tell one thing from another, as text shows it; pages are no records."""
        return tokens_of(self.path, self.head.decode("latin-1"), self.body.decode("latin-1"))


@attrs.frozen
class Traffic:
    """What somebody counts who sits where a tor enters the network: bytes and circuits, no names.

    Attributes:
        seconds: bytes both ways, by Unix second; all seconds in which it was watched.
        circuits: when each was begun, Unix seconds.
        up: when the onion began to answer after it did not, Unix seconds.
    """

    seconds: dict[int, int] = attrs.field(factory=dict)
    circuits: tuple[float, ...] = ()
    up: tuple[float, ...] = ()


@attrs.frozen
class Peer:
    """A node, as everybody can see it: one of them runs the shop.

    Attributes:
        name: for people.
        marks: bytes that are its own: onion key, card's keys, key-sealing key, relay's account.
        words: text that would show it: names of its machine, user, folders, process.
        stores: whether it offers storage.
        traffic: at its way into the network.
    """

    name: str
    marks: tuple[bytes, ...]
    words: tuple[str, ...] = ()
    stores: bool = True
    traffic: Traffic = Traffic()


@attrs.frozen
class ShopView:
    """All that an observer of a shop holds.

    Attributes:
        world: chain, catalogue, RPC server's log, rows and lines of other nodes.
        onion: key of the shop's onion service, 32 bytes.
        peers: all nodes that could be the shop's.
        answers: of the shop.
        holders: names of the nodes that hold something of each item, item by item.
        ordered: when the observer pressed "buy", Unix seconds.
        traffic: at the shop's way into the network.
        own: marks of the shop that all may know: meta-address for tips, publishers' keys.
    """

    world: View
    onion: bytes
    peers: tuple[Peer, ...]
    answers: tuple[Answer, ...] = ()
    holders: tuple[frozenset[str], ...] = ()
    ordered: tuple[float, ...] = ()
    traffic: Traffic = Traffic()
    own: tuple[bytes, ...] = ()

    def only(
        self, *, traffic: bool = False, questions: bool = False, entries: bool = False
    ) -> "ShopView":
        """The part that one observer holds: pages, public keys and the chain are everybody's."""
        peers = self.peers
        if not traffic:
            peers = tuple(attrs.evolve(peer, traffic=Traffic()) for peer in peers)
        world = self.world.only(lambda _entry: entries, questions=questions)
        own = self.traffic if traffic else Traffic()
        return attrs.evolve(self, world=world, peers=peers, traffic=own)

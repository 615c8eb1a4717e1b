"""A shop that a test makes up: pages, nodes, invoices that are paid and swept. Honest at first."""

import secrets
from typing import Any, Final

import attrs

from bitsnode.ledger.invoice import SWEPT, InvoiceFields, sweep_data
from tests.observers.facts import word
from tests.observers.made_up import CONTRACTS, FAUCET, PRICE, START, World
from tests.observers.shop_views import Answer, Peer, ShopView, Traffic
from tests.observers.views import Log, Transaction

FEE: Final = 10**15  # wei
FACTORY: Final = secrets.token_bytes(20)
RELAYS: Final = tuple(secrets.token_bytes(20) for _ in range(8))
HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Content-Length: 4096\r\nX-Frame-Options: DENY"
)


class ShopWorld:
    """A chain, four nodes, and a shop that is one of theirs.

    Attributes:
        world: the chain, what is noted beside it, and the RPC server's log.
        onion: of the shop.
        peers: the nodes.
        answers: of the shop.
        invoices: that were made up, by address.
        holders: of the shop's items.
    """

    def __init__(self) -> None:
        self.world = World()
        self.onion = secrets.token_bytes(32)
        self.peers = [
            Peer(f"node {n}", tuple(secrets.token_bytes(32) for _ in range(3)), (f"/home/n{n}",))
            for n in range(4)
        ]
        self.answers = [
            Answer("/", HEAD, b"<h1>Studio</h1>"),
            Answer("/nothing", HEAD, b"<h1>There is no such page</h1>"),
        ]
        self.invoices: list[bytes] = []
        self.holders: list[frozenset[str]] = []
        self.ordered: list[float] = []
        self.traffic = Traffic()

    def view(self) -> ShopView:
        """All of it."""
        whole = self.world.view()
        contracts = CONTRACTS | {"InvoiceFactory": FACTORY}
        world = attrs.evolve(whole, contracts=contracts, nodes=frozenset(RELAYS))
        return ShopView(
            world,
            self.onion,
            tuple(self.peers),
            tuple(self.answers),
            tuple(self.holders),
            tuple(self.ordered),
            self.traffic,
        )

    def change(self, number: int, **changes: Any) -> None:
        """One node is otherwise."""
        self.peers[number] = attrs.evolve(self.peers[number], **changes)

    def sweep(
        self,
        paid: float,
        swept: float,
        *,
        relay: bytes | None = None,
        gross: int = PRICE,
        **changes: Any,
    ) -> Transaction:
        """An invoice is paid and then swept, so many seconds after the start."""
        fields = InvoiceFields(
            secrets.token_bytes(20),
            b"\x02" + secrets.token_bytes(32),
            secrets.randbelow(256),
            FEE,
            secrets.token_bytes(32),
        )
        fields = attrs.evolve(fields, **changes)
        place = secrets.token_bytes(20)
        self.invoices.append(place)
        self.world.transfer(FAUCET, place, gross, paid)
        data = b"".join(map(word, (gross, FEE, 0, 0)))
        log = Log(FACTORY, (SWEPT, bytes(12) + place, bytes(12) + fields.payee), data)
        sender = relay or RELAYS[len(self.invoices) % len(RELAYS)]
        return self.world.call(sender, FACTORY, sweep_data(fields), log, swept)

    def look(self, number: int, circuit: str, *moments: float) -> None:
        """The RPC server is asked what an invoice has, again and again."""
        for at in moments:
            place = "0x" + self.invoices[number].hex()
            self.world.ask(circuit, at, "eth_getBalance", place, "latest")

    def page(self, number: int, body: bytes) -> None:
        """A payer sees a page of an order."""
        self.answers.append(Answer("/order/x", HEAD, body, self.invoices[number]))


def three_invoices() -> ShopWorld:
    """A shop with three invoices that were paid and swept, each as it should be."""
    made = ShopWorld()
    for paid, swept in ((100.0, 420.0), (130.0, 1900.0), (500.0, 2600.0)):
        made.sweep(paid, swept)
    return made


def busy(*moments: float, base: int = 500, burst: int = 60_000) -> Traffic:
    """Traffic over ten minutes, with a burst and a circuit at each of these moments."""
    first = int(START)
    seconds = {first + n: base + secrets.randbelow(base) for n in range(600)}
    for moment in moments:
        seconds[first + int(moment)] += burst
    return Traffic(seconds, tuple(START + moment for moment in moments))

"""The analyst of shops, and the table of what observers of a shop find. Pure."""

from collections.abc import Iterable

import attrs

from tests.observers.invoice_joins import join_invoices
from tests.observers.shop_links import ShopKind, ShopLink
from tests.observers.shop_surface import join_surface
from tests.observers.shop_traffic import join_traffic
from tests.observers.shop_views import ShopView

NOTHING = {
    ShopKind.NODE: "no",
    ShopKind.TOGETHER: "no",
    ShopKind.CONTENT: "price",
    ShopKind.SHOP: "price",
}
"""What is left when nothing is found: anybody can read what costs that much, and where."""
BEGIN, END = "<!-- observers of shops: begin -->\n", "<!-- observers of shops: end -->"


@attrs.frozen
class ShopObserver:
    """Somebody who looks at a shop.

    Attributes:
        name: for people.
        traffic: whether they count bytes and circuits where nodes and shop enter the network.
        questions: whether they have the log of the RPC server that the shop's node asks.
        entries: whether they have all files of the other nodes, relays among them.
    """

    name: str
    traffic: bool = False
    questions: bool = False
    entries: bool = False

    def view(self, whole: ShopView) -> ShopView:
        """What they hold."""
        return whole.only(traffic=self.traffic, questions=self.questions, entries=self.entries)


OBSERVERS = (
    ShopObserver("a visitor who reads the chain"),
    ShopObserver("who counts the traffic of the shop and of all nodes", traffic=True),
    ShopObserver("the RPC server", questions=True),
    ShopObserver("the relays and all other nodes", entries=True),
    ShopObserver("all of these together", traffic=True, questions=True, entries=True),
)


def analyse_shop(view: ShopView) -> tuple[ShopLink, ...]:
    """Find every link that a view of a shop gives away."""
    found = (*join_surface(view), *join_traffic(view), *join_invoices(view))
    return tuple(dict.fromkeys(found))


def about(
    links: Iterable[ShopLink], shop: bytes, invoices: Iterable[bytes]
) -> tuple[ShopLink, ...]:
    """The links of a shop and its invoices; a chain has other invoices, too."""
    own = {shop, *invoices}
    return tuple(link for link in links if link.left in own or link.right in own)


def shop_table(whole: ShopView, invoices: Iterable[bytes]) -> str:
    """What each observer finds, as Markdown."""
    own = tuple(invoices)
    lines = [
        f"| Observer | {' | '.join(kind.value for kind in ShopKind)} |",
        "|---" * (len(ShopKind) + 1) + "|",
    ]
    for observer in OBSERVERS:
        found = {link.kind for link in about(analyse_shop(observer.view(whole)), whole.onion, own)}
        words = ["**yes**" if kind in found else NOTHING[kind] for kind in ShopKind]
        lines.append(f"| {observer.name} | {' | '.join(words)} |")
    return "\n".join(lines) + "\n"

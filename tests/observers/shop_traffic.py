"""Joins over traffic at the ways into the network: rhythm, answers to a visitor, restarts. Pure."""

from collections.abc import Iterator
from statistics import correlation, mean, pstdev
from typing import Final

from tests.observers.shop_links import ShopKind, ShopLink
from tests.observers.shop_views import Peer, ShopView, Traffic

ENOUGH: Final = 30  # seconds that both were watched
ALIKE: Final = 0.6  # of a correlation
AHEAD: Final = 0.25  # by which it must lead that of all others
SMOOTH: Final = 3  # seconds over which bytes are summed up
WINDOWS: Final = (2.0, 5.0, 10.0)  # seconds after a visitor's click in which a node may stir
CHANCE: Final = 0.01  # what is likelier than this is taken for chance
RESTART: Final = 30.0  # seconds between two onions that come back at the same time


def join_traffic(view: ShopView) -> Iterator[ShopLink]:
    """Yield nodes whose traffic goes with the shop's, or with what a visitor does there."""
    yield from _alike(view)
    yield from _stirred(view)
    yield from _restarted(view)


def _alike(view: ShopView) -> Iterator[ShopLink]:
    """The one node that is busy when the shop is busy."""
    found = sorted(
        (likeness(view.traffic, peer.traffic), peer.name)
        for peer in view.peers
        if peer.traffic.seconds
    )
    if not found or found[-1][0] < ALIKE:
        return
    first, name = found[-1]
    second = found[-2][0] if len(found) > 1 else 0.0
    if first - second >= AHEAD:
        why = f"busy at the same seconds: {first:.2f}, the next {second:.2f}"
        yield ShopLink(ShopKind.NODE, view.onion, name, why)


def likeness(one: Traffic, other: Traffic) -> float:
    """Correlation of what two send and receive, second by second; 0 if too little was seen."""
    both = sorted(set(one.seconds) & set(other.seconds))
    if len(both) < ENOUGH:
        return 0.0
    rows = [[float(each.seconds[second]) for second in both] for each in (one, other)]
    smooth = [[sum(row[at : at + SMOOTH]) for at in range(len(row))] for row in rows]
    if not all(pstdev(row) for row in smooth):
        return 0.0
    return correlation(*smooth)


def _stirred(view: ShopView) -> Iterator[ShopLink]:
    """Somebody orders at moments of their own choice; one node begins circuits after each."""
    for peer in view.peers:
        for window in WINDOWS:
            chance = stirred_by(peer, view.ordered, window)
            others = [stirred_by(e, view.ordered, window) for e in view.peers if e is not peer]
            if chance < CHANCE and all(chance < CHANCE * other for other in others):
                why = f"it begins circuits within {window:g} seconds after each order"
                yield ShopLink(ShopKind.NODE, view.onion, peer.name, why)
                break


def stirred_by(peer: Peer, ordered: tuple[float, ...], window: float) -> float:
    """The probability that a node stirs by chance after each of these moments; 1 if it does not."""
    watched, circuits = peer.traffic.seconds, peer.traffic.circuits
    if len(watched) < ENOUGH or not ordered:
        return 1.0
    if not all(any(at <= each < at + window for each in circuits) for at in ordered):
        return 1.0
    busy = [any(at <= each < at + window for each in circuits) for at in watched]
    return float(mean(busy)) ** len(ordered)


def _restarted(view: ShopView) -> Iterator[ShopLink]:
    """The one node that came back each time when the shop came back."""
    moments = view.traffic.up
    if not moments:
        return
    found = [
        peer.name
        for peer in view.peers
        if all(any(abs(at - each) <= RESTART for each in peer.traffic.up) for at in moments)
    ]
    if len(found) == 1:
        yield ShopLink(ShopKind.NODE, view.onion, found[0], "they come back together")

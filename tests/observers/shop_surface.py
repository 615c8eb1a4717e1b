"""Joins over what a shop shows: keys, words, software, hours, who holds its items. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from tests.observers.canaries import forms
from tests.observers.shop_links import ShopKind, ShopLink
from tests.observers.shop_views import Answer, Peer, ShopView
from tests.observers.tokens import LEAST, token

DAY: Final = 86_400  # seconds; what is a multiple of it tells no hour
LEAST_WORD: Final = 6  # letters; shorter ones stand anywhere, in random ids too
RECENT: Final = (1_700_000_000, 1_700_000_000 + 40 * 365 * DAY)  # Unix seconds taken for times
TELLING: Final = frozenset(
    {"date", "server", "last-modified", "x-powered-by", "via", "age", "expires", "alt-svc"}
)
PLAIN: Final = frozenset(
    {
        *("cache-control", "content-type", "content-length", "connection", "transfer-encoding"),
        *("accept-ranges", "content-range", "content-disposition", "etag", "location", "allow"),
        *("set-cookie", "retry-after", "content-security-policy", "referrer-policy"),
        *("x-content-type-options", "x-frame-options", "permissions-policy"),
        *("cross-origin-opener-policy", "cross-origin-embedder-policy"),
        *("cross-origin-resource-policy",),
    }
)
"""Headers that many sites have; one beyond them is a peculiarity."""
_DIGITS: Final = re.compile(rb"(?<![\w.])\d{10}(?:\d{3})?(?!\w)")
_ISO: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?")
_RFC: Final = re.compile(rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


def join_surface(view: ShopView) -> Iterator[ShopLink]:
    """Yield what pages, public keys and the network's records tell of the node behind the shop."""
    yield from _keys(view)
    for answer in view.answers:
        for peer in view.peers:
            yield from _named(view, answer, peer)
    yield from _absent(view)


def peculiarities(answers: tuple[Answer, ...]) -> frozenset[str]:
    """What of answers would tell software, machine or hour to anybody, whatever it is compared to.

    Such a thing need not point at a node; but as soon as a node shows the like, it does.
    """
    found = set()
    for answer in answers:
        for line in answer.head.split(b"\r\n")[1:]:
            name = line.partition(b":")[0].decode("latin-1").lower()
            if name in TELLING or (name and name not in PLAIN):
                found.add(f"{answer.path}: header {name}")
        hours = [moment for moment in moments_in(answer) if moment % DAY]
        found |= {f"{answer.path}: the time {moment}" for moment in hours}
    return frozenset(found)


def moments_in(answer: Answer) -> set[int]:
    """Unix times that an answer shows, in digits, as ISO 8601 or as HTTP does."""
    text = answer.head + b"\r\n" + answer.body
    found = {int(each[:10]) for each in _DIGITS.findall(text)}
    for each in _ISO.findall(text):
        moment = datetime.fromisoformat(each.decode())
        found.add(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    found |= {int(parsedate_to_datetime(e.decode()).timestamp()) for e in _RFC.findall(text)}
    return {moment for moment in found if RECENT[0] < moment < RECENT[1]}


def _keys(view: ShopView) -> Iterator[ShopLink]:
    """The shop's public keys and a node's: the same one, or one made from the other's bytes."""
    for mark in {view.onion, *view.own}:
        for peer in view.peers:
            if any(_alike(mark, other) for other in peer.marks):
                yield ShopLink(ShopKind.NODE, view.onion, peer.name, "one key for both")


def _alike(one: bytes, other: bytes) -> bool:
    """Whether so many bytes stand in both that chance does not do it."""
    return any(one[at : at + LEAST] in other for at in range(len(one) - LEAST + 1))


def _named(view: ShopView, answer: Answer, peer: Peer) -> Iterator[ShopLink]:
    """An answer has a mark of a node in any dress, or a word that is its own."""
    text = answer.head + b"\r\n" + answer.body
    lower = text.lower()
    for mark in peer.marks:
        if len(mark) < LEAST:
            continue
        if token(mark) in answer.tokens or any(shape in text for shape in forms(mark)):
            why = f"{answer.path} shows a mark of the node"
            yield ShopLink(ShopKind.NODE, view.onion, peer.name, why)
    for word in peer.words:
        if len(word) >= LEAST_WORD and word.lower().encode() in lower:
            why = f"{answer.path} says {word!r}"
            yield ShopLink(ShopKind.NODE, view.onion, peer.name, why)


def _absent(view: ShopView) -> Iterator[ShopLink]:
    """Nobody holds what they publish: who never holds any item, while all others hold some.

    It takes more items than chance would leave a node out of; one in a hundred is not believed.
    """
    storing = {peer.name for peer in view.peers if peer.stores}
    held = Counter(name for holders in view.holders for name in holders & storing)
    missing = storing - set(held)
    if len(missing) != 1 or len(storing) < 2:
        return
    chance = 1.0
    for holders in view.holders:
        chance *= 1 - len(holders & storing) / len(storing)
    if chance < 0.01:
        (name,) = missing
        yield ShopLink(ShopKind.NODE, view.onion, name, "it holds none of the shop's items")


def shared_between(answers: tuple[Answer, ...]) -> dict[bytes, set[bytes]]:
    """What pages of several orders show and nothing else of the shop does: token, by orders."""
    common = {each for answer in answers if not answer.order for each in answer.tokens}
    where: dict[bytes, set[bytes]] = defaultdict(set)
    for answer in answers:
        if answer.order:
            for each in answer.tokens - common:
                where[each].add(answer.order)
    return {each: orders for each, orders in where.items() if len(orders) > 1}

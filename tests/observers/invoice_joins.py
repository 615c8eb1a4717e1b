"""Joins over invoices: what ties one to another, to a content or to a shop. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, groupby, pairwise
from math import comb
from statistics import mean, pstdev
from typing import Final

from bitsnode.market.relay import is_tier
from tests.observers.facts import read_facts
from tests.observers.identifiers import Place, named_in, places_of
from tests.observers.shop_links import ShopKind, ShopLink
from tests.observers.shop_surface import shared_between
from tests.observers.shop_views import ShopView
from tests.observers.sweeps import Sweep, read_sweeps
from tests.observers.tokens import token

DEPTH: Final = 3  # places on the way
CHANCE: Final = 0.01
TOGETHER: Final = 1.0  # seconds between sweeps that are one act
NEAR_SALTS: Final = 1 << 64  # salts nearer to each other than this were counted, not drawn
STEADY: Final = 0.1  # of the mean: pauses that vary less were not drawn by lot
PAUSES: Final = 4  # that show it
BREATH: Final = 1.0  # seconds between questions of one round
LOOKS: Final = 8  # at an invoice, that show a rhythm
SHIFTS: Final = tuple(sign * (3.0 + 1.7 * n) for n in range(10) for sign in (-1, 1))  # seconds
SURE: Final = 1e-5  # of a rhythm; pairs are many

Pair = tuple[bytes, bytes]


def join_invoices(view: ShopView) -> Iterator[ShopLink]:
    """Yield every link of an invoice."""
    sweeps = read_sweeps(view.world)
    yield from _fields(sweeps)
    yield from _acts(sweeps)
    yield from _sums(sweeps)
    yield from _pages(view)
    yield from _asked(view, sweeps)
    yield from _identifiers(view, sweeps)


def _pair(one: bytes, other: bytes, evidence: str) -> ShopLink:
    left, right = sorted((one, other))
    return ShopLink(ShopKind.TOGETHER, left, right, evidence)


# What a sweep shows


def _fields(sweeps: Sequence[Sweep]) -> Iterator[ShopLink]:
    """Keys that come again, salts that were counted, fees that are nobody else's."""
    for one, other in combinations(sweeps, 2):
        if one.invoice == other.invoice:
            continue
        mine, theirs = one.fields, other.fields
        if mine.payee == theirs.payee:
            yield _pair(one.invoice, other.invoice, "the same payee")
        if mine.ephemeral_public_key[1:] == theirs.ephemeral_public_key[1:]:
            yield _pair(one.invoice, other.invoice, "the same ephemeral key")
        salts = [int.from_bytes(each.salt, "big") for each in (mine, theirs)]
        if abs(salts[0] - salts[1]) < NEAR_SALTS:
            yield _pair(one.invoice, other.invoice, "salts that were counted")
        if mine.fee == theirs.fee and not is_tier(mine.fee):
            yield _pair(one.invoice, other.invoice, "the same odd fee")


def _acts(sweeps: Sequence[Sweep]) -> Iterator[ShopLink]:
    """Sweeps in one act, by one relay again and again, after pauses that are always the same."""
    for one, other in pairwise(sweeps):
        gap = other.transaction.time - one.transaction.time
        same = one.transaction.block == other.transaction.block
        if one.invoice != other.invoice and (same or gap < TOGETHER):
            yield _pair(one.invoice, other.invoice, "swept in one act")
    relays = {sweep.transaction.sender for sweep in sweeps}
    for _relay, run in groupby(sweeps, lambda sweep: sweep.transaction.sender):
        listed = list(run)
        if len(relays) > 1 and len(relays) ** -(len(listed) - 1) < CHANCE:
            yield from _all_of(listed, "one relay again and again")
    gaps = [b.transaction.time - a.transaction.time for a, b in pairwise(sweeps)]
    if _is_steady(gaps):
        yield from _all_of(sweeps, "swept at even pauses")
    delays = [sweep.transaction.time - sweep.paid[-1].time for sweep in sweeps if sweep.paid]
    if _is_steady(delays):
        yield from _all_of(sweeps, "swept always as long after the payment")


def _all_of(sweeps: Sequence[Sweep], evidence: str) -> Iterator[ShopLink]:
    for one, other in pairwise(sweeps):
        if one.invoice != other.invoice:
            yield _pair(one.invoice, other.invoice, evidence)


def _is_steady(pauses: Sequence[float]) -> bool:
    return len(pauses) >= PAUSES and pstdev(pauses) < STEADY * mean(pauses)


def _sums(sweeps: Sequence[Sweep]) -> Iterator[ShopLink]:
    """The same odd sum, which no other price is."""
    for one, other in combinations(sweeps, 2):
        if one.gross == other.gross and not is_tier(one.gross) and one.invoice != other.invoice:
            yield _pair(one.invoice, other.invoice, "the same odd sum")


# What pages show


def _pages(view: ShopView) -> Iterator[ShopLink]:
    for orders in shared_between(view.answers).values():
        for one, other in combinations(sorted(orders), 2):
            yield _pair(one, other, "pages of both orders show the same, and no other page")


# What the RPC server is asked


def _asked(view: ShopView, sweeps: Sequence[Sweep]) -> Iterator[ShopLink]:
    """One circuit that asks for two, and two that are always asked about in one round."""
    names = {token(sweep.invoice): sweep.invoice for sweep in sweeps}
    by_circuit: dict[str, set[bytes]] = defaultdict(set)
    times: dict[bytes, list[float]] = defaultdict(list)
    for question in view.world.questions:
        for mark in named_in(question) & set(names):
            by_circuit[question.circuit].add(names[mark])
            times[names[mark]].append(question.time)
    for circuit, invoices in by_circuit.items():
        for one, other in combinations(sorted(invoices), 2):
            yield _pair(one, other, f"circuit {circuit} asks for both")
    for one, other in combinations(sorted(times), 2):
        if in_step(times[one], times[other]):
            yield _pair(one, other, "asked about in the same rounds")


def in_step(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two are looked at together more often than chance would have it.

    Looks become rarer with age, so chance is what is met when one of them is moved a little.
    """
    mine, theirs = looks(one), looks(other)
    if min(len(mine), len(theirs)) < LOOKS:
        return False
    by_chance = mean(_met(mine, theirs, shift) for shift in SHIFTS) / len(mine)
    covered = min(0.99, by_chance + 1 / len(mine) / len(SHIFTS))
    met = _met(mine, theirs, 0.0)
    tail = sum(
        comb(len(mine), k) * covered**k * (1 - covered) ** (len(mine) - k)
        for k in range(met, len(mine) + 1)
    )
    return tail < SURE


def _met(mine: Sequence[float], theirs: Sequence[float], shift: float) -> int:
    return sum(any(abs(a + shift - b) <= BREATH for b in theirs) for a in mine)


def looks(times: Sequence[float]) -> list[float]:
    """The moments at which somebody looked: questions in one breath are one look."""
    ordered = sorted(times)
    return ordered[:1] + [b for a, b in pairwise(ordered) if b - a > BREATH]


# What stands together


def _identifiers(view: ShopView, sweeps: Sequence[Sweep]) -> Iterator[ShopLink]:
    """From an invoice's own marks over places that show one of them, to what they lead to."""
    world = view.world
    places = places_of(world)
    for answer in view.answers:
        if not answer.order:  # what a payer sees of their own order is theirs
            whose = frozenset({token(view.onion)})
            places.append(Place(f"the shop's {answer.path}", answer.tokens | whose))
    where: dict[bytes, list[Place]] = defaultdict(list)
    for place in places:
        for each in place.tokens:
            where[each].append(place)
    ends: dict[bytes, tuple[ShopKind, bytes]] = {}
    for work in world.works:
        for mark in (work.content, *work.marks):
            ends[token(mark)] = (ShopKind.CONTENT, work.content)
        for mark in work.creator_marks:
            ends[token(mark)] = (ShopKind.SHOP, view.onion)
    for mark in (view.onion, *view.own):
        ends[token(mark)] = (ShopKind.SHOP, view.onion)
    for sweep in sweeps:
        for mark in sweep.marks:
            ends[token(mark)] = (ShopKind.TOGETHER, sweep.invoice)
    closed = _closed(view, sweeps, where)
    for sweep in sweeps:
        yield from _search(sweep, where, ends, closed)


def _closed(view: ShopView, sweeps: Sequence[Sweep], tokens: Iterable[bytes]) -> set[bytes]:
    """What every sweep of anybody shows, or what is a payer's own affair."""
    world = view.world
    public = (*world.contracts.values(), *world.nodes, *(m for p in view.peers for m in p.marks))
    closed = {token(each) for each in (*public, *read_facts(world).roots)}
    closed |= {bytes([tag]) + bytes(31) for tag in range(256)}  # one view tag of 256 is no name
    closed |= {log.topics[0] for each in world.transactions for log in each.logs if log.topics}
    closed |= {token(sweep.transaction.sender) for sweep in sweeps}
    closed |= {token(each.sender) for sweep in sweeps for each in sweep.paid}
    contracts = world.contracts.values()  # within the head of a call to one of them
    return closed | {each for each in tokens if any(one in each for one in contracts)}


def _search(
    sweep: Sweep,
    where: dict[bytes, list[Place]],
    ends: dict[bytes, tuple[ShopKind, bytes]],
    closed: set[bytes],
) -> Iterator[ShopLink]:
    front = {token(mark): "" for mark in sweep.marks}
    seen, passed = set(front), set[int]()
    for _ in range(DEPTH):
        further: dict[bytes, str] = {}
        for each, way in front.items():
            for place in where[each]:
                if id(place) in passed:
                    continue
                passed.add(id(place))
                path = f"{way}; {place.name}" if way else place.name
                for met in place.tokens & set(ends):
                    kind, right = ends[met]
                    if (kind, right) == (ShopKind.TOGETHER, sweep.invoice):
                        continue
                    if kind is ShopKind.TOGETHER:
                        yield _pair(sweep.invoice, right, f"same identifier: {path}")
                    else:
                        yield ShopLink(kind, sweep.invoice, right, f"same identifier: {path}")
                further |= dict.fromkeys(place.tokens - seen - closed - set(ends), path)
        seen |= set(further)
        front = further

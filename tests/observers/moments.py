"""Joins over times, sizes and sums that are more exact than they should be. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.observers.facts import Facts, Payment
from tests.observers.links import Hint, Kind
from tests.observers.tokens import token
from tests.observers.views import View

NEAR = (-20.0, 15.0)  # seconds around a payment in which its content is looked up and fetched
SMALLEST = 10_000  # bytes; smaller numbers are all over the place
_NUMBER = re.compile(r"\b\d{5,12}\b")
GAS = 0.05  # of a sum, that somebody adds for fees


def join_moments(view: View, payments: Iterable[Payment]) -> Iterator[Hint]:
    """Yield contents about which somebody's state notes the very moment of a payment.

    If that holds for all contents, it tells nothing.
    """
    of = {token(mark): work.content for work in view.works for mark in (work.content, *work.marks)}
    noted: dict[bytes, list[tuple[float, str]]] = defaultdict(list)
    for entry in view.entries:
        if entry.time is None:
            continue
        for each in entry.tokens & set(of):
            noted[of[each]].append((entry.time, f"{entry.node}: {entry.source}"))
    for payment in payments:
        at = payment.transaction.time
        near = {
            content: source
            for content, times in noted.items()
            for time, source in times
            if at + NEAR[0] <= time <= at + NEAR[1]
        }
        if near and len(near) < len({work.content for work in view.works}):
            why = f"the same moment: {', '.join(sorted(set(near.values())))}"
            yield Hint(Kind.CONTENT, payment.transaction.hash, frozenset(near), why)


def join_sizes(view: View, payments: Iterable[Payment]) -> Iterator[Hint]:
    """Yield contents whose very size stands beside a payment."""
    listed = list(payments)
    sizes: dict[int, set[bytes]] = defaultdict(set)
    for work in view.works:
        if work.size >= SMALLEST:
            sizes[work.size].add(work.content)
    for entry in view.entries:
        numbers = {value for value in entry.values if isinstance(value, int)}
        for value in entry.values:
            if isinstance(value, str):
                numbers |= {int(digits) for digits in _NUMBER.findall(value)}
        for payment in listed:
            if not entry.tokens & set(map(token, payment.marks)):
                continue
            for number in numbers & set(sizes):
                why = f"the same size: {entry.node}: {entry.source}"
                found = frozenset(sizes[number])
                yield Hint(Kind.CONTENT, payment.transaction.hash, found, why)


def join_sums(facts: Facts, payments: Iterable[Payment]) -> Iterator[Hint]:
    """Yield accounts that were given just the sum of a payment, and its gas, before it."""
    for payment in payments:
        if payment.group is None:
            continue
        crowd = facts.crowd(payment)
        exact = {
            transfer.payee
            for transfer in facts.transfers
            if transfer.payee in crowd
            and transfer.transaction.block < payment.transaction.block
            and payment.gross <= transfer.gross <= payment.gross * (1 + GAS)
        }
        if exact and exact < crowd:
            why = "the account was given exactly this sum"
            yield Hint(Kind.DEPOSIT, payment.transaction.hash, frozenset(exact), why)

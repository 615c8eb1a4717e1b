"""Joins over the RPC server's log: circuits, where they go on, and when they speak. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise
from statistics import median

from tests.observers.facts import Facts, Payment
from tests.observers.identifiers import named_in
from tests.observers.links import Hint, Kind
from tests.observers.tokens import token
from tests.observers.views import Question, View

AROUND_DEPOSIT = (-5.0, 5.0)  # seconds in which somebody who buys a voucher asks something
AROUND_PAYMENT = (-15.0, 8.0)  # likewise who spends one; a proof takes seconds
BREATH = 1.0  # seconds between questions that are asked in one breath
ROUND = 0.5  # seconds between questions of one round
ENOUGH = 8  # rounds that show a habit
HABIT = 0.9  # of the pauses are as usual

Groups = dict[str, frozenset[str]]
"""Of each circuit, those that belong to the same node; itself among them."""


def join_circuits(view: View, facts: Facts, payments: Iterable[Payment]) -> Iterator[Hint]:
    """Yield what the RPC server's log tells of payments."""
    by_circuit: dict[str, list[Question]] = defaultdict(list)
    for question in sorted(view.questions, key=lambda question: question.time):
        by_circuit[question.circuit].append(question)
    groups = same_nodes(by_circuit)
    listed = list(payments)
    yield from _same_circuit(by_circuit, groups, facts, listed)
    yield from _same_moments(by_circuit, groups, facts, listed)
    yield from _one_breath(view, facts, listed)


# Where circuits go on


def same_nodes(by_circuit: dict[str, list[Question]]) -> Groups:
    """Put circuits together of which one goes on with the logs where another one ended.

    Everybody reads all logs, but not everybody at the same time: who asks for them from block b
    on has had them until b - 1 from somewhere, and if only one circuit was told that much, from
    there.
    """
    reads = sorted(
        (question.time, circuit, *found)
        for circuit, questions in by_circuit.items()
        for question in questions
        if (found := _range(question)) is not None
    )
    reached: dict[str, int] = {}
    maybe: dict[str, set[str]] = {}
    for _time, circuit, first, last in reads:
        if reached.get(circuit) != first - 1:
            could = {other for other, end in reached.items() if end == first - 1}
            if could:
                maybe[circuit] = maybe.get(circuit, could) & could
        reached[circuit] = last
    groups: Groups = {circuit: frozenset({circuit}) for circuit in by_circuit}
    for circuit, could in maybe.items():
        if len(could) == 1:
            whole = groups[circuit] | groups[next(iter(could))]
            groups |= dict.fromkeys(whole, whole)
    return groups


def _range(question: Question) -> tuple[int, int] | None:
    """First and last block of a question for the logs of all contracts."""
    if question.method != "eth_getLogs" or not isinstance(question.params[0], dict):
        return None
    asked = question.params[0]
    if not isinstance(asked.get("address"), list) or len(asked["address"]) < 2:
        return None
    return int(asked["fromBlock"], 16), int(asked["toBlock"], 16)


# What circuits name


def _same_circuit(
    by_circuit: dict[str, list[Question]], groups: Groups, facts: Facts, payments: list[Payment]
) -> Iterator[Hint]:
    names: dict[frozenset[str], set[bytes]] = defaultdict(set)
    for circuit, questions in by_circuit.items():
        names[groups[circuit]].update(*map(named_in, questions))
    for group, named in names.items():
        accounts = {
            deposit.account
            for deposit in facts.deposits
            if {token(deposit.account), *map(token, deposit.marks)} & named
        }
        if not accounts:
            continue
        why = "one node's circuits" if len(group) > 1 else "one circuit"
        for payment in payments:
            if payment.group is not None and set(map(token, payment.marks)) & named:
                text = f"{why} named account and payment"
                yield Hint(Kind.DEPOSIT, payment.transaction.hash, frozenset(accounts), text)


# When circuits speak


def _same_moments(
    by_circuit: dict[str, list[Question]], groups: Groups, facts: Facts, payments: list[Payment]
) -> Iterator[Hint]:
    """Somebody's circuits speak when an account buys, and again when a payment is made.

    Only those tell something that are silent while others buy, and that do not speak by habit.
    Who waits for the server's answer is not silent: a busy server makes all wait together.
    """
    deposits: dict[bytes, list[float]] = defaultdict(list)
    for deposit in facts.deposits:
        deposits[deposit.account].append(deposit.transaction.time)
    for group in set(groups.values()):
        asked = sorted(
            (question for circuit in group for question in by_circuit[circuit]),
            key=lambda question: question.time,
        )
        if is_habit(asked):
            continue
        heard = {
            account
            for account, moments in deposits.items()
            if any(_speaks(asked, moment, AROUND_DEPOSIT) for moment in moments)
        }
        if len(heard) != 1:
            continue
        (account,) = heard
        later = [
            question
            for question in asked
            if not any(_speaks([question], moment, AROUND_DEPOSIT) for moment in deposits[account])
        ]
        for payment in payments:
            at = payment.transaction.time
            if payment.group is not None and _speaks(later, at, AROUND_PAYMENT):
                text = f"circuits that spoke at the deposits and at the payment: {sorted(group)}"
                yield Hint(Kind.DEPOSIT, payment.transaction.hash, frozenset(heard), text)


def is_habit(asked: list[Question]) -> bool:
    """Whether somebody speaks at even pauses, whatever happens, but for the server's own delay.

    Args:
        asked: all that somebody asked, in the order of time.
    """
    later = [(a, b) for a, b in pairwise(asked) if b.time - a.time > ROUND]
    begins = [*(question.time for question in asked[:1]), *(b.time for _, b in later)]
    pauses = [b - a for a, b in pairwise(begins)]
    if len(pauses) < ENOUGH:
        return False
    waited = [max(0.0, min(a.end, b.time) - a.time) for a, b in later]
    usual = median(pauses)
    even = sum(
        usual / 2 <= pause and pause - wait <= 2 * usual
        for pause, wait in zip(pauses, waited, strict=True)
    )
    return even >= HABIT * len(pauses)


def _speaks(asked: list[Question], at: float, around: tuple[float, float]) -> bool:
    return any(each.time <= at + around[1] and at + around[0] <= each.end for each in asked)


def _one_breath(view: View, facts: Facts, payments: list[Payment]) -> Iterator[Hint]:
    """Addresses that are asked about in one breath belong to one wallet."""
    asked = [
        (question.time, named)
        for question in view.questions
        if question.method in ("eth_getBalance", "eth_getTransactionCount")
        and (named := named_in(question))
    ]
    accounts = {token(deposit.account): deposit.account for deposit in facts.deposits}
    creators = defaultdict(set)
    for work in view.works:
        for mark in work.creator_marks:
            creators[token(mark)].add(work.content)
    payees = {token(payment.payee): payment for payment in payments if payment.group is not None}
    for (first, some), (second, others) in combinations(asked, 2):
        if abs(second - first) > BREATH:
            continue
        for here, there in ((some, others), (others, some)):
            for payee in here & set(payees):
                own = payees[payee].transaction.hash
                found = frozenset(accounts[each] for each in there & set(accounts))
                if found:
                    yield Hint(Kind.DEPOSIT, own, found, "asked about in one breath")
                for mark in there & set(creators):
                    works = frozenset(creators[mark])
                    yield Hint(Kind.CREATOR, own, works, "asked about in one breath")

"""The join over shared identifiers: the same hash, key, address or name in two places. Pure.

From a payment's own identifiers it goes to every place that shows one of them, from there to what
else stands in that place, and so on, until it meets an account, a content or a creator. It does
not go on through what many payments share: that tells nothing of one of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import attrs
from eth_hash.auto import keccak

from tests.observers.facts import Facts, Payment
from tests.observers.links import Hint, Kind
from tests.observers.tokens import token, tokens_of
from tests.observers.views import Question, View

DEPTH = 4  # places on the way


@attrs.frozen
class Place:
    """Something that stands together.

    Attributes:
        name: for people.
        tokens: in it.
    """

    name: str
    tokens: frozenset[bytes]


def places_of(view: View) -> list[Place]:
    """Every transaction, request, row and line of a view."""
    found = []
    for each in view.transactions:
        logs = [(log.address, log.topics[1:], log.data) for log in each.logs]
        values = (each.hash, each.sender, each.to, each.data, logs)
        found.append(Place(f"transaction {each.hash.hex()[:8]}", tokens_of(*values)))
    for question in view.questions:
        name = f"the RPC server's log, {question.method} on {question.circuit}"
        found.append(Place(name, named_in(question)))
    for entry in view.entries:
        found.append(Place(f"{entry.node}: {entry.source}", entry.tokens))
    return [place for place in found if place.tokens]


def named_in(question: Question) -> frozenset[bytes]:
    """What a request names; of a transaction that is sent, its hash too."""
    found = tokens_of(*question.params)
    if question.method == "eth_sendRawTransaction":
        raw = bytes.fromhex(str(question.params[0]).removeprefix("0x"))
        found |= {token(keccak(raw))}
    return found


@attrs.frozen
class Ends:
    """Where the search ends: what an identifier stands for."""

    accounts: dict[bytes, bytes]
    contents: dict[bytes, bytes]
    creators: dict[bytes, frozenset[bytes]]
    onions: dict[bytes, bytes]

    @classmethod
    def of(cls, view: View, facts: Facts) -> "Ends":
        """Those of a view."""
        accounts = {token(deposit.account): deposit.account for deposit in facts.deposits}
        for deposit in facts.deposits:
            accounts |= {token(mark): deposit.account for mark in deposit.marks}
        for transfer in facts.transfers:
            sender = transfer.transaction.sender
            if sender not in view.nodes:
                accounts[token(sender)] = sender
        contents: dict[bytes, bytes] = {}
        onions: dict[bytes, bytes] = {}
        creators: dict[bytes, set[bytes]] = defaultdict(set)
        for work in view.works:
            contents |= {token(mark): work.content for mark in (work.content, *work.marks)}
            for mark in work.creator_marks:
                creators[token(mark)].add(work.content)
            if work.onion not in view.nodes:
                onions[token(work.onion)] = work.content
        held = {mark: frozenset(works) for mark, works in creators.items()}
        return cls(accounts, contents, held, onions)

    def named(self) -> set[bytes]:
        """All identifiers that end a search."""
        return {*self.accounts, *self.contents, *self.creators, *self.onions}


def join_identifiers(view: View, facts: Facts, payments: Iterable[Payment]) -> Iterator[Hint]:
    """Yield what shared identifiers tell of payments."""
    places = places_of(view)
    where: dict[bytes, list[Place]] = defaultdict(list)
    for place in places:
        for each in place.tokens:
            where[each].append(place)
    ends = Ends.of(view, facts)
    listed = list(payments)
    closed = {token(each) for each in (*view.contracts.values(), *view.nodes)}
    closed |= {token(root) for root in facts.roots}
    closed |= _shared(listed, where)
    for payment in listed:
        yield from _search(payment, where, ends, closed)


def _shared(payments: Iterable[Payment], where: dict[bytes, list[Place]]) -> set[bytes]:
    """What stands together with two different payments."""
    met: dict[bytes, set[bytes]] = defaultdict(set)
    for payment in payments:
        for mark in payment.marks:
            for place in where[token(mark)]:
                for each in place.tokens:
                    met[each].add(payment.transaction.hash)
    own = {token(mark) for payment in payments for mark in payment.marks}
    return {each for each, found in met.items() if len(found) > 1} - own


def _search(
    payment: Payment, where: dict[bytes, list[Place]], ends: Ends, closed: set[bytes]
) -> Iterator[Hint]:
    starts = {token(mark) for mark in payment.marks}
    seen, front = set(starts), {each: "" for each in starts}
    passed: set[int] = set()
    for _ in range(DEPTH):
        further: dict[bytes, str] = {}
        for each, way in front.items():
            for place in where[each]:
                if id(place) in passed:
                    continue
                passed.add(id(place))
                path = f"{way}; {place.name}" if way else place.name
                yield from _met(payment, place.tokens - starts, ends, path)
                further |= dict.fromkeys(place.tokens - seen - closed - ends.named(), path)
        seen |= set(further)
        front = further
    if payment.group is None:  # a plain transfer: its payee may itself be a creator's
        yield from _met(payment, frozenset(starts), ends, f"payee of {payment.name}")


def _met(payment: Payment, tokens: frozenset[bytes], ends: Ends, path: str) -> Iterator[Hint]:
    own = payment.transaction.hash
    accounts = frozenset(ends.accounts[each] for each in tokens & set(ends.accounts))
    if payment.group is None:
        accounts &= {payment.transaction.sender}
    if accounts:
        yield Hint(Kind.DEPOSIT, own, accounts, f"same identifier: {path}")
    contents = frozenset(ends.contents[each] for each in tokens & set(ends.contents))
    if contents:
        yield Hint(Kind.CONTENT, own, contents, f"same identifier: {path}")
    for each in tokens & set(ends.creators):
        yield Hint(Kind.CREATOR, own, ends.creators[each], f"same identifier: {path}")
    for each in tokens & set(ends.onions):
        works = frozenset({ends.onions[each]})
        yield Hint(Kind.ONION, own, works, f"same identifier: {path}")

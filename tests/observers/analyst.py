"""The analyst: from what somebody holds to what it tells about payments. Pure.

It knows all formats, opens whatever it has the keys of, and believes every join. What sum and time
leave is not a link: the crowd that a voucher hides in is the promise, and it is reported as such.
"""

from collections import defaultdict

from tests.observers.circuits import join_circuits
from tests.observers.facts import Facts, Payment, read_facts
from tests.observers.identifiers import join_identifiers
from tests.observers.links import Findings, Hint, Kind, Link
from tests.observers.moments import join_moments, join_sizes, join_sums
from tests.observers.views import View


def analyse(view: View) -> Findings:
    """Find every link that a view gives away."""
    facts = read_facts(view)
    payments = [*facts.payments, *_direct(view, facts)]
    hints = [
        *join_identifiers(view, facts, payments),
        *join_circuits(view, facts, payments),
        *join_moments(view, payments),
        *join_sizes(view, payments),
        *join_sums(facts, payments),
    ]
    accounts = {
        payment.transaction.hash: frozenset(facts.crowd(payment)) for payment in facts.payments
    }
    contents = {
        payment.transaction.hash: frozenset(
            work.content for work in view.works if work.price == payment.gross
        )
        for payment in payments
    }
    links = _weigh(hints)
    links += _through_contents(view, links, contents)
    links += _bought(links)
    return Findings(tuple(links), accounts, contents)


def _direct(view: View, facts: Facts) -> list[Payment]:
    """Plain transfers to somebody who is known to create."""
    known = {mark for work in view.works for mark in work.creator_marks}
    return [transfer for transfer in facts.transfers if transfer.payee in known]


def _weigh(hints: list[Hint]) -> list[Link]:
    """Put together what several joins say of one thing; who contradict one another add up."""
    said: dict[tuple[Kind, bytes], list[Hint]] = defaultdict(list)
    for hint in hints:
        said[hint.kind, hint.payment].append(hint)
    links = []
    for (kind, payment), all_of_it in said.items():
        candidates = frozenset.intersection(*(hint.candidates for hint in all_of_it))
        if not candidates:
            candidates = frozenset.union(*(hint.candidates for hint in all_of_it))
        evidence = tuple(dict.fromkeys(hint.evidence for hint in all_of_it))
        links.append(Link(kind, payment, candidates, evidence))
    return links


def _through_contents(
    view: View, links: list[Link], by_price: dict[bytes, frozenset[bytes]]
) -> list[Link]:
    """A content tells whose it is and where; a creator tells the content by its price."""
    further = []
    onions = {work.content: work.onion for work in view.works}
    for link in links:
        if link.kind is Kind.CREATOR:
            by_both = link.candidates & by_price.get(link.left, frozenset())
            why = (*link.evidence, "the creator's contents at this price")
            found = by_both or link.candidates
            further.append(Link(Kind.CONTENT, link.left, found, why))
        if link.kind is Kind.CONTENT:
            why = (*link.evidence, "the catalogue says whose it is")
            further.append(Link(Kind.CREATOR, link.left, link.candidates, why))
        if link.kind in (Kind.CREATOR, Kind.CONTENT):
            where = frozenset(onions[content] for content in link.candidates)
            why = (*link.evidence, "the catalogue says where")
            further.append(Link(Kind.ONION, link.left, where, why))
    return further


def _bought(links: list[Link]) -> list[Link]:
    """An account whose payment is known, and the payment's content, are a purchase."""
    contents = {link.left: link for link in links if link.kind is Kind.CONTENT}
    return [
        Link(Kind.BOUGHT, account, content.candidates, (*link.evidence, *content.evidence))
        for link in links
        if link.kind is Kind.DEPOSIT and (content := contents.get(link.left)) is not None
        for account in link.candidates
    ]

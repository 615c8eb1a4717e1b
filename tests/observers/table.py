"""The table of observers: what each holds, what the analyst finds in it. Pure."""

from collections.abc import Callable, Iterable
from typing import Protocol

import attrs

from tests.observers.analyst import analyse
from tests.observers.links import Findings, Kind
from tests.observers.views import Entry, View

NOTHING = {
    Kind.DEPOSIT: "sum and time",
    Kind.CONTENT: "price",
    Kind.CREATOR: "price",
    Kind.ONION: "price",
    Kind.BOUGHT: "no",
}
"""What is left when nothing is found."""
COLUMNS = tuple(NOTHING)
HEADING = "Observer"
DIRECT = "anybody, if the creator's address is paid directly"
BEGIN, END = "<!-- observers: begin -->\n", "<!-- observers: end -->"


class Purchase(Protocol):
    """What was really bought; see `tests.observers.run.Sold`."""

    @property
    def transaction(self) -> bytes:
        """Hash of the payment."""

    @property
    def account(self) -> bytes:
        """That bought the voucher."""

    @property
    def asked(self) -> frozenset[str]:
        """Names of the key holders that were asked."""


Holds = Callable[[Entry, Purchase], bool]


@attrs.frozen
class Observer:
    """Somebody who looks.

    Attributes:
        name: for people.
        holds: whether a row or file of a node is theirs.
        questions: whether they have the RPC server's log.
    """

    name: str
    holds: Holds
    questions: bool = False

    def view(self, whole: View, purchase: Purchase) -> View:
        """What they hold when a purchase was made."""
        return whole.only(lambda entry: self.holds(entry, purchase), questions=self.questions)


def _of(*places: str) -> Holds:
    """What lies in these places at nodes that were not asked."""

    def holds(entry: Entry, purchase: Purchase) -> bool:
        return entry.source.startswith((*places, "log/")) and entry.node not in purchase.asked

    return holds


OBSERVERS = (
    Observer("anybody who reads the chain", lambda _entry, _purchase: False),
    Observer("the RPC server", lambda _entry, _purchase: False, True),
    Observer("the relays", _of("market/relay", "ledger/")),
    Observer("nodes that keep shares and records", _of("store/", "dht.sqlite", "keys/")),
    Observer("key holders that were not asked", _of("market/custody.db", "keys/", "ledger/")),
    Observer(
        "all of these together", lambda entry, purchase: entry.node not in purchase.asked, True
    ),
    Observer(
        "the key holders that were asked", lambda entry, purchase: entry.node in purchase.asked
    ),
    Observer("everybody together", lambda _entry, _purchase: True, True),
)


def learned(findings: Findings, purchase: Purchase) -> dict[Kind, str]:
    """What was found of one purchase, in words."""
    return _words(findings, purchase.transaction, purchase.account)


def _words(findings: Findings, transaction: bytes, account: bytes) -> dict[Kind, str]:
    words = dict(NOTHING)
    for kind in COLUMNS:
        left = account if kind is Kind.BOUGHT else transaction
        found = findings.of(kind, left)
        if found:
            fewest = min(len(link.candidates) for link in found)
            words[kind] = "**yes**" if fewest == 1 else f"one of {fewest}"
    return words


def rows_of(whole: View, purchases: Iterable[Purchase]) -> list[tuple[str, dict[Kind, str]]]:
    """What each observer learns, of any of the purchases."""
    bought = list(purchases)
    rows = []
    for observer in OBSERVERS:
        words = dict(NOTHING)
        for purchase in bought:
            of_one = learned(analyse(observer.view(whole, purchase)), purchase)
            words |= {kind: word for kind, word in of_one.items() if word != NOTHING[kind]}
        rows.append((observer.name, words))
    return rows


def words_of_direct(whole: View, account: bytes) -> tuple[str, dict[Kind, str]]:
    """What the chain and the catalogue tell of an account's plain transfer to a creator."""
    findings = analyse(whole.only())
    known = {mark for work in whole.works for mark in work.creator_marks}
    words = dict(NOTHING)
    for each in whole.transactions:
        if each.sender == account and each.to in known:
            words = _words(findings, each.hash, account)
    return DIRECT, words


def render(rows: Iterable[tuple[str, dict[Kind, str]]]) -> str:
    """The table, as Markdown."""
    lines = [
        f"| {HEADING} | {' | '.join(kind.value for kind in COLUMNS)} |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for name, words in rows:
        lines.append(f"| {name} | {' | '.join(words[kind] for kind in COLUMNS)} |")
    return "\n".join(lines) + "\n"

"""Which fact may follow which, how each is written down, and that it is on the disk for good."""

import pytest
from automat._core import NoTransition

from bitsnode.ledger.errors import LedgerFileForeign, LedgerFileTooNew
from bitsnode.ledger.redemption import Spend
from bitsnode.market.purchase import Purchase, Step
from bitsnode.market.purchase_facts import (
    FACTS,
    BadFact,
    Cheated,
    Dropped,
    Failed,
    Fraud,
    Lied,
    Opened,
    Proved,
    Quoted,
    Reason,
    Released,
    Reserved,
    Seen,
    Sent,
    Settled,
    ShareCame,
    decode_fact,
    encode_fact,
)
from bitsnode.market.purchase_journal import PurchaseJournal
from bitsnode.market.testing import CHAIN_ID, NOW, PRICE, make_offer, sign
from bitsnode.wire import cbor

SIGNED = sign(make_offer()[0])
EACH = {
    "quoted": Quoted(SIGNED.data, bytes(32), NOW),
    "reserved": Reserved("ab" * 16, 7, b"r" * 32, b"s" * 32, b"t" * 32, PRICE // 50, NOW + 1),
    "proved": Proved((Spend(3, 4, 5, (6,) * 8).encode(),)),
    "sent": Sent(b"\x21" * 32, NOW),
    "seen": Seen(9, b"x" * 32),
    "dropped": Dropped(),
    "settled": Settled(9, b"x" * 32),
    "share": ShareCame(1, b"y" * 16),
    "lied": Lied(2),
    "opened": Opened(b"z" * 16, b"w" * 16),
    "failed": Failed(Reason.EXPIRED),
    "released": Released(),
    "cheated": Cheated(Fraud.WRONG_SECRET),
}
# state: how it is reached, and where each fact leads that may follow
TO_PROVED = ("quoted", "reserved", "proved")
TO_FINAL = (*TO_PROVED, "sent", "settled")
TABLE = {
    "Cold": ((), {"quoted": Step.RESERVE}),
    "Quoted": (("quoted",), {"reserved": Step.PROVE, "failed": Step.RELEASE}),
    "Reserved": (("quoted", "reserved"), {"proved": Step.SUBMIT, "failed": Step.RELEASE}),
    "Proved": (TO_PROVED, {"sent": Step.WATCH, "failed": Step.RELEASE}),
    "Submitted": (
        (*TO_PROVED, "sent"),
        {
            "sent": Step.WATCH,
            "seen": Step.CONFIRM,
            "settled": Step.COLLECT,
            "failed": Step.RELEASE,
        },
    ),
    "Redeemed": (
        (*TO_PROVED, "sent", "seen"),
        {
            "seen": Step.CONFIRM,
            "dropped": Step.WATCH,
            "settled": Step.COLLECT,
            "failed": Step.RELEASE,
        },
    ),
    "Final": (
        TO_FINAL,
        {
            "share": Step.COLLECT,
            "lied": Step.COLLECT,
            "opened": Step.DONE,
            "cheated": Step.DONE,
        },
    ),
    "Opened": ((*TO_FINAL, "share", "opened"), {}),
    "Cheated": ((*TO_FINAL, "cheated"), {}),
    "Failed": ((*TO_PROVED, "failed"), {"released": Step.DONE}),
    "Closed": ((*TO_PROVED, "failed", "released"), {}),
}


@pytest.mark.parametrize("state", TABLE)
def test_what_may_follow_and_nothing_else(state):
    """A payment that is final cannot fail, and nothing is sent that was not proved."""
    path, follows = TABLE[state]
    for name, fact in EACH.items():
        purchase = Purchase([EACH[each] for each in path])
        if name in follows:
            purchase.feed(fact)
            assert purchase.step is follows[name], name
        else:
            with pytest.raises(NoTransition):
                purchase.feed(fact)


def test_a_story_is_the_same_from_the_journal(tmp_path):
    """What was fed one by one is what a new machine knows from the disk."""
    names = [*TO_PROVED, "sent", "seen", "dropped", "sent", "seen", "settled", "lied", "share"]
    facts = [EACH[name] for name in names]
    live = Purchase()
    journal = PurchaseJournal(tmp_path / "purchases.db", bytes(32), CHAIN_ID)
    journal.begin(b"n" * 16, facts[0])
    live.feed(facts[0])
    for fact in facts[1:]:
        journal.note(b"n" * 16, fact)
        live.feed(fact)
    journal.close()
    journal = PurchaseJournal(tmp_path / "purchases.db", bytes(32), CHAIN_ID)
    again = Purchase(journal.facts(b"n" * 16))
    assert (again.story, again.step) == (live.story, live.step)
    assert journal.purchases(under_way=True) == [b"n" * 16]
    journal.note(b"n" * 16, EACH["opened"])
    assert journal.purchases(under_way=True) == []
    assert journal.purchases() == [b"n" * 16]
    journal.close()


def test_every_fact_comes_back_as_it_was():
    """Whatever kind it is."""
    assert {type(fact) for fact in EACH.values()} == set(FACTS)
    for fact in EACH.values():
        assert decode_fact(encode_fact(fact)) == fact


@pytest.mark.parametrize(
    "data",
    [
        b"",
        cbor.encode([]),
        cbor.encode([99, []]),
        cbor.encode([6, [1]]),
        cbor.encode([6, [], 0]),
        cbor.encode([9, [0]]),
        cbor.encode({1: 2}),
    ],
)
def test_what_is_no_fact_is_refused(data):
    """A damaged entry, or one of a newer version, is not guessed at."""
    with pytest.raises(BadFact):
        decode_fact(data)


def test_the_journal_is_durable_versioned_and_of_one_chain(tmp_path):
    """Each commit waits for the disk, and an older program does not touch a newer file."""
    path = tmp_path / "purchases.db"
    journal = PurchaseJournal(path, bytes(32), CHAIN_ID)
    assert journal.database.rows("PRAGMA synchronous") == [(2,)]  # FULL
    assert journal.database.rows("PRAGMA user_version") == [(1,)]
    journal.close()
    with pytest.raises(LedgerFileForeign):
        PurchaseJournal(path, bytes(32), CHAIN_ID + 1)
    journal = PurchaseJournal(path, bytes(32), CHAIN_ID)
    journal.database.rows("PRAGMA user_version = 2")
    journal.close()
    with pytest.raises(LedgerFileTooNew):
        PurchaseJournal(path, bytes(32), CHAIN_ID)

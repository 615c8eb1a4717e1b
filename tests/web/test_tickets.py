"""The file of tickets."""

import sqlite3
from pathlib import Path

import pytest

from bitsnode.ledger.errors import LedgerFileTooNew
from bitsnode.web.tickets import (
    CLICK_DAYS,
    DAY,
    MAX_TICKETS,
    TICKET_DAYS,
    Ticket,
    Tickets,
    fresh_token,
)

NOW = 20_000.0 * DAY
ORDER = "a" * 26


def test_a_token_finds_its_ticket_and_no_other(tickets: Tickets) -> None:
    """Neither a wrong token does, nor a click's key."""
    ticket = Ticket(ORDER, "CODE")
    tickets.add("token", ticket, NOW)
    tickets.remember("click", ticket, NOW)
    assert tickets.find("token") == ticket
    assert tickets.find("click") is None
    assert tickets.find("other") is None
    assert tickets.clicked("token", "x", NOW) is None


def test_a_click_makes_a_ticket_of_its_own_each_time(tickets: Tickets) -> None:
    """With the claim code, as long as it is not kept."""
    tickets.remember("click", Ticket(ORDER, "CODE"), NOW)
    assert tickets.clicked("click", "one", NOW) == Ticket(ORDER, "CODE")
    tickets.kept(ORDER)
    assert tickets.clicked("click", "two", NOW) == Ticket(ORDER, "")
    assert tickets.find("one") == tickets.find("two") == Ticket(ORDER, "")


def test_tickets_and_clicks_end(tickets: Tickets) -> None:
    """After their days; until then they stay."""
    tickets.add("old", Ticket(ORDER, ""), NOW)
    tickets.remember("click", Ticket(ORDER, ""), NOW)
    tickets.add("b", Ticket("b" * 26, ""), NOW + CLICK_DAYS * DAY)
    assert tickets.clicked("click", "new", NOW) is not None
    tickets.add("c", Ticket("c" * 26, ""), NOW + (CLICK_DAYS + 1) * DAY)
    assert tickets.clicked("click", "newer", NOW) is None
    tickets.add("d", Ticket("d" * 26, ""), NOW + TICKET_DAYS * DAY)
    assert tickets.find("old") is not None
    tickets.add("e", Ticket("e" * 26, ""), NOW + (TICKET_DAYS + 1) * DAY)
    assert tickets.find("old") is None


def test_an_order_has_so_many_tickets(tickets: Tickets) -> None:
    """The oldest ends when there is one too many; those of other orders stay."""
    tickets.add("other", Ticket("b" * 26, ""), NOW)
    for number in range(MAX_TICKETS + 2):
        tickets.add(f"token {number}", Ticket(ORDER, ""), NOW)
    found = [tickets.find(f"token {number}") is not None for number in range(MAX_TICKETS + 2)]
    assert found == [False] * 2 + [True] * MAX_TICKETS
    assert tickets.find("other") is not None


def test_the_file_knows_days_and_no_hours(tickets: Tickets) -> None:
    """Two tickets of one day look the same."""
    tickets.add("one", Ticket(ORDER, ""), NOW + 1)
    tickets.add("two", Ticket(ORDER, ""), NOW + 80_000)
    assert tickets.database.rows("SELECT DISTINCT day FROM tickets") == [(20_000,)]


def test_a_newer_file_is_refused(tickets: Tickets, tmp_path: Path) -> None:
    """It is left as it is."""
    tickets.close()
    with sqlite3.connect(tmp_path / "web.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(LedgerFileTooNew):
        Tickets(tmp_path / "web.db", tickets.key)


def test_tokens_are_long_and_never_the_same() -> None:
    """24 random bytes each."""
    tokens = {fresh_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {32}

"""Tickets: which browser may see which order. ``HOME/shop/web.db``.

A ticket is the session of one browser with one order: a random token in a cookie whose path is the
order's, so orders of one browser are joined nowhere, neither here nor in the browser's requests.
Each order and each claim makes a ticket of its own; nothing is ever added to a ticket that somebody
has, so a planted one gains its planter nothing (session fixation). Tokens are kept as hashes. What
belongs to one, the order's id and a claim code that was not yet kept, is sealed under the token, so
the file alone gives neither away.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.codec.sealing import seal, unseal
from bitsnode.ledger.database import Database

TOKEN_SIZE: Final = 24  # random bytes
DAY: Final = 86_400  # seconds
TICKET_DAYS: Final = 400  # then a claim code is needed
CLICK_DAYS: Final = 7  # for which a second click on the same button is the first one again
MAX_TICKETS: Final = 32  # of one order; beyond, the oldest ends
_NAME: Final = b"bits/shop-ticket-name/v1"
_KEY: Final = b"bits/shop-ticket-key/v1"
_ORDER: Final = b"bits/shop-ticket-order/v1"

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE tickets (
            number INTEGER PRIMARY KEY,     -- in the order in which they were made
            name BLOB NOT NULL UNIQUE,      -- hash of the token, or of a click's key
            kind INTEGER NOT NULL,          -- 0 ticket, 1 click on a button
            order_name BLOB NOT NULL,       -- keyed hash of the order's id
            sealed BLOB NOT NULL,           -- order id, under the token
            code BLOB NOT NULL,             -- claim code, likewise; empty when it was kept
            day INTEGER NOT NULL            -- when it was made, days since 1970
        )
        """,
        "CREATE INDEX tickets_of_order ON tickets (order_name, kind)",
    ),
)


@attrs.frozen
class Ticket:
    """What a token gives a right to.

    Attributes:
        order: id.
        claim_code: of the order, as long as its owner has not said that it is kept; else "".
    """

    order: str = attrs.field(repr=False)
    claim_code: str = attrs.field(repr=False)


class Tickets:
    """The file. Each method is one transaction and blocks; any thread may call it.

    Args:
        path: of the file.
        key: of the shop, 32 bytes.

    Attributes:
        key: from which the shop's other web keys are derived.

    Raises:
        LedgerFileTooNew, LedgerFileDamaged, LedgerFileForeign: the file cannot be used.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.key = key
        self._lock = threading.Lock()
        self.database = Database(path, MIGRATIONS, "shop pages")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    def clicked(self, click: str, token: str, now: float) -> Ticket | None:
        """Return what an earlier click on the same button came to, and make it a further ticket.

        Args:
            click: key of the button, of one rendering of one page.
            token: of the new ticket.
            now: Unix time.
        """
        with self._lock, self.database.transaction():
            found = self._find(click, 1)
            if found is not None:
                self._add(token, 0, found, now)
            return found

    def remember(self, click: str, ticket: Ticket, now: float) -> None:
        """Keep what a click came to, so that another on the same button comes to the same."""
        with self._lock, self.database.transaction():
            self._sweep(now)
            self._add(click, 1, ticket, now)

    def add(self, token: str, ticket: Ticket, now: float) -> None:
        """Make a ticket."""
        with self._lock, self.database.transaction():
            self._sweep(now)
            self._add(token, 0, ticket, now)

    def find(self, token: str) -> Ticket | None:
        """Return what a token gives a right to, None if nothing."""
        with self._lock:
            return self._find(token, 0)

    def kept(self, order: str) -> None:
        """Forget the claim code of an order: its owner has it."""
        with self._lock, self.database.transaction():
            forget = "UPDATE tickets SET code = x'' WHERE order_name = ?"
            self.database.rows(forget, self._order_name(order))

    def _add(self, token: str, kind: int, ticket: Ticket, now: float) -> None:
        key = _derived(_KEY, token)
        self.database.rows(
            "INSERT OR IGNORE INTO tickets (name, kind, order_name, sealed, code, day)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            _derived(_NAME, token),
            kind,
            self._order_name(ticket.order),
            seal(key, ticket.order.encode("ascii")),
            seal(key, ticket.claim_code.encode("ascii")) if ticket.claim_code else b"",
            int(now) // DAY,
        )
        excess = "SELECT number FROM tickets WHERE order_name = ? AND kind = 0"
        excess += f" ORDER BY number DESC LIMIT -1 OFFSET {MAX_TICKETS}"
        for (number,) in self.database.rows(excess, self._order_name(ticket.order)):
            self.database.rows("DELETE FROM tickets WHERE number = ?", number)

    def _find(self, token: str, kind: int) -> Ticket | None:
        query = "SELECT sealed, code FROM tickets WHERE name = ? AND kind = ?"
        rows: list[tuple[Any, ...]] = self.database.rows(query, _derived(_NAME, token), kind)
        key = _derived(_KEY, token)
        for sealed, code in rows:
            order = unseal(key, sealed).decode("ascii")
            return Ticket(order, unseal(key, code).decode("ascii") if code else "")
        return None

    def _sweep(self, now: float) -> None:
        today = int(now) // DAY
        for kind, days in ((0, TICKET_DAYS), (1, CLICK_DAYS)):
            old = "DELETE FROM tickets WHERE kind = ? AND day < ?"
            self.database.rows(old, kind, today - days)

    def _order_name(self, order: str) -> bytes:
        return hmac.digest(self.key, _ORDER + order.encode("ascii"), hashlib.sha256)


def fresh_token() -> str:
    """Return a new token, `TOKEN_SIZE` random bytes as text."""
    return secrets.token_urlsafe(TOKEN_SIZE)


def _derived(purpose: bytes, token: str) -> bytes:
    # tokens are random and long: a plain hash of one cannot be searched
    return hashlib.sha256(purpose + token.encode("utf-8")).digest()

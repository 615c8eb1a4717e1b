"""What a key holder keeps: sealed key shares, every redemption, and how often each was answered.

One SQLite file. Each method is one transaction, so a crash leaves it consistent, and may be
called from any thread; all wait for the disk.
"""

import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import attrs

from bitsnode.ledger.announcements import Cursor
from bitsnode.ledger.database import Database
from bitsnode.ledger.voucher_events import Redeemed
from bitsnode.market.errors import CustodyFull, ReceiptUsedTooOften, UnknownOffer
from bitsnode.market.offer import Market, SignedOffer

DAY: Final = 24 * 3600  # seconds
KEEP: Final = 400 * DAY  # after the end of an offer: receipts outlive offers

# Entry i turns version i into i + 1. Never change an entry that was released: add one.
MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE shares (
            offer_hash BLOB PRIMARY KEY,
            content BLOB NOT NULL,
            publisher BLOB NOT NULL,
            valid_until INTEGER NOT NULL,   -- Unix time in seconds
            offer BLOB NOT NULL,            -- the signed offer
            share_index INTEGER NOT NULL,
            sealed BLOB NOT NULL            -- to our custody key
        ) WITHOUT ROWID
        """,
        "CREATE INDEX shares_by_content ON shares (content)",
        "CREATE INDEX shares_by_publisher ON shares (publisher)",
        "CREATE INDEX shares_by_end ON shares (valid_until)",
        """
        CREATE TABLE redeemed (
            message BLOB PRIMARY KEY,
            time INTEGER NOT NULL,          -- of its block, Unix time in seconds
            block INTEGER NOT NULL,
            log_index INTEGER NOT NULL,
            transaction_hash BLOB NOT NULL,
            tag BLOB NOT NULL,
            payee BLOB NOT NULL,
            gross BLOB NOT NULL,            -- wei, 32 bytes
            fee BLOB NOT NULL,              -- wei, 32 bytes
            vouchers BLOB NOT NULL          -- groups, then nullifiers, 32 bytes each
        ) WITHOUT ROWID
        """,
        # one row: the last redemption that was looked at
        "CREATE TABLE followed (block INTEGER NOT NULL, log_index INTEGER NOT NULL)",
        "CREATE TABLE answers (message BLOB NOT NULL, time INTEGER NOT NULL)",
        "CREATE INDEX answers_by_message ON answers (message, time)",
    ),
)


PARSED: Final = 256  # offers kept parsed, about 2 MB; to parse one takes a fifth of an answer
_parsed = lru_cache(PARSED)(SignedOffer.parse)


@attrs.frozen
class Limits:
    """What a key holder takes and gives.

    Attributes:
        shares: in all. At most 9 KiB each.
        per_publisher: shares of one publisher.
        per_content: shares of one content's offers by one publisher. Not of all publishers:
            anybody can make offers that name a content, and so could fill a common place.
        answers: to one receipt within `period`.
        period: seconds.
    """

    shares: int = 10_000
    per_publisher: int = 1_000
    per_content: int = 64
    answers: int = 8
    period: int = DAY


@attrs.frozen
class Kept:
    """A share in custody.

    Attributes:
        signed: the offer it belongs to.
        index: of this node in the offer.
        sealed: the share, sealed to our custody key, 64 bytes.
    """

    signed: SignedOffer
    index: int
    sealed: bytes = attrs.field(repr=False)


class CustodyStore:
    """The file of a key holder.

    Shares stay sealed to the node's custody key as they came, so the file alone opens nothing:
    what protects them is ``keys/sealing.seed``, which is elsewhere.
    """

    def __init__(self, path: Path, market: Market, limits: Limits | None = None) -> None:
        """Open the file at `path`, or make it (0600).

        Raises:
            LedgerError: it is damaged, too new, or of another contract.
        """
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        owner = f"{market.chain_id}:{market.vouchers.hex()}"
        self.database = Database(path, MIGRATIONS, owner)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.database.close()

    # Shares

    def put(self, kept: Kept) -> None:
        """Keep a share; one of the same offer is kept already and stays.

        Raises:
            CustodyFull: a limit is reached.
        """
        offer, limits = kept.signed.offer, self.limits
        bounds = (
            ("SELECT count(*) FROM shares", (), limits.shares),
            (
                "SELECT count(*) FROM shares WHERE publisher = ?",
                (offer.publisher,),
                limits.per_publisher,
            ),
            (
                "SELECT count(*) FROM shares WHERE content = ? AND publisher = ?",
                (offer.content, offer.publisher),
                limits.per_content,
            ),
        )
        with self._lock, self.database.transaction():
            if self._rows("SELECT 1 FROM shares WHERE offer_hash = ?", kept.signed.hash):
                return
            for question, values, most in bounds:
                ((count,),) = self._rows(question, *values)
                if count >= most:
                    raise CustodyFull
            self._rows(
                "INSERT INTO shares VALUES (?, ?, ?, ?, ?, ?, ?)",
                kept.signed.hash,
                offer.content,
                offer.publisher,
                offer.valid_until,
                kept.signed.data,
                kept.index,
                kept.sealed,
            )

    def get(self, offer_hash: bytes) -> Kept:
        """Return the share of an offer.

        Raises:
            UnknownOffer: none is kept.
        """
        with self._lock:
            found = self._rows(
                "SELECT offer, share_index, sealed FROM shares WHERE offer_hash = ?", offer_hash
            )
        if not found:
            raise UnknownOffer
        data, index, sealed = found[0]
        return Kept(_parsed(data), index, sealed)

    def count(self) -> int:
        """Return how many shares are kept."""
        with self._lock:
            ((count,),) = self._rows("SELECT count(*) FROM shares")
        return int(count)

    def sweep(self, now: float) -> None:
        """Forget shares of offers that ended `KEEP` seconds ago, and answers that count no more."""
        with self._lock, self.database.transaction():
            self._rows("DELETE FROM shares WHERE valid_until < ?", int(now) - KEEP)
            self._rows("DELETE FROM answers WHERE time <= ?", int(now) - self.limits.period)

    # Redemptions

    def followed(self) -> Cursor | None:
        """Return the last redemption that was looked at."""
        with self._lock:
            found = self._rows("SELECT block, log_index FROM followed")
        return Cursor(*found[0]) if found else None

    def note(self, redeemed: Iterable[tuple[Redeemed, int]], followed: Cursor) -> None:
        """Keep redemptions with the time of their block, and how far that goes."""
        rows = [
            (
                each.message,
                time,
                each.cursor.block,
                each.cursor.log_index,
                each.transaction,
                each.tag,
                each.payee,
                _word(each.gross),
                _word(each.fee),
                b"".join(map(_word, (*each.groups, *each.nullifiers))),
            )
            for each, time in redeemed
        ]
        with self._lock, self.database.transaction():
            self.database.many(
                "INSERT OR REPLACE INTO redeemed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
            self._rows("DELETE FROM followed")
            self._rows("INSERT INTO followed VALUES (?, ?)", followed.block, followed.log_index)

    def find(self, message: bytes) -> tuple[Redeemed, int] | None:
        """Return the redemption with this message, and the time of its block."""
        with self._lock:
            found = self._rows("SELECT * FROM redeemed WHERE message = ?", message)
        if not found:
            return None
        _, time, block, log_index, transaction, tag, payee, gross, fee, vouchers = found[0]
        words = [
            int.from_bytes(vouchers[at : at + 32], "big") for at in range(0, len(vouchers), 32)
        ]
        half = len(words) // 2
        redeemed = Redeemed(
            cursor=Cursor(block, log_index),
            transaction=transaction,
            message=message,
            tag=tag,
            payee=payee,
            gross=int.from_bytes(gross, "big"),
            fee=int.from_bytes(fee, "big"),
            groups=tuple(words[:half]),
            nullifiers=tuple(words[half:]),
        )
        return redeemed, int(time)

    # Answers

    def count_answer(self, message: bytes, now: float) -> None:
        """Count one answer to the receipt of a redemption; when this returns it is on the disk.

        A clock that was set back forgives nothing: what lies in its future counts, too.

        Raises:
            ReceiptUsedTooOften: there were as many as there may be.
        """
        since = int(now) - self.limits.period
        with self._lock, self.database.transaction():
            times = self._rows(
                "SELECT time FROM answers WHERE message = ? AND time > ? ORDER BY time",
                message,
                since,
            )
            if len(times) >= self.limits.answers:
                (frees,) = times[len(times) - self.limits.answers]
                raise ReceiptUsedTooOften(max(1, frees - since))
            self._rows("INSERT INTO answers VALUES (?, ?)", message, int(now))

    def _rows(self, statement: str, *values: object) -> list[Any]:
        return self.database.rows(statement, *values)


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")

"""What the simulation does cheaper than the program, and nothing else.

- Randomness of `secrets`, its `SystemRandom` included, comes from the seed, so that a run can be
  repeated.
- A signature that was found good is not computed again: a thousand nodes check the same bytes.
  Profiled at 1,000 nodes, signatures took four fifths of the time without this. Nor is an onion
  key: what one node remembers of them all nodes share here, and at 10,000 that is too few.
- Garbage is looked for rarely, and a `Failure` keeps no traceback: each is a cycle of some 150
  objects. At 100 nodes that were 3.6 million objects of garbage an hour, and now they are ten
  thousand; an hour takes 21 seconds of CPU instead of 29.
- Contacts and records are saved in memory instead of in a thousand SQLite files.

And with content, in `content_shortcuts`:

- New signing keys are drawn from the seed as well.
- Nothing waits for the disk: no fsync, and SQLite's ``synchronous`` is off. A killed process would
  lose what a real node does not; here processes are not killed.
- What takes long is done at once, in the same thread (`bitsnode.content.testing.run_now`).
- `ContentService.start` is not called: it removes by the age of files, which is real, not virtual.
"""

import contextlib
import gc
import os
import random
import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nacl.signing
from twisted.python.failure import Failure

from bitsnode.dht import contacts
from bitsnode.dht.anchors import Anchor
from bitsnode.dht.records import Changes
from bitsnode.store.index import Index
from bitsnode.store.schema import connect
from bitsnode.wire.card import SignedCard
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress

MOST_KEYS = 1 << 15  # onion keys remembered as checked: more than there ever are
MOST_KNOWN = 1 << 12  # cards, and as many records, remembered as checked: those in use


@contextlib.contextmanager
def shortcuts(seed: int) -> Iterator[None]:
    """Take the shortcuts while inside."""
    thresholds = gc.get_threshold()
    gc.set_threshold(2_000_000, 50, 100)
    with (
        patch.object(secrets, "_sysrand", random.Random(seed)),
        patch.object(secrets, "SystemRandom", lambda: secrets._sysrand),
        patch.object(Failure, "__init__", _without_traceback(Failure.__init__)),
        patch.object(contacts, "_address", lru_cache(MOST_KEYS)(OnionAddress.from_public_key)),
        patch.object(SignedCard, "parse", _remembering(SignedCard, "card")),
        patch.object(SignedRecord, "parse", _remembering(SignedRecord, "record")),
    ):
        try:
            yield
        finally:
            gc.set_threshold(*thresholds)


@contextlib.contextmanager
def content_shortcuts(seed: int) -> Iterator[None]:
    """Take the shortcuts of `shortcuts`, and those of content, while inside."""
    with (
        shortcuts(seed),
        patch.object(nacl.signing.SigningKey, "generate", _drawn_key),
        patch.object(os, "fsync", lambda _descriptor: None),
        patch("bitsnode.store.store.Index", partial(Index, open_database=_unsynced)),
    ):
        yield


def _without_traceback(init: Any) -> Any:
    """Return ``Failure.__init__`` that lets go of the frames through which an exception came."""

    def made(self: Failure, *given: Any, **named: Any) -> None:
        init(self, *given, **named)
        self.tb = None
        if isinstance(self.value, BaseException):
            self.value.__traceback__ = self.value.__context__ = None

    return made


def _drawn_key() -> nacl.signing.SigningKey:
    return nacl.signing.SigningKey(secrets.token_bytes(32))


def _unsynced(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _remembering(cls: Any, part: str) -> Any:
    """Return ``cls.parse`` that checks the same bytes once; time is looked at each time."""
    parse = cls.parse
    known: OrderedDict[tuple[bytes, int], Any] = OrderedDict()

    def parsed(data: bytes, *, now: float, puzzle_bits: int, **others: Any) -> Any:
        found = known.get((data, puzzle_bits))
        if found is None or getattr(found, part).expires <= now:
            found = parse(data, now=now, puzzle_bits=puzzle_bits, **others)
            known[found.data, puzzle_bits] = found
            if len(known) > MOST_KNOWN:
                known.popitem(last=False)
        else:
            known.move_to_end((data, puzzle_bits))
        return found

    return staticmethod(parsed)


class MemorySaved:
    """See `bitsnode.dht.saved.Saved`; what a node saved stays in the dictionary given."""

    def __init__(self, kept: dict[str, Any]) -> None:
        self._kept = kept

    def contacts(self) -> list[tuple[bytes, bytes, float]]:
        """See `Saved.contacts`."""
        contacts = self._kept.get("contacts", [])
        return [(c.card.card.onion_key, c.card.data, c.since) for c in contacts]

    def anchors(self) -> list[Anchor]:
        """See `Saved.anchors`."""
        return list(self._kept.get("anchors", []))

    def nodes(self) -> float:
        """See `Saved.nodes`."""
        return float(self._kept.get("nodes", 0.0))

    def save_watch(self, anchors: Iterable[Anchor], nodes: float) -> None:
        """See `Saved.save_watch`."""
        self._kept |= {"anchors": list(anchors), "nodes": nodes}

    def records(self) -> list[bytes]:
        """See `Saved.records`."""
        return [signed.data for signed in self._kept.get("records", {}).values()]

    def save_contacts(self, contacts: Any) -> None:
        """See `Saved.save_contacts`."""
        self._kept["contacts"] = list(contacts) or self._kept.get("contacts", [])

    def save_records(self, changes: Changes) -> None:
        """See `Saved.save_records`."""
        records = self._kept.setdefault("records", {})
        for slot in changes.dropped:
            records.pop(slot, None)
        records.update(changes.kept)

    def replace_records(self, records: Any) -> None:
        """See `Saved.replace_records`."""
        self._kept["records"] = {}
        self.save_records(Changes(tuple(records), ()))

    def close(self) -> None:
        """See `Saved.close`."""

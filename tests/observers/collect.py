"""Collects what observers of a localnet hold: the chain, and all state of nodes, opened."""

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bitsnode.cli.ipc import ask_chain
from bitsnode.codec.keys import manifest_key, record_public_key, storage_index
from bitsnode.ids import ContentId
from bitsnode.ledger.local_key import LocalKey
from bitsnode.market.offer import SignedOffer
from bitsnode.market.offer_record import offer_key, offers_in
from bitsnode.market.sealing import open_for_custody
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from tests.observers.views import Entry, Log, Transaction, Work

RECENT = 1_700_000_000  # Unix seconds; whole numbers above it, and below a century on, are times
SKIPPED = ("tor/data", ".sock")  # tor's own files, which are not of bits; sockets have no bytes
MOST_TEXT = 1 << 16  # bytes of a file that is read as one entry


def read_chain(directory: Path) -> tuple[Transaction, ...]:
    """Every transaction of the chain, with its block's time and its events."""
    found = []
    for number in range(int(ask_chain(directory, "eth_blockNumber", []), 16) + 1):
        block = ask_chain(directory, "eth_getBlockByNumber", [hex(number), True])
        for each in block["transactions"]:
            receipt = ask_chain(directory, "eth_getTransactionReceipt", [each["hash"]])
            logs = [
                Log(_raw(log["address"]), tuple(map(_raw, log["topics"])), _raw(log["data"]))
                for log in receipt["logs"]
            ]
            found.append(
                Transaction(
                    _raw(each["hash"]),
                    number,
                    int(block["timestamp"], 16),
                    _raw(each["from"]),
                    _raw(each["to"] or ""),
                    int(each["value"], 16),
                    _raw(each["input"]),
                    tuple(logs),
                )
            )
    return tuple(found)


def read_contracts(directory: Path) -> dict[str, bytes]:
    """Addresses of the deployment."""
    told = json.loads((directory / "deployment.json").read_text())["contracts"]
    return {name: _raw(contract["address"]) for name, contract in told.items()}


def read_homes(homes: dict[str, Path], scratch: Path) -> tuple[Entry, ...]:
    """All that is in homes: rows, lines, files, and what their keys open."""
    return tuple(entry for name, home in homes.items() for entry in _home(name, home, scratch))


def read_work(content_id: str, price: int, onion: str, entries: Iterable[Entry]) -> Work:
    """A content as somebody sees it who knows its name, by the DHT records in anybody's state."""
    content = ContentId.parse(content_id)
    digest = content.digest
    marks = [offer_key(digest), record_public_key(digest), storage_index(digest)]
    marks += [manifest_key(digest), content_id.encode()]
    creator: list[bytes] = []
    for offer in _offers(digest, entries):
        marks += [offer.hash, offer.data, offer.offer.secret_commitment]
        marks += [holder.commitment for holder in offer.offer.holders]
        creator += [offer.offer.publisher]
        creator += [offer.offer.spending_public_key, offer.offer.viewing_public_key]
    key = OnionAddress.parse(onion).public_key
    return Work(content_id, digest, price, key, tuple(marks), tuple(dict.fromkeys(creator)))


def holders_of(content_id: str, entries: Iterable[Entry]) -> frozenset[bytes]:
    """Onion keys of the nodes that keep shares of a content's key, as its offers say."""
    offers = _offers(ContentId.parse(content_id).digest, entries)
    return frozenset(holder.onion_key for each in offers for holder in each.offer.holders)


def relay_account(home: Path) -> bytes:
    """The public account of a node's relay, 20 bytes."""
    return _raw(LocalKey((home / "market" / "relay.key").read_bytes()).address)


def _offers(digest: bytes, entries: Iterable[Entry]) -> list[SignedOffer]:
    """The offers of a content, opened with nothing but its name."""
    key, now = offer_key(digest), time.time()
    rows = [entry.values for entry in entries if entry.source == "dht.sqlite, records"]
    values = [row[-1] for row in rows if row[0] == key]
    records = [
        SignedRecord.parse(value, puzzle_bits=0, now=now)
        for value in values
        if isinstance(value, bytes)
    ]
    return list({offer.hash: offer for offer in offers_in(digest, records)}.values())


# A home


def _home(name: str, home: Path, scratch: Path) -> Iterator[Entry]:
    for path in sorted(home.rglob("*")):
        place = str(path.relative_to(home))
        if not path.is_file() or any(skipped in place for skipped in SKIPPED):
            continue
        data = path.read_bytes()
        if data.startswith(b"SQLite format 3\0"):
            yield from _database(name, place, path, scratch)
            if place == "market/custody.db":
                yield from _custody(name, home, path, scratch)
        elif path.suffix == ".log":
            for line in data.decode(errors="replace").splitlines():
                yield Entry(name, f"{place}, a line", (line,), _moment(line))
        elif not place.endswith(("-wal", "-shm")):  # their rows are the database's
            yield Entry(name, place, (place, data[:MOST_TEXT]))


def _copy(path: Path, scratch: Path) -> sqlite3.Connection:
    """Open a copy, with its write-ahead log: a node may be writing to it."""
    copy = scratch / "copy.db"
    for ending in ("", "-wal"):
        copy.with_name(copy.name + ending).unlink(missing_ok=True)
        if (source := path.with_name(path.name + ending)).exists():
            shutil.copyfile(source, copy.with_name(copy.name + ending))
    copy.with_name("copy.db-shm").unlink(missing_ok=True)
    return sqlite3.connect(copy)


def _database(name: str, place: str, path: Path, scratch: Path) -> Iterator[Entry]:
    database = _copy(path, scratch)
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for row in database.execute(f'SELECT * FROM "{table}"').fetchall():
            times = [value for value in row if _is_time(value)]
            source = f"{place}, {table}"
            yield Entry(name, source, row, None)
            for moment in times:
                yield Entry(name, source, row, float(moment))
    database.close()


def _custody(name: str, home: Path, path: Path, scratch: Path) -> Iterator[Entry]:
    """Shares of keys, opened: the keys are in the same home."""
    seed = (home / "keys" / "sealing.seed").read_bytes()
    key = X25519PrivateKey.from_private_bytes(seed)
    database = _copy(path, scratch)
    rows = database.execute("SELECT offer_hash, content, share_index, sealed FROM shares")
    for offer_hash, content, index, sealed in rows.fetchall():
        share = open_for_custody(key, offer_hash, index, sealed)
        yield Entry(name, "market/custody.db, a share opened", (offer_hash, content, index, share))
    database.close()


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and RECENT < value < RECENT + 100 * 365 * 86_400


def _moment(line: str) -> float | None:
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\+0000", line)
    return datetime.fromisoformat(found.group(1)).replace(tzinfo=UTC).timestamp() if found else None


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))

"""How many receipts a key holder checks in a second, against what cannot be saved of that.

A holder is a real gate with its files on the disk, asked for its share by buyers whose payments are
in its index; each answer is counted in a transaction of its own before it leaves. The baseline is
what no holder can do without: the cryptography, called from the libraries (an Ed25519 signature,
the one-time address, the message's hash, HPKE once each way), and one row in a file of SQLite,
durable. The other baseline is what a holder would do that has no index of the chain: check the
payment's zero-knowledge proof.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nacl.signing
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_hash.auto import keccak

from bitsnode.market.sealing import open_for_custody, seal_for_buyer, seal_for_custody
from bitsnode.market.testing import META, NOW, buy, custody_key, make_offer, sign
from bitsnode.market.testing_holders import CALLER, Holder, MemoryChain, result
from bitsnode.wire.market_messages import RequestKey
from tests.bench.zk import a_proof
from zk.stealth import generate
from zk.verification import verify

RECEIPTS = 200
ROUNDS = 4
MESSAGE_WORDS = 16  # hashed for the message of a redemption of one voucher
GOAL = 0.5  # of what cannot be saved


def _asked(holder: Holder, chain: MemoryChain) -> list[RequestKey]:
    """Put payments into the chain, and return what their buyers ask."""
    offer, shares = make_offer(3, 11)
    signed = sign(offer)
    holder.entrust(signed, shares)
    requests = []
    for number in range(RECEIPTS):
        purchase = buy(signed, number)
        chain.redeem(purchase.receipt, block=1 + number // 8, time=NOW)
        requests.append(holder.ask(purchase, X25519PrivateKey.generate()))
    chain.final = RECEIPTS
    return requests


def _bare(file: Path) -> Callable[[], object]:
    """Return the cryptography of one answer, and a durable row in a file."""
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE answers (message BLOB, time INTEGER)")
    key = nacl.signing.SigningKey(b"\x01" * 32)
    signature, public = key.sign(b"a question" * 20).signature, key.verify_key
    holder, reader = custody_key(1), X25519PrivateKey.generate().public_key().public_bytes_raw()
    kept = seal_for_custody(holder.public_key().public_bytes_raw(), bytes(32), 1, bytes(16))

    def once() -> None:
        public.verify(b"a question" * 20, signature)
        generate(META, b"\x06" * 32)
        keccak(bytes(32 * MESSAGE_WORDS))
        seal_for_buyer(reader, bytes(32), 1, open_for_custody(holder, bytes(32), 1, kept))
        database.execute("INSERT INTO answers VALUES (?, ?)", (bytes(32), NOW))

    return once


def _seconds(action: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - began) / times


def rows() -> list[dict[str, Any]]:
    """Measure all in turn; the best turn of each counts."""
    proof = a_proof()
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as folder:
        bare = _bare(Path(folder) / "bare.db")
        chain = MemoryChain()
        holder = Holder(Path(folder) / "custody.db", 1, chain)
        try:
            requests = _asked(holder, chain)
            answers = iter(requests * ROUNDS)
            result(holder.responder.handle(requests[0], CALLER))  # takes up the redemptions
            ours, base, proving = [], [], []
            for _ in range(ROUNDS):
                base.append(_seconds(bare, RECEIPTS))
                ours.append(
                    _seconds(
                        lambda: result(holder.responder.handle(next(answers), CALLER)), RECEIPTS
                    )
                )
                proving.append(_seconds(lambda: verify(proof), 20))
        finally:
            holder.store.close()
    return [
        _row("receipts checked, against bare cryptography and disk", min(ours), min(base), GOAL),
        _row("receipts checked, against checks of a proof", min(ours), min(proving), None),
    ]


def _row(what: str, ours: float, base: float, goal: float | None) -> dict[str, Any]:
    return {
        "what": what,
        "measured": f"{1 / ours:.0f}/s",
        "baseline": f"{1 / base:.0f}/s",
        "ratio": f"{base / ours:.2f}",
        "goal": "none" if goal is None else f">= {goal}",
        "met": goal is None or base / ours >= goal,
    }

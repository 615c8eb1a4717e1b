"""Scanning announcements for our payments, against the JavaScript SDK, in one run.

Both look at announcements of which one in a hundred is ours, and must find the same. The SDK gets
a few hundred at a time, as it would take minutes over all; both take turns, and the best turn of
each counts. The SDK is single-threaded JavaScript; ours runs on all cores, as in a node. Its
packages are installed by ``bin/setup --bench``.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from tests.bench.row import PeerMissing
from zk.stealth import MetaAddress, generate, public_key, scan

COUNT = 10_000
COUNT_JS = 500
OURS_EVERY = 100
ROUNDS = 5
GOAL = 100  # times the SDK
JS = Path(__file__).parent / "js"
WHAT = "scan of 10,000 announcements, against the SDK"


@attrs.frozen
class _Announcement:
    scheme_id: int
    stealth_address: str
    ephemeral_public_key: bytes
    metadata: bytes


def _key() -> bytes:
    return secrets.token_bytes(32)  # an invalid one comes once in 2**128


def _announcements(meta: MetaAddress) -> list[_Announcement]:
    stranger = MetaAddress(public_key(_key()), public_key(_key()))
    payments = [
        generate(stranger if number % OURS_EVERY else meta, _key()) for number in range(COUNT)
    ]
    return [
        _Announcement(1, paid.stealth_address, paid.ephemeral_public_key, bytes([paid.view_tag]))
        for paid in payments
    ]


def _on_all_cores(
    viewing: bytes, meta: MetaAddress, announcements: list[_Announcement]
) -> list[_Announcement]:
    """Scan in threads, as a node does: coincurve lets go of the interpreter."""
    cores = os.cpu_count() or 1
    step = -(-len(announcements) // cores)
    parts = [announcements[at : at + step] for at in range(0, len(announcements), step)]
    with ThreadPoolExecutor(cores) as pool:
        jobs = pool.map(lambda part: list(scan(viewing, meta.spending_public_key, part)), parts)
        return [line for found in jobs for line in found]


def _sdk(viewing: bytes, meta: MetaAddress, announcements: list[_Announcement]) -> float:
    """Return the announcements that the SDK checks in a second.

    Raises:
        PeerMissing: it is not installed.
    """
    node = shutil.which("node")
    if node is None or not (JS / "node_modules").exists():
        raise PeerMissing("the stealth address SDK is not installed: bin/setup --bench does it")
    work = {
        "viewingPrivateKey": f"0x{viewing.hex()}",
        "spendingPublicKey": f"0x{meta.spending_public_key.hex()}",
        "announcements": [
            {
                "stealthAddress": line.stealth_address,
                "ephemeralPublicKey": f"0x{line.ephemeral_public_key.hex()}",
                "viewTag": f"0x{line.metadata.hex()}",
            }
            for line in announcements
        ],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(work, file)
        file.flush()
        output = subprocess.run(
            [node, "scan.mjs", file.name], cwd=JS, check=True, capture_output=True
        ).stdout
    result = json.loads(output)
    if result["found"] != len(announcements) // OURS_EVERY:
        raise RuntimeError("the SDK does not find what we find")
    return float(len(announcements) / result["seconds"])


def rows() -> list[dict[str, Any]]:
    """Measure both on the same announcements."""
    viewing, spending = _key(), _key()
    meta = MetaAddress(public_key(spending), public_key(viewing))
    announcements = _announcements(meta)
    ours, theirs = 0.0, 0.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = _on_all_cores(viewing, meta, announcements)
        ours = max(ours, COUNT / (time.perf_counter() - began))
        if found != announcements[::OURS_EVERY]:
            raise RuntimeError("the scan missed a payment")
        theirs = max(theirs, _sdk(viewing, meta, announcements[:COUNT_JS]))
    return [
        {
            "what": WHAT,
            "measured": f"{ours:.0f}/s",
            "baseline": f"{theirs:.0f}/s",
            "ratio": f"{ours / theirs:.0f}",
            "goal": f">= {GOAL}",
            "met": ours >= GOAL * theirs,
        }
    ]

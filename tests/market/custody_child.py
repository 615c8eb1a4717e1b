"""A key holder that is killed at one of its statements: python custody_child.py FILE NUMBER."""

import os
import signal
import sys
from pathlib import Path

from bitsnode.ledger import database
from bitsnode.market.custody import CustodyStore, Kept
from bitsnode.market.offer import Market, SignedOffer


def main(file: Path, fatal: int, offer: bytes, chain_id: int, vouchers: bytes) -> None:
    """Keep a share, answer once, and say so; die before statement number `fatal`."""
    database.SYNCHRONOUS = "OFF"  # a kill leaves what was written to the system
    store = CustodyStore(file, Market(chain_id, vouchers, ()))
    number = 0

    def before(_statement: str) -> None:
        nonlocal number
        number += 1
        if number == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    store.database.before = before
    store.put(Kept(SignedOffer.parse(offer), 1, bytes(64)))
    print("kept", flush=True)
    store.count_answer(b"m" * 32, 1_800_000_000)
    print("answered", flush=True)


if __name__ == "__main__":
    path, place, signed, chain, contract = sys.argv[1:]
    main(Path(path), int(place), bytes.fromhex(signed), int(chain), bytes.fromhex(contract))

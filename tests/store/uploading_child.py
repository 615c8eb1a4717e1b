"""Stores shares below the home given until it is killed; prints one line per promise."""

import hashlib
import sys
from pathlib import Path

from bitsnode.store.quota import Limits
from bitsnode.store.store import Store
from bitsnode.store.testing import NOW, PRICES, SampleShare

store = Store(Path(sys.argv[1]), PRICES, Limits(), lambda sentence: None)
print("ready", flush=True)
for number in range(1_000_000):
    brief = number % 3 == 2
    share = SampleShare.make(lease_until=NOW + (1 if brief else 1000))
    share.upload(store)
    if brief:
        store.sweep(NOW + 1)
    else:
        digest = hashlib.sha256(b"".join(share.parts)).hexdigest()
        print(share.key.name, digest, flush=True)

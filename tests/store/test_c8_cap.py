"""C8: ten times its cap is pushed at a store: it keeps to the cap, refuses, and evicts by policy.

The shares of a push have the same bytes under other storage indexes, so that making them costs a
puzzle each and no hashing. What is refused is refused before its bytes are sent, as for a peer.
"""

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from bitsnode.codec import share_puzzle
from bitsnode.store.quota import LIGHT_NODE, OVERHEAD, Limits, charge
from bitsnode.store.shares import Geometry
from bitsnode.store.store import Store
from bitsnode.store.testing import DAY, NOW, PRICES, SampleShare
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import Commit, FailureCode


class Pusher:
    """Pushes shares of one size, one after the other, and remembers what became of them.

    Args:
        store: is pushed at.
        folder: of the store.
        limits: of the store; at no time it may hold more than 1% above its cap on the disk.
        blocks: of a share.
        block: bytes of a block.
    """

    def __init__(self, store: Store, folder: Path, limits: Limits, blocks: int, block: int) -> None:
        self._store = store
        self._folder = folder
        self._cap = limits.total
        self._sample = SampleShare.make(blocks, block)
        self._often = max(1, limits.total // self.charge // 8)
        self._pushed = 0
        self.kept: list[SampleShare] = []

    @property
    def charge(self) -> int:
        """Bytes that a share counts for."""
        asked = self._sample.request
        sizes = (asked.blocks, asked.block_size, asked.last_block_size, asked.manifest_size)
        return charge(Geometry(*sizes))

    def push(self, total: int, *, now: int = NOW, until: int, paid: bool = False) -> list[int]:
        """Push shares of so many bytes in all; return the codes of the refusals."""
        refusals = []
        for number in range(total // self.charge):
            one = self._another(until + number)
            self._pushed += self.charge
            try:
                place = self._store.allocate(one.request, number, now, paid=paid)
            except Refused as error:
                refusals.append(error.code)
                continue
            for piece in one.pieces(place.upload):
                self._store.put(piece, now)
            self._store.commit(Commit(place.upload, ()), now)
            self.kept.append(one)
            if number % self._often == 0:
                assert on_disk(self._folder) <= self._cap * 1.01
        return refusals

    @property
    def pushed(self) -> int:
        """Bytes so far."""
        return self._pushed

    def _another(self, until: int) -> SampleShare:
        """Return the same bytes under another storage index, with its puzzle solved."""
        asked = self._sample.request
        storage_index = self._pushed.to_bytes(32)
        size = asked.block_size * (asked.blocks - 1) + asked.last_block_size
        puzzle = share_puzzle.SharePuzzle(
            PRICES.onion_key, storage_index, asked.index, asked.whitened_root, size, 1
        )
        nonce = share_puzzle.solve(puzzle)
        assert nonce is not None
        changed = {"storage_index": storage_index, "nonce": nonce, "lease_until": until}
        return attrs.evolve(self._sample, request=attrs.evolve(asked, **changed))


def on_disk(folder: Path) -> int:
    """Bytes of the disk that shares and uploads take, as the file system counts them."""
    found = (path for name in ("shares", "incoming") for path in (folder / name).rglob("*"))
    return sum(path.stat().st_blocks * 512 for path in found if path.is_file())


def fills_to_the_cap(open_store: Callable[[Limits], Store], home: Path, cap: int, block: int):
    """Push ten times the cap in three waves, and check after each."""
    limits = attrs.evolve(Limits.of(cap), spare=0)
    store = open_store(limits)
    pusher = Pusher(store, home / "store", limits, 4, block)

    refusals = pusher.push(3 * cap, until=NOW + DAY)
    unpaid = pusher.kept
    assert set(refusals) == {FailureCode.FULL}
    assert 0.96 * limits.unpaid <= store.counters().used <= limits.unpaid

    pusher.kept = []
    refusals = pusher.push(6 * cap, until=NOW + 5 * DAY, paid=True)
    paid = pusher.kept
    assert set(refusals) == {FailureCode.FULL}
    assert 0.99 * cap <= store.counters().used <= cap
    overhead = OVERHEAD * len(paid)  # counted for each; the disk may need less
    assert 0.99 * cap - overhead <= on_disk(home / "store") <= 1.01 * cap
    assert {holding.key for holding in store.holdings()} == {one.key for one in paid}
    for one in (paid[0], paid[-1]):
        one.check(store)  # no promise to one who paid is broken
    with pytest.raises(Refused):
        unpaid[0].check(store)

    pusher.kept = []
    refusals = pusher.push(cap, now=NOW + 6 * DAY, until=NOW + 9 * DAY)
    assert set(refusals) == {FailureCode.FULL}  # what has expired makes way, up to the unpaid part
    kept = {holding.key for holding in store.holdings()}
    assert {one.key for one in pusher.kept} <= kept
    assert store.counters().used <= cap
    assert on_disk(home / "store") <= 1.01 * cap
    assert pusher.pushed >= 9.9 * cap


def test_c8_a_small_cap_and_ten_times_as_much(open_store, tmp_path):
    """At 32 MiB: used within 1% of the cap, the rest refused, unpaid gone first, then expired."""
    fills_to_the_cap(open_store, tmp_path, 32 << 20, 60_000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_c8_a_light_node_and_ten_gigabytes(open_store, tmp_path):
    """The same at the cap of a light node, 1 GB, with 10 GB pushed."""
    fills_to_the_cap(open_store, tmp_path, LIGHT_NODE, 1 << 20)

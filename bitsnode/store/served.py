"""Counting what is served, in memory, so that no read waits for the index."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from bitsnode.store.index import Holding, Served
from bitsnode.store.shares import ShareKey
from bitsnode.wire.messages import Part

# Of what is kept: a moment beside the name of a share, found on a disk, would tell which content
# was fetched when somebody had paid for one.
DAY: Final = 86_400  # seconds
Flush = Callable[[Mapping[ShareKey, Served], Mapping[str, int]], None]


@attrs.frozen
class Counters:
    """What the store did since it was made.

    Attributes:
        reads: requests answered with data.
        served_share: bytes of whitened shares handed out.
        served_layer: bytes of block layers handed out.
        served_manifest: bytes of manifests handed out.
        received: bytes taken in, whether or not they were kept.
        stored: shares taken in and kept.
        used: bytes that shares and open uploads count for now.
        uploads: uploads open now.
    """

    reads: int = 0
    served_share: int = 0
    served_layer: int = 0
    served_manifest: int = 0
    received: int = 0
    stored: int = 0
    used: int = 0
    uploads: int = 0


_LASTING = ("reads", "served_share", "served_layer", "served_manifest", "received", "stored")


class Tally:
    """The counters, and what was served of each share since the last flush.

    Args:
        counters: as of the last flush.
    """

    def __init__(self, counters: Mapping[str, int]) -> None:
        self._lock = threading.Lock()
        self._counts = {name: counters.get(name, 0) for name in _LASTING}
        self._pending: dict[ShareKey, Served] = {}
        self._changed = False

    def _add(self, name: str, count: int) -> None:
        self._counts[name] += count
        self._changed = True

    def received(self, size: int) -> None:
        """Count bytes taken in."""
        with self._lock:
            self._add("received", size)

    def stored(self) -> None:
        """Count a share that was kept."""
        with self._lock:
            self._add("stored", 1)

    def served(self, key: ShareKey, part: int, size: int, now: float) -> None:
        """Count bytes handed out of a share's part."""
        with self._lock:
            self._add("reads", 1)
            self._add(_LASTING[1 + part], size)
            served = self._pending.setdefault(key, Served())
            served.last_read = int(now) - int(now) % DAY
            served.reads += 1
            served.parts[part] += size

    def counters(self, used: int, uploads: int) -> Counters:
        """Return the counters with what is known elsewhere."""
        with self._lock:
            return Counters(**self._counts, used=used, uploads=uploads)

    def with_pending(self, holdings: Iterable[Holding]) -> list[Holding]:
        """Return the holdings with what was served since the last flush added."""
        with self._lock:
            return [self._merged(holding) for holding in holdings]

    def _merged(self, holding: Holding) -> Holding:
        new = self._pending.get(holding.key)
        if new is None:
            return holding
        share, layer, manifest = (
            holding.served[part] + new.parts[part]
            for part in (Part.SHARE, Part.LAYER, Part.MANIFEST)
        )
        return attrs.evolve(
            holding,
            last_read=new.last_read,
            reads=holding.reads + new.reads,
            served=(share, layer, manifest),
        )

    def flush(self, write: Flush) -> None:
        """Have everything new written; what could not be written stays for the next flush."""
        with self._lock:
            if not self._changed:
                return
            pending, self._pending = self._pending, {}
            counts, self._changed = dict(self._counts), False
        try:
            write(pending, counts)
        except BaseException:
            with self._lock:
                self._changed = True
                for key, old in pending.items():
                    new = self._pending.setdefault(key, Served())
                    new.last_read = max(new.last_read, old.last_read)
                    new.reads += old.reads
                    new.parts = [a + b for a, b in zip(new.parts, old.parts, strict=True)]
            raise

"""Blocks from many holders at once: verified, kept, and asked for again when they fail."""

from functools import partial
from typing import Final

import attrs
from twisted.internet.defer import CancelledError, Deferred

from bitsnode.codec.errors import DamagedBlock
from bitsnode.codec.keys import storage_index
from bitsnode.codec.layout import SEGMENT_CHUNKS, Layout
from bitsnode.codec.manifest import Manifest
from bitsnode.codec.merkle import ROOT_SIZE, check_block
from bitsnode.codec.whitening import whiten
from bitsnode.content.asking import HolderFault, Tools, ask
from bitsnode.content.errors import TorDown, Unavailable
from bitsnode.content.locate import PATIENCE, READ_SECONDS
from bitsnode.content.pace import Times
from bitsnode.content.partial import Partial, check_layer
from bitsnode.content.plan import Plan
from bitsnode.content.progress import Fetching, HolderFailed, OnEvent, Resuming, Waiting
from bitsnode.content.sources import Source, State
from bitsnode.content.waiting import Alarm, Tasks, all_of
from bitsnode.wire.messages import MAX_DATA, Data, Part, ReadShare
from onion.address import OnionAddress
from onion.isolation import Isolation

LOOK_SECONDS: Final = 2.0  # between looks at what is late, when nothing happens
READS_AT_ONCE: Final = 8  # requests of one block or one layer side by side


@attrs.define(eq=False)
class _Flight:
    """A block that is under way.

    Attributes:
        since: seconds of the clock.
        hedged: another holder was asked to stand in.
        task: cancels it.
    """

    source: Source
    chunk: int
    since: float
    hedged: bool = False
    task: Deferred[None] | None = None


class Fetch:
    """Fetches the blocks of some chunks of one content.

    Args:
        tools: ask the holders, and carry out what takes long.
        isolation: of this fetch.
        manifest: verified.
        digest: of the content id.
        sources: the holders, the best first.
        partial: where verified blocks are kept.
        chunks: which ones are needed.
        on_event: told of progress.

    Attributes:
        held: for each chunk the shares whose blocks are there and verified.
    """

    def __init__(
        self,
        tools: Tools,
        isolation: Isolation,
        manifest: Manifest,
        digest: bytes,
        sources: list[Source],
        partial: Partial,
        chunks: range,
        on_event: OnEvent,
    ) -> None:
        self._tools = tools
        self._isolation = isolation
        self._manifest = manifest
        self._layout = manifest.layout
        self._filed = storage_index(digest)
        self._sources = sources
        self._partial = partial
        self._chunks = chunks
        self._on_event = on_event
        self._plan = Plan(manifest.k, chunks)
        self._flights: dict[tuple[int, int], _Flight] = {}
        self._times = Times()
        self._alarm = Alarm(tools.clock)
        self._tasks = Tasks()
        self._total = sum(manifest.k * self._layout.block_size(chunk) for chunk in chunks)
        self._done = 0
        self._last_progress = tools.clock.seconds()
        self._tor_down = False
        self.held: dict[int, list[int]] = {chunk: [] for chunk in chunks}

    @property
    def holders(self) -> tuple[OnionAddress, ...]:
        """The holders that gave a block that was verified, the best first."""
        return tuple(dict.fromkeys(source.address for source in self._sources if source.gave))

    async def run(self) -> None:
        """Return when k blocks of every chunk are there.

        Raises:
            Unavailable: too few holders can be reached.
            TorDown: tor stayed away for `PATIENCE`.
            FetchDiskError: verified blocks cannot be kept.
        """
        await self._take_up()
        try:
            while not self._plan.complete:
                self._open_sources()
                self._dispatch()
                self._check_hope()
                await self._alarm.wait(self._hedge_late())
                self._tasks.check()
        finally:
            self._tasks.cancel()

    async def _take_up(self) -> None:
        """Begin with what an earlier run has verified, verified again."""
        found = await self._tools.run(
            lambda: list(self._partial.verified(self._manifest, self._chunks))
        )
        for chunk, index in found:
            self._arrived(chunk, index)
        if found:
            self._on_event(Resuming(self._done))

    # Holders

    def _open_sources(self) -> None:
        """Keep 1.75 k holders busy, and one more for each that is late."""
        now = self._now
        k = self._manifest.k
        late = {flight.source.index for flight in self._flights.values() if flight.hedged}
        hedge = self._times.hedge_after
        active = [source for source in self._sources if source.active]
        slow = sum(
            source.state is State.WARMING and now - source.warming_since >= hedge
            for source in active
        )
        room = min(k + -(-3 * k // 4) + len(late) + slow, 4 * k + 4) - len(active)
        taken = {source.index for source in active}
        # first one holder of each share, then others of shares that are being read already
        idle = [source for source in self._sources if source.may_be_asked(now)]
        for source in sorted(idle, key=lambda source: source.index in taken):
            if room <= 0:
                return
            if self._plan.useful(source.index):
                source.state, source.warming_since = State.WARMING, now
                self._tasks.start(self._warm(source))
                room -= 1

    async def _warm(self, source: Source) -> None:
        """Get and check the block roots of a share, which every block of it is checked by."""
        wanted = range(
            Layout.segment(self._chunks.start), Layout.segment(self._chunks.stop - 1) + 1
        )
        try:
            for segment in wanted:
                if segment not in source.layers:
                    source.layers[segment] = await self._layer(source, segment)
        except HolderFault as fault:
            self._failed(source, fault)
        except DamagedBlock:
            self._lied(source)
        else:
            if source.state is State.WARMING:
                source.state = State.READY
        self._alarm.ring()

    async def _layer(self, source: Source, segment: int) -> list[bytes]:
        kept = await self._tools.run(
            partial(self._partial.layer, self._manifest, source.index, segment)
        )
        if kept is not None:
            return kept
        size = len(self._layout.chunks_of(segment)) * ROOT_SIZE
        data = await self._read(source, Part.LAYER, segment * SEGMENT_CHUNKS * ROOT_SIZE, size)
        roots = check_layer(self._manifest, source.index, segment, data)
        if roots is None:
            raise DamagedBlock
        await self._tools.run(partial(self._partial.keep_layer, source.index, segment, roots))
        return roots

    def _failed(self, source: Source, fault: HolderFault) -> None:
        now = self._now
        if source.failed(fault, now):
            self._tor_down = fault.tor_down
            if fault.tor_down:
                self._on_event(Waiting(str(fault), source.retry_at - now))
            else:
                self._on_event(HolderFailed(str(fault)))

    def _lied(self, source: Source) -> None:
        if source.state is not State.GONE:
            source.lied()
            self._on_event(HolderFailed("A holder gave data that does not match the manifest."))

    # Blocks

    def _dispatch(self) -> None:
        """Ask every holder that has room for one block after the other, in turns."""
        ready = [source for source in self._sources if source.state is State.READY]
        while ready:
            ready = [source for source in ready if self._ask_next(source)]

    def _ask_next(self, source: Source) -> bool:
        # when tor is down a request fails before this returns, and the holder is ready no more
        if source.state is not State.READY or not source.window.has_room(
            self._layout.full_block_size
        ):
            return False
        chunk = self._plan.take(source.index)
        if chunk is None:
            return False
        source.window.under_way += self._layout.block_size(chunk)
        flight = _Flight(source, chunk, self._now)
        self._flights[chunk, source.index] = flight
        flight.task = self._tasks.start(self._fly(flight))
        return True

    async def _fly(self, flight: _Flight) -> None:
        """Get one block; whatever happens, the plan and the holder's window learn of it."""
        source, chunk = flight.source, flight.chunk
        size = self._layout.block_size(chunk)
        try:
            data = await self._read(source, Part.SHARE, self._layout.block_offset(chunk), size)
            seconds = self._now - flight.since
            await self._tools.run(partial(self._accept, source, chunk, data))
        except HolderFault as fault:
            self._plan.failed(chunk, source.index)
            self._failed(source, fault)
        except DamagedBlock:
            self._plan.failed(chunk, source.index)
            self._lied(source)
        except CancelledError:
            self._plan.failed(chunk, source.index)
        else:
            self._times.add(seconds)
            source.window.arrived(size, seconds)
            source.gave_block()
            self._progress(chunk, source.index)
        finally:
            source.window.under_way -= size
            self._flights.pop((chunk, source.index), None)
            self._alarm.ring()

    def _accept(self, source: Source, chunk: int, data: bytes) -> None:
        """Take the whitening off a block, check it against the manifest, and keep it."""
        segment = Layout.segment(chunk)
        block = whiten(source.key, segment, chunk, data)
        check_block(block, source.layers[segment][chunk - segment * SEGMENT_CHUNKS])
        self._partial.keep_block(self._layout, source.index, chunk, block)

    async def _read(self, source: Source, part: int, offset: int, size: int) -> bytes:
        """Read a stretch in equal pieces of at most `MAX_DATA` bytes, all under way at once."""
        count = -(-size // MAX_DATA)
        step = -(-size // count)

        async def piece(at: int, length: int) -> bytes:
            message = ReadShare(self._filed, source.index, part, at, length)
            reply: Data = await ask(
                self._tools.peers, source.address, message, self._isolation, READ_SECONDS
            )
            if len(reply.data) != length:
                raise HolderFault("A holder gave fewer bytes than its share has.")
            source.heard = self._now
            return reply.data

        pieces = (
            piece(at, min(step, offset + size - at)) for at in range(offset, offset + size, step)
        )
        return b"".join(await all_of(pieces, READS_AT_ONCE))

    def _progress(self, chunk: int, index: int) -> None:
        for other in self._arrived(chunk, index):
            flight = self._flights.get((chunk, other))
            if flight is not None and flight.task is not None:
                flight.task.cancel()
        self._last_progress = self._now
        self._tor_down = False
        active = sum(source.active for source in self._sources)
        self._on_event(Fetching(self._done, self._total, active))

    def _arrived(self, chunk: int, index: int) -> frozenset[int]:
        if len(self.held[chunk]) < self._manifest.k and index not in self.held[chunk]:
            self.held[chunk].append(index)
            self._done += self._layout.block_size(chunk)
        return self._plan.arrived(chunk, index)

    # Time

    @property
    def _now(self) -> float:
        return self._tools.clock.seconds()

    def _hedge_late(self) -> float:
        """Let other holders stand in for late blocks; return seconds until the next look."""
        now, wait = self._now, LOOK_SECONDS
        for flight in self._flights.values():
            if not flight.hedged:
                left = self._times.late_at(flight.since, flight.source.heard) - now
                if left > 0:
                    wait = min(wait, left)
                else:
                    flight.hedged = True
                    self._plan.hedge(flight.chunk, flight.source.index)
                    self._alarm.ring()
        return wait

    def _check_hope(self) -> None:
        """Give up when too few holders are left, or nothing came for too long."""
        ready = {source.index for source in self._sources if source.state is State.READY}
        k = self._manifest.k
        if self._now - self._last_progress > PATIENCE:
            if self._tor_down:
                raise TorDown
            raise Unavailable(self._plan.within_reach(ready), k)
        if not self._flights:
            left = {source.index for source in self._sources if source.state is not State.GONE}
            if self._plan.within_reach(left) < k:
                raise Unavailable(self._plan.within_reach(ready), k)

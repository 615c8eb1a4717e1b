"""Who holds a content, and its manifest."""

from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, zip_longest
from typing import Final, TypeVar

import attrs
from twisted.internet.defer import Deferred

from bitsnode.codec.erasure import Code
from bitsnode.codec.errors import BadManifest, BadPlacement
from bitsnode.codec.keys import record_public_key, storage_index
from bitsnode.codec.manifest import SealedManifest
from bitsnode.codec.placement import Placement, Provider, open_placement, unseal_provider
from bitsnode.content.asking import HolderFault, Tools, ask, caused_by_tor
from bitsnode.content.errors import NotFound, TorDown, Unavailable
from bitsnode.content.progress import OnEvent, Waiting
from bitsnode.content.waiting import Alarm, Tasks, pause
from bitsnode.errors import BitsError
from bitsnode.ids import ContentId
from bitsnode.wire.messages import MAX_DATA, MAX_MANIFEST, Data, Part, ReadShare
from bitsnode.wire.record import RecordKind, SignedRecord, record_key
from onion.address import OnionAddress
from onion.errors import AddressError, OnionError
from onion.isolation import Isolation

LOOKUPS: Final = 3  # times that records are looked up before a content counts as unknown
PATIENCE: Final = 90.0  # seconds without progress after which a fetch gives up
BACK_OFF: Final = (1.0, 2.0, 4.0, 8.0)  # seconds between attempts; the last one stays
MANIFEST_ROUNDS: Final = 3  # times that every holder is asked for the manifest
MANIFEST_AT_ONCE: Final = 3  # holders asked for it at first; each that fails brings in another
MANIFEST_HEDGE: Final = 3.0  # seconds after which one more holder is asked
READ_SECONDS: Final = 60.0  # for 256 KiB behind up to 4 MiB on a slow circuit

T = TypeVar("T")


@attrs.frozen
class Whereabouts:
    """What the DHT says of a content's holders. Hints only, until the manifest is there.

    Attributes:
        placements: those that open, the newest first.
        providers: those that open.
        quick: whether they come of the finder, which asks few, and not of the DHT itself.
    """

    placements: tuple[Placement, ...]
    providers: tuple[Provider, ...]
    quick: bool = False

    def hints(self) -> list[Provider]:
        """Return every holder named, one of each placement in turn and of the provider records.

        Anybody who knows the content id can add a placement, with any sequence and 256 lines.
        """
        placed = [
            [Provider(line.onion_key, line.index) for line in placement.placed]
            for placement in self.placements
        ]
        turns = chain.from_iterable(zip_longest(*placed, self.providers))
        return list(dict.fromkeys(hint for hint in turns if hint is not None))

    def verified(self, content_id: ContentId, publisher: bytes) -> list[Provider]:
        """Return the holders that the publisher names, then those that name themselves."""
        found: list[Provider] = []
        for placement in self.placements:
            try:
                placement.verify(content_id.digest, publisher)
            except BadPlacement:
                continue
            found = [Provider(line.onion_key, line.index) for line in placement.placed]
            break
        return list(dict.fromkeys([*found, *self.providers]))

    def guess_k(self) -> int:
        """Return how many holders are likely needed, when the manifest is out of reach."""
        most = max((len(placement.placed) for placement in self.placements), default=1)
        return Code.for_holders(max(1, most)).k


class Locator:
    """Finds one content.

    Args:
        tools: ask the DHT and the holders.
        isolation: of this fetch.
        content_id: what to find.
        on_event: told of waiting.
    """

    def __init__(
        self, tools: Tools, isolation: Isolation, content_id: ContentId, on_event: OnEvent
    ) -> None:
        self._tools = tools
        self._isolation = isolation
        self._content_id = content_id
        self._on_event = on_event

    async def whereabouts(self, *, quick: bool = True) -> Whereabouts:
        """Look up who holds the content.

        Args:
            quick: ask the finder first, if there is one.

        Raises:
            NotFound: no record of it is found.
            TorDown: tor stayed away.
            BitsError: what the DHT raises, for example that no other node is known.
        """
        key = record_key(record_public_key(self._content_id.digest))
        if quick and self._tools.finder is not None:
            told = await self._tools.finder.find(key, walk=False)
            found = self._open(told.records, quick=True)
            if found is not None:
                return found
        for attempt in range(LOOKUPS):
            records = await self._while_tor_is_down(
                lambda: self._tools.dht.get_records(key, self._isolation)
            )
            found = self._open(records, quick=False)
            if found is not None:
                return found
            if attempt + 1 < LOOKUPS:
                await pause(self._tools.clock, BACK_OFF[attempt])
        raise NotFound

    def _open(self, records: Iterable[SignedRecord], *, quick: bool) -> Whereabouts | None:
        """Return what records say; None if not one of them opens."""
        digest = self._content_id.digest
        placements: list[tuple[int, Placement]] = []
        providers: list[Provider] = []
        for signed in records:
            record = signed.record
            try:
                if record.kind == RecordKind.PLACEMENT:
                    placements.append((record.sequence, open_placement(digest, record.value)))
                elif record.kind == RecordKind.PROVIDER:
                    providers.append(unseal_provider(digest, record.value))
            except BadPlacement:
                continue
        if not placements and not providers:
            return None
        placements.sort(key=lambda pair: -pair[0])
        return Whereabouts(tuple(found for _, found in placements), tuple(providers), quick)

    async def _while_tor_is_down(self, ask_dht: Callable[[], Awaitable[T]]) -> T:
        begun, attempt = self._tools.clock.seconds(), 0
        while True:
            try:
                return await ask_dht()
            except (BitsError, OnionError) as error:
                if not caused_by_tor(error):
                    raise
                if self._tools.clock.seconds() - begun > PATIENCE:
                    raise TorDown from error
                wait = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
                self._on_event(Waiting(str(error), wait))
            await pause(self._tools.clock, wait)
            attempt += 1

    async def manifest(self, whereabouts: Whereabouts) -> SealedManifest:
        """Ask holders for the manifest and return the first good one.

        Raises:
            Unavailable: none gave one.
            TorDown: tor stayed away.
        """
        begun, attempt = self._tools.clock.seconds(), 0
        while True:
            race = _ManifestRace(self._tools, self._isolation, self._content_id)
            found = await race.run(whereabouts.hints())
            if found is not None:
                return found
            waited = self._tools.clock.seconds() - begun
            if race.tor_down:
                if waited > PATIENCE:
                    raise TorDown
            elif attempt + 1 >= MANIFEST_ROUNDS:
                raise Unavailable(0, whereabouts.guess_k())
            wait = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
            self._on_event(Waiting(race.reason, wait))
            await pause(self._tools.clock, wait)
            attempt += 1


class _ManifestRace:
    """Asks holders for the manifest, a few at a time, until one gives a good one."""

    def __init__(self, tools: Tools, isolation: Isolation, content_id: ContentId) -> None:
        self._tools = tools
        self._isolation = isolation
        self._content_id = content_id
        self._alarm = Alarm(tools.clock)
        self._found: SealedManifest | None = None
        self.tor_down = False
        self.reason = "No holder is known."

    async def run(self, hints: list[Provider]) -> SealedManifest | None:
        tasks, waiting = Tasks(), list(reversed(hints))
        allowed = MANIFEST_AT_ONCE
        try:
            while self._found is None and (waiting or len(tasks)):
                while waiting and len(tasks) < allowed:
                    tasks.start(self._ask(waiting.pop()))
                before = len(tasks)
                await self._alarm.wait(MANIFEST_HEDGE)
                tasks.check()
                if len(tasks) == before:
                    allowed += 1
            return self._found
        finally:
            tasks.cancel()

    async def _ask(self, hint: Provider) -> None:
        try:
            data = await self._read(hint)
            self._found = SealedManifest.parse(data, self._content_id)
        except (BadManifest, AddressError) as error:
            self.reason = str(error)
        except HolderFault as fault:
            self.reason = str(fault)
            self.tor_down = fault.tor_down
        finally:
            self._alarm.ring()

    async def _read(self, hint: Provider) -> bytes:
        address = OnionAddress.from_public_key(hint.onion_key)
        filed = storage_index(self._content_id.digest)
        data = b""
        while True:
            message = ReadShare(filed, hint.index, Part.MANIFEST, len(data), MAX_DATA)
            asked = ask(self._tools.peers, address, message, self._isolation, READ_SECONDS)
            reply: Data = await Deferred.fromCoroutine(asked)
            data += reply.data
            if reply.total > MAX_MANIFEST or (not reply.data and len(data) < reply.total):
                raise BadManifest("A holder's manifest is larger than 1 MiB or cut off.")
            if len(data) >= reply.total:
                return data

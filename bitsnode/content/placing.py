"""All shares of a staged content on their way to holders, and the records that tell of them."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
from twisted.internet.defer import DeferredLock

from bitsnode.codec.keys import storage_index
from bitsnode.content.announce import placement_record, provider_record
from bitsnode.content.asking import HolderFault, Tools
from bitsnode.content.errors import DiskError, NotAnnounced, TooFewStored
from bitsnode.content.journal import Job, Journal, Stored
from bitsnode.content.progress import Announcing, HolderFailed, OnEvent, Uploading
from bitsnode.content.upload import Holder, Share, Upload
from bitsnode.content.waiting import all_of, pause
from bitsnode.wire.card import HOUR
from bitsnode.wire.record import SignedRecord
from onion.address import OnionAddress
from onion.isolation import Isolation

LEASE: Final = 30 * 24 * HOUR  # seconds asked for
RETRIES: Final = 2  # more times that a share is tried when no spare holder is left
RETRY_SECONDS: Final = 5.0  # before the first of them, doubled for the next
OUTAGES: Final = 18  # attempts of a share while our own tor is down: 90 s


class Placing:
    """Places the shares of one job.

    Args:
        tools: ask holders and the DHT.
        isolation: of this publish.
        job: what to place.
        on_event: told of progress.
    """

    def __init__(self, tools: Tools, isolation: Isolation, job: Job, on_event: OnEvent) -> None:
        self._tools = tools
        self._isolation = isolation
        self._job = job
        self._on_event = on_event
        self._writing = DeferredLock()
        self._sent = 0

    async def upload(self, holders: list[Holder]) -> None:
        """Store every share that is not stored yet, each at a holder of its own.

        Args:
            holders: willing; those beyond n replace such as fail.

        Raises:
            TooFewStored: fewer than the code's happiness are stored.
        """
        journal = self._job.journal
        taken = {line.onion_key for line in journal.stored}
        spares = deque(holder for holder in holders if holder.address.public_key not in taken)
        present = {line.index for line in journal.stored}
        missing = [index for index in range(journal.n) if index not in present]
        first = [(index, spares.popleft()) for index in missing if spares]
        self._sent = journal.layout.share_size * len(present)
        self._report()
        await all_of((self._place(index, holder, spares) for index, holder in first), journal.n)
        if not self._happy:
            code = journal.code
            raise TooFewStored(len(self._job.journal.stored), code.happiness, code.n)

    async def _place(self, index: int, holder: Holder, spares: deque[Holder]) -> None:
        """Store one share: at its holder, else at a spare one, else at the last one once more."""
        retries = outages = 0
        while (fault := await self._store(index, holder)) is not None:
            if fault.tor_down and outages < OUTAGES:
                # no holder's fault: spares would fail just the same
                outages += 1
                await pause(self._tools.clock, RETRY_SECONDS)
            elif spares:
                holder = spares.popleft()
            elif retries < RETRIES and not self._happy:
                await pause(self._tools.clock, RETRY_SECONDS * 2**retries)
                retries += 1
            else:
                return

    @property
    def _happy(self) -> bool:
        """Whether enough shares are stored."""
        journal = self._job.journal
        return len(journal.stored) >= journal.code.happiness

    async def _store(self, index: int, holder: Holder) -> HolderFault | None:
        """Store one share at one holder; return what went wrong, if anything did."""
        acknowledged = 0

        def count(size: int) -> None:
            nonlocal acknowledged
            acknowledged += size
            self._sent += size
            self._report()

        lease = int(self._tools.clock.seconds()) + min(LEASE, holder.longest)
        upload = self._upload_of(index, holder, lease - lease % HOUR, count)
        try:
            stored = await upload.store()
        except HolderFault as fault:
            self._sent -= acknowledged
            self._on_event(HolderFailed(str(fault)))
            return fault
        await self._note(lambda journal: attrs.evolve(journal, stored=(*journal.stored, stored)))
        self._sent += self._job.journal.layout.share_size - acknowledged
        self._report()
        return None

    def _upload_of(
        self, index: int, holder: Holder, lease_until: int, sent: Callable[[int], None]
    ) -> Upload:
        share = Share(self._job, index, holder)
        filed = storage_index(self._job.journal.digest)
        return Upload(self._tools, self._isolation, share, filed, lease_until, sent)

    async def _note(self, change: Callable[[Journal], Journal]) -> None:
        """Change the journal; one change at a time, each on the disk before it counts."""
        async with self._writing:
            changed = change(self._job.journal)
            try:
                await self._tools.run(partial(self._job.write, changed))
            except OSError as error:
                raise DiskError(self._job.folder, error) from error

    def _report(self) -> None:
        journal = self._job.journal
        total = journal.layout.share_size * journal.n
        self._on_event(Uploading(self._sent, total, len(journal.stored), journal.n))

    async def announce(self) -> None:
        """Put the placement and the provider records into the DHT and hand them to the holders.

        Raises:
            NotAnnounced: no node took the placement.
        """
        self._on_event(Announcing())
        await self._note(lambda journal: attrs.evolve(journal, sequence=journal.sequence + 1))
        placement, providers = await self._tools.run(self._records)
        everything = [placement, *providers.values()]
        taken = await self._tools.dht.put_records(everything, self._isolation)
        if not taken[0]:
            raise NotAnnounced
        attach = (
            self._attach(line, (provider.data, placement.data))
            for line, provider in providers.items()
        )
        await all_of(attach, len(providers))

    def _records(self) -> tuple[SignedRecord, dict[Stored, SignedRecord]]:
        journal, bits = self._job.journal, self._tools.network.record_bits
        now = self._tools.clock.seconds()
        digest, sequence = journal.digest, journal.sequence
        stored = journal.stored
        seed = journal.publisher_seed
        providers = {
            line: provider_record(digest, line, seed, sequence, bits, now) for line in stored
        }
        return placement_record(digest, stored, seed, sequence, bits, now), providers

    async def _attach(self, line: Stored, records: tuple[bytes, ...]) -> None:
        holder = Holder(OnionAddress.from_public_key(line.onion_key), 0, 0, 0)
        try:
            await self._upload_of(line.index, holder, line.lease_until, _ignore).attach(records)
        except HolderFault as fault:
            # the DHT has the records already, and the other holders put them again
            self._on_event(HolderFailed(str(fault)))


def _ignore(_size: int) -> None:
    pass

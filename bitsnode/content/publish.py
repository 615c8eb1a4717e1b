"""The publish flow: find holders, stage, upload, announce."""

from functools import partial
from pathlib import Path

import attrs

from bitsnode.codec.link import Link
from bitsnode.content.asking import Tools
from bitsnode.content.errors import DiskError, NoHolders
from bitsnode.content.files import remove_folder
from bitsnode.content.journal import Job, Jobs
from bitsnode.content.placing import Placing
from bitsnode.content.progress import CodeChosen, FindingHolders, OnEvent, Resuming
from bitsnode.content.source_file import SourceFile, hash_file
from bitsnode.content.staging import stage
from bitsnode.content.upload import Holder
from bitsnode.content.willing import find_willing, fit
from bitsnode.ids import ContentId
from onion.address import OnionAddress
from onion.isolation import Isolation


@attrs.frozen
class Published:
    """A content that is stored and announced.

    Attributes:
        content_id: its name.
        link: who has it can read the content.
        publisher_seed: of the key that signed the manifest, 32 bytes; it signs offers, too.
        sha256: of the plaintext, 32 bytes.
        bytes: of plaintext.
        code: ``k/n``.
        holders: that keep a share, by index.
    """

    content_id: ContentId
    link: Link = attrs.field(repr=False)
    publisher_seed: bytes = attrs.field(repr=False)
    sha256: bytes
    bytes: int
    code: str
    holders: tuple[OnionAddress, ...]


class Publish:
    """One publish, under an isolation of its own.

    Args:
        tools: ask holders and the DHT.
        jobs: on disk.
        in_use: folders of jobs under way, which this one joins while it runs.
        own_key: our own onion key, not counted as a holder.
        on_event: told of progress.
    """

    def __init__(
        self, tools: Tools, jobs: Jobs, in_use: set[Path], own_key: bytes | None, on_event: OnEvent
    ) -> None:
        self._tools = tools
        self._run = tools.run
        self._jobs = jobs
        self._in_use = in_use
        self._own_key = own_key
        self._on_event = on_event
        self._isolation = Isolation.fresh("publish")
        self._folder: Path | None = None

    async def publish(self, path: Path) -> Published:
        """Publish a file.

        Raises:
            BitsError: see `bitsnode.content.errors`; or that no other node is known.
        """
        try:
            source = await self._run(partial(SourceFile, path))
            try:
                job, holders = await self._prepare(path, source)
            finally:
                source.close()
            placing = Placing(self._tools, self._isolation, job, self._on_event)
            await placing.upload(holders)
            await placing.announce()
            await self._run(job.remove)
            return _result(job)
        finally:
            self._tools.peers.close(self._isolation)
            if self._folder is not None:
                self._in_use.discard(self._folder)

    async def _prepare(self, path: Path, source: SourceFile) -> tuple[Job, list[Holder]]:
        """Take up an unfinished publish of the same file, or begin a new one."""
        job = await self._resumable(path, source.size)
        self._on_event(FindingHolders())
        willing = await find_willing(self._tools, self._isolation, self._own_key)
        if job is not None:
            self._on_event(Resuming(len(job.journal.stored)))
            needed = job.journal.layout.share_size
            return job, [holder for holder in willing if holder.largest >= needed]
        code, holders = fit(willing, source.size)
        if code is None:
            raise NoHolders
        self._on_event(CodeChosen(len(holders), code.k, code.n, code.smaller_than_usual))
        folder = await self._run(self._new_folder)
        try:
            now = self._tools.clock.seconds()
            return await stage(self._run, source, code, folder, now, self._on_event), holders
        except Exception:
            await self._run(partial(remove_folder, folder))
            raise

    def _new_folder(self) -> Path:
        try:
            folder = self._jobs.new_folder()
        except OSError as error:
            raise DiskError(self._jobs.folder, error) from error
        self._claim(folder)
        return folder

    def _claim(self, folder: Path) -> None:
        self._folder = folder
        self._in_use.add(folder)

    async def _resumable(self, path: Path, size: int) -> Job | None:
        """Return the unfinished job of this very file, if there is one that nobody works on."""
        alike = [
            job
            for job in await self._run(self._jobs.complete)
            if job.journal.size == size and job.folder not in self._in_use
        ]
        digest = await self._run(partial(hash_file, path)) if alike else b""
        for job in alike:
            if job.journal.sha256 == digest and job.folder not in self._in_use:
                self._claim(job.folder)
                return job
        return None


def _result(job: Job) -> Published:
    journal = job.journal
    return Published(
        content_id=journal.link.content_id,
        link=journal.link,
        publisher_seed=journal.publisher_seed,
        sha256=journal.sha256,
        bytes=journal.size,
        code=str(journal.code),
        holders=tuple(
            OnionAddress.from_public_key(stored.onion_key)
            for stored in sorted(journal.stored, key=lambda stored: stored.index)
        ),
    )

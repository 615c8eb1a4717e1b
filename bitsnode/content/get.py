"""The fetch flow: locate, read blocks, decode."""

from functools import partial
from pathlib import Path

import attrs

from bitsnode.codec.keys import storage_index
from bitsnode.codec.layout import Layout
from bitsnode.codec.link import Link
from bitsnode.codec.manifest import Manifest
from bitsnode.content.asking import Tools
from bitsnode.content.errors import BadRange, OutputError, Unavailable
from bitsnode.content.fetch import Fetch
from bitsnode.content.locate import Locator, Whereabouts
from bitsnode.content.output import Output
from bitsnode.content.partial import Partial
from bitsnode.content.progress import Decoding, Locating, ManifestVerified, OnEvent
from bitsnode.content.sources import sources_of
from onion.address import OnionAddress
from onion.isolation import Isolation

Range = tuple[int, int]  # first and last byte, both included


@attrs.frozen
class Fetched:
    """Content that was fetched, verified and written.

    Attributes:
        path: of the output.
        sha256: of what was written, 32 bytes.
        bytes: written.
        holders: that gave verified blocks in this run.
        seconds: it took.
    """

    path: Path
    sha256: bytes
    bytes: int
    holders: tuple[OnionAddress, ...]
    seconds: float


def span_of(wanted: Range | None, size: int) -> tuple[int, int]:
    """Return the first byte and the one after the last of a range in a content.

    Raises:
        BadRange: it is empty or begins at or after the end.
    """
    if wanted is None:
        return 0, size
    first, last = wanted
    if first < 0 or last < first:
        raise BadRange("The range is empty: give it as FIRST-LAST, counted from 0.")
    if first >= size:
        raise BadRange(f"The range begins at byte {first}, but the content has {size} bytes.")
    return first, min(last + 1, size)


class Get:
    """One fetch, under an isolation of its own.

    Args:
        tools: ask holders and the DHT.
        kept: what was fetched of this content before, and will be.
        link: what to fetch.
        on_event: told of progress.
    """

    def __init__(self, tools: Tools, kept: Partial, link: Link, on_event: OnEvent) -> None:
        self._tools = tools
        self._kept = kept
        self._link = link
        self._on_event = on_event
        self._isolation = Isolation.fresh("fetch")

    async def get(self, output: Path, wanted: Range | None) -> Fetched:
        """Fetch the content, or a range of it, into a file.

        Raises:
            BitsError: see `bitsnode.content.errors` and `bitsnode.codec.errors`.
        """
        begun, run = self._tools.clock.seconds(), self._tools.run
        _check_output(output)
        try:
            await run(self._kept.open)
            self._on_event(Locating())
            locator = Locator(self._tools, self._isolation, self._link.content_id, self._on_event)
            whereabouts = await locator.whereabouts()
            try:
                manifest, fetch, span = await self._from(locator, whereabouts, wanted)
            except Unavailable:
                if not whereabouts.quick:
                    raise
                # what a few nodes knew may be old: the many nearest to the content are asked
                whereabouts = await locator.whereabouts(quick=False)
                manifest, fetch, span = await self._from(locator, whereabouts, wanted)
        finally:
            self._tools.peers.close(self._isolation)
        digest = await self._decode(manifest, fetch, output, span)
        await run(self._kept.remove)
        seconds = self._tools.clock.seconds() - begun
        return Fetched(output, digest, span[1] - span[0], fetch.holders, seconds)

    async def _from(
        self, locator: Locator, whereabouts: Whereabouts, wanted: Range | None
    ) -> tuple[Manifest, Fetch, tuple[int, int]]:
        """Fetch the manifest and the blocks from holders that are known."""
        manifest = await self._manifest(locator, whereabouts)
        span = span_of(wanted, manifest.size)
        return manifest, await self._blocks(manifest, whereabouts, span), span

    async def _manifest(self, locator: Locator, whereabouts: Whereabouts) -> Manifest:
        run = self._tools.run
        sealed = await run(partial(self._kept.manifest, self._link.content_id))
        if sealed is None:
            sealed = await locator.manifest(whereabouts)
            await run(partial(self._kept.keep_manifest, sealed))
        manifest: Manifest = sealed.manifest
        manifest.check_whitening(self._link.whitening)
        self._on_event(ManifestVerified(manifest.size, manifest.k, manifest.n))
        return manifest

    async def _blocks(
        self, manifest: Manifest, whereabouts: Whereabouts, span: tuple[int, int]
    ) -> Fetch:
        content_id = self._link.content_id
        providers = whereabouts.verified(content_id, manifest.publisher)
        fetch = Fetch(
            self._tools,
            self._isolation,
            manifest,
            content_id.digest,
            sources_of(providers, self._link.whitening, manifest.n),
            self._kept,
            _chunks_of(manifest.layout, span),
            self._on_event,
        )
        await fetch.run()
        return fetch

    async def _decode(
        self, manifest: Manifest, fetch: Fetch, path: Path, span: tuple[int, int]
    ) -> bytes:
        """Only now, when everything is there and verified, plaintext is written."""
        run = self._tools.run
        output = Output(path, self._kept, manifest, self._link.content_secret, span)
        try:
            await run(output.open)
            for chunk, held in sorted(fetch.held.items()):
                await run(partial(output.write, chunk, held))
                self._on_event(Decoding(output.written, span[1] - span[0]))
            return await run(output.finish)
        finally:
            output.close()


def _chunks_of(layout: Layout, span: tuple[int, int]) -> range:
    first, end = span
    return layout.chunks_for(first, end - 1) if end > first else range(0)


def _check_output(path: Path) -> None:
    """Refuse what cannot work before anything is fetched.

    Raises:
        OutputError: the output is a directory, or its directory is not there.
    """
    if path.is_dir():
        raise OutputError(path, IsADirectoryError(0, "it is a directory"))
    if not path.parent.is_dir():
        raise OutputError(path, NotADirectoryError(0, "its directory does not exist"))


def partial_of(folder: Path, link: Link) -> Partial:
    """Return where the blocks of a link's content are kept in ``HOME/partial``."""
    return Partial(folder, storage_index(link.content_id.digest))

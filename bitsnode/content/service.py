"""Publishing and fetching for the rest of the node."""

from functools import partial
from pathlib import Path

import attrs
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime

from bitsnode.codec.link import Link
from bitsnode.codec.manifest import Manifest
from bitsnode.config import Network
from bitsnode.content import partial as kept
from bitsnode.content.asking import Dht, Finder, Peers, Run, Tools
from bitsnode.content.get import Fetched, Get, Range, partial_of
from bitsnode.content.journal import Jobs
from bitsnode.content.locate import Locator
from bitsnode.content.progress import OnEvent
from bitsnode.content.publish import Publish, Published
from bitsnode.ids import ContentId
from onion.isolation import Isolation


class ContentService:
    """Publishes files and fetches them.

    Args:
        clock: the reactor's time; its seconds are Unix time.
        run: carries out in a thread what takes long.
        peers: asks other nodes.
        dht: finds nodes and records.
        network: the one we belong to.
        home: of the node; ``staging`` and ``partial`` in it are ours.
        own_key: our own onion key, 32 bytes, which is never counted as a holder; None for a
            client without one.
        finder: finds records over warm links, for free contents.
    """

    def __init__(
        self,
        clock: IReactorTime,
        run: Run,
        peers: Peers,
        dht: Dht,
        network: Network,
        home: Path,
        own_key: bytes | None = None,
        finder: Finder | None = None,
    ) -> None:
        self._tools = Tools(clock, run, peers, dht, network)
        self._free = attrs.evolve(self._tools, finder=finder)
        self._jobs = Jobs(home / "staging")
        self._partial = home / "partial"
        self._own_key = own_key
        self._publishing: set[Path] = set()
        self._fetching: dict[Path, DeferredLock] = {}

    async def start(self) -> None:
        """Throw away what earlier runs left and nobody can or will take up again."""
        now = self._tools.clock.seconds()
        await self._tools.run(partial(self._jobs.sweep, now, self._publishing))
        await self._tools.run(partial(kept.sweep, self._partial, now, set(self._fetching)))

    async def publish(self, path: Path, progress: OnEvent) -> Published:
        """Publish a file: encrypted, spread over holders, announced.

        A publish of the same file that was cut short goes on and ends with the same link.

        Raises:
            BitsError: one sentence; see `bitsnode.content.errors`.
        """
        publish = Publish(self._tools, self._jobs, self._publishing, self._own_key, progress)
        return await publish.publish(path)

    async def manifest(self, content: ContentId, isolation: Isolation) -> Manifest:
        """Return the manifest of a content, verified; needs no more than its name.

        Raises:
            BitsError: one sentence; see `bitsnode.content.errors` and `bitsnode.codec.errors`.
        """
        locator = Locator(self._tools, isolation, content, lambda _event: None)
        sealed = await locator.manifest(await locator.whereabouts())
        return sealed.manifest

    async def get(
        self,
        link: Link,
        output: Path,
        wanted: Range | None,
        progress: OnEvent,
        *,
        free: bool = False,
    ) -> Fetched:
        """Fetch a content into a file, which is replaced only when all is there and verified.

        A fetch of the same link that was cut short goes on; one under way is waited for.

        Args:
            link: what to fetch.
            output: of the user's choice.
            wanted: first and last byte, both included; None for all.
            progress: told of what is going on.
            free: nothing ties this fetch to money, so that its records may be looked up over
                connections that carry other questions of this node too.

        Raises:
            BitsError: one sentence; see `bitsnode.content.errors` and `bitsnode.codec.errors`.
        """
        where = partial_of(self._partial, link)
        lock = self._fetching.setdefault(where.folder, DeferredLock())
        try:
            async with lock:
                tools = self._free if free else self._tools
                return await Get(tools, where, link, progress).get(output, wanted)
        finally:
            if not lock.locked and not lock.waiting:
                self._fetching.pop(where.folder, None)

"""One share on its way to one holder."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import DeferredSemaphore

from bitsnode.codec.erasure import encode
from bitsnode.codec.keys import whitening_key
from bitsnode.codec.layout import Layout
from bitsnode.codec.merkle import block_root, tree_root
from bitsnode.codec.share_puzzle import SLICE, SharePuzzle, solve
from bitsnode.codec.whitening import whiten
from bitsnode.content.asking import Tools, ask
from bitsnode.content.journal import Job, Stored
from bitsnode.content.waiting import Tasks
from bitsnode.wire.messages import (
    MAX_DATA,
    Allocate,
    Allocated,
    AttachRecords,
    Commit,
    Part,
    PutData,
)
from onion.address import OnionAddress
from onion.isolation import Isolation

BATCH: Final = 1 << 20  # bytes of a share made in one call of a thread, about
WINDOW: Final = 4  # requests of 256 KiB under way to one holder: 1 MiB, times n holders
ASK_SECONDS: Final = 30.0  # for an answer that needs no work
PUT_SECONDS: Final = 120.0  # for 256 KiB behind 768 KiB on a slow circuit
COMMIT_SECONDS: Final = 120.0  # the holder reads, hashes and fsyncs the share


@attrs.frozen
class Holder:
    """A node that is willing to keep a share.

    Attributes:
        address: its onion address.
        puzzle_bits: difficulty per MiB.
        largest: bytes of the largest share it takes.
        longest: seconds of its longest lease.
    """

    address: OnionAddress
    puzzle_bits: int
    largest: int
    longest: int


@attrs.frozen
class Share:
    """One share of a staged content as one holder will keep it.

    Attributes:
        job: where the ciphertext is.
        index: of the share.
        holder: for whom it is whitened.
    """

    job: Job
    index: int
    holder: Holder

    @property
    def layout(self) -> Layout:
        """Where the bytes lie."""
        return self.job.journal.layout

    def batches(self) -> list[range]:
        """Return the chunks in batches whose blocks have about `BATCH` bytes."""
        step = max(1, BATCH // max(1, self.layout.full_block_size))
        chunks = self.layout.chunks
        return [range(at, min(at + step, chunks)) for at in range(0, chunks, step)]

    def blocks(self, chunks: range) -> list[bytes]:
        """Return the whitened blocks of some chunks, made from the staged ciphertext."""
        journal, onion_key = self.job.journal, self.holder.address.public_key
        key = whitening_key(journal.whitening, onion_key, self.index)
        found = []
        for chunk in chunks:
            (block,) = encode(journal.code, self.job.cipher(chunk), (self.index,))
            found.append(whiten(key, Layout.segment(chunk), chunk, block))
        return found

    def roots(self, chunks: range) -> list[bytes]:
        """Return the block roots of the whitened blocks of some chunks."""
        return [block_root(block) for block in self.blocks(chunks)]


class Upload:
    """Puts one share at one holder.

    Args:
        tools: ask the holder, and carry out what takes long.
        isolation: of this publish.
        share: what to store.
        storage_index: 32 bytes.
        lease_until: Unix time in seconds to ask for.
        sent: told of bytes that the holder acknowledged.
    """

    def __init__(
        self,
        tools: Tools,
        isolation: Isolation,
        share: Share,
        storage_index: bytes,
        lease_until: int,
        sent: Callable[[int], None],
    ) -> None:
        self._run = tools.run
        self._peers = tools.peers
        self._isolation = isolation
        self._share = share
        self._storage_index = storage_index
        self._lease_until = lease_until
        self._sent = sent

    async def store(self) -> Stored:
        """Store the share and return what the holder promised.

        Raises:
            HolderFault: the holder failed; nothing is known to be stored.
        """
        share, address = self._share, self._share.holder.address
        manifest = await self._run(share.job.manifest)
        layer = await self._run(partial(share.job.layer, share.index))
        root = await self._whitened_root()
        nonce = await self._solve(root)
        layout = share.layout
        allocated: Allocated = await self._ask(
            Allocate(
                storage_index=self._storage_index,
                index=share.index,
                blocks=layout.chunks,
                block_size=layout.full_block_size,
                last_block_size=layout.last_block_size,
                manifest_size=len(manifest),
                whitened_root=root,
                lease_until=self._lease_until,
                nonce=nonce,
            ),
            ASK_SECONDS,
        )
        if not allocated.present:
            await self._send(allocated.upload, layer, manifest)
            # the records are attached when all holders are known
            await self._ask(Commit(allocated.upload, ()), COMMIT_SECONDS)
        return Stored(share.index, address.public_key, root, allocated.lease_until)

    async def _whitened_root(self) -> bytes:
        roots: list[bytes] = []
        for batch in self._share.batches():
            roots += await self._run(partial(self._share.roots, batch))
        return tree_root(roots)

    async def _solve(self, root: bytes) -> bytes:
        puzzle = SharePuzzle(
            self._share.holder.address.public_key,
            self._storage_index,
            self._share.index,
            root,
            self._share.layout.share_size,
            self._share.holder.puzzle_bits,
        )
        start = 0
        while (nonce := await self._run(partial(solve, puzzle, start))) is None:
            start += SLICE
        return nonce

    async def _send(self, upload: bytes, layer: bytes, manifest: bytes) -> None:
        window, tasks = DeferredSemaphore(WINDOW), Tasks()

        async def put(part: int, offset: int, data: bytes) -> None:
            try:
                await self._ask(PutData(upload, part, offset, data), PUT_SECONDS)
            finally:
                window.release()
            if part == Part.SHARE:
                self._sent(len(data))

        try:
            async for part, offset, data in self._pieces(layer, manifest):
                await window.acquire()
                tasks.check()
                tasks.start(put(part, offset, data))
            await tasks.join()
        finally:
            tasks.cancel()

    async def _pieces(self, layer: bytes, manifest: bytes) -> AsyncIterator[tuple[int, int, bytes]]:
        for part, whole in ((Part.MANIFEST, manifest), (Part.LAYER, layer)):
            for at in range(0, len(whole), MAX_DATA):
                yield part, at, whole[at : at + MAX_DATA]
        offset = 0
        for batch in self._share.batches():
            data = b"".join(await self._run(partial(self._share.blocks, batch)))
            for at in range(0, len(data), MAX_DATA):
                yield Part.SHARE, offset + at, data[at : at + MAX_DATA]
            offset += len(data)

    async def attach(self, records: tuple[bytes, ...]) -> None:
        """Have the holder keep the records of this share in the DHT.

        Raises:
            HolderFault: it did not take them.
        """
        message = AttachRecords(self._storage_index, self._share.index, records)
        await self._ask(message, ASK_SECONDS)

    async def _ask(self, message: Allocate | PutData | Commit | AttachRecords, limit: float) -> Any:
        return await ask(self._peers, self._share.holder.address, message, self._isolation, limit)

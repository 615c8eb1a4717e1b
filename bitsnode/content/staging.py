"""From a file to a publish job: read once, encrypted chunk by chunk, every share root computed."""

import os
from collections import deque
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Final

import nacl.signing
from twisted.internet.defer import Deferred, ensureDeferred

from bitsnode.codec.chunks import ChunkCipher, fresh_secret
from bitsnode.codec.erasure import Code, encode
from bitsnode.codec.errors import BadManifest
from bitsnode.codec.keys import whitening_commitment
from bitsnode.codec.layout import CHUNK_SIZE, SEGMENT_CHUNKS, TAG_SIZE, Layout
from bitsnode.codec.manifest import MANIFEST_VERSION, Manifest, SealedManifest
from bitsnode.codec.merkle import ROOT_SIZE, block_root, tree_root
from bitsnode.content.asking import Run
from bitsnode.content.errors import DiskError, InputTooLarge
from bitsnode.content.files import create_private, write_all
from bitsnode.content.journal import Job, Journal
from bitsnode.content.progress import OnEvent, Staging
from bitsnode.content.source_file import SourceFile

AHEAD: Final = 3  # chunks whose roots are being computed while the next one is encrypted


class _Snapshot:
    """Encrypts a file into the snapshot, one chunk for each call."""

    def __init__(self, path: Path, source: SourceFile, cipher: ChunkCipher) -> None:
        self._path = path
        self._source = source
        self._cipher = cipher
        self._descriptor = create_private(path)

    def next(self, chunk: int, size: int) -> bytes:
        cipher = self._cipher.encrypt(chunk, self._source.read(size))
        try:
            write_all(self._descriptor, cipher)
        except OSError as error:
            raise DiskError(self._path, error) from error
        return cipher

    def close(self) -> None:
        os.close(self._descriptor)


def block_roots(code: Code, cipher: bytes) -> bytes:
    """Return the n block roots of one chunk's ciphertext, 32 bytes each."""
    return b"".join(block_root(block) for block in encode(code, cipher))


def share_roots(layers: bytes, n: int) -> tuple[bytes, ...]:
    """Return for each segment the n share roots joined.

    Args:
        layers: for each chunk its n block roots.
        n: of the code.
    """
    row, segment = n * ROOT_SIZE, SEGMENT_CHUNKS * n * ROOT_SIZE
    found = []
    for at in range(0, len(layers), segment):
        part = layers[at : at + segment]
        columns = range(0, row, ROOT_SIZE)
        roots = [
            tree_root(part[i : i + ROOT_SIZE] for i in range(column, len(part), row))
            for column in columns
        ]
        found.append(b"".join(roots))
    return tuple(found)


async def stage(
    run: Run, source: SourceFile, code: Code, folder: Path, now: float, on_event: OnEvent
) -> Job:
    """Encrypt a file under a fresh content secret into a job that can be resumed.

    Args:
        run: carries out what takes long in threads.
        source: the file, just opened; it is read and left open.
        code: k and n.
        folder: of the new job, empty.
        now: Unix time in seconds.
        on_event: told of each chunk.

    Raises:
        InputError: the file cannot be read, or changed, or is too large.
        DiskError: the snapshot cannot be written.
    """
    layout = Layout(source.size, code.k, code.n)
    content_secret = fresh_secret()
    cipher = ChunkCipher.of(content_secret, layout.chunks)
    snapshot = await run(lambda: _Snapshot(folder / "snapshot", source, cipher))
    layers, pending = bytearray(), deque[Deferred[bytes]]()
    try:
        for chunk in range(layout.chunks):
            sealed = await run(partial(snapshot.next, chunk, layout.plain_size(chunk)))
            pending.append(_start(run(partial(block_roots, code, sealed))))
            if len(pending) > AHEAD:
                layers += await pending.popleft()
            done = chunk * CHUNK_SIZE + layout.plain_size(chunk)
            on_event(Staging(done, source.size))
        while pending:
            layers += await pending.popleft()
        digest = await run(source.finish)
    finally:
        for waiting in pending:
            waiting.cancel()
        snapshot.close()
    return await run(partial(_commit, folder, code, content_secret, digest, bytes(layers), now))


def _start(waiting: Awaitable[bytes]) -> Deferred[bytes]:
    """Start what ``run`` returned, and keep its failure for whoever awaits it."""

    async def result() -> bytes:
        return await waiting

    return ensureDeferred(result())


def _commit(
    folder: Path, code: Code, content_secret: bytes, sha256: bytes, layers: bytes, now: float
) -> Job:
    """Build, sign and seal the manifest, and make the job one that is resumed."""
    size = (folder / "snapshot").stat().st_size
    chunks = -(-size // (CHUNK_SIZE + TAG_SIZE))
    whitening, key = fresh_secret(), nacl.signing.SigningKey.generate()
    manifest = Manifest(
        version=MANIFEST_VERSION,
        size=size - chunks * TAG_SIZE,
        chunk_size=CHUNK_SIZE,
        k=code.k,
        n=code.n,
        share_roots=share_roots(layers, code.n),
        publisher=bytes(key.verify_key),
        whitening_commitment=whitening_commitment(whitening),
    )
    try:
        sealed = SealedManifest.build(manifest, bytes(key))
    except BadManifest as error:
        raise InputTooLarge from error
    journal = Journal(
        size=manifest.size,
        sha256=sha256,
        k=code.k,
        n=code.n,
        content_secret=content_secret,
        whitening=whitening,
        publisher_seed=bytes(key),
        digest=sealed.content_id.digest,
        created=now,
    )
    job = Job(folder, journal)
    try:
        job.commit(layers, sealed.data)
    except OSError as error:
        raise DiskError(folder, error) from error
    return job

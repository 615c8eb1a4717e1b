"""What was fetched of a content so far: verified blocks, kept until the whole is there.

``HOME/partial/v1-<hash>/``, where the hash is of the storage index, so that the name tells nobody
what is fetched: ``manifest`` (sealed), ``layer-<index>`` (block roots), ``share-<index>`` (blocks,
at their places in the unwhitened share), ``have`` (which blocks were written, 12 bytes each) and
``output`` (the path of an output that is being written). All of it is ciphertext. Blocks are not
fsynced: whatever a crash damages fails its check on the next run, and is fetched again.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bitsnode.codec.errors import BadManifest, DamagedBlock
from bitsnode.codec.layout import SEGMENT_CHUNKS, Layout
from bitsnode.codec.manifest import Manifest, SealedManifest
from bitsnode.codec.merkle import ROOT_SIZE, check_block, tree_root
from bitsnode.content.errors import FetchDiskError
from bitsnode.content.files import (
    private_folder,
    read_at,
    remove_folder,
    write_at,
    write_atomically,
)
from bitsnode.ids import ContentId, sha256

PREFIX: Final = "v1-"  # of a folder's name: the version of this layout
MAX_AGE: Final = 14 * 86400  # seconds without a write after which partial content is given up
_ENTRY: Final = struct.Struct(">IQ")  # of ``have``: index, chunk
_NAME_SIZE: Final = 16  # bytes of the hash in a folder's name


class Partial:
    """The blocks of one content; any thread may call, one fetch at a time.

    Args:
        parent: ``HOME/partial``.
        storage_index: of the content, 32 bytes.
    """

    def __init__(self, parent: Path, storage_index: bytes) -> None:
        self.folder = parent / (PREFIX + sha256(storage_index)[:_NAME_SIZE].hex())

    def open(self) -> None:
        """Make the folder, and remove the plaintext that a crash may have left half-written.

        Raises:
            FetchDiskError: it cannot be made.
        """
        with self._writing():
            private_folder(self.folder)
            self.clear_output()

    def manifest(self, content_id: ContentId) -> SealedManifest | None:
        """Return the manifest, if it is there and good."""
        try:
            return SealedManifest.parse((self.folder / "manifest").read_bytes(), content_id)
        except (OSError, BadManifest):
            return None

    def keep_manifest(self, sealed: SealedManifest) -> None:
        """Keep a verified manifest."""
        with self._writing():
            write_atomically(self.folder / "manifest", sealed.data)

    def layer(self, manifest: Manifest, index: int, segment: int) -> list[bytes] | None:
        """Return the block roots of a share's segment, if they are there and good."""
        chunks = manifest.layout.chunks_of(segment)
        size, offset = len(chunks) * ROOT_SIZE, segment * SEGMENT_CHUNKS * ROOT_SIZE
        data = read_at(self.folder / f"layer-{index}", offset, size)
        return check_layer(manifest, index, segment, data)

    def keep_layer(self, index: int, segment: int, roots: list[bytes]) -> None:
        """Keep verified block roots."""
        with self._writing():
            offset = segment * SEGMENT_CHUNKS * ROOT_SIZE
            write_at(self.folder / f"layer-{index}", offset, b"".join(roots))

    def keep_block(self, layout: Layout, index: int, chunk: int, block: bytes) -> None:
        """Keep a verified block; once this returns, a killed process does not lose it."""
        with self._writing():
            write_at(self.folder / f"share-{index}", layout.block_offset(chunk), block)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.folder / "have", flags, 0o600)
            try:
                os.write(descriptor, _ENTRY.pack(index, chunk))
            finally:
                os.close(descriptor)

    def block(self, layout: Layout, index: int, chunk: int) -> bytes:
        """Return a block that was kept; whoever uses it verifies it again."""
        path = self.folder / f"share-{index}"
        return read_at(path, layout.block_offset(chunk), layout.block_size(chunk))

    def verified(self, manifest: Manifest, chunks: range) -> Iterator[tuple[int, int]]:
        """Verify again what is there of some chunks, and return each good (chunk, index)."""
        layers: dict[tuple[int, int], list[bytes] | None] = {}
        layout = manifest.layout
        for index, chunk in sorted(self._have()):
            if chunk not in chunks or index >= manifest.n:
                continue
            segment = Layout.segment(chunk)
            if (index, segment) not in layers:
                layers[index, segment] = self.layer(manifest, index, segment)
            roots = layers[index, segment]
            if roots is not None:
                with contextlib.suppress(DamagedBlock):
                    root = roots[chunk - segment * SEGMENT_CHUNKS]
                    check_block(self.block(layout, index, chunk), root)
                    yield chunk, index

    def _have(self) -> set[tuple[int, int]]:
        path = self.folder / "have"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return set()
        whole = len(data) - len(data) % _ENTRY.size
        if whole != len(data):  # a full disk may have cut the last entry
            os.truncate(path, whole)
        return set(_ENTRY.iter_unpack(data[:whole]))

    def note_output(self, path: Path) -> None:
        """Remember where plaintext is about to be written, so that no crash leaves it there."""
        with self._writing():
            write_atomically(self.folder / "output", os.fsencode(path.absolute()))

    def clear_output(self) -> None:
        """Remove what a crashed fetch left of its output."""
        note = self.folder / "output"
        with contextlib.suppress(OSError):
            Path(os.fsdecode(note.read_bytes())).unlink(missing_ok=True)
        note.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget all of it."""
        self.clear_output()
        remove_folder(self.folder)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FetchDiskError(self.folder, error) from error


def check_layer(manifest: Manifest, index: int, segment: int, data: bytes) -> list[bytes] | None:
    """Return the block roots that ``data`` holds, if they make the manifest's share root."""
    roots = [data[at : at + ROOT_SIZE] for at in range(0, len(data), ROOT_SIZE)]
    if len(data) != len(manifest.layout.chunks_of(segment)) * ROOT_SIZE:
        return None
    return roots if tree_root(roots) == manifest.share_root(segment, index) else None


def sweep(parent: Path, now: float, in_use: set[Path]) -> None:
    """Remove partial contents that nobody wrote to for long, and crashed outputs of all.

    Args:
        parent: ``HOME/partial``.
        now: Unix time in seconds.
        in_use: folders of fetches under way.
    """
    try:
        folders = [entry for entry in parent.iterdir() if entry.name.startswith(PREFIX)]
    except FileNotFoundError:
        return
    for folder in folders:
        if folder in in_use:
            continue
        partial = Partial(parent, b"")
        partial.folder = folder
        partial.clear_output()
        touched = max(entry.stat().st_mtime for entry in (folder, *folder.iterdir()))
        if touched < now - MAX_AGE:
            remove_folder(folder)

"""From verified blocks to plaintext: into a private file beside the output, renamed at the end."""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from bitsnode.codec.chunks import ChunkCipher
from bitsnode.codec.erasure import decode
from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.codec.manifest import Manifest
from bitsnode.content.errors import OutputError
from bitsnode.content.files import create_private, sync_folder, write_all
from bitsnode.content.partial import Partial


class Output:
    """One output file; its calls are made one after the other, in threads.

    Args:
        path: of the output, chosen by the user: nothing that came from the network is part of it.
        partial: where the blocks are.
        manifest: of the content.
        content_secret: 16 bytes.
        span: first byte, and the one after the last.

    Attributes:
        written: bytes so far.
    """

    def __init__(
        self,
        path: Path,
        partial: Partial,
        manifest: Manifest,
        content_secret: bytes,
        span: tuple[int, int],
    ) -> None:
        self._path = path
        self._beside = path.with_name(f".{secrets.token_hex(8)}.bits")
        self._partial = partial
        self._manifest = manifest
        self._cipher = ChunkCipher.of(content_secret, manifest.layout.chunks)
        self._span = span
        self._hash = hashlib.sha256()
        self._descriptor = -1
        self.written = 0

    def open(self) -> None:
        """Create the file beside the output.

        Raises:
            OutputError: the folder is not there or cannot be written.
        """
        if self._path.is_dir():
            raise OutputError(self._path, IsADirectoryError(0, "it is a directory"))
        self._partial.note_output(self._beside)
        try:
            self._descriptor = create_private(self._beside)
        except OSError as error:
            raise OutputError(self._path, error) from error

    def write(self, chunk: int, held: list[int]) -> None:
        """Rebuild a chunk, decrypt it, and write what of it is in the span.

        Args:
            chunk: next in order.
            held: indices of k blocks that were kept.

        Raises:
            DamagedChunk: the content secret is wrong.
            OutputError: it cannot be written.
        """
        layout = self._manifest.layout
        blocks = {index: self._partial.block(layout, index, chunk) for index in held}
        cipher = decode(self._manifest.code, blocks, layout.cipher_size(chunk))
        plain = self._cipher.decrypt(chunk, cipher)
        first, end = (max(0, edge - chunk * CHUNK_SIZE) for edge in self._span)
        part = plain[first:end]
        self._hash.update(part)
        try:
            write_all(self._descriptor, part)
        except OSError as error:
            raise OutputError(self._path, error) from error
        self.written += len(part)

    def finish(self) -> bytes:
        """Put the file in the output's place and return its SHA-256.

        Raises:
            OutputError: it cannot be brought to the disk or renamed.
        """
        try:
            os.fsync(self._descriptor)
            self._beside.rename(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise OutputError(self._path, error) from error
        return self._hash.digest()

    def close(self) -> None:
        """Close the file; unless it was finished, nothing is left of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with contextlib.suppress(OSError):
            self._beside.unlink(missing_ok=True)

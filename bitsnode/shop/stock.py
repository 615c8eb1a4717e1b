"""What a shop hands out: the ciphertext of each of its contents, one file each, never plaintext.

A file is exactly the chunks' ciphertext of FORMATS.md, one after the other, and named by the
content id. So one file serves both ways of getting it: decrypted chunk by chunk for who watches,
as it is for who decrypts at home.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from bitsnode.codec.chunks import ChunkCipher
from bitsnode.codec.errors import DamagedChunk
from bitsnode.codec.layout import CHUNK_SIZE, TAG_SIZE, Layout
from bitsnode.codec.link import Link
from bitsnode.ids import DIGEST_SIZE, ContentId, sha256
from bitsnode.shop.stock_errors import (
    BadStockRange,
    NotInStock,
    StockDamaged,
    StockDiskError,
    StockError,
    StockSourceChanged,
    StockSourceUnreadable,
    StockTooNew,
)
from bitsnode.store.disk import Disk

VERSION: Final = 1  # of the folder: what lies in it has the format of FORMATS.md, version 1
_DRAFT: Final = "draft-"  # how the name of a file begins that is not complete


class Stock:
    """The folder of a shop's contents. Every method blocks: callers run them in threads.

    Opening it makes the folder and sweeps what an interrupted `add` left, so nobody else may be
    writing there.

    Args:
        folder: HOME/shop/stock.
        disk: replaced by tests.

    Raises:
        StockTooNew: a newer bits has written it.
        StockDiskError: it cannot be made or read.
    """

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        with _writing():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for draft in folder.glob(f"{_DRAFT}*"):
                self._disk.remove(draft)
            self._check_version()

    def add(self, source: Path, link: Link, digest: bytes) -> None:
        """Take a content in that was published from a file, or do nothing if it is here.

        The file is read twice: encrypting anything but what was published under the same key
        would give both plaintexts away. So each chunk is encrypted only if it is the one of the
        first reading, and that one was of the file that was published.

        Args:
            source: the plaintext, read and left as it is.
            link: of the content.
            digest: SHA-256 of the plaintext, 32 bytes, as the publish told it.

        Raises:
            StockSourceUnreadable: the file cannot be read.
            StockSourceChanged: the file is not what was published.
            StockDiskError: the stock cannot be written; no half of it is left.
        """
        if self.has(link.content_id):
            return
        with _opened(source) as file:
            layout, digests = _fingerprint(file, digest)
            draft = self._folder / f"{_DRAFT}{secrets.token_hex(8)}"
            try:
                self._write(draft, _sealed(file, layout, digests, link.content_secret))
                with _writing():
                    self._disk.rename(draft, self._path(link.content_id))
                    self._disk.sync_directory(self._folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._disk.remove(draft)
                raise

    def remove(self, content: ContentId) -> None:
        """Forget a content; one that is not here is as good.

        Raises:
            StockDiskError: the folder cannot be written.
        """
        with _writing():
            self._disk.remove(self._path(content))
            self._disk.sync_directory(self._folder)

    def has(self, content: ContentId) -> bool:
        """Return whether a content is here."""
        return self._path(content).is_file()

    def ciphertext_size(self, content: ContentId) -> int:
        """Return the bytes of a content's ciphertext.

        Raises:
            NotInStock: it is not here.
        """
        try:
            return self._path(content).stat().st_size
        except OSError as error:
            raise NotInStock from error

    def size(self, content: ContentId) -> int:
        """Return the bytes of a content's plaintext.

        Raises:
            NotInStock: it is not here.
            StockDamaged: its file cannot be of this size.
        """
        return plain_size(self.ciphertext_size(content))

    def read(
        self, content: ContentId, content_secret: bytes, first: int, last: int
    ) -> Iterator[bytes]:
        """Return the plaintext from byte ``first`` to ``last``, both included, in pieces.

        Only the chunks of the range are read, and each is verified before any of it is given out.
        A piece has at most 1 MiB, and none is empty. An empty content has no range.

        Raises:
            NotInStock: it is not here.
            BadStockRange: the range is not within the content.
            StockDamaged: a chunk does not open, now or while the pieces are taken.
        """
        size = self.size(content)
        _check_range(first, last, size)
        layout = Layout(size, 1, 1)
        cipher = ChunkCipher.of(content_secret, layout.chunks)
        return self._plain(content, layout, cipher, range(first, last + 1))

    def ciphertext(self, content: ContentId, first: int, last: int) -> Iterator[bytes]:
        """Return the ciphertext from byte ``first`` to ``last``, both included, in pieces.

        A piece has at most 1 MiB. It is not verified: who opens it does that.

        Raises:
            NotInStock: it is not here.
            BadStockRange: the range is not within the file.
            StockDamaged: the file is shorter than it was.
        """
        _check_range(first, last, self.ciphertext_size(content))
        return self._pieces(content, range(first, last + 1))

    def _plain(
        self, content: ContentId, layout: Layout, cipher: ChunkCipher, span: range
    ) -> Iterator[bytes]:
        with self._reading(content) as descriptor:
            for chunk in layout.chunks_for(span.start, span.stop - 1):
                offset, size = layout.cipher_offset(chunk), layout.cipher_size(chunk)
                try:
                    plain = cipher.decrypt(chunk, self._disk.read(descriptor, size, offset))
                except DamagedChunk as error:
                    raise StockDamaged from error
                begin = chunk * CHUNK_SIZE
                yield plain[max(0, span.start - begin) : span.stop - begin]

    def _pieces(self, content: ContentId, span: range) -> Iterator[bytes]:
        with self._reading(content) as descriptor:
            for offset in range(span.start, span.stop, CHUNK_SIZE):
                size = min(CHUNK_SIZE, span.stop - offset)
                piece = self._disk.read(descriptor, size, offset)
                if len(piece) != size:
                    raise StockDamaged
                yield piece

    @contextmanager
    def _reading(self, content: ContentId) -> Iterator[int]:
        try:
            descriptor = self._disk.open(self._path(content))
        except OSError as error:
            raise NotInStock from error
        try:
            yield descriptor
        except OSError as error:  # the disk gives the bytes back no more
            raise StockDamaged from error
        finally:
            self._disk.close(descriptor)

    def _write(self, draft: Path, pieces: Iterator[bytes]) -> None:
        with _writing():
            descriptor = self._disk.create(draft)
        try:
            offset = 0
            for piece in pieces:
                with _writing():
                    self._disk.write(descriptor, piece, offset)
                offset += len(piece)
            with _writing():
                self._disk.sync(descriptor)
        finally:
            self._disk.close(descriptor)

    def _check_version(self) -> None:
        """Write the version of a new folder, or refuse one that is newer."""
        path = self._folder / "version"
        try:
            found = int(path.read_text("ascii")[:8])
        except FileNotFoundError:
            draft = self._folder / f"{_DRAFT}version"
            self._write(draft, iter([f"{VERSION}\n".encode()]))
            self._disk.rename(draft, path)
            self._disk.sync_directory(self._folder)
            return
        except ValueError as error:
            raise StockDamaged(
                "The stock of the shop has no version: remove its folder."
            ) from error
        if found > VERSION:
            raise StockTooNew

    def _path(self, content: ContentId) -> Path:
        return self._folder / str(content)


def plain_size(ciphertext_size: int) -> int:
    """Return the bytes of plaintext in a ciphertext of so many bytes.

    Raises:
        StockDamaged: no ciphertext has that size.
    """
    chunks = -(-ciphertext_size // (CHUNK_SIZE + TAG_SIZE))
    size = ciphertext_size - chunks * TAG_SIZE
    if -(-size // CHUNK_SIZE) != chunks:
        raise StockDamaged
    return size


@attrs.frozen
class _Source:
    """A file open for reading."""

    descriptor: int
    size: int

    def read(self, chunk: int) -> bytes:
        """Return a chunk's plaintext; shorter if the file has become so."""
        parts, offset = [], chunk * CHUNK_SIZE
        left = min(CHUNK_SIZE, self.size - offset)
        while left > 0:
            try:
                part = os.pread(self.descriptor, left, offset)
            except OSError as error:
                raise StockSourceUnreadable from error
            if not part:
                break
            parts.append(part)
            left, offset = left - len(part), offset + len(part)
        return b"".join(parts)


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    try:
        # not to hang on a FIFO that nobody writes to
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise StockSourceUnreadable(f"{path} cannot be read: {error.strerror}.") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StockSourceUnreadable(f"{path} is not a regular file.")
        yield _Source(descriptor, status.st_size)
    finally:
        os.close(descriptor)


def _fingerprint(source: _Source, expected: bytes) -> tuple[Layout, bytes]:
    """Read all of a file; return its layout and the SHA-256 of each chunk, joined."""
    layout = Layout(source.size, 1, 1)
    whole, digests = hashlib.sha256(), bytearray()
    for chunk in range(layout.chunks):
        plain = source.read(chunk)
        whole.update(plain)
        digests += sha256(plain)
    if whole.digest() != expected:
        raise StockSourceChanged
    return layout, bytes(digests)


def _sealed(
    source: _Source, layout: Layout, digests: bytes, content_secret: bytes
) -> Iterator[bytes]:
    """Read the file again, and encrypt each chunk that is still the same."""
    cipher = ChunkCipher.of(content_secret, layout.chunks)
    for chunk in range(layout.chunks):
        plain = source.read(chunk)
        if sha256(plain) != digests[chunk * DIGEST_SIZE : (chunk + 1) * DIGEST_SIZE]:
            raise StockSourceChanged
        yield cipher.encrypt(chunk, plain)


def _check_range(first: int, last: int, size: int) -> None:
    if not 0 <= first <= last < size:
        raise BadStockRange


@contextmanager
def _writing() -> Iterator[None]:
    """Turn what the disk refuses into one sentence."""
    try:
        yield
    except StockError:
        raise
    except OSError as error:
        raise StockDiskError(error) from error

"""The stock of a shop: ciphertext on the disk, verified plaintext out of it, nothing by halves."""

import errno
import hashlib
import os
import secrets
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.shop.stock import Stock, plain_size
from bitsnode.shop.stock_errors import (
    BadStockRange,
    NotInStock,
    StockDamaged,
    StockDiskError,
    StockSourceChanged,
    StockSourceUnreadable,
    StockTooNew,
)
from bitsnode.store.disk import Disk
from bitsnode.store.testing import FailingDisk

MIB = 1 << 20
SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5]


class Work:
    """A file that was published, as far as the stock is concerned."""

    def __init__(self, folder: Path, size: int) -> None:
        self.data = secrets.token_bytes(size)
        self.path = folder / f"{secrets.token_hex(4)}.bin"
        self.path.write_bytes(self.data)
        self.digest = hashlib.sha256(self.data).digest()
        secret, whitening = secrets.token_bytes(16), secrets.token_bytes(16)
        self.link = Link(ContentId(secrets.token_bytes(32)), secret, whitening)

    @property
    def id(self) -> ContentId:
        """Its name."""
        return self.link.content_id

    def stored(self, stock: Stock) -> "Work":
        """Put it into a stock."""
        stock.add(self.path, self.link, self.digest)
        return self

    def read(self, stock: Stock, first: int, last: int) -> bytes:
        """Read a range of it."""
        return b"".join(stock.read(self.id, self.link.content_secret, first, last))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the stock is."""
    return tmp_path / "home" / "shop" / "stock"


@pytest.fixture
def make(tmp_path: Path) -> Callable[[int], Work]:
    """Make a work of so many bytes."""
    return lambda size: Work(tmp_path, size)


def ciphertext(work: Work) -> bytes:
    """Encrypt as FORMATS.md says, without our code."""
    secret = work.link.content_secret
    key = HKDF(SHA256(), 32, None, b"bits/chunk-key/v1").derive(secret)
    total = -(-len(work.data) // MIB)
    return b"".join(
        ChaCha20Poly1305(key).encrypt(
            struct.pack(">IQ", 0, index),
            work.data[index * MIB : (index + 1) * MIB],
            b"bits/chunk/v1" + struct.pack(">QQ", index, total),
        )
        for index in range(total)
    )


def names(folder: Path) -> set[str]:
    """What lies in the stock besides its version."""
    return {path.name for path in folder.iterdir()} - {"version"}


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_the_ciphertext_that_the_formats_describe(folder, make, size):
    """What is on the disk is what another implementation would make, byte by byte."""
    stock, work = Stock(folder), make(size)
    work.stored(stock)
    found = (folder / str(work.id)).read_bytes()
    assert found == ciphertext(work)
    assert (stock.has(work.id), stock.size(work.id)) == (True, size)
    assert stock.ciphertext_size(work.id) == len(found)
    if size:
        assert b"".join(stock.ciphertext(work.id, 0, len(found) - 1)) == found
        assert work.read(stock, 0, size - 1) == work.data


def test_ranges_are_the_same_bytes_as_in_the_file(folder, make):
    """Any range, across chunks or within one, gives its bytes, in pieces of at most 1 MiB."""
    stock, work = Stock(folder), make(3 * MIB + 5)
    work.stored(stock)
    edges = [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB - 1, 3 * MIB, 3 * MIB + 4]
    for first in edges:
        for last in [edge for edge in edges if edge >= first]:
            pieces = list(stock.read(work.id, work.link.content_secret, first, last))
            assert b"".join(pieces) == work.data[first : last + 1]
            assert all(0 < len(piece) <= MIB for piece in pieces)
    sealed = ciphertext(work)
    pieces = list(stock.ciphertext(work.id, 5, 2 * MIB + 9))
    assert b"".join(pieces) == sealed[5 : 2 * MIB + 10]
    assert all(0 < len(piece) <= MIB for piece in pieces)


class CountingDisk(Disk):
    """Counts the bytes that are read."""

    bytes = 0

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Read and count."""
        self.bytes += length
        return super().read(descriptor, length, offset)


def test_a_range_reads_only_its_chunks(folder, make):
    """A seek into the middle costs one chunk of the disk and not the whole film."""
    disk = CountingDisk()
    stock, work = Stock(folder, disk), make(6 * MIB)
    work.stored(stock)
    assert work.read(stock, 3 * MIB + 7, 3 * MIB + 9) == work.data[3 * MIB + 7 : 3 * MIB + 10]
    assert disk.bytes == MIB + 16


@pytest.mark.parametrize(("first", "last"), [(-1, 0), (1, 0), (0, 5), (5, 5)])
def test_a_range_outside_is_refused(folder, make, first, last):
    """A range is refused before anything is read, in the plaintext as in the ciphertext."""
    stock, work = Stock(folder), make(5)
    work.stored(stock)
    with pytest.raises(BadStockRange):
        stock.read(work.id, work.link.content_secret, first, last)
    with pytest.raises(BadStockRange):
        stock.ciphertext(work.id, first + 16 * (first > 0), last + 16 * (last > 0))


def test_p4_the_home_has_no_plaintext(folder, make, tmp_path):
    """After adding and reading, no 16 bytes in a row of the plaintext are anywhere in the home."""
    stock, work = Stock(folder), make(300_000)
    work.stored(stock)
    work.read(stock, 0, len(work.data) - 1)
    runs = {work.data[at : at + 16] for at in range(0, len(work.data) - 16, 16)}
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(data[at : at + 16] in runs for at in range(len(data)))
    assert (folder.stat().st_mode & 0o777, (folder / str(work.id)).stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )


@pytest.mark.parametrize("place", [0, MIB + 15, MIB + 16, 2 * MIB + 40])
def test_c1_a_flipped_bit_is_found_before_it_is_given_out(folder, make, place):
    """Of a chunk that was changed on the disk no byte is given out; the others still are."""
    stock, work = Stock(folder), make(2 * MIB + 50)
    work.stored(stock)
    path = folder / str(work.id)
    sealed = bytearray(path.read_bytes())
    sealed[place] ^= 1
    path.write_bytes(sealed)
    pieces = stock.read(work.id, work.link.content_secret, 0, len(work.data) - 1)
    for chunk in range(place // (MIB + 16)):
        assert next(pieces) == work.data[chunk * MIB : (chunk + 1) * MIB]
    with pytest.raises(StockDamaged):
        next(pieces)


def test_a_file_that_was_cut_is_damaged(folder, make):
    """A stock file that has become shorter gives nothing, or not the size of any content."""
    stock, work = Stock(folder), make(2 * MIB)
    work.stored(stock)
    path = folder / str(work.id)
    os.truncate(path, MIB + 16)
    with pytest.raises(StockDamaged):
        work.read(stock, 0, 5)
    os.truncate(path, MIB + 20)
    with pytest.raises(StockDamaged):
        stock.size(work.id)
    waiting = stock.ciphertext(work.id, 0, MIB + 19)
    os.truncate(path, 3)
    with pytest.raises(StockDamaged):
        list(waiting)


@pytest.mark.parametrize("size", [1, 15, 16, MIB + 17, MIB + 32])
def test_sizes_that_no_ciphertext_has(size):
    """A chunk is longer than its tag."""
    with pytest.raises(StockDamaged):
        plain_size(size)


def test_another_secret_opens_nothing(folder, make):
    """Who has the secret of another content reads nothing of this one."""
    stock, work = Stock(folder), make(100)
    work.stored(stock)
    with pytest.raises(StockDamaged):
        list(stock.read(work.id, secrets.token_bytes(16), 0, 99))


def test_c5_a_file_that_is_not_what_was_published_is_never_encrypted(folder, make):
    """One key meets one plaintext: a changed file is refused, also when it changes meanwhile."""
    stock, work = Stock(folder), make(2 * MIB)
    good = work.data
    work.path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(StockSourceChanged):
        work.stored(stock)
    assert names(folder) == set()

    class Changing(FailingDisk):
        """Somebody writes into the source when the first chunk is on the disk."""

        def write(self, descriptor: int, data: bytes, offset: int) -> None:
            """Write, and change what comes next."""
            super().write(descriptor, data, offset)
            if offset == 0 and len(data) > 16:
                work.path.write_bytes(good[:MIB] + bytes(MIB))

    work.path.write_bytes(good)
    stock = Stock(folder, Changing())
    with pytest.raises(StockSourceChanged):
        work.stored(stock)
    assert names(folder) == set()


def test_what_cannot_be_read_is_said(folder, make, tmp_path):
    """A missing file, a directory and a FIFO give one sentence and hang nobody."""
    stock, work = Stock(folder), make(1)
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "fifo"):
        with pytest.raises(StockSourceUnreadable, match=str(path)):
            stock.add(path, work.link, work.digest)


@pytest.mark.parametrize("call", ["create", "write", "sync", "rename", "sync_directory"])
def test_c7_a_full_disk_is_told_and_leaves_nothing(folder, make, call):
    """One sentence, nothing half-written, and later all goes well."""
    disk = FailingDisk()
    stock, work = Stock(folder, disk), make(MIB + 3)
    disk.fail(call, errno.ENOSPC)
    with pytest.raises(StockDiskError, match="the disk is full"):
        work.stored(stock)
    disk.heal()
    assert not any(name.startswith("draft-") for name in names(folder))
    work.stored(stock)
    assert work.read(stock, 0, MIB + 2) == work.data
    assert sorted(disk.opened) == sorted(disk.closed)


KILLED = """
import os, sys
from pathlib import Path
from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.shop.stock import Stock
from bitsnode.store.disk import Disk

class Cut(Disk):
    def sync(self, descriptor):
        os._exit(9)

stock = Stock(Path(sys.argv[1]))
stock._disk = Cut()
link = Link(ContentId(bytes(32)), bytes(16), bytes(16))
stock.add(Path(sys.argv[2]), link, bytes.fromhex(sys.argv[3]))
"""


def test_c6_a_power_cut_leaves_a_draft_that_the_next_start_sweeps(folder, make):
    """What was not complete is not there, and its space is free again."""
    work = make(MIB)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(work.path), work.digest.hex()], check=False
    )
    assert done.returncode == 9
    assert [name.startswith("draft-") for name in names(folder)] == [True]
    stock = Stock(folder)
    assert names(folder) == set()
    assert not stock.has(ContentId(bytes(32)))


def test_what_is_not_there(folder, make):
    """Each question about a content that is not in stock says so; removing it is no error."""
    stock, work = Stock(folder), make(3)
    work.stored(stock)
    work.stored(stock)  # a second time does nothing
    waiting = stock.read(work.id, work.link.content_secret, 0, 2)
    stock.remove(work.id)
    stock.remove(work.id)
    assert not stock.has(work.id)
    with pytest.raises(NotInStock):
        list(waiting)
    with pytest.raises(NotInStock):
        stock.size(work.id)
    with pytest.raises(NotInStock):
        stock.ciphertext(work.id, 0, 0)


def test_a_newer_stock_is_refused(folder):
    """An older bits leaves the files of a newer one alone."""
    Stock(folder)
    assert (folder / "version").read_text() == "1\n"
    Stock(folder)
    (folder / "version").write_text("2\n")
    with pytest.raises(StockTooNew):
        Stock(folder)
    (folder / "version").write_text("?\n")
    with pytest.raises(StockDamaged):
        Stock(folder)

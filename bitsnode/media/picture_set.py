"""Several pictures as one content: an archive that is the same for the same pictures.

It is a ZIP (APPNOTE.TXT 6.3) whose files are stored, not packed, with the names 001.jpg, 002.png…
and no time, owner or comment: any program opens it, and each picture is a range of its bytes.
"""

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import attrs

from bitsnode.media.errors import BadPictureSet, MediaNotWritten, TooManyPictures
from bitsnode.media.images import PreparedImage

MEDIA_TYPE: Final = "application/zip"
MAX_PICTURES: Final = 999
MAX_BYTES: Final = 2 << 30  # of all pictures: below what would need the fields of ZIP64
_SUFFIXES: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_TYPES: Final = {suffix: media_type for media_type, suffix in _SUFFIXES.items()}
_NAME: Final = re.compile(r"(\d{3})\.(jpg|png|webp)\Z")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first moment that ZIP knows
_HEADER: Final = 30  # bytes before the name in a local file header (APPNOTE §4.3.7)
_UNIX: Final = 3  # "version made by" (APPNOTE §4.4.2), wherever this runs


@attrs.frozen
class Entry:
    """Where a picture lies in the archive.

    Attributes:
        name: such as 001.jpg.
        media_type: image/jpeg, image/png or image/webp.
        offset: of its first byte.
        size: bytes.
    """

    name: str
    media_type: str
    offset: int
    size: int


def write(pictures: Iterable[PreparedImage], output: Path) -> int:
    """Write pictures, one at a time as they come, and return how many there are. Blocks.

    Args:
        pictures: 1 to 999, at most 2 GiB.
        output: the archive to make; not there yet, made private, gone again when this fails. It
            is plaintext: whoever asks for it removes it.

    Raises:
        TooManyPictures: there are none, or too many.
        MediaNotWritten: the output exists already or cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(output, flags, 0o600)
    except OSError as error:
        raise MediaNotWritten(f"{output} cannot be written: {error.strerror}.") from error
    try:
        with open(descriptor, "w+b") as file, zipfile.ZipFile(file, "w") as archive:
            return _fill(archive, pictures)
    except OSError as error:
        _remove(output)
        raise MediaNotWritten(f"{output} cannot be written: {error.strerror}.") from error
    except BaseException:
        _remove(output)
        raise


def _fill(archive: zipfile.ZipFile, pictures: Iterable[PreparedImage]) -> int:
    count = size = 0
    for picture in pictures:
        count, size = count + 1, size + len(picture.full)
        if count > MAX_PICTURES or size > MAX_BYTES:
            raise TooManyPictures
        entry = zipfile.ZipInfo(f"{count:03}.{_SUFFIXES[picture.media_type]}", _EPOCH)
        entry.create_system = _UNIX
        entry.external_attr = 0o600 << 16
        archive.writestr(entry, picture.full)
    if not count:
        raise TooManyPictures
    return count


def _remove(output: Path) -> None:
    with contextlib.suppress(OSError):
        output.unlink()


class _Ranges(io.RawIOBase):
    """A file whose bytes come from a function."""

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._read = read
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        size = max(0, min(len(buffer), self._size - self._at))
        if size:
            buffer[:size] = self._read(self._at, self._at + size - 1)
        self._at += size
        return size


def entries(size: int, read: Callable[[int, int], bytes]) -> tuple[Entry, ...]:
    """Return where each picture of an archive lies. Blocks.

    Args:
        size: bytes of the archive.
        read: returns the bytes from one offset to another, both included; only the end of the
            archive is asked for.

    Raises:
        BadPictureSet: it is not an archive as `write` makes them.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(_Ranges(size, read), 65_536)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadPictureSet from error
    if not 0 < len(infos) <= MAX_PICTURES:
        raise BadPictureSet
    return tuple(_entry(info, number, size) for number, info in enumerate(infos, 1))


def _entry(info: zipfile.ZipInfo, number: int, size: int) -> Entry:
    name = _NAME.match(info.filename)
    offset = info.header_offset + _HEADER + len(info.filename)
    whole = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
    inside = 0 <= info.header_offset and offset + info.file_size <= size
    if not (name and int(name[1]) == number and whole and inside and not info.extra):
        raise BadPictureSet
    return Entry(info.filename, _TYPES[name[2]], offset, info.file_size)

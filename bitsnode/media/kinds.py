"""What a file is, by its first bytes and never by its name.

Only what can be shown safely has a type of its own. All else, HTML, SVG and PDF among it, is
`UNKNOWN`: a download, which no browser renders.
"""

import os
import stat
from pathlib import Path
from typing import Final

from bitsnode.media.errors import MediaMissing

UNKNOWN: Final = "application/octet-stream"
HEAD: Final = 4096  # bytes of a file that are looked at
_EBML: Final = b"\x1a\x45\xdf\xa3"
# ISO/IEC 14496-12 §4.3: the major brand. Those of HEIC and AVIF are not here: downloads.
_FILM_BRANDS: Final = (b"isom", b"iso", b"mp4", b"avc1", b"av01", b"M4V", b"MSNV", b"dash", b"3gp")
_SOUND_BRANDS: Final = (b"M4A", b"M4B")


def look(path: Path) -> str:
    """Return the media type of a file's content.

    It is one of image/jpeg, image/png, image/webp, image/gif, video/mp4, video/quicktime,
    video/webm, video/x-matroska, audio/mp4, audio/mpeg, audio/flac, audio/ogg, or `UNKNOWN`. A
    type says how a file begins, not that the rest of it is whole.

    Raises:
        MediaMissing: it is not a regular file, or cannot be read.
    """
    return look_at(read_start(path, HEAD))


def read_start(path: Path, limit: int) -> bytes:
    """Return the first ``limit`` bytes of a regular file, or all if it has fewer.

    Raises:
        MediaMissing: it is not a regular file, or cannot be read.
    """
    try:
        # not to hang on a FIFO that nobody writes to
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise MediaMissing(f"{path} is not a regular file.")
            return file.read(limit)
    except OSError as error:
        raise MediaMissing(f"{path} cannot be read: {error.strerror}.") from error


def look_at(head: bytes) -> str:
    """Return the media type of content that begins with ``head``; see `look`."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return _iso_media(head[8:12])
    if head.startswith(_EBML):
        return _matroska(head)
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"ID3") or _is_mpeg_audio(head):
        return "audio/mpeg"
    return UNKNOWN


def _iso_media(brand: bytes) -> str:
    if brand == b"qt  ":
        return "video/quicktime"
    if brand.startswith(_SOUND_BRANDS):
        return "audio/mp4"
    return "video/mp4" if brand.startswith(_FILM_BRANDS) else UNKNOWN


def _matroska(head: bytes) -> str:
    """Tell the two by the element DocType, 0x4282 (RFC 8794 §11.2.4), in the EBML header."""
    at = head.find(b"\x42\x82", 4, 64)
    doctype = head[at + 3 : at + 11] if at > 0 else b""
    if doctype.startswith(b"webm"):
        return "video/webm"
    return "video/x-matroska" if doctype.startswith(b"matroska") else UNKNOWN


def _is_mpeg_audio(head: bytes) -> bool:
    """Whether it begins with a frame header of layer III (ISO/IEC 11172-3 §2.4.2.3)."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    return bitrate not in (0, 15) and rate != 3

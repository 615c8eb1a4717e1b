"""Amounts, sizes and names as a visitor reads them. Pure."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

WEI: Final = 10**18  # in one coin
_UNITS: Final = ("kB", "MB", "GB", "TB", "PB")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9]+")
MAX_FILE_NAME: Final = 80  # characters

# What a browser may show by itself. Anything else is a download without a type: no page, no
# script and no image format with a script inside is ever rendered from what is sold.
SHOWN: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/webm": "weba",
}
_FILES: Final = SHOWN | {"application/zip": "zip", "application/pdf": "pdf", "text/plain": "txt"}
UNKNOWN_TYPE: Final = "application/octet-stream"


def coins(wei: int) -> str:
    """Return an amount in coins, exactly and without an exponent."""
    whole, rest = divmod(wei, WEI)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")


def size(count: int) -> str:
    """Return a number of bytes in two or three digits."""
    if count < 1_000:
        return f"{count} B"
    value, unit = float(count), ""
    for name in _UNITS:
        if round(value) < 1_000:
            break
        value, unit = value / 1_000, name
    return f"{value:.1f} {unit}" if value < 9.95 else f"{round(value)} {unit}"


def served_type(media_type: str) -> str:
    """Return the type under which a content is sent."""
    return media_type if media_type in SHOWN else UNKNOWN_TYPE


def file_name(title: str, media_type: str, suffix: str = "") -> str:
    """Return the name of a download in letters, digits and hyphens.

    Args:
        title: of the item.
        media_type: gives the ending.
        suffix: another ending.
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode("ascii")
    name = _NO_NAME.sub("-", plain).strip("-")[:MAX_FILE_NAME] or "item"
    return f"{name}.{suffix or _FILES.get(media_type, 'bin')}"


def disposition(title: str, media_type: str, suffix: str = "") -> str:
    """Return a Content-Disposition that saves a download under its title (RFC 6266)."""
    name = file_name(title, media_type, suffix)
    kept = "".join(c for c in title if c.isalnum() or c in " -_")
    full = " ".join(kept.split())[:MAX_FILE_NAME] or "item"
    encoded = quote(f"{full}.{name.rpartition('.')[2]}", safe="")
    return f"attachment; filename=\"{name}\"; filename*=UTF-8''{encoded}"

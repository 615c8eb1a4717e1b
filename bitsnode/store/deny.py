"""What this node's operator refuses to keep or to hand out: ``HOME/deny.txt``.

One storage index (64 hexadecimal digits), content id (``bafy…``) or link (``bits:…``) per line.
What follows a ``#`` at the beginning of a line or after a space is a comment.
"""

import re
from pathlib import Path
from typing import Final

from bitsnode.codec import keys
from bitsnode.ids import BadContentId, ContentId
from bitsnode.store.errors import BadDenyList

MAX_DENY_LIST: Final = 64 << 20  # bytes; about a million lines
_COMMENT: Final = re.compile(r"(^|\s)#.*$")
_INDEX: Final = re.compile(r"[0-9A-Fa-f]{64}")
_LINK: Final = "bits:"


def _storage_index(text: str) -> bytes:
    if _INDEX.fullmatch(text):
        return bytes.fromhex(text)
    if text.startswith(_LINK):
        text = text.removeprefix(_LINK).partition("#")[0]
    return keys.storage_index(ContentId.parse(text).digest)


def parse_deny_list(text: str, name: str) -> frozenset[bytes]:
    """Return the storage indexes that a deny list names.

    Raises:
        BadDenyList: a line is none of the three; the sentence gives its number.
    """
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        entry = _COMMENT.sub("", line).strip()
        if not entry:
            continue
        try:
            found.add(_storage_index(entry))
        except BadContentId as error:
            raise BadDenyList(
                f"Line {number} of {name} is not a storage index, a content id or a link:"
                " correct or remove it."
            ) from error
    return frozenset(found)


def read_deny_list(path: Path) -> frozenset[bytes]:
    """Return the storage indexes that the file names; none if there is no file.

    Raises:
        BadDenyList: the file cannot be read, is too long, or see `parse_deny_list`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DENY_LIST + 1)
        text = data.decode("utf-8")
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise BadDenyList(f"{path} cannot be read: make it a readable text file.") from error
    if len(data) > MAX_DENY_LIST:
        raise BadDenyList(f"{path} is longer than {MAX_DENY_LIST >> 20} MiB: shorten it.")
    return parse_deny_list(text, str(path))

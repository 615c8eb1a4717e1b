"""The key of the account that a relay pays gas with: in a file, as nobody is there to type."""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from bitsnode.errors import BitsError
from bitsnode.ledger.local_key import BadKey, LocalKey

KEY_SIZE: Final = 32  # bytes


class HotKeyUnusable(BitsError):
    """The file with the key of the relay's account cannot be read or written."""


class HotKeyOpen(BitsError):
    """The file with the key of the relay's account can be read by others: make it chmod 600."""


class HotKeyDamaged(BitsError):
    """The file with the key of the relay's account is damaged; restore it from a backup."""


def open_hot_key(path: Path) -> LocalKey:
    """Return the key in a file; the file is made, with a new key, if there is none.

    Raises:
        HotKeyUnusable, HotKeyOpen, HotKeyDamaged: it cannot be used.
    """
    try:
        if not path.exists():
            _make(path)
        status = path.stat()
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise HotKeyOpen
        with path.open("rb") as file:
            key = file.read(KEY_SIZE + 1)
    except OSError as error:
        raise HotKeyUnusable from error
    try:
        return LocalKey(key)
    except BadKey as error:
        raise HotKeyDamaged from error


def _make(path: Path) -> None:
    """Write a new key to a draft, and link it into place: a key that is there is never replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            # a number above the curve's order comes up never: one in 2**128
            file.write(secrets.token_bytes(KEY_SIZE))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process was first
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        draft.unlink()

"""The directory of a chain: private, locked by one process, with the faucet's key."""

import fcntl
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from bitsnode.ledger.embedded.errors import ChainInUse, ChainOpen, ChainUnusable

LOCK: Final = "chain.lock"
FAUCET: Final = "faucet.key"
DATABASE: Final = "chain.db"


class DirectoryLock:
    """The right to use a chain's directory; the kernel drops it however this process ends.

    Raises:
        ChainInUse: another process has it.
        ChainOpen: others may enter the directory, or it belongs to someone else.
        ChainUnusable: it cannot be made or written.
    """

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = directory.stat()
            if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
                raise ChainOpen(
                    f"The chain's directory {directory} is open to other users;"
                    f" run chmod 700 {directory}."
                )
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(directory / LOCK, flags, 0o600)
        except OSError as error:
            raise ChainUnusable(
                f"The chain's directory {directory} cannot be used: {error.strerror}."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise ChainInUse(
                f"A chain is already running on {directory}; stop it first or use another one."
            ) from None

    def release(self) -> None:
        """Give the directory free; again is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_faucet_key(directory: Path) -> bytes | None:
    """Return the faucet's private key (32 bytes), or None if it is not there.

    Raises:
        ChainUnusable: the file is there and holds no key, or cannot be read.
    """
    path = directory / FAUCET
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise ChainUnusable(f"The faucet's key {path} cannot be read.") from None
    if len(key) != 32:
        raise ChainUnusable(f"The faucet's key {path} cannot be read.")
    return key


def make_faucet_key(directory: Path) -> bytes:
    """Return the faucet's key; draw one (mode 0600, on the disk when this returns) if none is."""
    if (known := read_faucet_key(directory)) is not None:
        return known
    key = secrets.token_bytes(32)  # above the curve's order once in 2^128: py-evm would refuse it
    draft = directory / (FAUCET + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / FAUCET)
    entry = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)
    return key

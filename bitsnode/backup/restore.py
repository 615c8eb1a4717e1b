"""Bringing a home back from a backup: all of it or nothing, whenever the power goes. Blocking.

Everything is unpacked and looked at in one folder inside the home, is brought to the disk, and
that folder gets another name: from that moment on the home *is* restored. What it holds is then
moved to where it belongs, one rename for each; `complete` does what a crash left of that.
"""

import hashlib
from pathlib import Path
from typing import Final

import attrs

from bitsnode.backup import databases
from bitsnode.backup.ahead import go_ahead
from bitsnode.backup.container import Entry, Table, check_padding
from bitsnode.backup.contents import SETTINGS, Kind, folders, kept_as
from bitsnode.backup.disk import (
    PIECE,
    create,
    fresh_folder,
    refusals,
    remove,
    sync_folder,
    sync_tree,
)
from bitsnode.backup.errors import (
    BackupDamaged,
    BackupUnreadable,
    HomeNotEmpty,
    HomeUnwritable,
    RestoreFinished,
)
from bitsnode.backup.making import COPIES
from bitsnode.backup.sealing import SealedReader, check_header
from bitsnode.home import HomeLock
from bitsnode.ledger.wallet.keys import Keys
from bitsnode.ledger.wallet.keystore import DEFAULT_COST, Cost, Keystore, check_password, seal
from bitsnode.ledger.wallet.mnemonic import entropy_of
from bitsnode.ledger.wallet.service import KEYSTORE

UNPACKED: Final = "restoring"  # folder in the home: not looked at yet, worth nothing
COMPLETE: Final = "restored"  # folder in the home: to be moved into place, whatever happens
WALLET: Final = "wallet"


@attrs.frozen
class Restored:
    """A home that is back.

    Attributes:
        made_at: when the backup was made, Unix time in seconds.
        files: that were in it.
        kept: settings of the home that were there before and stayed.
    """

    made_at: int
    files: tuple[str, ...]
    kept: tuple[str, ...]


def check_backup(path: Path) -> None:
    """Make sure that a file may be a backup, before anybody is asked for words.

    Raises:
        NotABackup, BackupTooNew, BackupDamaged: it is none, or cannot be used.
        BackupUnreadable: the system refuses.
    """
    with refusals(BackupUnreadable, "The backup cannot be read"), path.open("rb") as file:
        check_header(file)


def restore(
    home: Path, path: Path, words: str, password: str, now: float, cost: Cost = DEFAULT_COST
) -> Restored:
    """Bring a home back; afterwards all is there and on the disk, or nothing is.

    Args:
        home: of a node that does not run; without keys and wallet.
        path: of the backup.
        words: of the wallet.
        password: new one of the wallet's keystore.
        now: Unix time in seconds.
        cost: of guessing the password.

    Raises:
        InvalidMnemonic, PasswordTooShort, PasswordTooLong: what was typed is none.
        HomeInUse, HomeOpen, HomeUnusable: the home is not ours alone.
        HomeNotEmpty: there are keys, a wallet, or a past.
        RestoreFinished: an earlier restore was cut short; now it is done, and this one was not.
        HomeUnwritable, BackupUnreadable: the system refuses.
        NotABackup, BackupTooNew, WrongWords, BackupDamaged, UnknownContents, TooMuch, FileUnsound:
            of the backup.
    """
    check_password(password)
    entropy = entropy_of(words)
    check_backup(path)
    made = not home.exists()
    lock = HomeLock(home)
    try:
        with refusals(HomeUnwritable, "The home cannot be written"):
            complete(home)
            _check_empty(home)
            with fresh_folder(home / UNPACKED) as folder:
                table = _unpack(folder, path, Keys.from_entropy(entropy))
                _write_keystore(folder, entropy, password, cost)
                go_ahead(folder, now)
                kept = _keep_settings(home, folder)
                sync_tree(folder)
                folder.rename(home / COMPLETE)
                sync_folder(home)
            _move_in(home)
    except BaseException:
        if made and not (home / COMPLETE).exists():
            _undo(home)
        raise
    finally:
        lock.release()
    return Restored(table.made_at, tuple(entry.path for entry in table.entries), kept)


def complete(home: Path) -> None:
    """See to what a crash left of a backup or a restore; to be called at each start of a node.

    Args:
        home: whose lock is held.

    Raises:
        RestoreFinished: a restore was to be finished, and is. The caller has read settings that
            may be others now, so it should not go on.
        HomeUnwritable: the system refuses.
    """
    remove(home / COPIES)
    remove(home / UNPACKED)
    if (home / COMPLETE).is_dir():
        with refusals(HomeUnwritable, "The home cannot be written"):
            _move_in(home)
        raise RestoreFinished


def _check_empty(home: Path) -> None:
    for name in folders():
        folder = home / name
        if folder.is_symlink() or (folder.exists() and any(folder.iterdir())):
            raise HomeNotEmpty(
                f"This home has {name}/ of its own already, and a restore replaces nothing:"
                " restore into a new home, with --home."
            )


def _unpack(folder: Path, path: Path, keys: Keys) -> Table:
    """Write the files of a backup into a folder, and make sure that they can be used."""
    with refusals(BackupUnreadable, "The backup cannot be read"):
        file = path.open("rb")
    with file:
        source = SealedReader(file, keys.seed)
        table = Table.read(source)
        for entry in table.entries:
            _unpack_file(folder / entry.path, entry, source)
        check_padding(source)
    for entry in table.entries:
        kept = kept_as(entry.path)
        if kept.kind is Kind.DATABASE:
            databases.check(folder / entry.path, kept)
    return table


def _unpack_file(target: Path, entry: Entry, source: SealedReader) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), entry.size
    with create(target) as new:
        while left:
            part = source.read(min(left, PIECE))
            digest.update(part)
            new.write(part)
            left -= len(part)
    if digest.digest() != entry.digest:
        raise BackupDamaged


def _write_keystore(folder: Path, entropy: bytes, password: str, cost: Cost) -> None:
    meta = Keys.from_entropy(entropy).viewing().meta_address
    Keystore(folder / WALLET / KEYSTORE).create(seal(entropy, meta, password, cost))


def _keep_settings(home: Path, folder: Path) -> tuple[str, ...]:
    """Leave out of the folder the settings that the home has of its own; return their names."""
    kept = tuple(name for name in SETTINGS if (home / name).exists())
    for name in kept:
        (folder / name).unlink(missing_ok=True)
    return kept


def _move_in(home: Path) -> None:
    """Move everything from `COMPLETE` to its place; a crash anywhere can be gone on from."""
    complete_folder = home / COMPLETE
    for found in sorted(complete_folder.iterdir()):
        # a folder takes the place of an empty one only, and a file's place was empty
        found.rename(home / found.name)
    sync_folder(home)
    complete_folder.rmdir()
    sync_folder(home)


def _undo(home: Path) -> None:
    """Remove a home that was made for a restore that failed."""
    (home / "node.lock").unlink(missing_ok=True)
    try:
        home.rmdir()
    except OSError:
        return  # something is in it that is not ours

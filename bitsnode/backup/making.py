"""Making a backup of a home, while its node runs. Blocking."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from bitsnode.backup import databases
from bitsnode.backup.container import Entry, Table, padded
from bitsnode.backup.contents import CONTENTS, Kept, Kind, kept_as
from bitsnode.backup.disk import PIECE, create, fresh_folder, refusals, sync, sync_folder
from bitsnode.backup.errors import BackupExists, BackupUnwritable, TooMuch, UnknownContents
from bitsnode.backup.sealing import SealedWriter

COPIES: Final = "backing-up"  # folder in the home, while a backup is made


@attrs.frozen
class Made:
    """A backup that was made.

    Attributes:
        path: of the file.
        files: in it.
        size: bytes of the file.
    """

    path: Path
    files: tuple[str, ...]
    size: int


def make(home: Path, seed: bytes, target: Path, now: float) -> Made:
    """Write a backup of a home to a file; when this returns it survives a power cut.

    Args:
        home: of the node, which may run.
        seed: of its wallet, 64 bytes.
        target: absolute path of a file that is not there yet.
        now: Unix time in seconds.

    Raises:
        BackupExists: the file is there.
        BackupUnwritable: the system refuses.
        FilesBusy, FileUnsound, BackupTooNew, TooMuch: of the files in the home.
    """
    if os.path.lexists(target):
        raise BackupExists
    with (
        refusals(BackupUnwritable, "The backup cannot be written"),
        fresh_folder(home / COPIES) as copies,
    ):
        paths = _copy(home, copies)
        for path in paths:
            if kept_as(path).kind is Kind.DATABASE:
                databases.check(copies / path, kept_as(path))
        entries = tuple(_entry(copies, path) for path in sorted(paths))
        _write(Table(int(now), entries), copies, seed, target)
        return Made(target, tuple(entry.path for entry in entries), target.stat().st_size)


def _find(home: Path) -> Iterator[tuple[str, Kept]]:
    """Yield what is in a home of what a backup holds."""
    for kept in CONTENTS:
        for found in sorted(home.glob(kept.pattern)):
            path = found.relative_to(home).as_posix()
            if found.is_file() and not found.is_symlink() and _is_kept(path, kept):
                yield path, kept


def _is_kept(path: str, kept: Kept) -> bool:
    try:
        return kept_as(path) is kept
    except UnknownContents:
        return False  # a draft, whose name begins with a dot


def _copy(home: Path, copies: Path) -> list[str]:
    """Copy everything as it is at one moment; return the paths."""
    found = list(_find(home))
    in_use = [home / path for path, kept in found if kept.kind is Kind.DATABASE]
    with databases.held(in_use):
        for path, kept in found:
            target = copies / path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if kept.kind is Kind.DATABASE:
                databases.copy(home / path, target)
            else:
                _copy_file(home / path, target, kept.limit)
    return [path for path, _kept in found]


def _copy_file(source: Path, target: Path, limit: int) -> None:
    with source.open("rb") as old, create(target) as new:
        left = limit
        while part := old.read(PIECE):
            left -= len(part)
            if left < 0:
                raise TooMuch(f"The file {source.name} is too big for a backup.")
            new.write(part)


def _entry(copies: Path, path: str) -> Entry:
    with (copies / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        return Entry(path, file.seek(0, os.SEEK_END), digest)


def _write(table: Table, copies: Path, seed: bytes, target: Path) -> None:
    """Write a draft beside the target, then give it its name."""
    draft = target.with_name(f".{target.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        with create(draft) as file:
            _fill(file, table, copies, seed)
            sync(file)
        _name(draft, target)
        sync_folder(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def _fill(file: BinaryIO, table: Table, copies: Path, seed: bytes) -> None:
    writer, head = SealedWriter(file, seed), table.encode()
    writer.write(head)
    for entry in table.entries:
        with (copies / entry.path).open("rb") as copied:
            while part := copied.read(PIECE):
                writer.write(part)
    size = len(head) + table.total
    left = padded(size) - size
    while left:
        writer.write(bytes(min(left, PIECE)))
        left -= min(left, PIECE)
    writer.finish()


def _name(draft: Path, target: Path) -> None:
    try:
        # a link, unlike a rename, never takes the place of a file that is there
        os.link(draft, target)
    except FileExistsError as error:
        raise BackupExists from error
    except OSError:
        # no links on this file system: sticks are often FAT
        if os.path.lexists(target):
            raise BackupExists from None
        draft.rename(target)

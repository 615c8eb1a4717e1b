"""The inside of a backup: a table of the files, then their bytes one after the other. Pure.

====================  =====================================================================
field                 what
====================  =====================================================================
size of the table     4 bytes, big-endian
table                 canonical CBOR of `Table`
files                 their bytes, in the order of the table, with nothing between
padding               zeros, up to `padded` of all before
====================  =====================================================================

The table comes first, so that every limit is checked before a byte is written anywhere. Its paths
rise strictly: none is there twice.
"""

import struct
from typing import Final, Protocol

import attrs

from bitsnode.backup.contents import MAX_FILES, MAX_PATH, MAX_TOTAL, kept_as
from bitsnode.backup.errors import BackupDamaged, TooMuch, UnknownContents
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import DIGEST_SIZE
from bitsnode.wire import cbor
from bitsnode.wire.messages import MAX_TIME
from bitsnode.wire.schema import Bytes, ListOf, Nested, Text, Uint, field, from_list, to_list

TABLE_SIZE: Final = struct.Struct(">I")
MAX_TABLE: Final = MAX_FILES * (MAX_PATH + DIGEST_SIZE + 16)  # bytes


class Source(Protocol):
    """Gives out verified bytes; see `bitsnode.backup.sealing.SealedReader`."""

    def read(self, size: int) -> bytes:
        """Return so many bytes."""

    def some(self, most: int) -> bytes:
        """Return up to so many, none at the end."""


@attrs.frozen
class Entry:
    """One file.

    Attributes:
        path: relative to the home, with ``/``.
        size: bytes.
        digest: SHA-256 of them, 32 bytes.
    """

    path: str = field(1, Text(MAX_PATH))
    size: int = field(2, Uint(MAX_TOTAL))
    digest: bytes = field(3, Bytes(DIGEST_SIZE, DIGEST_SIZE))


@attrs.frozen
class Table:
    """What a backup holds.

    Attributes:
        made_at: Unix time in seconds.
        entries: the files, by rising path.
    """

    made_at: int = field(1, Uint(MAX_TIME))
    entries: tuple[Entry, ...] = field(2, ListOf(Nested(Entry), MAX_FILES))

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def check(self) -> None:
        """Make sure that a home may hold all this.

        Raises:
            UnknownContents: a path is none of `CONTENTS`, or not behind the one before.
            TooMuch: a file, or all together, are too big.
        """
        before = ""
        for entry in self.entries:
            if entry.path <= before:
                raise UnknownContents
            before = entry.path
            if entry.size > kept_as(entry.path).limit:
                raise TooMuch(f"The file {entry.path} is too big for a backup.")
        if self.total > MAX_TOTAL:
            raise TooMuch

    def encode(self) -> bytes:
        """Return the beginning of a backup's inside.

        Raises:
            UnknownContents, TooMuch: as for `check`.
        """
        if len(self.entries) > MAX_FILES:
            raise TooMuch
        self.check()
        data = cbor.encode(to_list(self))
        return TABLE_SIZE.pack(len(data)) + data

    @classmethod
    def read(cls, source: Source) -> "Table":
        """Return the table at the beginning of a backup's inside.

        Raises:
            BackupDamaged: it is not one.
            UnknownContents, TooMuch: as for `check`.
        """
        (size,) = TABLE_SIZE.unpack(source.read(TABLE_SIZE.size))
        if size > MAX_TABLE:
            raise BackupDamaged
        try:
            table = from_list(cls, cbor.decode(source.read(size), MAX_TABLE))
        except RemoteProtocolError as error:
            raise BackupDamaged from error
        table.check()
        return table


def padded(size: int) -> int:
    """Return the size up to which so many bytes are padded, at most 12% more.

    Padmé, from Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication
    with PURBs", PETS 2019, section 4.3: the size shows log log of its bits and not its bytes.
    """
    exponent = max(size, 2).bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


def check_padding(source: Source) -> None:
    """Make sure that nothing but zeros follows.

    Raises:
        BackupDamaged: something does.
    """
    while part := source.some(1 << 16):
        if part.count(0) != len(part):
            raise BackupDamaged

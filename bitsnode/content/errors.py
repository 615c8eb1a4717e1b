"""Why content could not be published or fetched: one class per failure, one sentence each."""

import errno
from pathlib import Path

from bitsnode.errors import BitsError


class ContentError(BitsError):
    """Content could not be published or fetched."""


# The file that is published


class InputError(ContentError):
    """The file to publish cannot be read."""


class InputMissing(InputError):
    """The file to publish does not exist."""


class InputNotAFile(InputError):
    """Only regular files can be published; pack a directory into an archive first."""


class InputUnreadable(InputError):
    """The file to publish cannot be read."""


class InputChanged(InputError):
    """The file changed while it was read; publish it again when nobody writes to it."""


class InputTooLarge(InputError):
    """The file is too large for a manifest of 1 MiB with this many holders."""


# Holders


class NoHolders(ContentError):
    """No node of the network is willing to store this; try again when more nodes are online."""


class TooFewStored(ContentError):
    """Too few holders stored the content.

    Attributes:
        stored: shares that holders promised to keep.
        needed: shares that would have been enough.
    """

    def __init__(self, stored: int, needed: int, n: int) -> None:
        super().__init__(
            f"Publishing failed: {stored} of {n} shares were stored and {needed} are needed;"
            " publish the same file again to go on."
        )
        self.stored = stored
        self.needed = needed


class NotAnnounced(ContentError):
    """The shares are stored, but no node took the record of where; publish again to go on."""


class NotFound(ContentError):
    """No node knows who holds this content: it was never published here, or it has expired."""


class Unavailable(ContentError):
    """Too few holders of this content can be reached.

    Attributes:
        holders: distinct shares within reach.
        needed: k.
    """

    def __init__(self, holders: int, needed: int) -> None:
        super().__init__(
            f"unavailable: {holders} of {needed} needed holders can be reached; what was fetched"
            " is kept, so try again later."
        )
        self.holders = holders
        self.needed = needed


class ManifestUnavailable(ContentError):
    """None of the holders of this content can be reached; try again later."""


class TorDown(ContentError):
    """Tor is down; what was done so far is kept, so try again when it is back."""


class BadRange(ContentError):
    """The range lies outside of this content."""


# The local disk


class DiskError(ContentError):
    """The disk cannot be written.

    Attributes:
        path: what was being written.
    """

    _after = ""

    def __init__(self, path: Path, error: OSError) -> None:
        cause = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        super().__init__(f"{path} cannot be written: {cause}{self._after}.")
        self.path = path


class FetchDiskError(DiskError):
    """The disk cannot be written; what was fetched so far is kept."""

    _after = "; what was fetched so far is kept"


class OutputError(FetchDiskError):
    """The output cannot be written; what was fetched so far is kept."""


class StateNewer(ContentError):
    """A newer bits left this unfinished; use that version, or delete it."""

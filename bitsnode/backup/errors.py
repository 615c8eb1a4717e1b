"""What can go wrong with backups: the first line of each docstring is for people."""

from bitsnode.errors import BitsError


class BackupError(BitsError):
    """A backup could not be made or used."""


class NoWalletToSeal(BackupError):
    """A backup is sealed with the wallet's words, and there is no wallet: make one first."""


class BackupExists(BackupError):
    """There is a file of that name already, and a backup replaces none: choose another name."""


class BackupUnwritable(BackupError):
    """The backup cannot be written; no file was left."""


class FilesBusy(BackupError):
    """The node's files were in use all the time; try again in a moment."""


class FileUnsound(BackupError):
    """A file of this home is damaged, so that a backup of it would be of no use."""


class TooMuch(BackupError):
    """There is more to back up than a backup may hold."""


class NotABackup(BackupError):
    """The file is not a backup of a bits node."""


class BackupUnreadable(BackupError):
    """The backup cannot be read."""


class BackupTooNew(BackupError):
    """The backup was made by a newer bits: use that version to restore it."""


class WrongWords(BackupError):
    """These words do not open the backup: it is another wallet's, or its beginning is damaged."""


class BackupDamaged(BackupError):
    """The backup is damaged or cut short: use another copy of it."""


class UnknownContents(BackupError):
    """The backup holds what no backup of this version holds, so nothing of it was used."""


class HomeNotEmpty(BackupError):
    """This home has a node's keys or a wallet already: restore into a new one, with --home."""


class HomeUnwritable(BackupError):
    """The home cannot be written; nothing was restored."""


class RestoreFinished(BackupError):
    """A restore that had been cut short is complete now: start the node again."""


class BackupUnderWay(BackupError):
    """A backup is being made already; wait for it."""

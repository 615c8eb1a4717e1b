"""What the disk refuses: told to the operator in a sentence, and to the asker as a code."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bitsnode.store.errors import StoreError
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BUSY: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_RETRY: Final = 10  # seconds after which descriptors may be free again


def _refusal(error: OSError | sqlite3.Error | StoreError) -> Refused:
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return Refused(FailureCode.FULL)
        if error.errno in _BUSY:
            return Refused(FailureCode.BUSY, _RETRY)
    elif isinstance(error, sqlite3.Error):
        # the low byte of an extended code is the kind (https://sqlite.org/rescode.html)
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if kind == sqlite3.SQLITE_FULL:
            return Refused(FailureCode.FULL)
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Refused(FailureCode.BUSY, _RETRY)
    return Refused(FailureCode.INTERNAL)


def _sentence(error: OSError | sqlite3.Error | StoreError) -> str:
    """Say what failed without the name of a share: an `OSError` would show its path."""
    if isinstance(error, StoreError):
        return str(error)
    if isinstance(error, OSError):
        cause = os.strerror(error.errno) if error.errno else "unknown error"
    else:
        cause = getattr(error, "sqlite_errorname", "") or type(error).__name__
    return f"The disk of the share store fails: {cause}."


class Faults:
    """Keeps the last fault of the disk.

    Args:
        report: is given one sentence when a fault appears that is not the last one known.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._last: str | None = None

    @property
    def last(self) -> str | None:
        """The last fault, or None since something was last stored well."""
        return self._last

    def note(self, error: OSError | sqlite3.Error | StoreError) -> None:
        """Report a fault, unless it is the one that was reported last."""
        sentence = _sentence(error)
        if sentence != self._last:
            self._last = sentence
            self._report(sentence)

    def clear(self) -> None:
        """Something was stored well: the same fault would be news again."""
        self._last = None

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Turn what the disk refuses into what the asker is told."""
        try:
            yield
        except (OSError, sqlite3.Error, StoreError) as error:
            self.note(error)
            raise _refusal(error) from error

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Let the node go on although the disk refuses; what was not done is done later."""
        try:
            yield
        except (OSError, sqlite3.Error, StoreError) as error:
            self.note(error)

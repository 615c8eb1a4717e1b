"""Share files that are kept open, so that a read costs one system call."""

import errno
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from bitsnode.store.errors import DamagedHeader
from bitsnode.store.shares import Header, ShareFiles, ShareKey

MOST_OPEN: Final = 64  # files; a node's usual limit is 1024 descriptors


@attrs.define
class OpenShare:
    """An open file, closed when it was dropped and nobody reads from it."""

    descriptor: int
    header: Header
    users: int = 0
    dropped: bool = False


class OpenShares:
    """Opens share files on first use and closes the least recently used; for any thread.

    Args:
        files: where they lie.
        most: how many stay open.
    """

    def __init__(self, files: ShareFiles, most: int = MOST_OPEN) -> None:
        self._files = files
        self._most = most
        self._lock = threading.Lock()
        self._open: OrderedDict[ShareKey, OpenShare] = OrderedDict()
        self._forgotten = 0  # calls of `forget`

    @contextmanager
    def use(self, key: ShareKey) -> Iterator[OpenShare]:
        """Give the open file of a share.

        Raises:
            FileNotFoundError: there is none.
            DamagedHeader, StoreTooNew: see `Header.parse`.
            OSError: it cannot be opened.
        """
        share = self._known(key) or self._newly_opened(key)
        try:
            yield share
        finally:
            with self._lock:
                share.users -= 1
                self._close_if_unused(share)

    def forget(self, key: ShareKey) -> None:
        """Close a file whose name was removed. Call it after the removal, never before."""
        with self._lock:
            self._forgotten += 1
            self._drop(key)

    def close(self) -> None:
        """Close all files that nobody reads from, and the others after that."""
        with self._lock:
            for key in list(self._open):
                self._drop(key)

    def _known(self, key: ShareKey) -> OpenShare | None:
        with self._lock:
            share = self._open.get(key)
            if share is not None:
                self._open.move_to_end(key)
                share.users += 1
            return share

    def _newly_opened(self, key: ShareKey) -> OpenShare:
        with self._lock:
            forgotten = self._forgotten
        share = self._read_header(key)
        share.users = 1
        with self._lock:
            # If anything was forgotten meanwhile, this may be a file whose name is gone.
            if key in self._open or forgotten != self._forgotten:
                share.dropped = True
            else:
                self._open[key] = share
                while len(self._open) > self._most:
                    self._drop(next(iter(self._open)))
        return share

    def _read_header(self, key: ShareKey) -> OpenShare:
        path = self._files.path(key)
        try:
            descriptor = self._files.disk.open(path)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.close()
            descriptor = self._files.disk.open(path)
        try:
            header = self._files.header(descriptor)
            if header.key != key:
                raise DamagedHeader
        except BaseException:
            self._files.disk.close(descriptor)
            raise
        return OpenShare(descriptor, header)

    def _drop(self, key: ShareKey) -> None:
        share = self._open.pop(key, None)
        if share is not None:
            share.dropped = True
            self._close_if_unused(share)

    def _close_if_unused(self, share: OpenShare) -> None:
        if share.dropped and share.users == 0:
            self._files.disk.close(share.descriptor)

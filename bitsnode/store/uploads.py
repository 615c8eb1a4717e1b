"""Places that are being filled: kept in memory, because a crash of this node ends them all.

Their files are then orphans in ``incoming``; the uploader allocates again.
"""

import secrets
import threading
from typing import Final

import attrs

from bitsnode.store.quota import MAX_GAPS, Limits
from bitsnode.store.shares import Header
from bitsnode.store.stretches import Stretches, TooManyGaps
from bitsnode.wire.exchange import Refused
from bitsnode.wire.messages import FailureCode, Part

UPLOAD_SIZE: Final = 16  # bytes of an upload's name, which is all one needs to fill it
_RETRY: Final = 30  # seconds after which an asker over its budget may try again


@attrs.define(eq=False)
class Upload:
    """One place that is being filled.

    Attributes:
        name: 16 random bytes.
        header: of the share.
        connection: number of the connection that allocated it.
        charge: bytes it counts for.
        lease_until: Unix time in seconds, as granted.
        paid: whether somebody pays for it.
        touched: Unix time in seconds of the last data.
        descriptor: of its file; None until there is one.
        filled: what came, in bytes from the beginning of the first part.
        closed: nothing more may come.
        lock: held while its file is written or closed.
    """

    name: bytes = attrs.field(repr=False)
    header: Header
    connection: int
    charge: int
    lease_until: int
    paid: bool
    touched: float
    descriptor: int | None = None
    filled: Stretches = attrs.Factory(lambda: Stretches(MAX_GAPS))
    closed: bool = False
    lock: threading.Lock = attrs.Factory(threading.Lock)

    def place(self, part: int, offset: int, length: int) -> tuple[int, int]:
        """Return where in the file a stretch of a part begins and ends.

        Raises:
            Refused: MALFORMED, if it reaches beyond the part.
        """
        geometry = self.header.geometry
        if offset + length > geometry.part_size(part):
            raise Refused(FailureCode.MALFORMED)
        start = geometry.part_offset(part) + offset
        return start, start + length

    def note(self, start: int, end: int) -> None:
        """Note that the file is filled from ``start`` to ``end``.

        Raises:
            Refused: BUSY, if what came is too scattered: send what lies between first.
        """
        try:
            self.filled.add(start, end)
        except TooManyGaps as error:
            raise Refused(FailureCode.BUSY, 1) from error

    @property
    def complete(self) -> bool:
        """Whether every byte of every part came."""
        geometry = self.header.geometry
        start = geometry.part_offset(Part.SHARE)
        return self.filled.cover(start, start + geometry.size)


class Uploads:
    """The open uploads, within budgets; any thread may call.

    Args:
        limits: how many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._open: dict[bytes, Upload] = {}

    def __len__(self) -> int:
        return len(self._open)

    def names(self) -> set[str]:
        """Return the names of their files."""
        with self._lock:
            return {name.hex() for name in self._open}

    def open(
        self, header: Header, connection: int, charge: int, lease: tuple[int, bool], now: float
    ) -> Upload:
        """Open an upload.

        Args:
            header: of the share.
            connection: who asks.
            charge: bytes it counts for.
            lease: until when it was granted, and whether it is paid.
            now: Unix time in seconds.

        Raises:
            Refused: BUSY, if this connection or all together have too much open.
        """
        name = secrets.token_bytes(UPLOAD_SIZE)
        upload = Upload(name, header, connection, charge, lease[0], lease[1], now)
        with self._lock:
            own = [each.charge for each in self._open.values() if each.connection == connection]
            if (
                len(self._open) >= self._limits.uploads
                or len(own) >= self._limits.uploads_each
                or sum(own) + charge > self._limits.bytes_each
            ):
                raise Refused(FailureCode.BUSY, _RETRY)
            self._open[upload.name] = upload
        return upload

    def get(self, name: bytes) -> Upload:
        """Return an open upload.

        Raises:
            Refused: NOT_FOUND.
        """
        with self._lock:
            upload = self._open.get(name)
        if upload is None:
            raise Refused(FailureCode.NOT_FOUND)
        return upload

    def remove(self, upload: Upload) -> bool:
        """Take an upload off the list; say whether it was on it."""
        with self._lock:
            return self._open.pop(upload.name, None) is not None

    def stalled(self, now: float) -> list[Upload]:
        """Return the uploads for which no data came for too long."""
        with self._lock:
            oldest = now - self._limits.stall
            return [upload for upload in self._open.values() if upload.touched <= oldest]

    def same(self, header: Header) -> list[Upload]:
        """Return the open uploads of the very same share."""
        with self._lock:
            return [
                upload
                for upload in self._open.values()
                if upload.header.key == header.key
                and upload.header.whitened_root == header.whitened_root
            ]

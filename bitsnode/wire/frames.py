"""Frames: a 4-byte big-endian length, then that many bytes of canonical CBOR."""

import struct
from typing import Final

from bitsnode.errors import LocalProtocolError, RemoteProtocolError

HEADER_SIZE: Final = 4  # bytes
MAX_FRAME: Final = 320 * 1024  # bytes of a body; refused before it is buffered, PROTOCOL.md §2
SMALL: Final = 4096  # bytes; pieces shorter than this are joined to the next
_HEADER: Final = struct.Struct(">I")


class FrameRefused(RemoteProtocolError):
    """The other node announced a frame that is empty or too long."""


def frame(body: bytes) -> bytes:
    """Return the frame of a body of 1 byte to `MAX_FRAME`.

    Raises:
        LocalProtocolError: the body is empty or too long.
    """
    if not 1 <= len(body) <= MAX_FRAME:
        raise LocalProtocolError(f"Bug in bits: a frame of {len(body)} bytes.")
    return _HEADER.pack(len(body)) + body


class FrameReader:
    """Cuts a stream of bytes, fed in any pieces, into the bodies of frames.

    It holds the bytes fed and not yet taken: less than one frame more than the last piece, if
    `next` is called until it returns None before more is fed. Every byte of a long frame is
    copied once, when the frame is whole.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._skip = 0  # bytes of the first piece that were returned already
        self._waiting = 0  # bytes that were not returned yet

    @property
    def waiting(self) -> int:
        """Bytes held that were not returned yet; above 0 after `next` gave None: a part of one."""
        return self._waiting

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if self._pieces and len(self._pieces[-1]) < SMALL:
            # a byte at a time must not cost an object a byte
            self._pieces[-1] += data
        elif data:
            self._pieces.append(data)
        self._waiting += len(data)

    def next(self) -> bytes | None:
        """Return the body of the next whole frame, or None until more is fed.

        Raises:
            FrameRefused: the next frame is empty or longer than `MAX_FRAME`. There is no way to
                go on after it.
        """
        if self._waiting < HEADER_SIZE:
            return None
        if len(self._pieces[0]) - self._skip < HEADER_SIZE:
            self._pieces, self._skip = [b"".join(self._pieces)[self._skip :]], 0
        (length,) = _HEADER.unpack_from(self._pieces[0], self._skip)
        if not 1 <= length <= MAX_FRAME:
            raise FrameRefused
        if self._waiting < HEADER_SIZE + length:
            return None
        return self._take(self._skip + HEADER_SIZE, length)

    def _take(self, begin: int, length: int) -> bytes:
        """Return ``length`` bytes from ``begin`` of the first piece, and go on behind them."""
        first, end = self._pieces[0], begin + length
        if end < len(first):
            body = first[begin:end]
            self._skip = end
        else:
            parts, used, found = [memoryview(first)[begin:]], 1, len(first) - begin
            while found < length:
                parts.append(memoryview(self._pieces[used])[: length - found])
                found += len(parts[-1])
                used += 1
            body = b"".join(parts)
            self._drop(used, len(parts[-1]) if used > 1 else len(first))
        self._waiting -= HEADER_SIZE + length
        return body

    def _drop(self, used: int, end: int) -> None:
        """Forget the first ``used`` pieces; the last of them only up to ``end`` if more is left."""
        if end < len(self._pieces[used - 1]):
            used, self._skip = used - 1, end
        else:
            self._skip = 0
        del self._pieces[:used]

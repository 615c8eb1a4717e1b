"""Where one JSON value ends and the next begins, before any of it is parsed."""

import re
from typing import Final

MAX_BODY: Final = 1 << 20  # bytes of one request or batch; refused before more is buffered
MAX_DEPTH: Final = 16  # of brackets within brackets: a batch with an access list needs 6

_OUTSIDE: Final = re.compile(rb'["\[\]{}]')
_INSIDE: Final = re.compile(rb'["\\]')
_SPACE: Final = b" \t\r\n"


class NotJson(Exception):
    """The bytes are no JSON object or list, or too large or too deep; the connection is over."""


class JsonSplitter:
    """Cuts a stream into JSON objects and lists, which may follow each other with or without space.

    bytes in: `feed`; whole values out. Keeps at most `MAX_BODY` bytes.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._reset()

    def _reset(self) -> None:
        self._at = 0
        self._depth = 0
        self._in_string = False

    @property
    def empty(self) -> bool:
        """Nothing of a value has come yet."""
        return not self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the values that they complete.

        Raises:
            NotJson: as its docstring says.
        """
        self._buffer += data
        values = []
        while (end := self._end()) is not None:
            values.append(bytes(self._buffer[:end]))
            del self._buffer[:end]
            self._reset()
        if len(self._buffer) > MAX_BODY:
            raise NotJson
        return values

    def _end(self) -> int | None:
        if self._at == 0:
            stripped = self._buffer.lstrip(_SPACE)
            if len(stripped) != len(self._buffer):
                self._buffer = stripped
            if self._buffer and self._buffer[0] not in b"{[":
                raise NotJson
        while True:
            pattern = _INSIDE if self._in_string else _OUTSIDE
            found = pattern.search(self._buffer, self._at)
            if found is None:
                self._at = len(self._buffer)
                return None
            if found.start() >= MAX_BODY:
                raise NotJson
            if not self._step(found.group(), found.start()):
                return None
            if self._depth == 0:
                return self._at

    def _step(self, mark: bytes, start: int) -> bool:
        self._at = start + 1
        if mark == b"\\":
            if start + 1 >= len(self._buffer):
                self._at = start  # what it escapes is still to come
                return False
            self._at = start + 2
        elif mark == b'"':
            self._in_string = not self._in_string
        elif mark in b"[{":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise NotJson
        else:
            self._depth -= 1
        return True


def check_body(body: bytes) -> None:
    """Check that a body is one JSON object or list, not too deep, and nothing after it.

    Raises:
        NotJson: it is not.
    """
    splitter = JsonSplitter()
    if len(splitter.feed(body)) != 1 or not splitter.empty:
        raise NotJson

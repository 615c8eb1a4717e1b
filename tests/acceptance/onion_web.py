"""Asks for pages of an onion service through the SOCKS socket of a tor, as a browser does."""

import socket
from pathlib import Path

import attrs

TIMEOUT = 60.0  # seconds


class NotConnected(Exception):
    """Tor did not connect; the reply code of SOCKS5 (RFC 1928 section 6) is its argument."""


@attrs.frozen
class Page:
    """An answer.

    Attributes:
        status: of it.
        head: status line and headers, in small letters.
        headers: by name in small letters.
        body: all of it.
    """

    status: int
    head: str
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@attrs.frozen
class Browser:
    """Somebody's tor.

    Attributes:
        socks: unix socket of its SOCKS port.
        user: visits of different users share no circuit.
    """

    socks: Path
    user: str = "visitor"

    def connect(self, onion: str, port: int = 80) -> socket.socket:
        """Connect to a port of an onion service.

        Raises:
            NotConnected: tor says why not.
        """
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(TIMEOUT)
        try:
            stream.connect(str(self.socks))
            name, user = onion.encode(), self.user.encode()
            stream.sendall(b"\x05\x01\x02")
            _exactly(stream, 2)
            stream.sendall(b"\x01" + bytes([len(user)]) + user + b"\x01x")
            _exactly(stream, 2)
            address = b"\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big")
            stream.sendall(b"\x05\x01\x00" + address)
            _, reply, _, kind = _exactly(stream, 4)
            if reply:
                raise NotConnected(reply)
            _exactly(stream, {1: 4, 4: 16}[kind] + 2)
        except BaseException:
            stream.close()
            raise
        return stream

    def get(self, onion: str, path: str = "/", **headers: str) -> Page:
        """Ask for one page."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {onion}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        with self.connect(onion) as stream:
            stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            answer = b""
            while part := stream.recv(65_536):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in rest)
        found = {name.lower(): value for name, value in pairs}
        return Page(int(first.split()[1]), head.decode("latin-1").lower(), found, body)


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ConnectionError("tor closed the connection")
        data += part
    return data

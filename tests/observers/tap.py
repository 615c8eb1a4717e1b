"""An RPC server that logs: an onion of its own before the chain, with the circuit of each request.

It is what the operator of a server can do without changing a line of bits: one more onion service
on the tor of the chain, for which tor names the circuit of each connection
(``HiddenServiceExportCircuitID haproxy``), and a socket that passes everything on.
"""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs

from tests.observers.views import Question

# "PROXY TCP6 fc00:dead:beef:4dad::0:29 ::1 65535 80": the last 32 bits are the circuit's number
_PROXY: Final = re.compile(rb"PROXY TCP6 (\S+) [^\n]*\r\n")
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
PUBLISH_SECONDS: Final = 60.0


class TorControl:
    """The control port of a tor, for a few commands; a context manager.

    Args:
        directory: with its socket and cookie.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stream = socket.socket(socket.AF_UNIX)
        self._stream.settimeout(PUBLISH_SECONDS)

    def __enter__(self) -> Self:
        """Connect and authenticate."""
        self._stream.connect(os.path.realpath(self._directory / "control.sock"))
        self._lines = self._stream.makefile("r")
        self.ask(f"AUTHENTICATE {(self._directory / 'cookie').read_bytes().hex()}")
        return self

    def __exit__(self, *_error: object) -> None:
        """Hang up."""
        self._lines.close()
        self._stream.close()

    def hang_up(self) -> None:
        """End what another thread reads of `lines`."""
        self._stream.shutdown(socket.SHUT_RDWR)

    def lines(self) -> Iterator[str]:
        """Return what tor tells, as it tells it, until the connection ends."""
        self._stream.settimeout(None)
        yield from self._lines

    def ask(self, command: str) -> None:
        """Give a command that must succeed."""
        self._stream.sendall(command.encode() + b"\r\n")
        self.wait_for("250 ")

    def wait_for(self, beginning: str) -> None:
        """Read lines until one begins like this."""
        for line in self._lines:
            if line.startswith(beginning):
                return
            assert not line.startswith("5"), line
        raise AssertionError("tor hung up")


class RpcTap:
    """The server; a context manager.

    Args:
        chain: directory of the chain.
        folder: for the socket and the keys.

    Attributes:
        url: where it is, once it was entered.
    """

    def __init__(self, chain: Path, folder: Path) -> None:
        self._chain = chain
        self._folder = folder
        self._lock = threading.Lock()
        self._server = socket.socket(socket.AF_UNIX)
        self._questions: list[Question] = []
        self.url = ""

    def __enter__(self) -> Self:
        """Listen and publish; returns when the service can be found."""
        path = self._folder / "tap.sock"
        self._server.bind(str(path))
        self._server.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()
        keys = self._folder / "tap"
        keys.mkdir(mode=0o700)
        with TorControl(self._chain / "tor") as tor:
            tor.ask("SETEVENTS HS_DESC")
            tor.ask(
                f'SETCONF HiddenServiceDir="{keys}" HiddenServicePort="80 unix:{path}"'
                " HiddenServiceExportCircuitID=haproxy"
            )
            host = (keys / "hostname").read_text().strip()
            tor.wait_for(f"650 HS_DESC UPLOADED {host.removesuffix('.onion')}")
        self.url = f"http://{host}"
        return self

    @property
    def questions(self) -> tuple[Question, ...]:
        """What it was asked, in the order of arrival."""
        with self._lock:
            return tuple(self._questions)

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None
    ) -> None:
        """Stop."""
        with TorControl(self._chain / "tor") as tor:
            tor.ask("RESETCONF HiddenServiceDir")
        self._server.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        under_way: list[int] = []  # places of questions that this connection has no answer to
        with stream, socket.socket(socket.AF_UNIX) as behind:
            behind.connect(os.path.realpath(self._chain / "chain.sock"))
            threading.Thread(
                target=self._answer, args=(behind, stream, under_way), daemon=True
            ).start()
            waiting, circuit = b"", ""
            while data := _received(stream):
                waiting += data
                if not circuit:
                    match = _PROXY.match(waiting)
                    if match is None:
                        continue
                    circuit, waiting = match.group(1).decode(), waiting[match.end() :]
                    data = waiting
                waiting = self._read(waiting, circuit, under_way)
                if not _sent(behind, data):
                    break
        self._end(under_way)

    def _read(self, waiting: bytes, circuit: str, under_way: list[int]) -> bytes:
        """Log whole requests; returns what is left of the bytes."""
        while (end := waiting.find(b"\r\n\r\n")) >= 0:
            match = _LENGTH.search(waiting[:end])
            size = int(match.group(1)) if match else 0
            if len(waiting) < end + 4 + size:
                break
            body, waiting = waiting[end + 4 : end + 4 + size], waiting[end + 4 + size :]
            asked = json.loads(body) if body else []
            with self._lock:
                for each in asked if isinstance(asked, list) else [asked]:
                    under_way.append(len(self._questions))
                    params = tuple(each.get("params", ()))
                    self._questions.append(Question(time.time(), circuit, each["method"], params))
        return waiting

    def _answer(self, behind: socket.socket, stream: socket.socket, under_way: list[int]) -> None:
        """Pass the server's answers on; one that begins to come ends the waiting for it."""
        while data := _received(behind):
            self._end(under_way)
            if not _sent(stream, data):
                return

    def _end(self, under_way: list[int]) -> None:
        with self._lock:
            for place in under_way:
                question = self._questions[place]
                self._questions[place] = attrs.evolve(question, answered=time.time())
            under_way.clear()


def _received(stream: socket.socket) -> bytes:
    try:
        return stream.recv(1 << 16)
    except OSError:
        return b""


def _sent(stream: socket.socket, data: bytes) -> bool:
    try:
        stream.sendall(data)
    except OSError:
        return False
    return True

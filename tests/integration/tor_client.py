"""A client tor as a node would have one, driven by blocking calls; for tests only."""

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from attrs import frozen
from stem.control import Controller, EventType

from onion.localnet import TorOptions
from onion.localnet.config import render_torrc
from onion.localnet.keys import find_program

READY_TIMEOUT = 60.0  # seconds
STOP_TIMEOUT = 5.0  # seconds


class ClientTor:
    """A tor in `directory` whose control and SOCKS ports are unix sockets, `control` and `socks`.

    `options` come from `PrivateTorNetwork.client_options()`; `command` is put before tor, such as
    `ip netns exec NAME`. A context manager: inside, the tor runs. It ends with this process.
    """

    def __init__(
        self, directory: Path, options: TorOptions, *, command: Sequence[str] = ()
    ) -> None:
        self.directory = directory
        self.control = directory / "control"
        self.socks = directory / "socks"
        self._command = list(command)
        self._options = options | {
            "DataDirectory": str(directory / "data"),
            "ControlSocket": f"unix:{self.control}",
            "CookieAuthentication": "1",
            "CookieAuthFile": str(directory / "cookie"),
            "SocksPort": f"unix:{self.socks}",
            "Log": f"notice file {directory / 'notice.log'}",
            "__OwningControllerProcess": str(os.getpid()),
            "AvoidDiskWrites": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.controller: Controller | None = None

    def __enter__(self) -> "ClientTor":
        """Start tor; returns at once, see `wait_ready`."""
        self.directory.mkdir(mode=0o700, parents=True)
        torrc = self.directory / "torrc"
        torrc.write_text(render_torrc(self._options), "utf-8")
        tor = [find_program("tor"), "--quiet", "-f", str(torrc), "--defaults-torrc", os.devnull]
        self._process = subprocess.Popen([*self._command, *tor], stdin=subprocess.DEVNULL)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End tor."""
        assert self._process is not None
        if self.controller is not None:
            self.controller.close()
        self._process.kill()
        self._process.wait(STOP_TIMEOUT)

    def wait_ready(self) -> Controller:
        """Wait until tor is fully bootstrapped; returns its control connection (stem, blocking).

        The connection owns tor: stem sees that this process is tor's owner, and takes ownership.
        """
        deadline = time.monotonic() + READY_TIMEOUT
        pause = threading.Event()
        while self.controller is None:
            assert self._process is not None
            assert self._process.poll() is None, f"tor exited, see {self.directory}/notice.log"
            assert time.monotonic() < deadline, "tor does not listen"
            pause.wait(0.02)
            if _listens(self.control):  # stem leaves a socket open when it cannot connect
                self.controller = Controller.from_socket_file(str(self.control))
                self.controller.authenticate()
        while "PROGRESS=100 " not in (phase := self.controller.get_info("status/bootstrap-phase")):
            assert time.monotonic() < deadline, f"tor is not ready: {phase}"
            pause.wait(0.02)
        return self.controller

    def connect(self, host: str, port: int, timeout: float = 30.0) -> socket.socket:
        """Connect to `host`:`port` through SOCKS5 without authentication (RFC 1928)."""
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(timeout)
        return _through(stream, str(self.socks), host, port)


def socks_over_tcp(socks: int, host: str, port: int, timeout: float = 60.0) -> socket.socket:
    """Connect likewise through a SOCKS port on 127.0.0.1."""
    stream = socket.socket()
    stream.settimeout(timeout)
    return _through(stream, ("127.0.0.1", socks), host, port)


def _through(
    stream: socket.socket, proxy: str | tuple[str, int], host: str, port: int
) -> socket.socket:
    try:
        stream.connect(proxy)
        stream.sendall(b"\x05\x01\x00")
        assert _exactly(stream, 2) == b"\x05\x00"
        name = host.encode("ascii")
        stream.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
        reply = _exactly(stream, 4)
        if reply[1]:
            raise ConnectionRefusedError(f"SOCKS reply {reply[1]:#04x}")
        _exactly(stream, {1: 6, 4: 18}[reply[3]])
    except BaseException:
        stream.close()
        raise
    return stream


@frozen
class EchoService:
    """An onion service on port 7 that sends back what it gets."""

    host: str


@contextlib.contextmanager
def echo_service(tor: ClientTor) -> Iterator[EchoService]:
    """Publish an echo service at `tor`, and wait until one HSDir has its descriptor."""
    path = tor.directory / "echo"
    controller = tor.wait_ready()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_echo, args=[listener], daemon=True).start()
        uploaded = threading.Event()
        controller.add_event_listener(
            lambda event: uploaded.set() if event.action == "UPLOADED" else None,
            EventType.HS_DESC,
        )
        service = controller.create_ephemeral_hidden_service(
            {7: f"unix:{path}"}, key_content="ED25519-V3"
        )
        assert uploaded.wait(READY_TIMEOUT), "no HSDir took the descriptor"
        yield EchoService(f"{service.service_id}.onion")


def _echo(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            stream, _ = listener.accept()
            with stream:
                while data := stream.recv(65_536):
                    stream.sendall(data)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _exactly(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise ConnectionError("the SOCKS port closed the connection")
        data += more
    return data

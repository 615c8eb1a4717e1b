"""A slow way into the Tor network: a SOCKS5 proxy on loopback for the connections of one tor.

    with SlowLinks(seed=1) as links:
        link = links.open()
        …  # a tor with `Socks5Proxy 127.0.0.1:{link.port}`
        link.pace = Pace()  # from now on what it sends and gets is late
        link.dark = True  # from now on nothing comes through at all

A test tool: it takes no other host than this one, and no node of bits knows of it.
"""

import asyncio
import contextlib
import ipaddress
import random
import struct
import threading
from types import TracebackType

from tests.slow_links.timing import OneWay, Pace

HOST = "127.0.0.1"
CHUNK = 64 * 1024  # bytes read at once
WAITING = 64  # chunks under way in one direction; beyond that the sender has to wait
START_SECONDS = 10.0


class Link:
    """One tor's way to its relays.

    Attributes:
        port: of the proxy.
        pace: how late all is that passes; None for no delay. May change at any time.
        dark: whether nothing passes: what is sent vanishes, connections stay and say nothing.
            What was open when it became dark stays silent for ever.
        carried: bytes that passed, both ways.
    """

    def __init__(self, seed: int) -> None:
        self.port = 0
        self.pace: Pace | None = None
        self.dark = False
        self.carried = 0
        self._draws = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._at_work: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Begin."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End, and cut what is open."""
        if self._server is not None:
            self._server.close()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        # a task of our own: one that asyncio starts complains when it is cancelled (3.11)
        task = asyncio.ensure_future(self._serve(near, back))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        ends = [back]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                host, port = await _asked_for(near, back)
                back.write(b"\x05\x00\x00\x01" + bytes(6))
                if self.dark:
                    await asyncio.Event().wait()
                far, forth = await asyncio.open_connection(host, port)
                ends.append(forth)
                await self._carry_both(near, forth, far, back)
        finally:
            for end in ends:
                end.close()

    async def _carry_both(
        self,
        near: asyncio.StreamReader,
        forth: asyncio.StreamWriter,
        far: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        tasks = [
            asyncio.ensure_future(self._carry(near, forth)),
            asyncio.ensure_future(self._carry(far, back)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Read on one side; write on the other when the time has come."""
        way, under_way = OneWay(self._draws), asyncio.Queue[tuple[float, bytes]](WAITING)
        delivering = asyncio.ensure_future(self._deliver(under_way, sink))
        now = asyncio.get_running_loop().time
        try:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(CHUNK):
                    await under_way.put((way.arrival(now(), len(data), self.pace), data))
            await under_way.put((way.arrival(now(), 0, self.pace), b""))
            await delivering
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)

    async def _deliver(
        self, under_way: "asyncio.Queue[tuple[float, bytes]]", sink: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at, data = await under_way.get()
            if at > loop.time():
                await asyncio.sleep(at - loop.time())
            if self.dark:
                await asyncio.Event().wait()
            if not data:
                return
            sink.write(data)
            await sink.drain()
            self.carried += len(data)


async def _asked_for(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> tuple[str, int]:
    """Take part in a SOCKS5 handshake (RFC 1928) and return where to connect to.

    Raises:
        OSError: it is not an IPv4 address of this host.
    """
    _, methods = await near.readexactly(2)
    await near.readexactly(methods)
    back.write(b"\x05\x00")
    head = await near.readexactly(4)
    if head != b"\x05\x01\x00\x01":
        raise OSError("only IPv4 addresses are connected to")
    host = ipaddress.IPv4Address(await near.readexactly(4))
    (port,) = struct.unpack(">H", await near.readexactly(2))
    if not host.is_loopback:
        raise OSError("only this host is connected to")
    return str(host), port


class SlowLinks:
    """Proxies in a thread of their own, for the length of a with block.

    Args:
        seed: of all delays and losses.
    """

    def __init__(self, seed: int) -> None:
        self._draws = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: list[Link] = []

    def __enter__(self) -> "SlowLinks":
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all, and end the thread."""
        for link in self._links:
            asyncio.run_coroutine_threadsafe(link.close(), self._loop).result(START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self) -> Link:
        """Return one more proxy, which listens."""
        link = Link(self._draws.getrandbits(64))
        asyncio.run_coroutine_threadsafe(link.listen(), self._loop).result(START_SECONDS)
        self._links.append(link)
        return link

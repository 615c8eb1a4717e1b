"""Many visitors of one shop at once, each with a circuit and connections of its own.

A visitor keeps its connection open from page to page, as browsers do. Everything it is told is
checked: an answer that is no 200, a connection that is refused or cut, and an answer that does not
come within a minute are errors and not slow pages.

On a machine that is short of time an introduction now and then ends nowhere: the visitor's tor has
it acknowledged, no rendezvous follows, and nothing comes for a minute and more. Such a visitor asks
again over another circuit, as a node's dialer does, and that is counted by itself.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Final

import attrs

from tests.acceptance.onion_web import Browser, NotConnected, Page

LINK: Final = re.compile(r'"(/(?:item|blob|static)/[^"]+)"')
PIECE: Final = 65_536  # bytes
INTRODUCTION: Final = 15.0  # seconds
ATTEMPTS: Final = 4
PAUSE: Final = 0.2  # seconds after a connection that did not come to be
CONNECTIONS: Final = 6  # of a browser to one site


class Window:
    """One connection to a shop that carries one request after another.

    Args:
        browser: whose tor is used, and whose circuit.
        onion: of the shop.
    """

    def __init__(self, browser: Browser, onion: str) -> None:
        self._onion = onion
        self._stream: socket = browser.connect(onion)
        self._left = b""

    def get(self, path: str) -> Page:
        """Ask for a page and wait for all of it."""
        self.ask(path)
        return self.answer()

    def ask(self, path: str) -> None:
        """Ask, and do not wait."""
        self._stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {self._onion}\r\n\r\n".encode())

    def answer(self) -> Page:
        """Wait for what was asked for; it tells its length, as all pages of a shop do."""
        while b"\r\n\r\n" not in self._left:
            self._take()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers["content-length"])
        while len(self._left) < size:
            self._take()
        body, self._left = self._left[:size], self._left[size:]
        return Page(int(first.split()[1]), head.decode("latin-1").lower(), headers, body, [])

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def _take(self) -> None:
        part = self._stream.recv(PIECE)
        if not part:
            raise ConnectionError("the shop closed the connection")
        self._left += part


def links(page: Page) -> list[str]:
    """Return what a page of HTML needs and what it leads to: items, pictures, the style sheet."""
    return list(dict.fromkeys(LINK.findall(page.text)))


@attrs.define
class Walk:
    """A visit from the catalogue to some of its items.

    Attributes:
        browser: of the visitor.
        onion: of the shop.
        items: how many are looked at.
        seconds: that each page took, until all of its pictures were there.
        requests: that were answered.
        again: introductions that ended nowhere.
    """

    browser: Browser
    onion: str
    items: int
    seconds: list[float] = attrs.field(factory=list)
    requests: int = 0
    again: int = 0

    def go(self, read: Callable[[], object]) -> None:
        """Walk once; ``read`` is called when a page is there, and takes as long as reading it."""
        windows: list[Window] = []
        seen: set[str] = set()
        self._introduce()
        try:
            front = self._look(windows, "/", seen)
            read()
            found = [path for path in links(front) if path.startswith("/item/")]
            for path in found[: self.items]:
                self._look(windows, path, seen)
                read()
        finally:
            for window in windows:
                window.close()

    def _introduce(self) -> None:
        """Have a circuit to the shop."""
        name = self.browser.user.partition("~")[0]
        for attempt in range(ATTEMPTS):
            asking = attrs.evolve(self.browser, user=f"{name}~{attempt}", patience=INTRODUCTION)
            with suppress(TimeoutError):
                asking.connect(self.onion).close()
                self.browser = attrs.evolve(self.browser, user=asking.user)
                return
            self.again += 1
        raise TimeoutError("the shop could not be reached")

    def _look(self, windows: list[Window], path: str, seen: set[str]) -> Page:
        began = time.monotonic()
        (page,) = self._get(windows, [path])
        needed = [each for each in links(page) if not each.startswith("/item/")]
        new = [each for each in needed if each not in seen]  # what a browser has, it keeps
        for first in range(0, len(new), CONNECTIONS):
            self._get(windows, new[first : first + CONNECTIONS])
        seen.update(new)
        self.seconds.append(time.monotonic() - began)
        return page

    def _get(self, windows: list[Window], paths: list[str]) -> list[Page]:
        while len(windows) < len(paths):
            windows.append(Window(self.browser, self.onion))
        used = windows[: len(paths)]
        for window, path in zip(used, paths, strict=True):
            window.ask(path)
        pages = [window.answer() for window in used]
        for path, page in zip(paths, pages, strict=True):
            if page.status != 200:
                raise ConnectionError(f"{path} was answered by {page.status}")
        self.requests += len(pages)
        return pages


@attrs.define
class Crowd:
    """Visitors that walk through a shop, again and again, until they are told to stop.

    Attributes:
        walks: one for each visitor.
        reading: seconds that a visitor looks at a page.
        errors: what any of them met; none is how it should be.
        visits: walks that came to their end.
    """

    walks: list[Walk]
    reading: float
    errors: list[str] = attrs.field(factory=list)
    visits: int = 0

    @contextmanager
    def walking(self) -> Iterator[None]:
        """All of them come at once; inside the block they walk, and at its end they finish."""
        over = threading.Event()
        threads = [threading.Thread(target=self._walk, args=(walk, over)) for walk in self.walks]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _walk(self, walk: Walk, over: threading.Event) -> None:
        while True:
            try:
                walk.go(lambda: over.wait(self.reading))
            except Exception as error:
                self.errors.append(f"{type(error).__name__}: {error}")
            else:
                self.visits += 1
            if over.is_set():
                return


@contextmanager
def held(
    browser: Browser, onion: str, number: int, circuits: int, first: bytes
) -> Iterator[set[socket]]:
    """Hold connections to a shop that begin and never go on; one that is cut is made again.

    Args:
        browser: whose tor is used.
        onion: of the shop.
        number: of connections, which are asked for at once.
        circuits: over which they come.
        first: what each sends.

    Yields:
        Those that are there now; changes by itself.
    """
    streams: set[socket] = set()
    over = threading.Event()

    def hold(each: int) -> None:
        attempt = 0
        while not over.is_set():
            name = f"{browser.user} {each % circuits}~{attempt}"
            mine = attrs.evolve(browser, user=name, patience=INTRODUCTION)
            try:
                stream = mine.connect(onion)
            except (OSError, NotConnected):  # that is what they have to expect
                attempt += 1
                over.wait(PAUSE)
                continue
            streams.add(stream)
            with stream, suppress(OSError):
                stream.settimeout(None)
                stream.sendall(first)
                while not over.is_set() and stream.recv(PIECE):
                    pass
            streams.discard(stream)

    threads = [threading.Thread(target=hold, args=(each,), daemon=True) for each in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield streams
    finally:
        over.set()
        for stream in list(streams):
            with suppress(OSError):
                stream.shutdown(SHUT_RDWR)


def resident(pid: int) -> int:
    """Return the memory that a process has, bytes (proc(5))."""
    text = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB", text, re.M)
    return int(kilobytes) * 1024

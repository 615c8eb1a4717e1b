"""The slow links: their timing, and the proxy over real sockets."""

import contextlib
import random
import socket
import statistics
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.acceptance.cli_net import wait_for
from tests.sim.models import ROUND_TRIP
from tests.slow_links.proxy import HOST, Link, SlowLinks
from tests.slow_links.timing import RETRANSMIT, OneWay, Pace

CELL = 536  # bytes of a cell of Tor as TLS carries it


def _round_trips(pace: Pace, count: int) -> list[float]:
    """Draw round trips far apart from each other."""
    there, back = OneWay(random.Random(1)), OneWay(random.Random(2))
    return [
        back.arrival(there.arrival(100.0 * n, CELL, pace), CELL, pace) - 100.0 * n
        for n in range(count)
    ]


def test_a_round_trip_has_the_mean_and_the_deviation_named() -> None:
    """Without loss, two ways together take 450 +- 200 ms."""
    seconds = _round_trips(Pace(loss=0.0), 20_000)
    assert statistics.fmean(seconds) == pytest.approx(ROUND_TRIP[0], rel=0.03)
    assert statistics.stdev(seconds) == pytest.approx(ROUND_TRIP[1], rel=0.08)


def test_what_is_lost_comes_after_a_retransmission() -> None:
    """Two in a hundred segments each way are late by the time after which TCP sends again."""
    seconds = _round_trips(Pace(deviation=0.0), 20_000)
    stalled = sum(value > RETRANSMIT for value in seconds) / len(seconds)
    assert stalled == pytest.approx(1 - 0.98**2, rel=0.1)


def test_nothing_overtakes_what_was_sent_before() -> None:
    """However the delays fall, bytes arrive in the order in which they were sent."""
    way, pace = OneWay(random.Random(3)), Pace(loss=0.2)
    arrivals = [way.arrival(n / 100, CELL, pace) for n in range(1_000)]
    assert arrivals == sorted(arrivals)


def test_a_link_without_a_pace_takes_no_time() -> None:
    """With no delay set, what is sent arrives at once."""
    assert OneWay(random.Random(4)).arrival(5.0, CELL, None) == 5.0


@contextlib.contextmanager
def _echo() -> Iterator[int]:
    """Send back whatever comes; yield the port."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    stream, _ = listener.accept()
                    with stream:
                        while data := stream.recv(65_536):
                            stream.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def _through(link: Link, host: str, port: int) -> socket.socket:
    stream = socket.create_connection((HOST, link.port), timeout=20.0)
    stream.sendall(b"\x05\x01\x00")
    assert stream.recv(2) == b"\x05\x00"
    stream.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(host) + struct.pack(">H", port))
    assert stream.recv(10)[:2] == b"\x05\x00"
    return stream


def _all(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        assert more
        data += more
    return data


def test_all_bytes_come_back_in_order_and_late() -> None:
    """A megabyte through a slow link comes back as it was, and no sooner than the delay allows."""
    data = random.Random(5).randbytes(1 << 20)
    with _echo() as port, SlowLinks(seed=6) as links:
        link = links.open()
        link.pace = Pace(mean=0.3, deviation=0.0, loss=0.0)
        with _through(link, HOST, port) as stream:
            begun = time.monotonic()
            threading.Thread(target=stream.sendall, args=(data,), daemon=True).start()
            assert _all(stream, len(data)) == data
            assert time.monotonic() - begun >= 0.3
        # the last bytes are counted once they are written, which can be after they were read
        wait_for(lambda: link.carried == 2 * len(data))


def test_a_dark_link_keeps_connections_and_carries_nothing() -> None:
    """Once a link is dark, neither an open connection nor a new one says anything."""
    with _echo() as port, SlowLinks(seed=7) as links:
        link = links.open()
        with _through(link, HOST, port) as old:
            old.sendall(b"before")
            assert _all(old, 6) == b"before"
            link.dark = True
            with _through(link, HOST, port) as new:
                for stream in (old, new):
                    stream.sendall(b"after")
                    stream.settimeout(0.3)
                    with pytest.raises(TimeoutError):
                        stream.recv(1)


def test_only_this_host_is_reached() -> None:
    """A proxy asked for another host hangs up."""
    with SlowLinks(seed=8) as links, socket.create_connection((HOST, links.open().port)) as stream:
        stream.settimeout(20.0)
        stream.sendall(b"\x05\x01\x00")
        assert stream.recv(2) == b"\x05\x00"
        stream.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("192.0.2.1") + b"\x00\x50")
        assert stream.recv(10) == b""

"""Frames come out whole however the bytes came in, and none that is too long is waited for."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.errors import LocalProtocolError
from bitsnode.wire.envelope import Envelope, Kind, to_frame
from bitsnode.wire.frames import MAX_FRAME, FrameReader, FrameRefused, frame
from bitsnode.wire.messages import MAX_DATA


def test_a_frame_has_a_big_endian_length() -> None:
    """The length is that of the body alone."""
    assert frame(b"abc") == b"\x00\x00\x00\x03abc"
    assert len(frame(bytes(MAX_FRAME))) == 4 + MAX_FRAME


@pytest.mark.parametrize("size", [0, MAX_FRAME + 1])
def test_a_body_that_may_not_be_is_our_own_bug(size: int) -> None:
    """Nothing is sent that the other side would refuse."""
    with pytest.raises(LocalProtocolError):
        frame(bytes(size))


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=9000), max_size=12),
    cut=st.lists(st.integers(1, 20_000), min_size=1),
)
def test_any_pieces_give_the_same_bodies(bodies: list[bytes], cut: list[int]) -> None:
    """A reader gives the same frames for every way of cutting the stream."""
    stream, reader, found = b"".join(map(frame, bodies)), FrameReader(), []
    position, turn = 0, 0
    while position < len(stream):
        size = cut[turn % len(cut)]
        reader.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
        while (body := reader.next()) is not None:
            found.append(body)
    assert found == bodies
    assert reader.waiting == 0


def test_byte_by_byte() -> None:
    """A reader fed single bytes gives the frame with its last byte and not before."""
    reader, stream = FrameReader(), frame(bytes(5000))
    for position, byte in enumerate(stream):
        assert reader.next() is None
        reader.feed(bytes([byte]))
        assert reader.waiting == position + 1
    assert reader.next() == bytes(5000)


def test_single_bytes_do_not_pile_up() -> None:
    """The longest frame in single bytes is held in few pieces."""
    reader = FrameReader()
    for byte in frame(bytes(MAX_FRAME))[:-1]:
        reader.feed(bytes([byte]))
    assert len(reader._pieces) < 100


@pytest.mark.parametrize(
    "header", [b"\xff\xff\xff\xff", bytes(4), (MAX_FRAME + 1).to_bytes(4, "big")]
)
def test_p1_a_wrong_length_is_refused_by_its_header(header: bytes) -> None:
    """No byte of the body is needed to refuse it, also behind a good frame."""
    reader = FrameReader()
    reader.feed(frame(b"good") + header)
    assert reader.next() == b"good"
    with pytest.raises(FrameRefused):
        reader.next()


def test_reading_takes_time_in_proportion_to_bytes() -> None:
    """Four times the frames in the smallest usual pieces take about four times as long."""
    body = to_frame(Envelope(Kind.REPLY, {1: bytes(MAX_DATA), 2: 0}, 1))

    def seconds(frames: int) -> float:
        reader, begun = FrameReader(), time.thread_time()
        for _ in range(frames):
            for start in range(0, len(body), 498):  # bytes of a relay cell
                reader.feed(body[start : start + 498])
                reader.next()
        return time.thread_time() - begun

    seconds(4)
    assert seconds(64) < 20 * seconds(16) + 0.1

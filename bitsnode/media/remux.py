"""Films and sounds: their packets moved into a fresh MP4 that carries nothing else. By PyAV.

FFmpeg is kept on a short lead: it is told the container and the codecs it may use, reads from a
file that we have opened, and may open nothing by itself, so no playlist or reference inside a file
leads it to another file or to a network.
"""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from bitsnode.media.errors import (
    MediaMissing,
    MediaNotWritten,
    NoMediaExtra,
    NotPlayable,
    UnreadableStream,
)
from bitsnode.media.kinds import look

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

_DEMUXERS: Final = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "audio/mp4": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
}
# Codecs that an MP4 may hold and browsers play, each with the bitstream filter that takes out what
# is no picture: SEI (types 6; 39 and 40), where cameras and encoders sign, and metadata OBUs (5).
_PICTURE_CODECS: Final = {
    "h264": "filter_units=remove_types=6",
    "hevc": "filter_units=remove_types=39-40",
    "av1": "filter_units=remove_types=5",
    "vp9": "",
}
# Whether a unit's first byte says SEI (H.264 §7.3.1, H.265 §7.3.1.2)
_SEI: Final[dict[str, Callable[[int], bool]]] = {
    "h264": lambda first: first & 0x1F == 6,
    "hevc": lambda first: first >> 1 & 0x3F in (39, 40),
}
_SOUND_CODECS: Final = ("aac", "mp3", "opus", "flac")
# What encoders of sound write into the fill elements (AAC) and ancillary data (MP3) of frames.
_SIGNATURE: Final = re.compile(rb"(?:Lav[cf]|LAME ?|libfaac |FAAC )\d+(?:\.\d+)+")
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OUTPUT_OPTIONS: Final = {
    "movflags": "+faststart",  # the index before the data, so that playing begins at once
    "fflags": "+bitexact",  # no name of the program, no time
}


@attrs.frozen
class Tracks:
    """What was moved.

    Attributes:
        codecs: of picture and sound, as FFmpeg names them; "" for one that is not there.
        seconds: duration, 0 when unknown.
        dropped: tracks that were left behind: subtitles, covers, further sounds, data of cameras.
    """

    codecs: tuple[str, str]
    seconds: float
    dropped: int


def remux(path: Path, output: Path, *, picture: bool) -> Tracks:
    """Move a file's first picture (if wanted) and sound into a new MP4. Blocks.

    Args:
        path: the file.
        output: a file that is not there yet; it is made private, and removed when this fails.
        picture: a film, not a sound.

    Raises:
        NoMediaExtra: PyAV is not installed.
        MediaMissing: the file cannot be read.
        NotPlayable: it has no picture (or sound), or one that no browser plays from an MP4.
        UnreadableStream: it is damaged or of another kind.
        MediaNotWritten: the output exists already or cannot be written.
    """
    demuxer = _DEMUXERS.get(look(path))
    if demuxer is None:
        raise UnreadableStream
    try:
        os.close(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise MediaNotWritten(f"{output} cannot be written: {error.strerror}.") from error
    try:
        with opened(path, demuxer) as source, _writing(output) as target:
            return _move(source, target, picture)
    except BaseException:
        with contextlib.suppress(OSError):
            output.unlink()
        raise


@contextmanager
def opened(path: Path, demuxer: str = "mov") -> "Iterator[InputContainer]":
    """Open a film or sound for reading; what FFmpeg raises becomes `UnreadableStream`."""
    av = _load()
    codecs = ",".join((*_PICTURE_CODECS, "libdav1d", *_SOUND_CODECS, "mp3float"))
    options = {"codec_whitelist": codecs, "protocol_whitelist": "none"}
    try:
        file = path.open("rb")
    except OSError as error:
        raise MediaMissing(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        try:
            with av.open(
                file, format=demuxer, container_options=options, io_open=_refuse
            ) as container:
                yield container
        # its errors are of many classes, and those of a damaged file of any of them
        except (av.FFmpegError, ValueError, OverflowError, ArithmeticError) as error:
            if getattr(error, "errno", None) in _DISK_FULL:
                raise MediaNotWritten(
                    "The prepared film or sound cannot be written: the disk is full."
                ) from error
            raise UnreadableStream from error


@contextmanager
def _writing(output: Path) -> "Iterator[OutputContainer]":
    av = _load()
    with av.open(
        f"file:{output.absolute()}", "w", format="mp4", container_options=_OUTPUT_OPTIONS
    ) as container:
        yield container


def _move(source: "InputContainer", target: "OutputContainer", picture: bool) -> Tracks:
    from av.bitstream import BitStreamFilterContext
    from av.stream import Disposition

    # the cover of a record is a picture too, but no film
    films = [
        each for each in source.streams.video if not each.disposition & Disposition.attached_pic
    ]
    sounds = source.streams.audio
    taken: list[Any] = [films[0]] if picture and films else []
    taken += [sounds[0]] if sounds else []
    if not taken or (picture and not films):
        raise NotPlayable(f"There is no {'picture' if picture else 'sound'} in this file.")
    filters, names = {}, ["", ""]
    for stream in taken:
        name = stream.codec_context.codec.canonical_name
        if name not in (_PICTURE_CODECS if stream.type == "video" else _SOUND_CODECS):
            raise NotPlayable(
                f"Browsers cannot play the {stream.type} codec of this file, {name}:"
                " convert it to H.264 and AAC, or sell it as a download."
            )
        names[stream.type == "audio"] = name
        made = target.add_stream_from_template(stream, opaque=True)
        rule = _PICTURE_CODECS.get(name, "")
        filters[stream.index] = (made, BitStreamFilterContext(rule or "null", stream, made))
        if name in _SEI:
            parameters = _without_sei(made.codec_context.extradata or b"", _SEI[name])
            made.codec_context.extradata = parameters
    for packet in _timed(source.demux(taken)):
        made, rule_of = filters[packet.stream.index]
        # an empty packet ends each stream, and flushes its filter
        for moved in rule_of.filter(packet if packet.size else None):
            if made.type == "audio":
                _unsign(moved)
            moved.stream = made
            target.mux(moved)
    seconds = float(Fraction(source.duration or 0, 1_000_000))
    count = len(source.streams) - len(taken)
    return Tracks((names[0], names[1]), seconds, count)


def _timed(packets: Iterable["Packet[Any]"]) -> "Iterator[Packet[Any]]":
    """Give the first packets of a stream a decoding time where its container has none.

    Matroska keeps no such times: with reordered frames they are known from the second or third
    packet on, and count backwards from there.
    """
    early: dict[int, list[Packet[Any]]] = {}
    for packet in packets:
        held = early.setdefault(packet.stream.index, [])
        if packet.size and packet.dts is None:
            held.append(packet)
            continue
        dts = packet.dts if packet.size else held[-1].pts if held else 0
        for before in reversed(held):
            if dts is None:
                raise UnreadableStream
            dts -= before.duration or 1
            before.dts = dts
        yield from held
        held.clear()
        yield packet


def _without_sei(parameters: bytes, is_sei: Callable[[int], bool]) -> bytes:
    """Take SEI out of the parameter sets of a track, which FFmpeg's filter leaves there.

    After that filter they have start codes (ITU-T H.264 and H.265, Annex B).
    """
    units = re.split(rb"\x00{2,3}\x01", parameters)
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units if unit and not is_sei(unit[0]))


def _unsign(packet: "Packet[Any]") -> None:
    """Blank an encoder's name out of the padding of a frame; the length stays."""
    data = bytes(packet)
    unsigned = _SIGNATURE.sub(lambda found: bytes(len(found[0])), data)
    if unsigned != data:
        packet.update(unsigned)


def _refuse(url: str, flags: int, options: dict[str, str]) -> Any:
    """Stand where FFmpeg would open what a file refers to."""
    raise UnreadableStream("The film or sound refers to another file, which is not opened.")


def _load() -> Any:
    """Import PyAV when it is needed: it is an extra, and large.

    Raises:
        NoMediaExtra: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise NoMediaExtra from error
    return av

"""Films and sounds: the same pictures and sounds in an MP4 that tells nothing else."""

import re
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image

from bitsnode.media import audio, video
from bitsnode.media.errors import (
    MediaError,
    MediaMissing,
    MediaNotWritten,
    NoMediaExtra,
    NotPlayable,
    UnreadableStream,
)
from tests.media.films import CANARY, PLACE, decoded, make

FILMS = {
    "mp4": {"extra": True},
    "mov": {"form": "mov"},
    "mkv": {"form": "matroska"},
    "webm": {"form": "webm", "video": "libvpx-vp9", "audio": "libopus"},
    "hevc": {"form": "mov", "video": "libx265", "audio": None},
    "av1": {"form": "matroska", "video": "libsvtav1", "audio": "flac"},
}
SOUNDS = {
    "m4a": {"form": "ipod", "audio": "aac"},
    "mp3": {"form": "mp3", "audio": "libmp3lame"},
    "flac": {"form": "flac", "audio": "flac"},
    "opus": {"form": "ogg", "audio": "libopus"},
}
# what programs write of themselves, and the canaries in the forms in which they are stored
SIGNS = [
    *(CANARY.encode(each) for each in ("utf-8", "utf-16-le", "utf-16-be")),
    *(word.encode() for word in ("canary", "street", PLACE, "48.8577", "2026-11-05")),
    *(b"Lavf", b"Lavc", b"x264", b"x265", b"libvpx", b"SVT"),
]
PRIMING = 2 * 1152  # samples before the sound, of which one container tells and another does not
# the list of tags that the muxer always writes: an empty one
NO_TAGS = bytes.fromhex("00000035 6d657461 00000000 00000021 68646c72 0000000000000000 6d646972")
NO_TAGS += b"appl" + bytes(9) + bytes.fromhex("00000008 696c7374")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one film or sound of each kind."""
    folder = tmp_path_factory.mktemp("films")
    for name, options in FILMS.items():
        make(folder / name, **options)  # type: ignore[arg-type]
    for name, options in SOUNDS.items():
        make(folder / name, video=None, **options)  # type: ignore[arg-type]
    return folder


def boxes(data: bytes, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Walk the boxes of an MP4 (ISO/IEC 14496-12 §4.2)."""
    at = 0
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        name = name.decode("latin-1")
        body = data[at + 8 : at + size]
        yield f"{path}/{name}", body
        if name in ("moov", "trak", "mdia", "minf", "stbl", "udta", "edts"):
            yield from boxes(body, f"{path}/{name}")
        at += size


def check_bare(data: bytes) -> None:
    """Nothing but what plays: no time, no name, no text, the index first."""
    found = list(boxes(data))
    names = [name for name, _ in found]
    assert names.index("/moov") < names.index("/mdat")
    assert not any(name.endswith(("/uuid", "/chap", "/text", "/keys")) for name in names)
    for name, body in found:
        if name.endswith("/udta"):
            assert (name, body) == ("/moov/udta", NO_TAGS)
        if name.endswith(("/mvhd", "/tkhd", "/mdhd")):
            wide = body[0]  # version: times of 64 bits
            times = body[4:20] if wide else body[4:12]
            assert not any(times), name
        if name.endswith("/hdlr"):
            assert body[24:] in (b"VideoHandler\0", b"SoundHandler\0", b"DataHandler\0")
    for sign in SIGNS:
        assert sign not in data


@pytest.mark.parametrize("name", FILMS)
def test_a_film_keeps_its_pictures_and_loses_the_rest(
    made: Path, tmp_path: Path, name: str
) -> None:
    """Each frame comes out at its moment, and no byte that names maker, place or program."""
    source, output = made / name, tmp_path / "out"
    assert sum(sign in source.read_bytes() for sign in SIGNS) > 3  # the canaries are there
    prepared = video.prepare(source, output)
    check_bare(output.read_bytes())
    before, after = decoded(source), decoded(output)
    assert after[0] == before[0]
    assert len(after[0]) == 40
    assert abs(after[1] - before[1]) <= PRIMING
    assert (prepared.width, prepared.height) == (160, 120)
    assert prepared.seconds == pytest.approx(1.6, abs=0.1)
    assert (prepared.media_type, prepared.everywhere) == ("video/mp4", name != "hevc")
    assert prepared.dropped == (2 if name == "mp4" else 0)  # a sound, and the chapters' track
    assert output.stat().st_mode & 0o777 == 0o600
    for each in (prepared.thumbnail, prepared.preview):
        assert len(each.data) <= 12_000
        with Image.open(BytesIO(each.data)) as picture:
            assert picture.size == (160, 120)
            red, green, _ = picture.getpixel((20, 20))
            assert red > 150 > green


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_likewise(made: Path, tmp_path: Path, name: str) -> None:
    """The samples are the same; tags of all kinds are gone."""
    source, output = made / name, tmp_path / "out"
    assert CANARY.encode() in source.read_bytes()
    prepared = audio.prepare(source, output)
    check_bare(output.read_bytes())
    before, after = decoded(source), decoded(output)
    assert after[0] == []
    assert abs(after[1] - before[1]) <= PRIMING
    assert prepared.media_type == "audio/mp4"
    assert prepared.seconds == pytest.approx(1.0, abs=0.1)


def test_the_same_film_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    """Nothing of the moment or of chance is in what is made."""
    one, other = tmp_path / "one", tmp_path / "other"
    assert video.prepare(made / "mp4", one) == video.prepare(made / "mp4", other)
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(("rotation", "corner"), [(90, (20, 140)), (180, (140, 100))])
def test_a_film_from_a_telephone_stands_upright(
    tmp_path: Path, rotation: int, corner: tuple[int, int]
) -> None:
    """How it was held stays beside the picture, so that players turn it; the poster is turned."""
    source, output = tmp_path / "in", tmp_path / "out"
    make(source, rotation=rotation, audio=None)
    prepared = video.prepare(source, output)
    assert (prepared.width, prepared.height) == ((120, 160) if rotation == 90 else (160, 120))
    with av.open(str(source)) as before, av.open(str(output)) as after:
        turned = [next(each.decode(video=0)).rotation for each in (before, after)]
    assert turned[0] == turned[1] != 0
    with Image.open(BytesIO(prepared.thumbnail.data)) as poster:
        red, green, _ = poster.getpixel(corner)
        assert red > 150 > green


def test_what_browsers_do_not_play_is_said(tmp_path: Path) -> None:
    """A codec that no MP4 for browsers holds: its name and what can be done, and no file left."""
    output = tmp_path / "out"
    old = make(tmp_path / "old", form="matroska", video="mpeg4", audio=None, frames=3)
    with pytest.raises(NotPlayable, match=r"mpeg4.*convert it to H\.264"):
        video.prepare(old, output)
    strange = make(tmp_path / "strange", form="mov", audio="pcm_s16le", frames=3)
    with pytest.raises(NotPlayable, match="pcm_s16le"):
        video.prepare(strange, output)
    silent = make(tmp_path / "silent", audio=None, frames=3)
    with pytest.raises(NotPlayable, match="no sound"):
        audio.prepare(silent, output)
    sound = make(tmp_path / "sound", video=None)
    with pytest.raises(NotPlayable, match="no picture"):
        video.prepare(sound, output)
    assert not output.exists()


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/hostname\n"
FTYP = b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp41"


@pytest.mark.parametrize(
    "data",
    [b"", PLAYLIST, CONCAT, FTYP, FTYP + PLAYLIST, b"\x1aE\xdf\xa3\x8bB\x82\x84webm" + PLAYLIST],
)
def test_n1_ffmpeg_opens_nothing_by_itself(tmp_path: Path, data: bytes) -> None:
    """A playlist, alone or in the clothes of a film, is no film, and nothing it names is opened."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_bytes(data)
    with pytest.raises(UnreadableStream):
        video.prepare(source, output)
    assert not output.exists()


def test_n1_a_film_that_refers_to_another_file(made: Path, tmp_path: Path) -> None:
    """A QuickTime film whose data are said to be elsewhere does not lead there."""
    data = bytearray((made / "mov").read_bytes())
    at = data.find(b"url \x00\x00\x00\x01")
    assert at > 0
    data[at : at + 4] = b"alis"  # a reference to a file, where this one said: in here
    data[at + 4 : at + 8] = bytes(4)
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_bytes(data)
    try:
        video.prepare(source, output)
    except MediaError:
        assert not output.exists()
    else:  # read as if the data were in here, as they are
        assert decoded(output) == decoded(made / "mov")


@pytest.mark.parametrize("name", ["mp4", "webm", "mp3"])
def test_truncated_and_mutated_films_raise_one_error(made: Path, tmp_path: Path, name: str) -> None:
    """Cut or changed anywhere, it is refused in one sentence, or what is left of it is bare."""
    whole = (made / name).read_bytes()
    source, output = tmp_path / "in", tmp_path / "out"
    cuts = [whole[:cut] for cut in range(0, len(whole), len(whole) // 8)]
    changes = []
    for at in range(20, len(whole), len(whole) // 16):
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        changes.append(bytes(changed))
    for data in [*cuts, *changes]:
        source.write_bytes(data)
        try:
            if name == "mp3":
                audio.prepare(source, output)
            else:
                video.prepare(source, output)
        except MediaError:
            assert not output.exists()
        else:
            assert CANARY.encode() not in output.read_bytes()
            output.unlink()


def test_what_is_appended_to_a_film_is_gone(made: Path, tmp_path: Path) -> None:
    """A film that is an archive and a page as well becomes a film and nothing else."""
    source, output = tmp_path / "in", tmp_path / "out"
    tail = b"PK\x03\x04" + b"<html><script>" + CANARY.encode()
    free = struct.pack(">I4s", 8 + len(tail), b"free") + tail
    source.write_bytes((made / "mp4").read_bytes() + free + tail)
    video.prepare(source, output)
    check_bare(output.read_bytes())
    assert not re.search(rb"PK\x03\x04|<html>", output.read_bytes())


def test_the_places_of_input_and_output(made: Path, tmp_path: Path) -> None:
    """Nothing is overwritten; what is missing is named."""
    output = tmp_path / "out"
    output.write_bytes(b"somebody's")
    with pytest.raises(MediaNotWritten, match=str(output)):
        video.prepare(made / "mp4", output)
    assert output.read_bytes() == b"somebody's"
    with pytest.raises(MediaMissing, match="missing"):
        video.prepare(tmp_path / "missing", tmp_path / "other")


def test_c7_a_full_disk_is_told_and_leaves_nothing(made: Path, tmp_path: Path) -> None:
    """What does not fit is removed, and it is not the film that is blamed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(MediaNotWritten, match="disk is full"):
            video.prepare(made / "mp4", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_is_said_what_is_missing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PyAV is not installed: one sentence, nothing written, and pictures work."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(NoMediaExtra, match="pip install"):
        video.prepare(made / "mp4", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    loaded = "import sys, bitsnode.media.video, bitsnode.media.images; print('av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    assert done.stdout == b"False\n"

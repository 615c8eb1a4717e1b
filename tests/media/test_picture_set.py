"""Several pictures as one content."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitsnode.media import picture_set
from bitsnode.media.errors import BadPictureSet, MediaNotWritten, TooManyPictures, UnreadableImage
from bitsnode.media.images import Picture, PreparedImage

SMALL = Picture("image/webp", b"small")


def picture(data: bytes, media_type: str = "image/jpeg") -> PreparedImage:
    """A picture as far as an archive is concerned."""
    return PreparedImage(data, media_type, 1, 1, SMALL, SMALL, False)


THREE = [
    picture(b"one" * 9, "image/jpeg"),
    picture(b"two", "image/png"),
    picture(b"3", "image/webp"),
]


def read(path: Path) -> picture_set.Callable[[int, int], bytes]:
    """A function that reads ranges of a file."""
    data = path.read_bytes()
    return lambda first, last: data[first : last + 1]


def test_any_program_opens_it(tmp_path: Path) -> None:
    """The archive has the pictures in order, stored, and tells no time, owner or comment."""
    path = tmp_path / "set"
    assert picture_set.write(THREE, path) == 3
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["001.jpg", "002.png", "003.webp"]
        assert [archive.read(name) for name in archive.namelist()] == [p.full for p in THREE]
        assert archive.comment == b""
        for info in archive.infolist():
            assert (info.date_time, info.extra, info.comment) == ((1980, 1, 1, 0, 0, 0), b"", b"")
            assert (info.compress_type, info.create_system) == (zipfile.ZIP_STORED, 3)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the moment is in it."""
    for name in ("one", "other"):
        picture_set.write(iter(THREE), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_each_picture_is_a_range_of_bytes(tmp_path: Path) -> None:
    """A page shows one picture without reading the others."""
    path = tmp_path / "set"
    picture_set.write([*THREE, picture(bytes(200_000))], path)
    asked: list[int] = []
    data = path.read_bytes()

    def counted(first: int, last: int) -> bytes:
        asked.append(first)
        return data[first : last + 1]

    found = picture_set.entries(len(data), counted)
    assert [entry.media_type for entry in found[:3]] == ["image/jpeg", "image/png", "image/webp"]
    for entry, made in zip(found, THREE, strict=False):
        assert data[entry.offset : entry.offset + entry.size] == made.full
    assert min(asked) > 100_000


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture, too many, or too large together: nothing is left."""
    path = tmp_path / "set"
    for pictures in ([], [picture(b"x")] * 1000):
        with pytest.raises(TooManyPictures):
            picture_set.write(pictures, path)
    monkeypatch.setattr(picture_set, "MAX_BYTES", 30)
    with pytest.raises(TooManyPictures):
        picture_set.write(THREE, path)
    assert not path.exists()


def test_a_set_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """A picture that cannot be prepared ends the set; an output that exists is left alone."""
    path = tmp_path / "set"

    def failing() -> Iterator[PreparedImage]:
        yield THREE[0]
        raise UnreadableImage

    with pytest.raises(UnreadableImage):
        picture_set.write(failing(), path)
    assert not path.exists()
    path.write_bytes(b"somebody's")
    with pytest.raises(MediaNotWritten, match=str(path)):
        picture_set.write(THREE, path)
    assert path.read_bytes() == b"somebody's"


def foreign(path: Path, names: list[str], method: int = zipfile.ZIP_STORED) -> Path:
    """An archive that somebody else made."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"x" * 100, method)
    return path


@pytest.mark.parametrize(
    "names", [[], ["../../x.jpg"], ["001.html"], ["002.jpg"], ["001.jpg", "003.jpg"], ["1.jpg"]]
)
def test_other_archives_are_refused(tmp_path: Path, names: list[str]) -> None:
    """Names that are not ours, packed files, and what is no archive at all."""
    path = foreign(tmp_path / "set", names)
    with pytest.raises(BadPictureSet):
        picture_set.entries(path.stat().st_size, read(path))


def test_damaged_and_packed_archives_are_refused(tmp_path: Path) -> None:
    """One error for whatever is wrong."""
    packed = foreign(tmp_path / "packed", ["001.jpg"], zipfile.ZIP_DEFLATED)
    with pytest.raises(BadPictureSet):
        picture_set.entries(packed.stat().st_size, read(packed))
    good = tmp_path / "good"
    picture_set.write(THREE, good)
    whole = good.read_bytes()
    for cut in range(len(whole)):
        with pytest.raises(BadPictureSet):
            picture_set.entries(cut, lambda first, last: whole[first : last + 1])
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        data = bytes(changed)
        try:
            found = picture_set.entries(len(data), lambda first, last: data[first : last + 1])  # noqa: B023
        except BadPictureSet:
            continue
        assert all(each.offset + each.size <= len(data) for each in found)

"""Files as they are sold: without metadata where we know the kind, and with what shows them before.

Blocks; callers run it in threads. What is made lies in a folder of its own, in the clear as the
creator's own file is, until it is published.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from bitsnode.media import audio, images, kinds, picture_set, video
from bitsnode.shop.errors import BadItem, NotPrepared
from bitsnode.shop.items import Blob, Kind, Part

ANIMATED: Final = "Only the first picture of this animation was kept."
NOT_EVERYWHERE: Final = "Not every browser plays this film: its picture is HEVC."
LEFT_BEHIND: Final = "Tracks that are neither picture nor sound were left behind."


@attrs.frozen
class Prepared:
    """A file that is ready to be published.

    Attributes:
        path: where it is.
        folder: made for it, and to be removed; None if it is the creator's own file.
        kind: how it is shown.
        media_type: of it.
        width: pixels, 0 where there is no such thing.
        height: likewise.
        parts: the pictures of a set.
        thumbnail: shows it; None for none.
        preview: blurred; None for none.
        remarks: sentences on what was left behind.
    """

    path: Path
    folder: Path | None
    kind: Kind
    media_type: str
    width: int = 0
    height: int = 0
    parts: tuple[Part, ...] = ()
    thumbnail: Blob | None = None
    preview: Blob | None = None
    remarks: tuple[str, ...] = ()

    def remove(self) -> None:
        """Forget what was made."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def new_folder(parent: Path) -> Path:
    """Return a new folder, for its owner alone.

    Raises:
        NotPrepared: the disk refuses.
    """
    try:
        parent.mkdir(mode=0o700, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise NotPrepared.of(error) from error


def sweep(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def prepare(files: Sequence[Path], folder: Path, *, as_is: bool = False) -> Prepared:
    """Make files ready.

    Args:
        files: one, or the pictures of a set in their order.
        folder: where to put what is made.
        as_is: change nothing; then it is one file, and a download.

    Raises:
        MediaError: one of them cannot be used; see `bitsnode.media.errors`.
        NotPrepared: the disk refuses.
        BadItem: several files are to be sold as they are.
    """
    if len(files) > 1:
        return _set(files, folder, as_is)
    path = files[0]
    media_type = kinds.UNKNOWN if as_is else kinds.look(path)
    make = {"image": _picture, "video": _film, "audio": _sound}.get(media_type.partition("/")[0])
    return make(path, folder) if make else Prepared(path, None, Kind.FILE, kinds.UNKNOWN)


def _set(files: Sequence[Path], folder: Path, as_is: bool) -> Prepared:
    if as_is:
        raise BadItem("Several files are a set of pictures; pack others into an archive first.")
    sizes: list[tuple[int, int]] = []
    shown: list[images.PreparedImage] = []

    def made() -> Iterator[images.PreparedImage]:
        for path in files:
            picture = images.prepare(path)
            sizes.append((picture.width, picture.height))
            if not shown:
                shown.append(picture)
            yield picture

    with _fresh(folder) as place:
        target = place / "set"
        picture_set.write(made(), target)
        with target.open("rb") as file:

            def read(first: int, last: int) -> bytes:
                file.seek(first)
                return file.read(last + 1 - first)

            entries = picture_set.entries(target.stat().st_size, read)
    first = shown[0]
    return Prepared(
        target,
        place,
        Kind.IMAGE,
        picture_set.MEDIA_TYPE,
        first.width,
        first.height,
        tuple(
            Part(entry.media_type, entry.size, width, height, entry.offset)
            for entry, (width, height) in zip(entries, sizes, strict=True)
        ),
        _blob(first.thumbnail),
        _blob(first.preview),
    )


def _picture(path: Path, folder: Path) -> Prepared:
    made = images.prepare(path)
    with _fresh(folder) as place:
        target = place / "picture"
        target.write_bytes(made.full)
    return Prepared(
        target,
        place,
        Kind.IMAGE,
        made.media_type,
        made.width,
        made.height,
        thumbnail=_blob(made.thumbnail),
        preview=_blob(made.preview),
        remarks=(ANIMATED,) if made.animated else (),
    )


def _film(path: Path, folder: Path) -> Prepared:
    with _fresh(folder) as place:
        target = place / "film"
        made = video.prepare(path, target)
    remarks = () if made.everywhere else (NOT_EVERYWHERE,)
    return Prepared(
        target,
        place,
        Kind.VIDEO,
        made.media_type,
        made.width,
        made.height,
        thumbnail=_blob(made.thumbnail),
        preview=_blob(made.preview),
        remarks=remarks + ((LEFT_BEHIND,) if made.dropped else ()),
    )


def _sound(path: Path, folder: Path) -> Prepared:
    with _fresh(folder) as place:
        target = place / "sound"
        made = audio.prepare(path, target)
    remarks = (LEFT_BEHIND,) if made.dropped else ()
    return Prepared(target, place, Kind.AUDIO, made.media_type, remarks=remarks)


def _blob(picture: images.Picture) -> Blob:
    return Blob(picture.media_type, picture.data)


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Make a folder for what is made, and remove it when making fails."""
    place = new_folder(folder)
    try:
        yield place
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise NotPrepared.of(error) from error
        raise

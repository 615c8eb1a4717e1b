"""Files as they are sold: pictures written anew without metadata, with what shows them before.

Blocks; callers run it in threads. What is made lies in a folder of its own, in the clear as the
creator's own file is, until it is published.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from bitsnode.media import images, kinds
from bitsnode.shop.errors import NotPrepared
from bitsnode.shop.items import Blob, Kind, Part


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

    def remove(self) -> None:
        """Forget what was made."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what a run that was cut short left."""
    shutil.rmtree(folder, ignore_errors=True)


def prepare(files: Sequence[Path], folder: Path) -> Prepared:
    """Make files ready.

    Args:
        files: one, or the pictures of a set in their order.
        folder: where to put what is made.

    Raises:
        MediaError: one of them cannot be used; see `bitsnode.media.errors`.
        NotPrepared: the disk refuses.
    """
    (path,) = files
    media_type = kinds.look(path)
    if media_type.startswith("image/"):
        return _picture(path, folder)
    return Prepared(path, None, _kind(media_type), media_type)


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
    )


def _blob(picture: images.Picture) -> Blob:
    return Blob(picture.media_type, picture.data)


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Make a folder for what is made, and remove it when making fails."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=folder))
    except OSError as error:
        raise NotPrepared.of(error) from error
    try:
        yield place
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise NotPrepared.of(error) from error
        raise


def _kind(media_type: str) -> Kind:
    begins = media_type.partition("/")[0]
    return Kind(begins) if begins in ("video", "audio") else Kind.FILE

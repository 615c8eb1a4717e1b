"""Films: moved into an MP4 that plays at once and tells nothing of its maker; and a frame of it."""

from pathlib import Path
from typing import Final

import attrs
from PIL import Image

from bitsnode.media.errors import NotPlayable
from bitsnode.media.images import Picture, preview, thumbnail
from bitsnode.media.remux import opened, remux

MAX_PIXELS: Final = 8192 * 4352  # of a frame: the largest of H.264's and HEVC's level 6.2
POSTER_AT: Final = 10  # one part in so many of a film is past when the poster is taken


@attrs.frozen
class PreparedVideo:
    """A film as it is sold, and what shows it before.

    Attributes:
        media_type: video/mp4.
        width: pixels, upright.
        height: likewise.
        seconds: duration.
        everywhere: every browser plays it; HEVC needs help of the system that many have not.
        dropped: tracks that were left behind, such as subtitles.
        thumbnail: of one frame, as of a picture.
        preview: of the same frame, blurred.
    """

    media_type: str
    width: int
    height: int
    seconds: float
    everywhere: bool
    dropped: int
    thumbnail: Picture
    preview: Picture


def prepare(path: Path, output: Path) -> PreparedVideo:
    """Make of a film the MP4 that is sold; nothing is encoded anew. Blocks.

    Args:
        path: an MP4, QuickTime, Matroska or WebM file.
        output: the MP4 to make; not there yet, made private, gone again when this fails. It is
            plaintext: whoever asks for it removes it.

    Raises:
        MediaError: as `remux`.
    """
    tracks = remux(path, output, picture=True)
    try:
        frame = _poster(output)
    except BaseException:
        output.unlink(missing_ok=True)
        raise
    return PreparedVideo(
        media_type="video/mp4",
        width=frame.width,
        height=frame.height,
        seconds=tracks.seconds,
        everywhere=tracks.codecs[0] != "hevc",
        dropped=tracks.dropped,
        thumbnail=thumbnail(frame),
        preview=preview(frame),
    )


def _poster(path: Path) -> Image.Image:
    """Return a frame near the beginning, upright."""
    with opened(path) as film:
        stream = film.streams.video[0]
        if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
            raise NotPlayable("The picture of this film is too large to be played.")
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        film.seek((film.duration or 0) // POSTER_AT)  # to the key frame before it
        for frame in film.decode(stream):
            picture: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
            # as the display matrix says, which FFmpeg gives counter-clockwise
            return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture
    raise NotPlayable("There is no picture in this film.")
